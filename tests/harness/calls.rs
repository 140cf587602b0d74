//! The system calls of a launch, counted by strace. They are a promise: what is not asked for costs none.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::host::{assert_root, mark_a_range, output, relay_line};
use crate::process::host;

/// How often relay makes each call until it is the program, where a shell with these redirections starts it.
#[track_caller]
fn calls(redirections: &str, arguments: &[&str]) -> BTreeMap<String, usize> {
    let directory = TempDir::new().expect("a directory");
    let log = directory.path().join("log");
    // strace has descriptors of its own, but what it starts does not see them.
    let script = format!(r#"log=$1; shift; exec strace -qq -o "$log" "$@" {redirections}"#);
    let mut shell = Command::new("bash");
    shell.args(["-c", &script, "bash"]).arg(&log).args(relay_line()).args(arguments);
    let outcome = output(&mut shell);
    assert!(outcome.status.success(), "{outcome:?}");
    let log = fs::read_to_string(log).expect("strace's log");
    // The first line is the execve that starts relay; the next one is relay's own, and what follows is the program's.
    let mut counted = BTreeMap::new();
    for name in log.lines().skip(1).filter_map(|line| Some(line.split_once('(')?.0)) {
        // Two architectures have calls whose ids have 32 bits under such names.
        let name = name.strip_suffix("32").unwrap_or(name);
        *counted.entry(name.to_owned()).or_default() += 1;
        if name.starts_with("execve") {
            break;
        }
    }
    counted
}

#[track_caller]
fn assert_calls(mut counted: BTreeMap<String, usize>, expected: &[(&str, usize)]) {
    let mut expected: BTreeMap<_, _> = expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
    if mark_a_range().is_err() {
        // Before Linux 5.11 relay goes on to list /proc/self/fd, by as many calls as there are descriptors.
        for calls in [&mut counted, &mut expected] {
            calls.retain(|name, _| ALWAYS.iter().any(|(always, _)| name == always));
        }
    }
    assert_eq!(counted, expected);
}

/// What every launch makes: the timers, all dispositions but those of KILL and STOP, the mask, the program.
const ALWAYS: [(&str, usize); 4] = [("setitimer", 3), ("rt_sigaction", 62), ("rt_sigprocmask", 1), ("execve", 1)];

#[test]
fn of_a_plain_launch() {
    assert_calls(calls("", &["/bin/true"]), &[&ALWAYS[..], &[("close_range", 1)]].concat());
}

#[test]
fn of_the_positional_form() {
    // The handshake, the pulse, and a gap on either side of it.
    let counted = calls("8>/dev/null 9>/dev/null", &["9", "8", "/bin/true"]);
    assert_calls(counted, &[&ALWAYS[..], &[("write", 2), ("fcntl", 1), ("close_range", 2)]].concat());
}

#[test]
fn of_records() {
    let counted = calls("9>/dev/null", &["--status=9", "/bin/true"]);
    assert_calls(counted, &[&ALWAYS[..], &[("fcntl", 1), ("write", 1), ("close_range", 1)]].concat());
}

#[test]
fn of_three_renames() {
    let open = "5</dev/null 6</dev/null 7</dev/null";
    let counted = calls(open, &["--fd=10=5", "--fd=11=6", "--fd=12=7", "/bin/true"]);
    assert_calls(counted, &[&ALWAYS[..], &[("fcntl", 3), ("close_range", 1), ("dup3", 3)]].concat());
    // A cycle of them takes one copy more.
    let counted = calls(open, &["--fd=5=6", "--fd=6=7", "--fd=7=5", "/bin/true"]);
    assert_calls(counted, &[&ALWAYS[..], &[("fcntl", 4), ("close_range", 1), ("dup3", 3)]].concat());
}

/// A user by number, which is looked up afterwards; and root, which is tried to be had again.
#[test]
fn of_a_user() {
    assert_root();
    let counted = calls("", &["--user=1000:1000,4", "/bin/true"]);
    let of_the_user = [("setgroups", 1), ("getgroups", 1), ("setresgid", 1), ("getresgid", 1), ("getresuid", 1)];
    assert_calls(counted, &[&ALWAYS[..], &[("close_range", 1), ("setresuid", 2)], &of_the_user].concat());
    let counted = calls("", &["--user=0:0", "/bin/true"]);
    assert_calls(counted, &[&ALWAYS[..], &[("close_range", 1), ("setresuid", 1)], &of_the_user].concat());
}

/// One call for each thing that is asked for; two where a limit depends on the present one.
#[test]
fn of_several_settings() {
    let first = host(&["--cpus=all"]).run().slate().processors[0];
    let cpus = format!("--cpus={first}");
    let options = ["--nice=19", "--sched=batch", &cpus, "--ionice=idle", "--timer-slack=1", "--umask=0"];
    let more = ["--limit=core=0", "--limit=locks=hard:", "--new-keyring", "/bin/true"];
    let counted = calls("", &[&options[..], &more].concat());
    let expected = [
        ("close_range", 1),
        ("setpriority", 1),
        ("sched_setscheduler", 1),
        ("sched_setaffinity", 1),
        ("ioprio_set", 1),
        ("prctl", 1),
        ("umask", 1),
        ("prlimit64", 4),
        ("keyctl", 1),
    ];
    assert_calls(counted, &[&ALWAYS[..], &expected].concat());
}

/// A word is a call, where it does not depend on the machine.
#[test]
fn of_a_reset() {
    let words = "--reset=parent-death,mempolicy,personality,thp,subreaper";
    let counted = calls("", &[words, "/bin/true"]);
    let expected = [("close_range", 1), ("prctl", 3), ("set_mempolicy", 1), ("personality", 1)];
    assert_calls(counted, &[&ALWAYS[..], &expected].concat());
}

#[test]
fn of_timers_that_are_kept() {
    let counted = calls("", &["--keep-timers", "/bin/true"]);
    assert_calls(counted, &[&ALWAYS[1..], &[("close_range", 1)]].concat());
}

/// In the place of execve the one call that needs no path. Before it, one look whether the descriptor is open.
#[test]
fn of_a_program_by_its_descriptor() {
    let counted = calls("5</bin/true", &["--exec-fd=5", "true"]);
    assert_calls(counted, &[&ALWAYS[..3], &[("close_range", 1), ("fcntl", 1), ("execveat", 1)]].concat());
}
