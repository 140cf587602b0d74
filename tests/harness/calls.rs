//! The system calls of a launch, counted by strace. They are a promise: what is not asked for costs none.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::host::{mark_a_range, output, relay_line};

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
        *counted.entry(name.to_owned()).or_default() += 1;
        if name == "execve" {
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
