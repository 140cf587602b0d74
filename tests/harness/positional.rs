//! The positional form: the attendant's protocol, to the byte.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use tempfile::TempDir;

use crate::host::{Host, Outcome, alone, full_pipe, int, output, probe, relay_line, socket_pair, wait_until_in_call};
use crate::sandbox::{self, script};

/// What relay writes on both descriptors.
fn handshake() -> [u8; 4] {
    int(9)
}

/// A host with its status pipe at 9 and an open descriptor at 10.
fn host(arguments: &[&str]) -> Host {
    Host::new(arguments).status(9).open(10)
}

/// The launch failed with this record, and with nothing else said anywhere.
#[track_caller]
fn assert_record(outcome: &Outcome, code: i32, errno: i32) {
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert_eq!(outcome.stdout, handshake(), "standard output");
    let record = [handshake(), int(code), int(errno)].concat();
    assert_eq!(outcome.records, record, "expected {code} {errno} in {outcome:?}");
    assert_eq!(outcome.stderr, "", "a record is enough");
}

/// The launch failed before anything could be told on the status pipe.
#[track_caller]
fn assert_no_status(outcome: &Outcome, stdout: &[u8], message: &str) {
    assert_eq!(outcome.status.code(), Some(127), "{outcome:?}");
    assert_eq!(outcome.stdout, stdout);
    assert_eq!(outcome.records, b"");
    assert_eq!(outcome.stderr, format!("relay: {message}\n"));
}

#[test]
fn the_program_runs() {
    let probe = probe();
    let outcome = host(&["9", "10", probe.to_str().expect("UTF-8"), "one", "", "three"]).run();
    assert!(outcome.status.success());
    assert_eq!(outcome.records, handshake(), "end of file and no record: the program runs");
    let slate = outcome.slate_after(&handshake());
    slate.assert_clean([0, 1, 2, 10]);
    assert_eq!(slate.arguments, [probe.to_str().expect("UTF-8"), "one", "", "three"]);
}

#[test]
fn the_exit_status_is_the_program_s() {
    for status in [0, 1, 2, 101, 127, 255] {
        let argument = format!("probe:exit={status}");
        let outcome = host(&["9", "10", probe().to_str().expect("UTF-8"), &argument]).run();
        assert_eq!(outcome.status.code(), Some(status));
        assert_eq!(outcome.records, handshake());
    }
}

#[test]
fn the_program_s_death_by_a_signal_is_seen() {
    let outcome = host(&["9", "10", "/bin/sh", "-c", "kill -KILL $$"]).run();
    assert_eq!(outcome.status.signal(), Some(libc::SIGKILL));
    assert_eq!(outcome.records, handshake());
}

#[test]
fn a_malformed_status() {
    for status in ["0", "1", "2", "3x", "3 ", "0x3", "3.0", "12345678901234567890", "2147483648", "4294967299"] {
        let outcome = host(&[status, "10", "/bin/true"]).run();
        assert_no_status(&outcome, b"", &format!("not a STATUS_FD from 3 up, or a full path: {status}"));
    }
    for status in ["X", "x3", "", " 3", "+3", "\u{661}"] {
        let outcome = host(&[status, "10", "/bin/true"]).run();
        let message = format!("PATH is not searched: give the full path of {status}, as /bin/ls");
        assert_no_status(&outcome, b"", &message);
    }
}

/// A minus sign makes it an option.
#[test]
fn a_negative_status() {
    let outcome = host(&["-3", "10", "/bin/true"]).run();
    assert_eq!(outcome.status.code(), Some(125));
    assert_eq!(outcome.stderr, "relay: unknown option -3, see relay --help\n");
}

#[test]
fn leading_zeros_are_digits() {
    let outcome = host(&["0009", "010", "/bin/true"]).run();
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.records, handshake());
}

#[test]
fn a_closed_status() {
    for status in [11, i32::MAX] {
        let outcome = host(&[&status.to_string(), "10", "/bin/true"]).run();
        assert_no_status(
            &outcome,
            &int(status),
            &format!("cannot write to descriptor {status}: not open for this (EBADF)"),
        );
    }
}

#[test]
fn a_status_that_cannot_be_written_to() {
    let outcome = host(&["10", "11", "/bin/true"]).open(11).run();
    assert_no_status(&outcome, &int(10), "cannot write to descriptor 10: not open for this (EBADF)");
}

/// Nothing goes to the status pipe before it has gone to standard output.
#[test]
fn a_closed_standard_output() {
    assert_no_status(
        &host(&["9", "10", "/bin/true"]).closed(1).run(),
        b"",
        "cannot write to descriptor 1: not open for this (EBADF)",
    );
}

#[test]
fn a_missing_pulse() {
    assert_record(&host(&["9"]).run(), 129, 0);
}

#[test]
fn a_malformed_pulse() {
    for pulse in ["0", "X", "10x", "", " 10", "-1", "12345678901234567890", "2147483648", "4294967306"] {
        assert_record(&host(&["9", pulse, "/bin/true"]).run(), 128, libc::EINVAL);
    }
}

#[test]
fn a_pulse_that_is_the_status() {
    assert_record(&host(&["9", "9", "/bin/true"]).run(), 128, libc::EINVAL);
}

#[test]
fn a_closed_pulse() {
    for pulse in ["11", "2147483647"] {
        assert_record(&host(&["9", pulse, "/bin/true"]).run(), 128, libc::EBADF);
    }
}

/// The first mistake in the order of the arguments is the one that is told.
#[test]
fn a_closed_pulse_comes_before_a_missing_program() {
    assert_record(&host(&["9", "11"]).run(), 128, libc::EBADF);
    assert_record(&host(&["9", "X", "relative"]).run(), 128, libc::EINVAL);
}

#[test]
fn a_pulse_of_1_or_2() {
    for pulse in ["1", "2"] {
        let outcome = host(&["9", pulse, probe().to_str().expect("UTF-8")]).run();
        assert_eq!(outcome.records, handshake());
        outcome.slate_after(&handshake()).assert_clean([0, 1, 2]);
    }
}

#[test]
fn a_missing_program() {
    assert_record(&host(&["9", "10"]).run(), 123, 0);
}

#[test]
fn a_relative_program() {
    for program in ["true", "./true", "bin/true", "", "-"] {
        assert_record(&host(&["9", "10", program]).run(), 125, 0);
    }
}

#[test]
fn programs_that_cannot_be_run() {
    let directory = TempDir::new().expect("a directory");
    let at = |name, text, mode| script(directory.path(), name, text, mode);
    let long = format!("/{}", "x".repeat(300));
    let dangling = directory.path().join("loop");
    std::os::unix::fs::symlink(&dangling, &dangling).expect("a link");
    for (program, errno) in [
        (at("not executable", "#!/bin/sh\n", 0o644), libc::EACCES),
        (at("junk", "junk\n", 0o755), libc::ENOEXEC),
        (at("empty", "", 0o755), libc::ENOEXEC),
        (at("no interpreter", "#!/no/such/interpreter\n", 0o755), libc::ENOENT),
        (directory.path().to_str().expect("UTF-8").to_owned(), libc::EACCES),
        (directory.path().join("missing").to_str().expect("UTF-8").to_owned(), libc::ENOENT),
        (dangling.to_str().expect("UTF-8").to_owned(), libc::ELOOP),
        ("/bin/sh/x".to_owned(), libc::ENOTDIR),
        (long, libc::ENAMETOOLONG),
    ] {
        assert_record(&host(&["9", "10", &program]).run(), 127, errno);
    }
}

#[test]
fn timers_that_a_sandbox_refuses_to_disarm() {
    let refused = sandbox::refuse(&[libc::SYS_setitimer], libc::EPERM);
    assert_record(&host(&["9", "10", "/bin/echo", "started"]).filter(refused).run(), 201, libc::EPERM);
}

#[test]
fn signals_that_a_sandbox_refuses_to_set() {
    for call in [libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask] {
        let outcome = host(&["9", "10", "/bin/echo", "started"]).filter(sandbox::refuse(&[call], libc::EPERM)).run();
        assert_record(&outcome, 202, libc::EPERM);
    }
}

#[test]
fn descriptors_that_cannot_be_marked() {
    // Any other call that the last way needs would do too; see clean_slate.rs for each.
    let root = sandbox::bare_root();
    let refused = sandbox::refuse(&[libc::SYS_close_range, libc::SYS_pselect6], libc::ENOSYS);
    let outcome = host(&["9", "10", "/probe"]).relay_at("/relay").root(root.path()).filter(refused).run();
    assert_record(&outcome, 126, libc::ENOSYS);
}

/// The record tells of the last way that was tried, not of an earlier one.
#[test]
fn the_errno_is_that_of_the_last_way() {
    let root = sandbox::bare_root();
    let host = host(&["9", "10", "/probe"]).relay_at("/relay").root(root.path());
    let refuse = |call, errno| sandbox::refuse(&[call], errno);
    let host = host.filter(refuse(libc::SYS_close_range, libc::EPERM));
    assert_record(&host.filter(refuse(libc::SYS_pselect6, libc::EACCES)).run(), 126, libc::EACCES);
}

#[test]
fn a_status_reader_that_has_gone() {
    for (ignored, expected) in [(None, None), (Some(libc::SIGPIPE as usize), Some(127))] {
        let outcome = host(&["9", "10", "/bin/echo", "started"]).ignored(ignored).spawn_unread().finish();
        assert_eq!(outcome.status.code(), expected, "{outcome:?}");
        if expected.is_none() {
            assert_eq!(outcome.status.signal(), Some(libc::SIGPIPE));
        }
        assert_eq!(outcome.stdout, handshake(), "the program is not started");
    }
}

#[test]
fn a_status_reader_that_has_gone_from_a_socket() {
    let (ours, theirs) = socket_pair();
    alone(|| drop(ours));
    let host = Host::new(["9", "10", "/bin/echo", "started"]).descriptor(9, theirs).open(10);
    let outcome = host.ignored([libc::SIGPIPE as usize]).run();
    assert_eq!(outcome.status.code(), Some(127));
    assert_eq!(outcome.stdout, handshake());
    assert_eq!(outcome.stderr, "relay: cannot write to descriptor 9: no reader (EPIPE)\n");
}

#[test]
fn a_status_that_is_a_socket() {
    let (mut ours, theirs) = socket_pair();
    let outcome = Host::new(["9", "10", "/no/such"]).descriptor(9, theirs).open(10).run();
    assert_eq!(outcome.status.code(), Some(1));
    let mut records = Vec::new();
    ours.read_to_end(&mut records).expect("the records");
    assert_eq!(records, [handshake(), int(127), int(libc::ENOENT)].concat());
}

/// A pipe that is full and does not block: relay waits for room, and loses nothing.
#[test]
fn a_status_pipe_that_is_full() {
    let (mut reader, writer, filled) = full_pipe();
    let running = Host::new(["9", "10", "/no/such"]).descriptor(9, writer).open(10).spawn();
    assert!(wait_until_in_call(running.child.id(), libc::SYS_ppoll));
    let mut received = Vec::new();
    reader.read_to_end(&mut received).expect("the pipe");
    let outcome = running.finish();
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(received[filled..], [handshake(), int(127), int(libc::ENOENT)].concat());
}

/// The same, but the reader goes away instead of making room: relay ends.
#[test]
fn a_status_pipe_that_is_full_and_then_abandoned() {
    let (reader, writer, _) = full_pipe();
    let running = Host::new(["9", "10", "/bin/echo", "started"]).descriptor(9, writer).open(10).spawn();
    assert!(wait_until_in_call(running.child.id(), libc::SYS_ppoll));
    alone(|| drop(reader));
    let outcome = running.finish();
    assert_eq!(outcome.status.signal(), Some(libc::SIGPIPE));
    assert_eq!(outcome.stdout, handshake());
}

/// Writes that are interrupted or cut short are taken up again.
#[test]
fn interrupted_and_short_writes() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (injection, expected) in [
        ("write:error=EINTR:when=1..3", [&int(9)[..], &int(9)].concat()),
        // strace says 3 were written and writes none: relay must go on with the fourth byte.
        ("write:retval=3:when=1", [&int(9)[3..], &int(9)].concat()),
    ] {
        let script = format!("exec 9>{} 10</dev/null; exec \"$@\"", file.path().display());
        let mut command = Command::new("bash");
        command.args(["-c", &script, "bash", "strace", "-qq", "-o", "/dev/null", "--inject", injection]);
        command.args(relay_line()).args(["9", "10", "/bin/true"]);
        let outcome = output(&mut command);
        assert!(outcome.status.success(), "{outcome:?}");
        let mut told = outcome.stdout;
        File::open(file.path()).expect("the file").read_to_end(&mut told).expect("the status");
        assert_eq!(told, expected, "{injection}");
    }
}
