//! This process becomes the program.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::process::{Command, Output, Stdio as CommandStdio};
use std::ptr;
use std::sync::Barrier;
use std::time::Duration;

use exec_relay_launcher::{Error, Launch, Stdio, Step, Vehicle};
use tempfile::{TempDir, tempfile};

use crate::slate::Slate;
use crate::support::{alone, assert_root, open_descriptors, probe, refuse, relay, script, set_disposition};

/// Runs `body` in a process of its own, which becomes another program: what that printed, and its number. Nothing in that process.
fn become_another(name: &str, part: &str, body: impl FnOnce()) -> Option<(Output, u32)> {
    const PART: &str = "LAUNCHER_TEST_EXEC";
    match env::var(PART) {
        Ok(asked) => {
            if asked == part {
                body();
                unreachable!("the body has executed a program");
            }
            return None;
        }
        Err(_) => _ = probe(),
    }
    let mut test = Command::new(env::current_exe().expect("this program"));
    test.args([name, "--exact", "--nocapture"]).env(PART, part).env("RUST_BACKTRACE", "0");
    let child = test.stdout(CommandStdio::piped()).stderr(CommandStdio::piped()).spawn().expect("this program");
    let id = child.id();
    Some((child.wait_with_output().expect("its output"), id))
}

/// What the probe saw, behind what the test's own program has printed.
#[track_caller]
fn slate((output, id): (Output, u32)) -> Slate {
    let begin = output.stdout.iter().position(|&byte| byte == b'{');
    let begin = begin.unwrap_or_else(|| panic!("no slate: {output:?}"));
    assert!(output.status.success(), "{output:?}");
    let slate: Slate =
        serde_json::from_slice(&output.stdout[begin..]).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!((slate.pid as u32, slate.parent), (id, std::process::id()));
    slate
}

/// By the relay that is taken where none is chosen, and by one at a path.
fn ways() -> [(&'static str, Option<Vehicle>); 2] {
    [("embedded", None), ("at a path", Some(Vehicle::RelayAt(relay())))]
}

/// A handler that does nothing.
extern "C" fn handle(_: i32) {}

/// Makes this process one that leaks: a descriptor, dispositions, a mask, a timer, a limit. The file that it leaks.
fn leak() -> RawFd {
    for (signal, disposition) in [
        (libc::SIGUSR1, libc::SIG_IGN),
        (libc::SIGUSR2, handle as *const () as libc::sighandler_t),
        (libc::SIGALRM, libc::SIG_IGN),
    ] {
        set_disposition(signal, disposition);
    }
    let file = tempfile().expect("a file");
    // SAFETY: plain numbers; the set and the timer are read and written by the calls alone.
    unsafe {
        let mut set: libc::sigset_t = zeroed();
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()), 0);
        let timer = libc::itimerval { it_value: libc::timeval { tv_sec: 1000, tv_usec: 0 }, ..zeroed() };
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()), 0);
        let leaked = libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 900);
        assert!(leaked >= 900);
        leaked
    }
}

/// From a process that leaks, whose other threads open descriptors and make processes all the time.
#[test]
fn a_clean_slate_from_a_busy_process() {
    let name = "exec::a_clean_slate_from_a_busy_process";
    // The file in memory is then executed by a path, whose number is another file's in this process.
    let without_execveat = "without execveat";
    for (part, vehicle) in ways().into_iter().chain([(without_execveat, None)]) {
        let found = become_another(name, part, || {
            leak();
            let _others: Vec<File> = (0..20).map(|_| File::open("/bin/false").expect("false")).collect();
            if part == without_execveat {
                refuse(libc::SYS_execveat, &[], libc::ENOSYS);
            }
            let file = tempfile().expect("a file");
            let begun = Barrier::new(5);
            std::thread::scope(|scope| {
                for index in 0..4 {
                    let begun = &begun;
                    scope.spawn(move || {
                        begun.wait();
                        loop {
                            drop(File::open("/dev/null"));
                            if index == 0 {
                                let _ = Command::new("/bin/true").status();
                            }
                        }
                    });
                }
                begun.wait();
                let mut launch = Launch::new(probe());
                launch.arg("an argument").argv0("a name").env_clear().env("A", "1").umask(0o27).current_dir("/usr");
                // Both numbers are somebody's here.
                launch.stdin(Stdio::Null).fd(3, &file).fd(4, &file).fd(900, &file);
                vehicle.into_iter().for_each(|vehicle| _ = launch.vehicle(vehicle));
                panic!("{}", launch.exec());
            });
        });
        let Some(found) = found else { continue };
        let slate = slate(found);
        slate.assert_clean([0, 1, 2, 3, 4, 900]);
        assert_eq!(slate.file(0).expect("it is open").2, rustix::fs::stat("/dev/null").expect("/dev/null").st_ino);
        assert_eq!((slate.file(3), slate.file(4)), (slate.file(900), slate.file(900)));
        assert_ne!(slate.file(3), slate.file(0));
        assert_eq!(slate.arguments, ["a name", "an argument"]);
        assert_eq!(slate.environment, ["A=1"]);
        assert_eq!((slate.umask, slate.directory.as_str(), slate.nofile[0]), (0o27, "/usr", 1024));
    }
}

/// What is asked for and has another meaning than in a child.
#[test]
fn settings() {
    let name = "exec::settings";
    for (part, vehicle) in ways() {
        let found = become_another(name, part, || {
            assert_root();
            leak();
            let mut launch = Launch::new(probe());
            launch.die_with_parent().option("--keep-timers").keep_all_ignored().keep(900).stdin(Stdio::Closed);
            launch.uid(65_534).gid(65_534).groups([1, 2]);
            vehicle.into_iter().for_each(|vehicle| _ = launch.vehicle(vehicle));
            panic!("{}", launch.exec());
        });
        let Some(found) = found else { continue };
        let slate = slate(found);
        assert_eq!(slate.numbers(), BTreeSet::from([1, 2, 900]));
        assert_eq!(slate.parent_death_signal, libc::SIGKILL);
        assert_eq!(slate.timers, [true, false, false]);
        let mut ignored = ignored_here();
        ignored.extend([libc::SIGUSR1, libc::SIGALRM].map(|signal| signal as u32));
        let found = slate.not_default.iter().copied().filter(|signal| !OF_C_LIBRARY.contains(signal));
        assert_eq!(BTreeSet::from_iter(found), ignored);
        assert_eq!((slate.user, slate.group_ids), ([65_534; 3], [65_534; 3]));
        assert_eq!(slate.groups, [1, 2]);
    }
}

/// Those that the C library uses itself. Its posix_spawn(3) may start a process of this test with them ignored.
const OF_C_LIBRARY: [u32; 2] = [32, 33];

/// What is ignored in every process of this test: SIGPIPE by the runtime of Rust programs, and what whoever started the test
/// ignores.
fn ignored_here() -> BTreeSet<u32> {
    let status = fs::read_to_string("/proc/thread-self/status").expect("/proc");
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).expect("the ignored signals");
    let set = u64::from_str_radix(set, 16).expect("a set");
    (1..=64).filter(|signal| set >> (signal - 1) & 1 != 0 && !OF_C_LIBRARY.contains(signal)).collect()
}

/// All of this process that a failure could have changed.
fn state() -> (BTreeSet<RawFd>, Vec<String>) {
    let status = fs::read_to_string("/proc/thread-self/status").expect("/proc");
    let names =
        ["Threads", "Uid", "Groups", "SigPnd", "SigBlk", "SigIgn", "SigCgt", "Shd", "Cap", "NoNewPrivs", "Umask"];
    let kept = status.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).map(str::to_owned);
    let more = ["/proc/self/limits", "/proc/self/oom_score_adj"].map(|path| fs::read_to_string(path).expect("/proc"));
    let here = env::current_dir().expect("a directory").to_str().expect("UTF-8").to_owned();
    (open_descriptors(), kept.chain(more).chain([here]).collect())
}

/// Until the relay runs an error is returned, and nothing has changed.
#[test]
fn failures_that_are_returned() {
    alone("exec::failures_that_are_returned", || {
        probe();
        leak();
        let directory = TempDir::new().expect("a directory");
        let at = |name, text, mode| script(directory.path(), name, text, mode);
        // What stays: the file in memory.
        Launch::new("/bin/true").vehicle(Vehicle::Relay).status().expect("true");
        let file = tempfile().expect("a file");
        let before = state();
        let fails = |program: &Path, set: &dyn Fn(&mut Launch<'_>)| {
            let mut launch = Launch::new(program);
            launch.stdin(Stdio::Null).fd(3, file.try_clone().expect("a copy")).umask(0o7).current_dir("/usr").session();
            launch.uid(rustix::process::geteuid().as_raw()).ignore([1]).block([2]).nofile(100, None).oom_score_adj(500);
            set(&mut launch);
            launch.exec()
        };
        let relay_at = |path: &Path| Vehicle::RelayAt(path.to_owned());
        // By the relay: not there, not executable, for another machine.
        for (path, errno) in [
            (directory.path().join("missing"), libc::ENOENT),
            (at("plain", "#!/bin/sh\n", 0o644), libc::EACCES),
            (at("junk", "junk\n", 0o755), libc::ENOEXEC),
        ] {
            let error = fails(Path::new("/bin/true"), &|launch| _ = launch.vehicle(relay_at(&path)));
            assert!(matches!(&error, Error::Relay { relay: Some(relay), .. } if *relay == path), "{error:?}");
            assert_eq!(error.errno(), Some(errno));
            assert_eq!(state(), before);
        }
        let long = "x".repeat(131_072);
        let error = fails(Path::new("/bin/true"), &|launch| _ = launch.arg(&long));
        assert_eq!((error.step(), error.errno()), (Some(Step::Exec), Some(libc::E2BIG)), "{error}");
        assert_eq!(state(), before);
        // By what was looked at first.
        let fails = |program: &Path, directory: &str| Launch::new(program).current_dir(directory).exec();
        for (program, folder, step, errno, sentence) in [
            (directory.path().join("missing"), "/", Step::Exec, libc::ENOENT, "no such file (ENOENT)"),
            (directory.path().to_owned(), "/", Step::Exec, libc::EACCES, "permission denied (EACCES): a directory"),
            (
                at("script", "#!/no/such/interpreter\n", 0o755),
                "/",
                Step::Interpreter,
                libc::ENOENT,
                "the interpreter /no/such/interpreter it names is missing",
            ),
            (
                "/bin/true".into(),
                "/no/such",
                Step::Directory,
                libc::ENOENT,
                "cannot change to directory /no/such: no such file (ENOENT)",
            ),
            (
                "/bin/true".into(),
                "/dev/null",
                Step::Directory,
                libc::EACCES,
                "cannot change to directory /dev/null: permission denied (EACCES)",
            ),
        ] {
            let error = fails(&program, folder);
            assert_eq!((error.step(), error.errno()), (Some(step), Some(errno)), "{error}");
            assert_eq!(error.to_string(), format!("cannot start {}: {sentence}", program.display()));
        }
        assert_eq!(state(), before);
        // It goes on as before.
        assert!(Launch::new("/bin/true").status().expect("true").success());
    });
}

/// From then on a message and an exit status tell it.
#[test]
fn failures_that_the_relay_tells() {
    let name = "exec::failures_that_the_relay_tells";
    let directory = TempDir::new().expect("a directory");
    let junk = script(directory.path(), "junk", "junk\n", 0o755);
    type Set<'a> = &'a dyn Fn(&mut Launch<'_>);
    let cases: [(&str, &Path, Set, i32, &str); 2] = [
        ("group", Path::new("/bin/true"), &|launch| _ = launch.process_group(1), 125, "group 1"),
        ("junk", &junk, &|_| {}, 126, "ENOEXEC"),
    ];
    for (part, program, set, code, words) in cases {
        let told = become_another(name, part, || {
            let mut launch = Launch::new(program);
            set(&mut launch);
            panic!("{}", launch.exec());
        });
        let Some((output, _)) = told else { continue };
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.starts_with("relay: ") && message.contains(words), "{message}");
    }
}

#[test]
fn mistakes() {
    type Set<'a> = &'a dyn Fn(&mut Launch<'_>);
    let sets: [(Set, &str); 6] = [
        (&|launch| _ = launch.vehicle(Vehicle::InPlace), "exec takes Vehicle::Relay or Vehicle::RelayAt"),
        (&|launch| _ = launch.stdin(Stdio::Piped), "the other end of a pipe or the pulse"),
        (&|launch| _ = launch.pulse(), "the other end of a pipe or the pulse"),
        (&|launch| _ = launch.timeout(Duration::from_secs(1)), "exec cannot be given a time"),
        (&|launch| _ = launch.nice(20), "20 is no nice value"),
        (&|launch| _ = launch.vehicle(Vehicle::RelayAt("relay".into())), "is not an absolute path"),
    ];
    for (set, words) in sets {
        let mut launch = Launch::new("/bin/true");
        set(&mut launch);
        let error = launch.exec();
        assert!(matches!(error, Error::Request { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(words), "{error}");
    }
}
