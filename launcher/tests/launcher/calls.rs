//! The system calls of a launch and the wait for its end, by the host and by its child, as strace sees them. They do not depend
//! on what the host has open.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File};

use exec_relay_launcher::{Launch, Stdio, Vehicle, reserve_descriptors};
use tempfile::TempDir;

use crate::support::{alone_by, refuse, relay, set_limit};

/// Calls by their names.
type Calls = BTreeMap<String, usize>;

/// A program of which nothing is expected but that it ends.
const PROGRAM: &str = "/bin/true";

/// No process has this number, and nobody asks for its group but these tests.
const MARK: i32 = i32::MAX - 4711;

/// Leaves a mark in the log.
fn mark() {
    // SAFETY: touches no memory.
    assert_eq!(unsafe { libc::getpgid(MARK) }, -1);
}

/// What host and child call in a launch that `set` changes, from a host with so many descriptors open.
fn calls(name: &str, part: &str, open: usize, vehicle: Vehicle, set: impl Fn(&mut Launch<'_>)) -> [Calls; 2] {
    let log = log(name, part, open, vehicle, &|| (), set);
    count(&log)
}

/// The log of strace. `begin` comes before the descriptors are opened.
fn log(
    name: &str,
    part: &str,
    open: usize,
    vehicle: Vehicle,
    begin: &dyn Fn(),
    set: impl Fn(&mut Launch<'_>),
) -> String {
    let directory = TempDir::new().expect("a directory");
    let log = directory.path().join("log");
    let starter = ["strace", "-f", "-qq", "-o", log.to_str().expect("UTF-8")];
    alone_by(&starter, name, part, || {
        set_limit(libc::RLIMIT_NOFILE, 20_000, 20_000).expect("a limit");
        begin();
        let _open: Vec<File> = (0..open).map(|_| File::open("/dev/null").expect("/dev/null")).collect();
        for round in 0..2 {
            // The first launch makes what stays: a stack, the file in memory.
            if round == 1 {
                mark();
            }
            let mut launch = Launch::new(PROGRAM);
            set(launch.vehicle(vehicle.clone()));
            let mut child = launch.launch().expect("a program");
            assert!(child.wait().expect("a status").success());
        }
        mark();
    });
    // In a process that was started by strace there is no log to be read.
    fs::read_to_string(log).unwrap_or_default()
}

/// What host and child call between the two marks.
fn count(log: &str) -> [Calls; 2] {
    let is_mark = |line: &str| line.contains(&format!(" getpgid({MARK})"));
    let mut between = log.lines().skip_while(|line| !is_mark(line));
    let host = between.next().and_then(|line| line.split(' ').next()).unwrap_or_default();
    let mut counted = [Calls::new(), Calls::new()];
    for line in between.take_while(|line| !is_mark(line)) {
        let (process, rest) = line.split_once(' ').expect("a process");
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        // A call that goes on is none, and a development build looks at a descriptor before it closes it.
        if call.starts_with('<') || cfg!(debug_assertions) && call == "fcntl" && arguments.contains("F_GETFD") {
            continue;
        }
        let executed = counted[1].keys().filter(|call| call.starts_with("exec")).count() > 0;
        if process == host {
            *counted[0].entry(call.to_owned()).or_default() += 1;
        } else if !executed {
            *counted[1].entry(call.to_owned()).or_default() += 1;
        }
    }
    counted
}

#[track_caller]
fn assert_calls(counted: &Calls, expected: &[(&str, usize)], what: &str) {
    if counted.is_empty() {
        // This is the process that strace has started.
        return;
    }
    let expected: Calls = expected.iter().map(|&(call, count)| (call.to_owned(), count)).collect();
    assert_eq!(*counted, expected, "{what}");
}

/// What every child does: a table of its own, and that it is one; then relay's steps.
const CHILD: [(&str, usize); 5] =
    [("close_range", 3), ("prlimit64", 2), ("rt_sigaction", 62), ("rt_sigprocmask", 1), ("execve", 1)];

const HOST: [(&str, usize); 5] = [("getpid", 1), ("rt_sigprocmask", 3), ("clone", 1), ("waitid", 2), ("close", 1)];

#[test]
fn in_place() {
    for open in [3, 5000] {
        let [host, child] = calls("calls::in_place", &open.to_string(), open, Vehicle::InPlace, |_| {});
        assert_calls(&host, &HOST, "the host");
        assert_calls(&child, &CHILD, "the child");
    }
}

#[test]
fn in_place_with_null() {
    for open in [3, 5000] {
        let [host, child] = calls("calls::in_place_with_null", &open.to_string(), open, Vehicle::InPlace, |launch| {
            launch.stdin(Stdio::Null).stdout(Stdio::Null).stderr(Stdio::Null);
        });
        assert_calls(&host, &HOST, "the host");
        assert_calls(&child, &[&CHILD[..], &[("openat", 2), ("dup3", 3)]].concat(), "the child");
    }
}

/// With high numbers three descriptors are fetched.
#[test]
fn in_place_with_pipes() {
    for (open, fetched) in [(3, &[][..]), (5000, &[("pidfd_open", 1), ("pidfd_getfd", 3), ("close", 1)])] {
        let [host, child] = calls("calls::in_place_with_pipes", &open.to_string(), open, Vehicle::InPlace, |launch| {
            launch.stdin(Stdio::Piped).stdout(Stdio::Piped).stderr(Stdio::Piped);
        });
        let host_expected =
            [("getpid", 1), ("rt_sigprocmask", 3), ("clone", 1), ("waitid", 2), ("pipe2", 3), ("close", 7)];
        assert_calls(&host, &host_expected, "the host");
        assert_calls(&child, &[&CHILD[..], &[("dup3", 3)], fetched].concat(), "the child");
    }
}

/// From a host that has reserved descriptors, and may not fetch, the child receives them. Its table ends below the lowest number
/// that the host has opened since.
#[test]
fn in_place_with_pipes_and_reserved_descriptors() {
    for open in [3, 5000] {
        let name = "calls::in_place_with_pipes_and_reserved_descriptors";
        let begin = || {
            reserve_descriptors(1).expect("low numbers");
            refuse(libc::SYS_pidfd_getfd, &[], libc::EPERM);
        };
        let log = log(name, &open.to_string(), open, Vehicle::InPlace, &begin, |launch| {
            launch.stdin(Stdio::Piped).stdout(Stdio::Piped).stderr(Stdio::Piped);
        });
        let [host, child] = count(&log);
        let (sent, received) = if open == 3 {
            (&[][..], &[][..])
        } else {
            (&[("getsockopt", 2), ("sendmsg", 1)][..], &[("recvmsg", 1)][..])
        };
        let host_expected =
            [("getpid", 1), ("rt_sigprocmask", 3), ("clone", 1), ("waitid", 2), ("pipe2", 3), ("close", 7)];
        assert_calls(&host, &[&host_expected[..], sent].concat(), "the host");
        assert_calls(&child, &[&CHILD[..], &[("dup3", 3)], received].concat(), "the child");
        // The last one is the launch between the marks.
        let unshared =
            log.lines().filter_map(|line| line.split_once("close_range(")?.1.split_once(", CLOSE_RANGE_UNSHARE"));
        let first = unshared.filter_map(|(range, _)| range.split(',').next()?.parse::<u32>().ok()).next_back();
        assert!(log.is_empty() || first.is_some_and(|first| (4..64).contains(&first)), "{first:?}");
    }
}

/// The relay's own calls are counted by the harness: here it is its child that executes it.
#[test]
fn by_a_relay() {
    for (open, child_expected) in [
        (3, &[("close_range", 2), ("dup3", 1), ("execve", 1)][..]),
        (5000, &[("close_range", 2), ("pidfd_open", 1), ("pidfd_getfd", 1), ("close", 1), ("dup3", 1), ("execve", 1)]),
    ] {
        let vehicle = Vehicle::RelayAt(relay());
        let [_, child] = calls("calls::by_a_relay", &open.to_string(), open, vehicle, |_| {});
        assert_calls(&child, child_expected, "the child");
    }
}
