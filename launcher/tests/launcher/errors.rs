//! Each failure reaches the caller as itself, and leaves nothing behind.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use exec_relay_launcher::{Concern, Error, Launch, Limit, Stdio, Step, Vehicle};
use tempfile::TempDir;

use crate::support::{alone, children, open_descriptors, script, vehicles};

#[track_caller]
fn fails(vehicle: &Vehicle, set: impl FnOnce(&mut Launch<'_>), program: &Path) -> Error {
    let mut launch = Launch::new(program);
    launch.vehicle(vehicle.clone());
    set(&mut launch);
    launch.launch().expect_err("a failure")
}

#[test]
fn mistakes_in_the_request() {
    fn mistake(set: impl FnOnce(&mut Launch<'_>)) -> String {
        let error = fails(&Vehicle::InPlace, set, Path::new("/bin/true"));
        assert!(matches!(error, Error::Request { .. }), "{error:?}");
        assert_eq!((error.step(), error.errno()), (None, None));
        error.to_string()
    }
    let null = File::open("/dev/null").expect("/dev/null");
    let null = null.as_fd();
    // SAFETY: it outlives every launch below; the closures' type cannot say so.
    #[allow(unsafe_code)]
    let null = unsafe { std::os::fd::BorrowedFd::borrow_raw(null.as_raw_fd()) };
    assert_eq!(mistake(|launch| _ = launch.arg("a\0b")), r#"cannot launch: "a\0b" holds a NUL byte"#);
    assert_eq!(mistake(|launch| _ = launch.fd(-1, null)), "cannot launch: -1 is no descriptor");
    // A number that the source cannot have: what is its own target twice is only kept twice.
    let twice = "cannot launch: the program's descriptor 500 is asked for twice";
    assert_eq!(mistake(|launch| _ = launch.fd(500, null).fd(500, null)), twice);
    let many = "cannot launch: more than 330 descriptors are asked for";
    assert_eq!(mistake(|launch| (3..400).for_each(|number| _ = launch.fd(number, null))), many);
    assert_eq!(mistake(|launch| _ = launch.ignore([65])), "cannot launch: 65 is no signal");
    assert_eq!(mistake(|launch| _ = launch.block([9])), "cannot launch: KILL and STOP cannot be ignored or blocked");
    assert_eq!(mistake(|launch| _ = launch.umask(0o1000)), "cannot launch: 0o1000 is no umask");
    assert_eq!(mistake(|launch| _ = launch.oom_score_adj(1001)), "cannot launch: 1001 is no out-of-memory score");
    assert_eq!(mistake(|launch| _ = launch.uid(u32::MAX)), "cannot launch: 4294967295 is no user");
    assert_eq!(mistake(|launch| _ = launch.gid(u32::MAX)), "cannot launch: 4294967295 is no group");
    assert_eq!(mistake(|launch| _ = launch.groups([1, u32::MAX])), "cannot launch: 4294967295 is no group");
    assert_eq!(mistake(|launch| _ = launch.groups(0..)), "cannot launch: more than 256 groups are asked for");
    assert_eq!(mistake(|launch| _ = launch.caps("")), r#"cannot launch: "" is no list of capabilities"#);
    assert_eq!(mistake(|launch| _ = launch.caps("FLY")), r#"cannot launch: "FLY" is no list of capabilities"#);
    assert_eq!(mistake(|launch| _ = launch.process_group(-1)), "cannot launch: -1 is no process group");
    let none = r#"cannot launch: "core=1" is no resource that has limits"#;
    assert_eq!(mistake(|launch| _ = launch.limit("core=1", 1, 1)), none);
    let kept = r#"cannot launch: both limits of "core" are to be kept, so that nothing is asked for"#;
    assert_eq!(mistake(|launch| _ = launch.limit("core", Limit::Kept, Limit::Kept)), kept);
    assert_eq!(mistake(|launch| _ = launch.nice(20)), "cannot launch: 20 is no nice value");
    assert_eq!(mistake(|launch| _ = launch.sched("fifo")), r#"cannot launch: "fifo" is no scheduling policy"#);
    assert_eq!(mistake(|launch| _ = launch.cpus([])), r#"cannot launch: "" is no list of processors"#);
    assert_eq!(mistake(|launch| _ = launch.cpus([8192])), r#"cannot launch: "8192" is no list of processors"#);
    assert_eq!(
        mistake(|launch| _ = launch.env("A=B", "")),
        r#"cannot launch: "A=B" is no name of an environment variable"#
    );
    let relative = fails(&Vehicle::InPlace, |_| {}, Path::new("true"));
    let way_out =
        "is not an absolute path: find_program finds one, in the folders of PATH or in the program's directory";
    assert_eq!(relative.to_string(), format!(r#"cannot launch: "true" {way_out}"#));
    for path in ["/proc/self/fd/3", "/proc/thread-self/fd/3", "/dev/fd/3"] {
        let own = Launch::new(path).launch().map(|child| child.id()).expect_err("a number of this process");
        let mistake = format!("cannot launch: {path:?} is a descriptor of this process: lend it by exec_fd");
        assert_eq!(own.to_string(), mistake);
    }
}

#[test]
fn programs_that_cannot_be_run() {
    let directory = TempDir::new().expect("a directory");
    let at = |name, text, mode| script(directory.path(), name, text, mode);
    // An ELF file whose interpreter is missing.
    let mut elf = fs::read("/bin/true").expect("a dynamically linked program");
    let name = b"/lib64/ld-linux";
    let place = elf.windows(name.len()).position(|window| window == name).expect("its interpreter");
    elf[place + 1] = b'X';
    let broken = at("elf", "", 0o755);
    fs::write(&broken, elf).expect("a file");
    for vehicle in vehicles() {
        for (program, errno, reason) in [
            (directory.path().join("missing"), libc::ENOENT, "no such file (ENOENT)"),
            (
                at("not executable", "#!/bin/sh\n", 0o644),
                libc::EACCES,
                "permission denied (EACCES): not marked executable",
            ),
            (directory.path().to_owned(), libc::EACCES, "permission denied (EACCES): a directory"),
            (PathBuf::from("/proc/version"), libc::EACCES, "permission denied (EACCES): not marked executable"),
            (
                at("junk", "junk\n", 0o755),
                libc::ENOEXEC,
                "not for this machine, and without an interpreter line (ENOEXEC)",
            ),
            (PathBuf::from("/bin/sh/x"), libc::ENOTDIR, "not a directory (ENOTDIR)"),
        ] {
            let error = fails(&vehicle, |_| {}, &program);
            assert_eq!((error.step(), error.errno()), (Some(Step::Exec), Some(errno)), "{vehicle:?} {program:?}");
            assert_eq!(error.to_string(), format!("cannot start {}: {reason}", program.display()));
        }
        for (program, interpreter) in [
            (at("script", "#! /no/such/interpreter -x\n", 0o755), "/no/such/interpreter"),
            (broken.clone(), "/Xib64/ld-linux-x86-64.so.2"),
        ] {
            let error = fails(&vehicle, |_| {}, &program);
            let Error::Step { step: Step::Interpreter, concern: Concern::Interpreter(Some(found)), .. } = &error else {
                panic!("{vehicle:?}: {error:?}");
            };
            assert_eq!(found, Path::new(interpreter));
            let sentence =
                format!("cannot start {}: the interpreter {interpreter} it names is missing", program.display());
            assert_eq!(error.to_string(), sentence);
        }
        let long = "x".repeat(131_072);
        let error = fails(&vehicle, |launch| _ = launch.arg(&long), Path::new("/bin/true"));
        assert_eq!(error.errno(), Some(libc::E2BIG), "{vehicle:?}: {error:?}");
    }
}

/// A launch of /bin/true fails so, and says this.
#[track_caller]
pub fn check(
    vehicle: &Vehicle,
    set: impl FnOnce(&mut Launch<'_>),
    step: Step,
    errno: i32,
    concern: Concern,
    sentence: &str,
) {
    let error = fails(vehicle, set, Path::new("/bin/true"));
    assert_eq!((error.step(), error.errno()), (Some(step), Some(errno)), "{vehicle:?}: {error:?}");
    assert!(matches!(&error, Error::Step { concern: found, .. } if *found == concern), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot start /bin/true: {sentence}"));
}

#[test]
fn steps_that_fail() {
    for vehicle in vehicles() {
        let check = |set: &dyn Fn(&mut Launch<'_>), step, errno, concern: Concern, sentence: &str| {
            check(&vehicle, set, step, errno, concern, sentence);
        };
        let missing = PathBuf::from("/no/such/directory");
        check(
            &|launch| _ = launch.current_dir("/no/such/directory"),
            Step::Directory,
            libc::ENOENT,
            Concern::Directory(missing),
            "cannot change to directory /no/such/directory: no such file (ENOENT)",
        );
        check(
            &|launch| _ = launch.stdin(Stdio::Null).ctty(0),
            Step::Terminal,
            libc::ENOTTY,
            Concern::Descriptor(0),
            "cannot take descriptor 0 for the terminal: not a terminal (ENOTTY)",
        );
        check(
            &|launch| _ = launch.fd(1_000_000_000, File::open("/dev/null").expect("/dev/null")),
            Step::Rename,
            libc::EMFILE,
            Concern::Descriptor(1_000_000_000),
            "cannot make descriptor 1000000000: too many or too high descriptors (EMFILE)",
        );
    }
}

#[test]
fn a_relay_that_cannot_be_run() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("relay");
    let not_executable = script(directory.path(), "plain", "#!/bin/sh\n", 0o644);
    for (path, errno, reason) in
        [(missing, libc::ENOENT, "no such file (ENOENT)"), (not_executable, libc::EACCES, "permission denied (EACCES)")]
    {
        let error = fails(&Vehicle::RelayAt(path.clone()), |_| {}, Path::new("/bin/true"));
        assert!(matches!(&error, Error::Relay { relay: Some(relay), .. } if *relay == path), "{error:?}");
        assert_eq!(error.errno(), Some(errno));
        assert_eq!(error.to_string(), format!("the relay {} cannot be run: {reason}", path.display()));
    }
    let error = fails(&Vehicle::RelayAt("relay".into()), |_| {}, Path::new("/bin/true"));
    assert!(matches!(error, Error::Request { .. }));
}

#[test]
fn something_else_in_the_place_of_the_relay() {
    let directory = TempDir::new().expect("a directory");
    // Dies without a word.
    let mute = script(directory.path(), "mute", "#!/bin/sh\nexit 3\n", 0o755);
    let error = fails(&Vehicle::RelayAt(mute), |_| {}, Path::new("/bin/true"));
    assert!(matches!(&error, Error::Protocol { status: Some(status), .. } if status.code() == Some(3)), "{error:?}");
    let error = fails(&Vehicle::RelayAt("/bin/true".into()), |_| {}, Path::new("/bin/true"));
    assert!(matches!(&error, Error::Protocol { status: Some(status), .. } if status.success()), "{error:?}");
    let sentence = "the relay /bin/true ended without a report (exit status: 0): it is no relay, or cannot report";
    assert_eq!(error.to_string(), sentence);
    // Answers something else. It is told the descriptor in its first argument.
    let other = script(directory.path(), "other", "#!/bin/sh\necho hello, I am no relay >&${1#--status=}\n", 0o755);
    let error = fails(&Vehicle::RelayAt(other.clone()), |_| {}, Path::new("/bin/true"));
    assert!(matches!(&error, Error::Protocol { relay: Some(relay), status: None } if *relay == other), "{error:?}");
    // Never answers.
    let silent = script(directory.path(), "silent", "#!/bin/sh\nexec sleep 1000\n", 0o755);
    let after = Duration::from_millis(50);
    let error = fails(&Vehicle::RelayAt(silent), |launch| _ = launch.timeout(after), Path::new("/bin/true"));
    assert!(matches!(error, Error::Timeout { after: found, .. } if found == after), "{error:?}");
}

/// A relay of another version: what its records say is told, and an option that it does not know is named.
#[test]
fn records_of_another_version() {
    let directory = TempDir::new().expect("a directory");
    // A record of this step, errno and detail, on the descriptor that the first argument names.
    let relay = |name: &str, step: u32, errno: u32, detail: u32| {
        let bytes = [step, errno, detail].map(u32::to_ne_bytes).concat();
        let bytes: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let text = format!("#!/bin/sh\nprintf 'RLY\\002{bytes}' >&${{1#--status=}}\nexit 125\n");
        Vehicle::RelayAt(script(directory.path(), name, &text, 0o755))
    };
    let launch = |relay| fails(&relay, |launch| _ = launch.option("--umask=027").keep_nofile(), Path::new("/bin/true"));

    let error = launch(relay("older", Step::UnknownOption.number().into(), 0, 2));
    let Error::Step { step: Step::UnknownOption, concern: Concern::Argument(option), .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!((option.as_str(), error.errno()), ("--umask=27", Some(libc::EINVAL)));
    let sentence =
        "cannot start /bin/true: the relay is of another version: unknown option --umask=27, see relay --help";
    assert_eq!(error.to_string(), sentence);

    let error = launch(relay("newer", 200, libc::EACCES as u32, 7));
    assert!(matches!(error, Error::UnknownStep { number: 200, detail: 7, .. }), "{error:?}");
    assert_eq!((error.step(), error.errno()), (None, Some(libc::EACCES)));
    let sentence = "cannot start /bin/true: step 200 of relay failed (7): permission denied (EACCES)";
    assert_eq!(error.to_string(), sentence);
}

/// Who wants an io::Error has the errno in it.
#[test]
fn as_an_error_of_the_standard_library() {
    let error = std::io::Error::from(fails(&Vehicle::InPlace, |_| {}, Path::new("/no/such")));
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    let error = std::io::Error::from(fails(&Vehicle::InPlace, |_| {}, Path::new("relative")));
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with(r#"cannot launch: "relative" is not an absolute path"#), "{error}");
    assert!(error.downcast::<Error>().is_ok());
}

/// No process, no zombie and no descriptor is left, whatever has failed.
#[test]
fn failures_leave_nothing() {
    alone("errors::failures_leave_nothing", || {
        // The file in memory is made once, and the probe's build is over.
        Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().expect("true").wait().expect("a status");
        let before = open_descriptors();
        mistakes_in_the_request();
        programs_that_cannot_be_run();
        steps_that_fail();
        a_relay_that_cannot_be_run();
        something_else_in_the_place_of_the_relay();
        assert_eq!(open_descriptors(), before);
        assert_eq!(children(), [""; 0]);
    });
}
