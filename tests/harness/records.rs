//! The records of the option form: how far a launch got, on the status descriptor and nowhere else.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use exec_relay::fd_plan::MOST;
use exec_relay::status::{Record, Step};
use tempfile::TempDir;

use crate::host::{Host, Outcome, alone, full_pipe, int, output, probe, relay_line, wait_until_in_call};
use crate::sandbox::{self, script};

/// The records, by step, errno and detail.
pub fn records(outcome: &Outcome) -> Vec<(u8, i32, u32)> {
    let (records, rest) = outcome.records.as_chunks::<{ Record::SIZE }>();
    assert_eq!(rest, b"", "whole records");
    let decoded = records.iter().map(|bytes| Record::decode(bytes).unwrap_or_else(|| panic!("a record: {bytes:?}")));
    // The words are in relay's byte order.
    let number = |word: u32| u32::from_ne_bytes(int(word as i32));
    decoded.map(|record| (number(record.step) as u8, number(record.errno) as i32, number(record.detail))).collect()
}

/// A step failed before the program was to be started.
#[track_caller]
pub fn assert_failed(outcome: &Outcome, step: Step, errno: i32, detail: u32) {
    assert_eq!(records(outcome), [(step.number(), errno, detail)], "{outcome:?}");
    assert_eq!(outcome.status.code(), Some(125));
    assert_eq!((outcome.stdout.as_slice(), outcome.stderr.as_str()), (&b""[..], ""), "silent");
}

pub const READY: (u8, i32, u32) = (0, 0, 0);

fn host(options: &[&str]) -> Host {
    Host::new(["--status=9"].iter().chain(options).copied().chain([probe().to_str().expect("UTF-8")])).status(9)
}

/// The bytes are public.
#[test]
fn the_bytes_of_a_record() {
    let outcome = host(&[]).run();
    assert_eq!(outcome.records, [&b"RLY\x02"[..], &[0; 12]].concat());
    let outcome = host(&["--fd=5=6"]).run();
    let words = [9, libc::EBADF, 2].map(int);
    assert_eq!(outcome.records, [&b"RLY\x02"[..], words.as_flattened()].concat());
}

#[test]
fn what_is_no_record() {
    let good: [u8; Record::SIZE] = Record::READY.encode().as_flattened().try_into().expect("the size of a record");
    assert_eq!(Record::decode(&good), Some(Record::READY));
    for index in 0..4 {
        let mut bad = good;
        bad[index] ^= 1;
        assert_eq!(Record::decode(&bad), None, "another version, or something else");
    }
}

#[test]
fn the_program_runs() {
    let outcome = host(&["--fd=20=5"]).open(5).run();
    assert_eq!(records(&outcome), [READY]);
    outcome.slate().assert_clean([0, 1, 2, 20]);
}

/// A status descriptor that is a target is moved out of the way: the program gets its own, and the launcher the record.
#[test]
fn a_status_in_the_way() {
    for options in [&["--fd=9=5"][..], &["--fd=9=5", "--fd=3=5", "--fd=4=5", "--fd=5=0"]] {
        let outcome = host(options).open(5).run();
        assert_eq!(records(&outcome), [READY]);
        let slate = outcome.slate();
        assert!(slate.numbers().contains(&9));
        assert_eq!(slate.numbers().len(), 3 + options.len(), "{slate:?}");
    }
    // Even what fails after that is told.
    let outcome = Host::new(["--status=9", "--fd=9=5", "/no/such"]).status(9).open(5).run();
    assert_eq!(records(&outcome), [READY, (Step::Exec.number(), libc::ENOENT, 3)]);
}

#[test]
fn a_status_that_the_program_would_have() {
    for option in ["--keep=9", "--fd=5=9", "--pulse=9"] {
        assert_failed(&host(&[option]).run(), Step::StatusShared, libc::EINVAL, 9);
    }
    for option in ["--status=2", "--status=0", "--status=x", "--status="] {
        let outcome = Host::new([option, "/bin/echo"]).run();
        assert_eq!(outcome.status.code(), Some(125));
        outcome.assert_misused(option);
    }
    let outcome = Host::new(["--status=9", "/bin/echo"]).run();
    assert_eq!(outcome.stderr, "relay: bad value --status=9: not open for this (EBADF)\n");
}

#[test]
fn mistakes() {
    let most = (0..MOST).map(|index| (10 + index).to_string()).collect::<Vec<_>>();
    let most = format!("--keep={}", most.join(","));
    for (options, step, errno, detail) in [
        (&["--nonsense"][..], Step::UnknownOption, libc::EINVAL, 2),
        (&["--umask=0", "--setsid=1"], Step::ValueUnexpected, libc::EINVAL, 3),
        (&["--umask", "x"], Step::Value, libc::EINVAL, 3),
        (&["--umask=x"], Step::Value, libc::EINVAL, 2),
        (&["--fd=5=6"], Step::Value, libc::EBADF, 2),
        (&["--keep=2", "--close=2"], Step::Value, libc::EEXIST, 3),
        (&["--ctty=7"], Step::Terminal, libc::EBADF, 7),
        (&["--keep=2000-1000"], Step::Value, libc::EINVAL, 2),
        (&[&most, "--keep=9"], Step::Value, libc::EMFILE, 3),
        (&["--ignore=KILL"], Step::SignalFixed, libc::EINVAL, 2),
        (&["--listen-fds=1"], Step::Listening, libc::EBADF, 3),
        (&["--user=root"], Step::Value, libc::EINVAL, 2),
        (&["--nice=0", "--caps", "ALL"], Step::Value, libc::EINVAL, 4),
        (&["--limit=core=1", "--limit=core"], Step::Value, libc::EINVAL, 3),
        (&["--process-group", "--reset=x"], Step::Value, libc::EINVAL, 3),
        (&["--exec-fd", "5"], Step::Value, libc::EBADF, 3),
        (&["--keep-timers=1"], Step::ValueUnexpected, libc::EINVAL, 2),
    ] {
        assert_failed(&host(options).run(), step, errno, detail);
    }
    let outcome = host(&["--", "relative"]).run();
    assert_eq!(records(&outcome), [(Step::ProgramNotAbsolute.number(), libc::EINVAL, 3)]);
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(127), ""));
    assert_failed(&Host::new(["--status=9", "--umask"]).status(9).run(), Step::ValueMissing, libc::EINVAL, 0);
    assert_failed(&Host::new(["--status=9"]).status(9).run(), Step::ProgramMissing, libc::EINVAL, 0);
    assert_failed(&Host::new(["--status=9", "--"]).status(9).run(), Step::ProgramMissing, libc::EINVAL, 0);
}

/// Each step that makes a system call, made to fail.
#[test]
fn steps() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("missing");
    let chdir = format!("--chdir={}", missing.display());
    for (options, refused, step, errno, detail) in [
        (&["--fd=700=6"][..], None, Step::Rename, libc::EMFILE, 700),
        (&["--nofile=1:2147483647"], None, Step::Nofile, libc::EPERM, 0),
        (&["--nofile=1"], Some(libc::SYS_prlimit64), Step::Nofile, libc::EUCLEAN, 0),
        (&["--setsid"], Some(libc::SYS_setsid), Step::Session, libc::EUCLEAN, 0),
        (&["--keep=6", "--ctty=6"], None, Step::Terminal, libc::ENOTTY, 6),
        (&["--umask=0"], Some(libc::SYS_umask), Step::Umask, libc::EUCLEAN, 0),
        (&["--die-with-parent=1"], Some(libc::SYS_getppid), Step::Parent, libc::EUCLEAN, 1),
        (&["--fd=3=5", "--listen-fds=1"], Some(libc::SYS_getpid), Step::Listening, libc::EUCLEAN, 3),
        (&[&chdir], None, Step::Directory, libc::ENOENT, 2),
        (&["--die-with-parent=1"], None, Step::Parent, libc::ESRCH, 1),
        (&["--die-with-parent"], Some(libc::SYS_prctl), Step::Parent, libc::EUCLEAN, 0),
        (&["--no-new-privs"], Some(libc::SYS_prctl), Step::NewPrivileges, libc::EUCLEAN, 0),
        (&[], Some(libc::SYS_setitimer), Step::Timers, libc::EUCLEAN, 0),
    ] {
        let host = host(options).open(5).open(6).nofile(700, 20_000);
        let outcome =
            refused.iter().fold(host, |host, &call| host.filter(sandbox::refuse(&[call], libc::EUCLEAN))).run();
        assert_failed(&outcome, step, errno, detail);
    }
    let root = sandbox::bare_root();
    let refused = sandbox::refuse(&[libc::SYS_close_range, libc::SYS_pselect6], libc::EUCLEAN);
    let host = Host::new(["--status=9", "/probe"]).relay_at("/relay").status(9);
    assert_failed(&host.root(root.path()).filter(refused).run(), Step::Descriptors, libc::EUCLEAN, 0);
}

#[test]
fn a_score_that_cannot_be_written() {
    let refused = sandbox::refuse(&[libc::SYS_openat], libc::EUCLEAN);
    assert_failed(&host(&["--oom-score-adj=1"]).filter(refused).run(), Step::OomScore, libc::EUCLEAN, 0);
}

#[test]
fn signals_that_cannot_be_set() {
    for (options, refused, step, detail) in [
        (&[][..], libc::SYS_rt_sigaction, Step::Dispositions, 1),
        (&["--keep-ignored=HUP"], libc::SYS_rt_sigaction, Step::Dispositions, 2),
        (&[], libc::SYS_rt_sigprocmask, Step::Mask, 0),
    ] {
        let outcome = host(options).filter(sandbox::refuse(&[refused], libc::EUCLEAN)).run();
        assert_failed(&outcome, step, libc::EUCLEAN, detail);
    }
}

#[test]
fn a_swap_in_a_full_table() {
    let outcome = host(&["--fd=5=6", "--fd=6=5"]).nofile(300, 300).full_table().run();
    assert_failed(&outcome, Step::Rename, libc::EMFILE, 5);
}

#[test]
fn a_report_that_cannot_be_made() {
    // What is printed is no program's, and fails in records as well.
    let refused = sandbox::refuse(&[libc::SYS_rt_sigpending], libc::EUCLEAN);
    let outcome = Host::new(["--status=9", "--report"]).status(9).filter(refused).run();
    assert_eq!(records(&outcome), [(Step::Slate.number(), libc::EUCLEAN, 0)]);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let outcome = Host::new(["--status=9", "--report"]).status(9).descriptor(1, full).run();
    assert_failed(&outcome, Step::Write, libc::ENOSPC, 1);
}

/// After READY a second record says that the program could not be started, and how.
#[test]
fn programs_that_cannot_be_run() {
    let directory = TempDir::new().expect("a directory");
    let at = |name, text, mode| script(directory.path(), name, text, mode);
    for (program, status, step, errno) in [
        ("/no/such".to_owned(), 127, Step::Exec, libc::ENOENT),
        (at("no interpreter", "#!/no/such/interpreter\n", 0o755), 127, Step::Interpreter, libc::ENOENT),
        (at("not executable", "#!/bin/sh\n", 0o644), 126, Step::Exec, libc::EACCES),
        (at("junk", "junk\n", 0o755), 126, Step::Exec, libc::ENOEXEC),
        (format!("/{}", "x".repeat(300)), 126, Step::Exec, libc::ENAMETOOLONG),
    ] {
        let outcome = Host::new(["--status", "9", "--umask=0", &program]).status(9).run();
        assert_eq!(records(&outcome), [READY, (step.number(), errno, 4)], "{program}");
        assert_eq!(outcome.status.code(), Some(status));
        assert_eq!((outcome.stdout.as_slice(), outcome.stderr.as_str()), (&b""[..], ""));
    }
}

/// After READY the end of file stands for a program that runs. Where the second record cannot be written, relay dies by a
/// signal, so that its exit status is not taken for the program's. The same in the positional form after its handshake.
#[test]
fn a_second_record_that_cannot_be_written() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (options, write) in [("--status=9", "2"), ("9 10", "3")] {
        for fallback in [None, Some("--inject=kill:error=EPERM"), Some("--inject=getpid:retval=0")] {
            let script = format!("exec 9>{} 10</dev/null; exec \"$@\"", file.path().display());
            let mut command = Command::new("bash");
            command.args(["-c", &script, "bash", "strace", "-qq", "-o", "/dev/null"]);
            command.arg(format!("--inject=write:error=ENOSPC:when={write}")).args(fallback);
            let outcome = output(command.args(relay_line()).args(options.split(' ')).arg("/no/such"));
            let signal = if fallback.is_some() { libc::SIGSEGV } else { libc::SIGKILL };
            assert_eq!(outcome.status.signal(), Some(signal), "{options} {fallback:?}: {outcome:?}");
            let message = String::from_utf8_lossy(&outcome.stderr);
            assert_eq!(message, "relay: cannot start /no/such: no such file (ENOENT)\n");
        }
    }
}

/// Arguments that fit relay's own start but not the program's: strace makes the kernel say so.
#[test]
fn arguments_that_are_too_long() {
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "--inject=execve:error=E2BIG:when=1"]).args(relay_line());
    let outcome = output(command.args(["/bin/echo", "started"]));
    assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(126), &b""[..]));
    let message = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(message, "relay: cannot start /bin/echo: arguments and environment too long (E2BIG)\n");
}

/// An executable copy of a program that this test can hold open for writing.
fn busy_program(directory: &TempDir) -> (String, std::fs::File) {
    let path = directory.path().join("busy");
    std::fs::copy(probe(), &path).expect("a copy");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let writer = std::fs::File::options().append(true).open(&path).expect("a writer");
    (path.to_str().expect("UTF-8").to_owned(), writer)
}

/// The writer goes while relay pauses. A machine that stalls may miss the 300 ms that this lasts, but not every time.
#[test]
fn a_program_that_is_busy_for_a_while() {
    for _ in 0..20 {
        let directory = TempDir::new().expect("a directory");
        let (program, writer) = busy_program(&directory);
        let running = Host::new(["--status=9", &program]).status(9).spawn();
        let pauses = wait_until_in_call(running.child.id(), libc::SYS_nanosleep);
        alone(|| drop(writer));
        let outcome = running.finish();
        if pauses && outcome.status.success() {
            assert_eq!(records(&outcome), [READY]);
            return outcome.slate().assert_clean([0, 1, 2]);
        }
    }
    panic!("relay was never seen to wait for a busy program");
}

/// One that stays busy is given up after growing pauses of 300 ms in all.
#[test]
fn a_program_that_stays_busy() {
    let directory = TempDir::new().expect("a directory");
    let (program, writer) = busy_program(&directory);
    let log = directory.path().join("log");
    let mut command = Command::new("strace");
    command.args(["-qq", "-e", "trace=nanosleep", "-o"]).arg(&log).args(relay_line()).arg(&program);
    let outcome = output(&mut command);
    drop(writer);
    assert_eq!(outcome.status.code(), Some(126));
    let message = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(message, format!("relay: cannot start {program}: open for writing (ETXTBSY)\n"));
    let log = std::fs::read_to_string(log).expect("strace's log");
    let pauses: Vec<u64> =
        log.lines().filter_map(|line| line.split("tv_nsec=").nth(1)?.split('}').next()?.parse().ok()).collect();
    assert_eq!(pauses.iter().sum::<u64>(), 300_000_000, "{log}");
    assert!(pauses.is_sorted_by(|shorter, longer| shorter < longer));
}

#[test]
fn a_reader_that_has_gone() {
    let outcome = host(&[]).spawn_unread().finish();
    assert_eq!((outcome.status.signal(), outcome.stdout.as_slice()), (Some(libc::SIGPIPE), &b""[..]));
    // Where that signal is ignored or blocked, it is an error.
    for option in ["--ignore=PIPE", "--block=PIPE"] {
        let outcome = host(&[option]).spawn_unread().finish();
        assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(125), &b""[..]));
        assert_eq!(outcome.stderr, "relay: cannot write to descriptor 9: no reader (EPIPE)\n", "nobody else is left");
    }
}

/// A sandbox that says so for ever does not hold relay up for ever.
#[test]
fn a_write_that_is_to_be_tried_again() {
    for errno in [libc::EAGAIN, libc::EINTR] {
        let refused = sandbox::refuse(&[libc::SYS_write], errno);
        let outcome = host(&[]).filter(refused).run_in_time();
        assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(125), &b""[..]), "{outcome:?}");
    }
}

#[test]
fn a_status_pipe_that_is_full() {
    let (mut reader, writer, filled) = full_pipe();
    let running = Host::new(["--status=9", "/no/such"]).descriptor(9, writer).spawn();
    assert!(wait_until_in_call(running.child.id(), libc::SYS_ppoll));
    let mut received = Vec::new();
    reader.read_to_end(&mut received).expect("the pipe");
    let mut outcome = running.finish();
    outcome.records = received.split_off(filled);
    assert_eq!(records(&outcome), [READY, (Step::Exec.number(), libc::ENOENT, 2)]);
}
