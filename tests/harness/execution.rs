//! What is executed: a file by its descriptor (`--exec-fd`). And what stays armed then: interval timers (`--keep-timers`).

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd};

use exec_relay::status::Step;
use tempfile::TempDir;

use crate::host::{Host, Outcome, alone, path_only, probe};
use crate::process::host;
use crate::records::{READY, assert_failed, records};
use crate::refusal::assert_all_misused;
use crate::sandbox::{self, script};
use crate::slate::Slate;

fn open_probe() -> File {
    File::open(probe()).expect("the probe")
}

/// A copy of the probe in memory alone, which nobody can change any more.
fn sealed_probe() -> OwnedFd {
    // SAFETY: the name ends with a NUL, and the descriptor is nobody else's.
    let mut file = unsafe {
        let descriptor = libc::memfd_create(c"probe".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        assert!(descriptor >= 0, "{}", io::Error::last_os_error());
        File::from_raw_fd(descriptor)
    };
    file.write_all(&fs::read(probe()).expect("the probe")).expect("a copy of it");
    let descriptor = OwnedFd::from(file);
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: touches no memory.
    let sealed = unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&descriptor), libc::F_ADD_SEALS, seals) };
    assert_eq!(sealed, 0, "{}", io::Error::last_os_error());
    descriptor
}

/// relay could not start the program, whatever it is named.
#[track_caller]
fn assert_not_started(outcome: &Outcome, status: i32, reason: &str) {
    assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(status), &b""[..]), "{outcome:?}");
    assert_eq!(outcome.stderr, format!("relay: cannot start the name: {reason}\n"));
}

/// The probe was started as asked, and has nothing of relay's.
#[track_caller]
fn assert_started(outcome: &Outcome, arguments: &[&str]) -> Slate {
    let slate = outcome.slate();
    assert_eq!(slate.arguments, arguments);
    slate.assert_clean([0, 1, 2]);
    slate
}

#[test]
fn a_file_by_its_descriptor() {
    for options in [&["--exec-fd=5"][..], &["--exec-fd", "5"], &["--exec-fd=0", "--exec-fd=5"]] {
        for name in ["name", "/a/path", "", "-x", "--report", "5"] {
            let arguments = options.iter().copied().chain(["--", name, "an argument", ""]);
            let outcome = Host::new(arguments).descriptor(5, open_probe()).open(6).run();
            assert_started(&outcome, &[name, "an argument", ""]);
        }
    }
    // Without the dashes too, where the name is no option.
    assert_started(&Host::new(["--exec-fd=5", "name"]).descriptor(5, open_probe()).run(), &["name"]);
}

#[test]
fn a_file_in_memory() {
    let outcome = Host::new(["--exec-fd=5", "name"]).descriptor(5, sealed_probe()).run();
    assert_started(&outcome, &["name"]);
}

/// No path leads to it, or none that relay could read by.
#[test]
fn a_file_without_a_path() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("program");
    alone(|| fs::copy(probe(), &path)).expect("a copy");
    let file = File::open(&path).expect("the copy");
    fs::remove_file(&path).expect("the copy");
    assert_started(&Host::new(["--exec-fd=5", "name"]).descriptor(5, file).run(), &["name"]);

    let only = path_only(probe().to_str().expect("UTF-8"));
    assert_started(&Host::new(["--exec-fd=5", "name"]).descriptor(5, only).run(), &["name"]);

    let root = sandbox::bare_root();
    let host = Host::new(["--exec-fd=5", "name"]).relay_at("/relay").descriptor(5, open_probe());
    assert_started(&host.root(root.path()).run(), &["name"]);
}

/// The descriptor is moved out of the way of the program's own, as the status descriptor is.
#[test]
fn a_descriptor_in_the_way() {
    let file = tempfile::tempfile().expect("a file");
    let before = Host::new(["probe"]).program(probe().to_str().expect("UTF-8"));
    let before = before.descriptor(6, file.try_clone().expect("a copy")).run().slate();
    for options in [
        &["--exec-fd=5", "--fd=5=6"][..],
        &["--fd=5=6", "--exec-fd=5"],
        &["--exec-fd=5", "--fd=5=6", "--fd=3=6", "--fd=4=6", "--fd=7=5"],
        &["--exec-fd=5", "--fd=5=6", "--status=9"],
        &["--exec-fd=5", "--fd=5=6", "--fd=9=6", "--status=9"],
    ] {
        let arguments = options.iter().copied().chain(["name"]);
        let host = Host::new(arguments).status(9).descriptor(5, open_probe());
        let outcome = host.descriptor(6, file.try_clone().expect("a copy")).run();
        let slate = outcome.slate();
        let renamed = options.iter().filter(|option| option.starts_with("--fd")).count();
        assert_eq!(slate.numbers().len(), 3 + renamed, "{options:?}: {slate:?}");
        assert_eq!(slate.file(5), before.file(6), "{options:?}");
        assert!(slate.descriptors.iter().all(|descriptor| !descriptor.close_on_exec));
        let is_told = options.contains(&"--status=9");
        assert_eq!(records(&outcome), if is_told { vec![READY] } else { vec![] }, "{options:?}");
    }
    // Where it is to be closed, it is closed for the program alone.
    for descriptor in [0, 2] {
        let options = [format!("--exec-fd={descriptor}"), format!("--close={descriptor}"), "name".to_owned()];
        let slate = Host::new(&options).descriptor(descriptor, open_probe()).run().slate();
        slate.assert_clean((0..3).filter(|&number| number != descriptor));
    }
    // The program can have it, under one number or two.
    let slate = Host::new(["--exec-fd=5", "--keep=5", "--fd=8=5", "name"]).descriptor(5, open_probe()).run().slate();
    slate.assert_clean([0, 1, 2, 5, 8]);
    assert_eq!(slate.file(5), slate.file(8));
    // One of the first three stays open, as it does without this option.
    Host::new(["--exec-fd=0", "name"]).descriptor(0, open_probe()).run().slate().assert_clean([0, 1, 2]);
}

#[test]
fn with_other_options() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().canonicalize().expect("a path");
    let path = path.to_str().expect("UTF-8");
    let options = ["--exec-fd=5", "--chdir", path, "--umask=0", "--clear-env", "--env=A=b", "name", "x"];
    let outcome = Host::new(options).environment(["C=d"]).descriptor(5, open_probe()).run();
    let slate = assert_started(&outcome, &["name", "x"]);
    assert_eq!((slate.directory.as_str(), slate.umask), (path, 0));
    assert_eq!(slate.environment, ["A=b"]);
    let options = ["--exec-fd=5", "--limit=nofile=0", "name"];
    assert_started(&Host::new(options).descriptor(5, open_probe()).run(), &["name"]);
}

/// The kernel gives a script to its interpreter by the descriptor's path, so that it must be open by then.
#[test]
fn a_script_by_its_descriptor() {
    let directory = TempDir::new().expect("a directory");
    let text = format!("#!{} its-argument\n", probe().display());
    let path = script(directory.path(), "script", &text, 0o755);
    let open = || File::open(&path).expect("the script");
    let outcome = Host::new(["--exec-fd=5", "--keep=5", "the name", "x"]).descriptor(5, open()).run();
    let slate = outcome.slate();
    let interpreter = probe();
    assert_eq!(slate.arguments, [interpreter.to_str().expect("UTF-8"), "its-argument", "/dev/fd/5", "x"]);
    slate.assert_clean([0, 1, 2, 5]);

    let reason = "it is there, but its interpreter is not: no such file (ENOENT)";
    let outcome = Host::new(["--exec-fd=5", "the name", "x"]).descriptor(5, open()).run();
    assert_not_started(&outcome, 127, reason);
    let outcome = Host::new(["--status=9", "--exec-fd", "5", "the name", "x"]).status(9).descriptor(5, open()).run();
    assert_eq!(records(&outcome), [READY, (Step::Interpreter.number(), libc::ENOENT, 4)]);
    assert_eq!(outcome.status.code(), Some(127));

    // Nothing is said of a file that happens to be at the path which is the name.
    let other = script(directory.path(), "other", "#!/no/such\n", 0o755);
    let outcome = Host::new(["--exec-fd=5", &other]).descriptor(5, open()).run();
    assert_eq!(outcome.stderr, format!("relay: cannot start {other}: {reason}\n"));
}

#[test]
fn files_that_cannot_be_executed() {
    let directory = TempDir::new().expect("a directory");
    let at = |name, text, mode| {
        let path = script(directory.path(), name, text, mode);
        OwnedFd::from(File::open(path).expect("the script"))
    };
    let folder = || OwnedFd::from(File::open(directory.path()).expect("the directory"));
    let denied = "permission denied (EACCES)";
    let junk = "not for this machine, and without an interpreter line (ENOEXEC)";
    let script = "it is there, but its interpreter is not: no such file (ENOENT)";
    for (file, status, reason, step, errno) in [
        (&folder as &dyn Fn() -> OwnedFd, 126, denied, Step::Exec, libc::EACCES),
        (&|| at("not executable", "#!/bin/sh\n", 0o644), 126, denied, Step::Exec, libc::EACCES),
        (&|| at("junk", "junk\n", 0o755), 126, junk, Step::Exec, libc::ENOEXEC),
        (&|| at("no interpreter", "#!/no/such\n", 0o755), 127, script, Step::Interpreter, libc::ENOENT),
        (&|| File::open("/dev/null").expect("/dev/null").into(), 126, denied, Step::Exec, libc::EACCES),
    ] {
        assert_not_started(
            &Host::new(["--exec-fd=5", "--keep=5", "the name"]).descriptor(5, file()).run(),
            status,
            reason,
        );
        let options = ["--status=9", "--exec-fd=5", "--keep=5", "the name"];
        let outcome = Host::new(options).status(9).descriptor(5, file()).run();
        assert_eq!(records(&outcome), [READY, (step.number(), errno, 4)], "{reason}");
        assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(status), ""));
    }
}

/// Before Linux 3.19, and in a sandbox that does not know the call.
#[test]
fn without_the_call() {
    let refused = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_execveat], libc::ENOSYS));
    let outcome = refused(Host::new(["--exec-fd=5", "the name"]).descriptor(5, open_probe())).run();
    assert_not_started(&outcome, 126, "no such system call (ENOSYS)");
}

#[test]
fn mistakes() {
    assert_all_misused("--exec-fd", &["", "x", "-1", "5x", "5 ", "2147483648", "5=6"]);
    let outcome = Host::new(["--exec-fd=5", "name"]).run();
    assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(125), &b""[..]));
    assert_eq!(outcome.stderr, "relay: bad value --exec-fd=5: not open for this (EBADF)\n");
    let outcome = Host::new(["--status=9", "--exec-fd", "5", "name"]).status(9).run();
    assert_failed(&outcome, Step::Value, libc::EBADF, 3);
    for arguments in [&["--exec-fd=5"][..], &["--exec-fd=5", "--"]] {
        let outcome = Host::new(arguments).descriptor(5, open_probe()).run();
        assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(125), "relay: no program\n"));
    }
    // By its path a program still needs one.
    let outcome = host(&["--exec-fd"]).run();
    assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
}

#[test]
fn timers_that_stay_armed() {
    assert_eq!(host(&["--keep-timers"]).timers().run().slate().timers, [true; 3]);
    assert_eq!(host(&[]).timers().run().slate().timers, [false; 3]);
    assert_eq!(host(&["--keep-timers"]).run().slate().timers, [false; 3], "none are armed that were not");
    let outcome = host(&["--keep-timers=1"]).run();
    assert_eq!(outcome.stderr, "relay: this option takes no value: --keep-timers=1\n");
}

/// A sandbox that refuses to disarm timers is no hindrance to those who do not ask for it.
#[test]
fn timers_that_stay_armed_in_a_sandbox() {
    let refused = sandbox::refuse(&[libc::SYS_setitimer], libc::EPERM);
    assert_eq!(host(&["--keep-timers"]).timers().filter(refused).run().slate().timers, [true; 3]);
}

/// Where the program has what is inherited it does not have its file, unless that is asked for.
#[test]
fn a_file_beside_what_is_inherited() {
    let host = |options: &[&str]| {
        let options = ["--keep-inherited", "--exec-fd=6"].into_iter().chain(options.iter().copied());
        Host::new(options.chain(["name"])).open(5).descriptor(6, open_probe())
    };
    host(&[]).run().slate().assert_clean([0, 1, 2, 5]);
    host(&["--keep=6"]).run().slate().assert_clean([0, 1, 2, 5, 6]);
}
