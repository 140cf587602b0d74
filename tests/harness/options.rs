//! The option form.

use std::fs::File;

use tempfile::TempDir;

use crate::host::{Host, Outcome, output, probe, relay_line};
use crate::sandbox::{self, script};

/// relay failed with this exit status and this one line.
#[track_caller]
fn assert_fails(outcome: &Outcome, status: i32, message: &str) {
    assert_eq!(outcome.status.code(), Some(status), "{outcome:?}");
    assert_eq!(outcome.stdout, b"");
    assert_eq!(outcome.stderr, format!("relay: {message}\n"));
}

#[test]
fn the_program_runs() {
    let probe = probe();
    let probe = probe.to_str().expect("UTF-8");
    for arguments in [&[probe, "--help", "-x", ""][..], &["--", probe, "--help", "-x", ""]] {
        let outcome = Host::new(arguments).open(5).run();
        assert!(outcome.status.success());
        assert_eq!(outcome.stderr, "");
        let slate = outcome.slate();
        slate.assert_clean([0, 1, 2]);
        assert_eq!(slate.arguments, [probe, "--help", "-x", ""]);
    }
}

#[test]
fn the_exit_status_is_the_program_s() {
    for status in [0, 1, 125, 126, 127, 255] {
        let argument = format!("probe:exit={status}");
        let outcome = Host::new([probe().to_str().expect("UTF-8"), &argument]).run();
        assert_eq!(outcome.status.code(), Some(status));
    }
}

#[test]
fn unknown_options() {
    for option in ["-", "-hx", "--nonsense", "--helpx", "--hel", "---", "--=1", "-5", "--Help", "--nonsense=1"] {
        let message = format!("unknown option {option}, see relay --help");
        assert_fails(&Host::new([option, "/bin/true"]).run(), 125, &message);
    }
    for option in ["--version=1", "--setsid=", "--clear-env=x"] {
        let message = format!("this option takes no value: {option}");
        assert_fails(&Host::new([option, "/bin/true"]).run(), 125, &message);
    }
}

#[test]
fn no_program() {
    assert_fails(&Host::new(["--"]).run(), 125, "no program");
    assert_fails(&Host::new([""; 0]).run(), 127, "no program, see relay --help");
}

/// What the first thing that anyone types is told.
fn path_missing(program: &str) -> String {
    format!("PATH is not searched: give the full path of {program}, as /bin/ls")
}

/// With and without `--` it is the same mistake.
#[test]
fn a_relative_program() {
    for program in ["true", "./true", "", "--"] {
        assert_fails(&Host::new(["--", program]).run(), 127, &path_missing(program));
    }
    // What begins with no digit is no STATUS_FD.
    for program in ["true", "./true", "bin/7z"] {
        assert_fails(&Host::new([program]).run(), 127, &path_missing(program));
    }
}

#[test]
fn programs_that_cannot_be_run() {
    let directory = TempDir::new().expect("a directory");
    let at = |name, text, mode| script(directory.path(), name, text, mode);
    std::os::unix::fs::symlink(directory.path().join("loop"), directory.path().join("loop")).expect("a link");
    let path = |name| directory.path().join(name).to_str().expect("UTF-8").to_owned();
    let interpreter = |name| format!("{INTERPRETER}: {name}");
    for (program, status, reason) in [
        (path("missing"), 127, "no such file (ENOENT)"),
        (at("no interpreter", "#! /no/such/interpreter -x\n", 0o755), 127, &interpreter("#! /no/such/interpreter -x")),
        (at("of another system", "#!/bin/sh\r\n", 0o755), 127, &interpreter("#!/bin/sh?")),
        (at("not executable", "#!/bin/sh\n", 0o644), 126, "permission denied (EACCES): not marked executable"),
        (at("junk", "junk\n", 0o755), 126, "not for this machine, and without an interpreter line (ENOEXEC)"),
        (path("."), 126, "permission denied (EACCES): a directory"),
        (path("loop"), 126, "too many links or interpreters (ELOOP)"),
        ("/bin/sh/x".to_owned(), 126, "not a directory (ENOTDIR)"),
        (format!("/{}", "x".repeat(300)), 126, "path too long (ENAMETOOLONG)"),
    ] {
        assert_fails(&Host::new([&program]).run(), status, &format!("cannot start {program}: {reason}"));
    }
}

const INTERPRETER: &str = "it is there, but its interpreter is not: no such file (ENOENT)";

/// The ELF interpreter is told apart too, not only a script's.
#[test]
fn a_program_whose_loader_is_missing() {
    let directory = TempDir::new().expect("a directory");
    let program = directory.path().join("program");
    let mut bytes = std::fs::read("/bin/true").expect("a dynamically linked program");
    let interpreter = b"/lib64/ld-linux";
    let at = bytes.windows(interpreter.len()).position(|window| window == interpreter).expect("its interpreter");
    bytes[at + 1] = b'X';
    std::fs::write(&program, bytes).expect("a program");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    let message = format!("cannot start {}: {INTERPRETER}", program.display());
    assert_fails(&Host::new([&program]).run(), 127, &message);
}

/// A file on a file system that is mounted so that nothing on it can be executed. In a mount namespace of a shell's, which
/// needs root, or a user namespace.
#[test]
fn a_program_where_none_can_be_executed() {
    let directory = TempDir::new().expect("a directory");
    let script = "mount -t tmpfs -o noexec,size=64k none \"$1\" && cp /bin/true \"$1/program\" && shift && exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]).arg(directory.path());
    let program = directory.path().join("program");
    let outcome = output(command.args(relay_line()).arg(&program));
    let reason = "permission denied (EACCES): mounted with noexec";
    let message = format!("relay: cannot start {}: {reason}\n", program.display());
    assert_eq!((outcome.status.code(), String::from_utf8_lossy(&outcome.stderr).as_ref()), (Some(126), &*message));
}

#[test]
fn an_errno_without_a_name_is_a_number() {
    let refused = sandbox::refuse(&[libc::SYS_setitimer], libc::EUCLEAN);
    assert_fails(&Host::new(["/bin/true"]).filter(refused).run(), 125, "cannot disarm timers: errno 117");
}

#[test]
fn timers_that_a_sandbox_refuses_to_disarm() {
    let refused = sandbox::refuse(&[libc::SYS_setitimer], libc::EPERM);
    let message = "cannot disarm timers: not permitted (EPERM)";
    assert_fails(&Host::new(["/bin/true"]).filter(refused).run(), 125, message);
}

#[test]
fn signals_that_a_sandbox_refuses_to_set() {
    for (call, message) in [
        (libc::SYS_rt_sigaction, "cannot set signal 1: not permitted (EPERM)"),
        (libc::SYS_rt_sigprocmask, "cannot set the signal mask: not permitted (EPERM)"),
    ] {
        assert_fails(&Host::new(["/bin/true"]).filter(sandbox::refuse(&[call], libc::EPERM)).run(), 125, message);
    }
}

/// One failure is one line, whatever the path holds and however long it is.
#[test]
fn a_message_is_one_line() {
    let outcome = Host::new(["/no\nsuch\x1b[31m\tprogram\x7f"]).run();
    assert_fails(&outcome, 127, "cannot start /no?such?[31m?program?: no such file (ENOENT)");
    let long = format!("/{}", "x".repeat(100_000));
    let outcome = Host::new([&long]).run();
    assert_eq!(outcome.status.code(), Some(126));
    assert!(outcome.stderr.starts_with("relay: cannot start /xxx"));
    assert!(outcome.stderr.ends_with("xxx: path too long (ENAMETOOLONG)\n"), "the reason is not cut off");
    assert_eq!(outcome.stderr.lines().count(), 1);
}

#[test]
fn a_failure_without_standard_error_is_still_an_exit_status() {
    let outcome = Host::new(["/no/such"]).closed(2).run();
    assert_eq!(outcome.status.code(), Some(127));
    assert_eq!(outcome.stdout, b"");
}

#[test]
fn help() {
    for arguments in [&["--help"][..], &["-h"], &["--help", "--nonsense"]] {
        let outcome = Host::new(arguments).run();
        assert!(outcome.status.success());
        let text = String::from_utf8(outcome.stdout).expect("UTF-8");
        assert!(text.starts_with("relay [OPTION...] [--] /program [ARG...]\n"), "{text}");
        assert!(text.lines().count() <= 24 && text.lines().all(|line| line.len() <= 80), "fits a screen: {text}");
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn version() {
    let outcome = Host::new(["--version"]).run();
    assert!(outcome.status.success());
    assert_eq!(outcome.stdout, concat!("relay ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}

#[test]
fn a_text_that_cannot_be_written() {
    for option in ["--help", "--version"] {
        let full = File::options().write(true).open("/dev/full").expect("/dev/full");
        let outcome = Host::new([option]).descriptor(1, full).run();
        assert_fails(&outcome, 125, "cannot write to descriptor 1: no space left (ENOSPC)");
    }
}
