//! Hosts that make launching hard.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use exec_relay_launcher::{Error, Launch, Stdio, Step, Vehicle};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use tempfile::TempDir;

use crate::support::{
    alone, alone_as, children, each, open_descriptors, relay, script, set_disposition, set_limit, slate_by, vehicles,
};

/// Launches a program, and sees its end by the pulse and by wait, whoever reaps it.
#[track_caller]
fn is_seen_to_end(vehicle: Vehicle) {
    let mut launch = Launch::new("/bin/cat");
    let mut child = launch.stdin(Stdio::Piped).pulse().vehicle(vehicle).launch().expect("cat");
    drop(child.stdin.take());
    let mut pulse = File::from(child.take_pulse().expect("it was asked for"));
    assert_eq!(pulse.read(&mut [0]).expect("a pipe"), 0);
    match child.wait() {
        Ok(status) => assert!(status.success()),
        // Linux before 6.15 cannot tell.
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECHILD)),
    }
}

#[test]
fn sigchld_is_ignored() {
    alone("hosts::sigchld_is_ignored", || {
        let relay = relay();
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        let before = open_descriptors();
        for vehicle in [Vehicle::InPlace, Vehicle::RelayAt(relay)] {
            is_seen_to_end(vehicle.clone());
            let error = Launch::new("/no/such/program").vehicle(vehicle).launch().expect_err("it is missing");
            assert_eq!((error.step(), error.errno()), (Some(Step::Exec), Some(libc::ENOENT)));
        }
        // One that has long been gone is told from one that never began.
        for _ in 0..100 {
            drop(Launch::new("/bin/true").launch().expect("true"));
        }
        assert_eq!(open_descriptors(), before);
    });
}

/// Another thread reaps every child, as frameworks do.
#[test]
fn a_host_that_reaps_every_child() {
    alone("hosts::a_host_that_reaps_every_child", || {
        let relay = relay();
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: writes nothing (NULL).
                    unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
                }
            });
            for round in 0..100 {
                // Gone at once, or never begun: only the result tells which.
                drop(Launch::new("/bin/true").launch().expect("true"));
                let error = Launch::new("/no/such/program").launch().expect_err("it is missing");
                assert_eq!((error.step(), error.errno()), (Some(Step::Exec), Some(libc::ENOENT)), "{round}");
                is_seen_to_end(Vehicle::RelayAt(relay.clone()));
            }
            over.store(true, Ordering::Relaxed);
            // One that the other thread may be waiting for.
            drop(Launch::new("/bin/true").launch().expect("true"));
        });
    });
}

#[test]
fn standard_descriptors_are_closed() {
    alone("hosts::standard_descriptors_are_closed", || {
        let saved: Vec<_> = (0..3)
            // SAFETY: touches no memory.
            .map(|descriptor| unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 500) })
            .collect();
        let result = std::panic::catch_unwind(|| {
            for descriptor in 0..3 {
                // SAFETY: they are open, and opened again below.
                unsafe { libc::close(descriptor) };
            }
            // 0 and 1 are asked for, 2 stays closed.
            each(|_| {}, |slate| slate.assert_clean([0, 1]));
            for vehicle in vehicles() {
                let mut launch = Launch::new("/bin/sh");
                launch.args(["-c", "read line; echo $line >&2"]).vehicle(vehicle);
                launch.stdin(Stdio::Piped).stdout(Stdio::Piped).stderr(Stdio::Piped);
                let mut child = launch.launch().expect("sh");
                io::Write::write_all(&mut child.stdin.take().expect("piped"), b"line\n").expect("a reader");
                let mut said = String::new();
                child.stderr.take().expect("piped").read_to_string(&mut said).expect("the output");
                assert_eq!(said, "line\n");
                assert!(child.wait().expect("a status").success());
            }
        });
        for (descriptor, saved) in (0..).zip(saved) {
            // SAFETY: touches no memory.
            assert_eq!(unsafe { libc::dup2(saved, descriptor) }, descriptor);
        }
        result.expect("all of it");
    });
}

#[test]
fn the_descriptor_limit_is_reached() {
    alone("hosts::the_descriptor_limit_is_reached", || {
        Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().expect("true").wait().expect("a status");
        set_limit(libc::RLIMIT_NOFILE, 64, 64).expect("a limit");
        let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // One above the limit may have been inherited.
        let full = open_descriptors().len();
        for free in 0..16 {
            for vehicle in vehicles() {
                let before = open_descriptors();
                assert_eq!(before.len(), full - free);
                let mut launch = Launch::new("/bin/true");
                launch.stdin(Stdio::Piped).stdout(Stdio::Piped).stderr(Stdio::Null).pulse().vehicle(vehicle);
                match launch.launch() {
                    Ok(mut child) => {
                        assert!(free > 5, "{free} cannot be enough");
                        assert!(child.wait().expect("a status").success());
                    }
                    Err(error) => {
                        assert!(free < 14, "{free} must be enough: {error:?}");
                        assert!(matches!(error, Error::Host { .. }), "{error:?}");
                        assert_eq!(error.errno(), Some(libc::EMFILE), "{error:?}");
                        assert!(error.to_string().ends_with("too many or too high descriptors (EMFILE)"), "{error}");
                    }
                }
                assert_eq!(open_descriptors(), before);
            }
            held.pop();
        }
        drop(held);
        assert_eq!(children(), [""; 0]);
    });
}

#[test]
fn the_process_limit_is_reached() {
    alone("hosts::the_process_limit_is_reached", || {
        // Root is not limited.
        // SAFETY: touches no memory; every thread of this process changes with it.
        if unsafe { libc::geteuid() } == 0 {
            // SAFETY: the same.
            assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
        }
        set_limit(libc::RLIMIT_NPROC, 1, 1).expect("a limit");
        let before = open_descriptors();
        for vehicle in [Vehicle::InPlace, Vehicle::RelayAt("/bin/true".into())] {
            let error = Launch::new("/bin/true").vehicle(vehicle).launch().expect_err("no process");
            assert!(matches!(error, Error::Process { .. }), "{error:?}");
            assert_eq!(error.to_string(), "cannot start /bin/true: no new process: a limit is reached (EAGAIN)");
        }
        assert_eq!(open_descriptors(), before);
    });
}

/// SIGALRM every 100 microseconds and SIGTSTP as fast as another thread can, both with handlers.
#[test]
fn signals_rain() {
    alone("hosts::signals_rain", || {
        extern "C" fn nothing(_: i32) {}
        for signal in [libc::SIGALRM, libc::SIGTSTP] {
            set_disposition(signal, nothing as extern "C" fn(i32) as libc::sighandler_t);
        }
        let interval = libc::timeval { tv_sec: 0, tv_usec: 100 };
        let timer = libc::itimerval { it_interval: interval, it_value: interval };
        // SAFETY: reads one structure and writes nothing (NULL).
        assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: touches no memory.
                    unsafe { libc::kill(libc::getpid(), libc::SIGTSTP) };
                }
            });
            for _ in 0..5 {
                each(|_| {}, |slate| slate.assert_clean([0, 1, 2]));
            }
            for vehicle in vehicles() {
                for _ in 0..50 {
                    let mut child = Launch::new("/bin/true").vehicle(vehicle.clone()).launch().expect("true");
                    assert!(child.wait().expect("a status").success());
                }
            }
            over.store(true, Ordering::Relaxed);
        });
    });
}

/// A process forked by a stranger holds the status pipe, so its end of file never comes.
#[test]
fn a_stranger_holds_the_status_pipe() {
    alone("hosts::a_stranger_holds_the_status_pipe", || {
        let directory = TempDir::new().expect("a directory");
        let stranger = directory.path().join("stranger");
        let text =
            format!("#!/bin/sh\nsleep 1000 &\necho $! >{}\nexec {} \"$@\"\n", stranger.display(), relay().display());
        let with_stranger = script(directory.path(), "relay", &text, 0o755);
        let before = open_descriptors();
        let after = Duration::from_secs(3);
        let mut launch = Launch::new("/bin/cat");
        launch.stdin(Stdio::Piped).vehicle(Vehicle::RelayAt(with_stranger)).timeout(after);
        let error = launch.launch().expect_err("a timeout");
        assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
        assert_eq!(error.to_string(), "cannot start /bin/cat: it has not begun after 3000 ms");
        let id = fs::read_to_string(stranger).expect("its number").trim().parse().expect("a number");
        // SAFETY: touches no memory; the process is the one that the script started.
        assert_eq!(unsafe { libc::kill(id, libc::SIGKILL) }, 0);
        assert_eq!(open_descriptors(), before);
        assert_eq!(children(), [""; 0]);
    });
}

/// A host that closes what it does not know, and opens something else under its number.
#[test]
fn the_embedded_relay_is_closed_by_the_host() {
    alone("hosts::the_embedded_relay_is_closed_by_the_host", || {
        let launch = || {
            let mut child = Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().expect("true");
            assert!(child.wait().expect("a status").success());
        };
        launch();
        // SAFETY: this test has the process to itself, and what is open is the library's.
        assert_eq!(unsafe { libc::close_range(3, u32::MAX, 0) }, 0);
        launch();
        let _others: Vec<_> = (0..8).map(|_| File::open("/dev/null").expect("/dev/null")).collect();
        launch();
    });
}

/// Runs `body` in a thread where `calls` are refused, given with the value of their second argument where that matters.
pub fn where_refused<T: Send>(calls: &[(i64, Option<u64>)], body: impl FnOnce() -> T + Send) -> T {
    let mut rules = BTreeMap::new();
    for &(call, second) in calls {
        let rule = second.map(|value| {
            let condition = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
            SeccompRule::new(vec![condition.expect("a condition")]).expect("a rule")
        });
        rules.insert(call, rule.into_iter().collect());
    }
    let refusal = SeccompAction::Errno(libc::EPERM as u32);
    let architecture = std::env::consts::ARCH.try_into().expect("an architecture");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture).expect("a filter");
    let filter: BpfProgram = filter.try_into().expect("a filter");
    thread::scope(|threads| {
        let thread = threads.spawn(|| {
            // It is this thread's, and ends with it.
            seccompiler::apply_filter(&filter).expect("a filter");
            body()
        });
        thread.join().expect("a thread")
    })
}

/// What a launch comes to where `calls` are refused.
fn refused(calls: &[(i64, Option<u64>)], set: impl FnOnce(&mut Launch<'_>) + Send) -> Error {
    where_refused(calls, || {
        let mut launch = Launch::new("/bin/true");
        set(&mut launch);
        launch.launch().expect_err("a refusal")
    })
}

#[test]
fn steps_that_a_sandbox_refuses() {
    type Set = fn(&mut Launch<'_>);
    type Calls = [(i64, Option<u64>)];
    let steps: &[(&Calls, Set, Step)] = &[
        (
            &[(libc::SYS_close_range, None), (libc::SYS_openat, None), (libc::SYS_fcntl, Some(libc::F_SETFD as u64))],
            |_| {},
            Step::Descriptors,
        ),
        (&[(libc::SYS_setsid, None)], |launch| _ = launch.session(), Step::Session),
        (&[(libc::SYS_chdir, None)], |launch| _ = launch.current_dir("/"), Step::Directory),
        (&[(libc::SYS_prctl, None)], |launch| _ = launch.die_with_parent(), Step::Parent),
        (&[(libc::SYS_prctl, None)], |launch| _ = launch.no_new_privs(), Step::NewPrivileges),
        (&[(libc::SYS_openat, None)], |launch| _ = launch.oom_score_adj(1), Step::OomScore),
        (&[(libc::SYS_rt_sigaction, None)], |_| {}, Step::Dispositions),
    ];
    for vehicle in vehicles() {
        for (calls, set, step) in steps {
            let error = refused(calls, |launch| set(launch.vehicle(vehicle.clone())));
            assert_eq!((error.step(), error.errno()), (Some(*step), Some(libc::EPERM)), "{vehicle:?}: {error:?}");
        }
    }
    for vehicle in [Vehicle::Relay, Vehicle::RelayAt(relay())] {
        let error = refused(&[(libc::SYS_setitimer, None)], |launch| _ = launch.vehicle(vehicle.clone()));
        assert_eq!((error.step(), error.errno()), (Some(Step::Timers), Some(libc::EPERM)), "{error:?}");
    }
    // A new child has no timers, so InPlace disarms none.
    let launch = || Launch::new("/bin/true").launch().expect("it began").wait();
    assert!(where_refused(&[(libc::SYS_setitimer, None)], launch).expect("a status").success());
    for vehicle in vehicles() {
        // This library blocks signals before it makes a process.
        let error = refused(&[(libc::SYS_rt_sigprocmask, None)], |launch| _ = launch.vehicle(vehicle.clone()));
        assert!(matches!(error, Error::Host { .. }), "{error:?}");
        let error = refused(&[(libc::SYS_prlimit64, None)], |launch| _ = launch.vehicle(vehicle.clone()));
        assert_eq!((error.step(), error.errno()), (Some(Step::Nofile), Some(libc::EPERM)), "{error:?}");
    }
}

#[test]
fn memory_that_cannot_be_executed() {
    alone("hosts::memory_that_cannot_be_executed", || {
        let error = refused(&[(libc::SYS_memfd_create, None)], |launch| _ = launch.vehicle(Vehicle::Relay));
        assert!(matches!(error, Error::Relay { relay: None, .. }), "{error:?}");
        assert_eq!(error.errno(), Some(libc::EPERM));
        assert!(error.to_string().contains("Vehicle::RelayAt"), "{error}");
    });
}

/// The slate is clean by each way to find descriptors that is left.
#[test]
fn sandboxes_without_close_range() {
    let null = File::open("/dev/null").expect("/dev/null");
    // SAFETY: touches no memory; the copy, which is not close-on-exec, is closed with its owner.
    let leaked = unsafe { OwnedFd::from_raw_fd(libc::dup(null.as_raw_fd())) };
    for calls in [&[libc::SYS_close_range][..], &[libc::SYS_close_range, libc::SYS_openat]] {
        let calls: Vec<_> = calls.iter().map(|&call| (call, None)).collect();
        for vehicle in vehicles() {
            let slate = where_refused(&calls, || slate_by(vehicle, |launch| _ = launch.stdin(Stdio::Inherit)));
            slate.assert_clean([0, 1, 2]);
        }
    }
    drop(leaked);
}

/// The numbers of the pulse and of what the library uses for itself never meet.
#[test]
fn the_pulse_takes_a_free_number() {
    let null = File::open(Path::new("/dev/null")).expect("/dev/null");
    let number: RawFd = 3;
    each(
        |launch| {
            launch.pulse().fd(number, null.try_clone().expect("a copy")).fd(5, null.try_clone().expect("a copy"));
        },
        |slate| slate.assert_clean([0, 1, 2, 3, 4, 5]),
    );
}

/// A user who holds more pipes than `pipe-user-pages-soft` allows gets small ones, and may not make them larger.
#[test]
fn an_unprivileged_user_with_many_pipes() {
    alone("hosts::an_unprivileged_user_with_many_pipes", || {
        set_limit(libc::RLIMIT_NOFILE, 20_000, 20_000).expect("a limit");
        // SAFETY: touches no memory; every thread of this process changes with it.
        if unsafe { libc::geteuid() } == 0 {
            // SAFETY: the same.
            assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
        }
        let _held: Vec<_> = (0..1100).map(|_| io::pipe().expect("a pipe")).collect();
        let (reader, _writer) = io::pipe().expect("a pipe");
        assert!(rustix::pipe::fcntl_getpipe_size(&reader).expect("a size") < 65_536, "they are small by now");
        let mut child = Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().expect("true");
        assert!(child.wait().expect("a status").success());
        let error = Launch::new("/no/such").vehicle(Vehicle::Relay).launch().map(|child| child.id());
        assert_eq!(error.expect_err("it is missing").step(), Some(Step::Exec));
    });
}

/// The smallest stack that a thread can have; a development build needs more.
#[test]
fn threads_with_small_stacks() {
    const SIZE: usize = if cfg!(debug_assertions) { 49_152 } else { 16_384 };
    for vehicle in vehicles() {
        let thread = thread::Builder::new().stack_size(SIZE).spawn(move || {
            let mut launch = Launch::new("/bin/true");
            launch.stdin(Stdio::Piped).stdout(Stdio::Null).pulse().current_dir("/").umask(0o22).env("A", "B");
            let status = launch.vehicle(vehicle).launch().map(|mut child| child.wait());
            matches!(status, Ok(Ok(status)) if status.success())
        });
        assert!(thread.expect("a thread").join().expect("a thread that ends"));
    }
}

/// The file in memory is larger than the host may write: an error, and no signal.
#[test]
fn a_limit_of_file_size() {
    alone("hosts::a_limit_of_file_size", || {
        set_limit(libc::RLIMIT_FSIZE, 1000, 1000).expect("a limit");
        let error = Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().map(|child| child.id());
        let error = error.expect_err("no file in memory");
        assert!(matches!(error, Error::Host { .. }), "{error:?}");
        assert_eq!(error.errno(), Some(libc::EFBIG));
        assert!(Launch::new("/bin/true").launch().expect("true").wait().expect("a status").success());
    });
}

/// To raise the hard limit is a privilege; a number that no descriptor can have stands for the hard limit. The same by both
/// vehicles.
#[test]
fn a_hard_limit_above_the_present_one() {
    alone("hosts::a_hard_limit_above_the_present_one", || {
        set_limit(libc::RLIMIT_NOFILE, 500, 1000).expect("a limit");
        // SAFETY: touches no memory; every thread of this process changes with it.
        if unsafe { libc::geteuid() } == 0 {
            // SAFETY: the same.
            assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
        }
        // A relay at a path may lie where another user cannot look.
        for vehicle in [Vehicle::InPlace, Vehicle::Relay] {
            let mut launch = Launch::new("/bin/true");
            let error = launch.nofile(100, Some(2000)).vehicle(vehicle.clone()).launch().map(|child| child.id());
            let error = error.expect_err("no right");
            assert_eq!(
                (error.step(), error.errno()),
                (Some(Step::Nofile), Some(libc::EPERM)),
                "{vehicle:?}: {error:?}"
            );
            let mut launch = Launch::new("/bin/sh");
            launch.args(["-c", "ulimit -Sn; ulimit -Hn"]).nofile(u32::MAX, Some(u32::MAX)).stdout(Stdio::Piped);
            let mut child = launch.vehicle(vehicle).launch().expect("sh");
            let mut said = String::new();
            child.stdout.take().expect("piped").read_to_string(&mut said).expect("the output");
            assert_eq!((said.as_str(), child.wait().expect("a status").success()), ("1000\n1000\n", true));
        }
    });
}

/// A launch that is given up kills its process by whatever call is let through.
#[test]
fn a_sandbox_that_refuses_to_kill_by_pidfd() {
    let directory = TempDir::new().expect("a directory");
    let silent = script(directory.path(), "silent", "#!/bin/sh\nexec sleep 1000\n", 0o755);
    let error = where_refused(&[(libc::SYS_pidfd_send_signal, None)], || {
        let mut launch = Launch::new("/bin/true");
        launch.vehicle(Vehicle::RelayAt(silent)).timeout(Duration::from_millis(50));
        launch.launch().map(|child| child.id())
    });
    let error = error.expect_err("a timeout");
    assert!(matches!(error, Error::Timeout { is_left: false, .. }), "{error:?}");
}

/// A relay that has let go of its pipe, lives on, and says nothing is not waited for.
#[test]
fn a_relay_that_closes_its_pipe_and_lives_on() {
    alone("hosts::a_relay_that_closes_its_pipe_and_lives_on", || {
        let directory = TempDir::new().expect("a directory");
        let text = "#!/bin/bash\nfd=${1#--status=}\nexec {fd}>&-\nexec sleep 1000\n";
        let silent = script(directory.path(), "silent", text, 0o755);
        let mut launch = Launch::new("/bin/true");
        let error = launch.vehicle(Vehicle::RelayAt(silent)).launch().map(|child| child.id()).expect_err("no relay");
        assert!(matches!(error, Error::Protocol { status: None, .. }), "{error:?}");
        assert_eq!(children(), [""; 0]);
    });
}

/// In a PID namespace of its own a child has no parent whose number it could compare.
#[test]
fn children_in_another_pid_namespace() {
    for (index, name) in ["in_place", "relay", "relay_at"].into_iter().enumerate() {
        // The first process of a namespace ends it, so each vehicle has one of its own.
        alone_as("hosts::children_in_another_pid_namespace", name, || {
            let vehicle = vehicles()[index].clone();
            // SAFETY: touches no memory of this process that another thread uses.
            let flags = if unsafe { libc::geteuid() } == 0 { 0 } else { libc::CLONE_NEWUSER };
            // SAFETY: the same.
            assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID | flags) }, 0, "{}", io::Error::last_os_error());
            let mut child = Launch::new("/bin/true").die_with_parent().vehicle(vehicle).launch().expect("true");
            assert!(child.wait().expect("a status").success());
        });
    }
}

/// A host that nobody may look into owns no file of its own in /proc any more, and so its child that shares its memory.
/// relay's own exec ends that.
#[test]
fn the_score_of_a_host_that_is_not_dumpable() {
    alone("hosts::the_score_of_a_host_that_is_not_dumpable", || {
        // SAFETY: touches no memory; every thread of this process changes with it.
        if unsafe { libc::geteuid() } == 0 {
            // SAFETY: the same.
            assert_eq!(unsafe { libc::setresuid(65_534, 65_534, 65_534) }, 0);
        }
        // SAFETY: touches no memory.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) }, 0);
        let error = Launch::new("/bin/true").oom_score_adj(500).launch().map(|child| child.id()).expect_err("no right");
        assert_eq!((error.step(), error.errno()), (Some(Step::OomScore), Some(libc::EACCES)), "{error:?}");
        let mut launch = Launch::new("/bin/cat");
        launch.arg("/proc/self/oom_score_adj").oom_score_adj(500).stdout(Stdio::Piped).vehicle(Vehicle::Relay);
        let mut child = launch.launch().expect("cat");
        let mut said = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut said).expect("the output");
        assert_eq!((said.as_str(), child.wait().expect("a status").success()), ("500\n", true));
    });
}

/// Where the pidfd of a process that somebody else has reaped tells how it ended, it does so every time.
#[test]
fn waiting_for_what_somebody_else_reaps() {
    alone("hosts::waiting_for_what_somebody_else_reaps", || {
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        let wait = || {
            let mut launch = Launch::new("/bin/sh");
            launch.args(["-c", "exit 7"]).launch().expect("sh").wait()
        };
        if let Ok(status) = wait() {
            assert_eq!(status.code(), Some(7));
            thread::scope(|threads| {
                for _ in 0..4 {
                    threads.spawn(|| {
                        for _ in 0..250 {
                            assert_eq!(wait().expect("this kernel remembers").code(), Some(7));
                        }
                    });
                }
            });
        }
    });
}
