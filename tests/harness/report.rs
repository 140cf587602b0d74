//! `--report`: what leaks into relay, a fact a line, whatever is or is not in the image.

use std::collections::BTreeMap;

use crate::host::{Host, output, path_only, relay_line};
use crate::sandbox;

/// The facts by their names.
pub fn facts(printed: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(printed).expect("UTF-8");
    let fact = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("name: value in {line:?}"));
        (name.to_owned(), value.trim().to_owned())
    };
    text.lines().map(fact).collect()
}

fn dirty() -> Host {
    let host = Host::new(["--report"]).open(5).descriptor(1000, path_only("/dev"));
    host.ignored([1, 13]).all_blocked().nofile(300, 4000)
}

#[test]
fn a_dirty_slate() {
    let running = dirty().spawn();
    let pid = running.child.id();
    let outcome = running.finish();
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.stderr, "");
    let facts = facts(&outcome.stdout);
    assert_eq!(facts["descriptor 5"], "open /dev/null");
    assert_eq!(facts["descriptor 1000"], "open /dev");
    let descriptors: Vec<_> = facts.keys().filter(|name| name.starts_with("descriptor")).collect();
    assert_eq!(descriptors, ["descriptor 0", "descriptor 1", "descriptor 1000", "descriptor 2", "descriptor 5"]);
    assert_eq!(facts["ignored"], "HUP PIPE");
    assert!(facts["blocked"].starts_with("HUP INT QUIT"), "{facts:?}");
    assert_eq!(facts["pending"], "");
    assert_eq!((facts["nofile soft"].as_str(), facts["nofile hard"].as_str()), ("300", "4000"));
    assert_eq!(facts["process"], pid.to_string());
    assert_eq!(facts["parent"], std::process::id().to_string());
    for identity in ["group", "session"] {
        assert!(facts[identity].parse::<u32>().is_ok(), "{facts:?}");
    }
}

/// Those that the C library keeps for itself, and the last one.
#[test]
fn signals_from_32_on() {
    let facts = facts(&Host::new(["--report"]).ignored([32, 33, 34, 64]).all_blocked().run().stdout);
    assert_eq!(facts["ignored"], "32 33 34 64");
    assert!(facts["blocked"].contains(" SYS 32 33 34 "), "{facts:?}");
    assert!(facts["blocked"].ends_with(" 62 63 64"), "{facts:?}");
}

#[test]
fn a_clean_slate() {
    let outcome = Host::new(["--report"]).run();
    let facts = facts(&outcome.stdout);
    assert_eq!(facts.keys().filter(|name| name.starts_with("descriptor")).count(), 3);
    for signals in ["ignored", "blocked", "pending"] {
        assert_eq!(facts[signals], "");
    }
}

/// Nothing but relay in the image, no /proc, and none of the usual calls: still every descriptor is listed.
#[test]
fn in_an_image_that_holds_nothing_else() {
    let root = sandbox::bare_root();
    let refused = sandbox::refuse(&[libc::SYS_close_range], libc::EPERM);
    let outcome = dirty().relay_at("/relay").root(root.path()).filter(refused).run();
    assert!(outcome.status.success(), "{outcome:?}");
    let facts = facts(&outcome.stdout);
    assert_eq!((facts["descriptor 5"].as_str(), facts["descriptor 1000"].as_str()), ("open", "open"));
    assert_eq!(facts["ignored"], "HUP PIPE");
}

#[test]
fn a_signal_that_is_pending() {
    // A blocked signal that is sent stays pending across execve: env(1) blocks it, and the shell sends it to itself.
    let mut command = std::process::Command::new("env");
    command.args(["--block-signal=USR1", "sh", "-c", "kill -USR1 $$; exec \"$@\" --report", "sh"]);
    let facts = facts(&output(command.args(relay_line())).stdout);
    assert_eq!((facts["pending"].as_str(), facts["blocked"].as_str()), ("USR1", "USR1"));
}

/// Without descriptors and signals it would look like a clean slate: that they cannot be found out is a failure.
#[test]
fn what_cannot_be_found_out() {
    cannot_be_found_out(&[libc::SYS_fcntl, libc::SYS_rt_sigpending]);
}

#[test]
fn signals_that_cannot_be_found_out() {
    cannot_be_found_out(&[libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask]);
}

#[track_caller]
fn cannot_be_found_out(calls: &[i64]) {
    for &call in calls {
        let outcome = dirty().filter(sandbox::refuse(&[call], libc::EPERM)).run();
        assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
        assert_eq!(outcome.stderr, "relay: cannot find out the whole slate: not permitted (EPERM)\n");
    }
}

/// Where numbers are too many to try, /proc tells; strace makes the limit look so high.
#[test]
fn a_large_table_under_a_limit_too_high_to_sweep() {
    let script = "exec 700</dev/null; exec strace -qq -o /dev/null --inject=pselect6:error=EPERM \
                  --inject=prlimit64:poke_exit=@arg4=00040000000000000000004000000000 \"$@\" --report";
    let mut command = std::process::Command::new("bash");
    let outcome = output(command.args(["-c", script, "bash"]).args(relay_line()));
    assert!(outcome.status.success(), "{outcome:?}");
    let facts = facts(&outcome.stdout);
    assert_eq!(facts["descriptor 700"], "open /dev/null");
    assert_eq!(facts["nofile hard"], "1073741824");
}

#[test]
fn a_report_that_cannot_be_written() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let outcome = Host::new(["--report"]).descriptor(1, full).run();
    assert_eq!(outcome.status.code(), Some(125));
    assert_eq!(outcome.stderr, "relay: cannot write to descriptor 1: no space left (ENOSPC)\n");
}
