//! Signals that the host handles, ignores, or sends while it launches.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use exec_relay_launcher::{Launch, Vehicle};
use tempfile::TempDir;

use crate::support::{alone, each, probe, set_disposition, vehicles};

/// This process, and how often its handler ran in another one that shares its memory.
static HOST: AtomicU32 = AtomicU32::new(0);
static ELSEWHERE: AtomicU32 = AtomicU32::new(0);

extern "C" fn handler(_: i32) {
    // SAFETY: touches no memory.
    let this = unsafe { libc::syscall(libc::SYS_getpid) } as u32;
    if this != HOST.load(Ordering::Relaxed) {
        ELSEWHERE.fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives this process a group of its own, and sends a signal to it as fast as can be while `body` runs.
fn under_a_rain_of(signal: i32, body: impl FnOnce()) {
    // SAFETY: touches no memory.
    assert_eq!(unsafe { libc::setpgid(0, 0) }, 0);
    set_disposition(signal, handler as extern "C" fn(i32) as libc::sighandler_t);
    HOST.store(std::process::id(), Ordering::Relaxed);
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // SAFETY: touches no memory; the group is this process and its children.
                unsafe { libc::kill(0, signal) };
            }
        });
        body();
        over.store(true, Ordering::Relaxed);
    });
}

/// Even a signal that is to be kept ignored: it is not ignored, but has a handler.
#[test]
fn no_handler_runs_in_a_child() {
    alone("signals::no_handler_runs_in_a_child", || {
        probe();
        under_a_rain_of(libc::SIGUSR1, || {
            for vehicle in vehicles() {
                for _ in 0..100 {
                    let mut launch = Launch::new("/bin/true");
                    // The signal may end the child at any time.
                    if let Ok(mut child) = launch.keep_ignored([libc::SIGUSR1]).vehicle(vehicle.clone()).launch() {
                        let _ = child.wait();
                    }
                }
            }
        });
        assert_eq!(ELSEWHERE.load(Ordering::Relaxed), 0, "the handler ran in a child");
        set_disposition(libc::SIGPIPE, libc::SIG_DFL);
        each(|launch| _ = launch.keep_ignored([libc::SIGUSR1]), |slate| assert_eq!(slate.not_default, [0_u32; 0]));
    });
}

/// A child that waits for a busy program to be closed has its signals at their defaults already. One that stopped would
/// never let this thread go on.
#[test]
fn a_child_that_waits_is_not_stopped() {
    alone("signals::a_child_that_waits_is_not_stopped", || {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("busy");
        fs::copy("/bin/true", &path).expect("a copy");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        let writer = File::options().append(true).open(&path).expect("a writer");
        // SAFETY: touches no memory.
        assert_eq!(unsafe { libc::setpgid(0, 0) }, 0);
        set_disposition(libc::SIGTSTP, handler as extern "C" fn(i32) as libc::sighandler_t);
        thread::scope(|threads| {
            let launch = threads.spawn(|| Launch::new(&path).launch().map(|child| child.id()));
            // Many while it pauses, which is nearly all of the time.
            for _ in 0..20 {
                thread::sleep(Duration::from_millis(10));
                // SAFETY: touches no memory; the group is this process and its children.
                unsafe { libc::kill(0, libc::SIGTSTP) };
            }
            // One that arrives in the moment before an exec does stop the child, as SIGSTOP would.
            let mut continued = 0;
            while !launch.is_finished() {
                thread::sleep(Duration::from_millis(10));
                continued += 1;
                if continued % 100 == 0 {
                    // SAFETY: the same.
                    unsafe { libc::kill(0, libc::SIGCONT) };
                }
            }
            assert!(continued < 1000, "it was stopped again and again");
            let error = launch.join().expect("a thread").expect_err("it stays busy");
            assert_eq!(error.errno(), Some(libc::ETXTBSY), "{error:?}");
        });
        drop(writer);
    });
}

/// Sets a disposition by the raw call: the C library refuses to for its own two signals.
fn set_raw_disposition(signal: i32, disposition: libc::sighandler_t) {
    let action = [disposition, 0, 0, 0];
    // SAFETY: struct sigaction of the kernel: the disposition first; flags, and the mask, zero.
    assert_eq!(unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), 0, 8) }, 0);
}

/// 32 and 33, which C libraries use for themselves, as all others: kept where this process ignores them, and only there.
#[test]
fn the_c_library_s_own_signals() {
    alone("signals::the_c_library_s_own_signals", || {
        for signal in (1..=64).filter(|&signal| ![libc::SIGKILL, libc::SIGSTOP].contains(&signal)) {
            set_raw_disposition(signal, libc::SIG_DFL);
        }
        probe();
        each(|launch| _ = launch.option("--keep-ignored=all"), |slate| assert_eq!(slate.not_default, [0_u32; 0]));
        each(|launch| _ = launch.keep_ignored([32, 33]), |slate| assert_eq!(slate.not_default, [0_u32; 0]));
        set_raw_disposition(33, libc::SIG_IGN);
        each(|launch| _ = launch.keep_ignored([32, 33]), |slate| assert_eq!(slate.not_default, [33]));
        each(|launch| _ = launch.keep_all_ignored(), |slate| assert_eq!(slate.not_default, [0_u32; 0]));
        each(|launch| _ = launch.option("--keep-ignored=all"), |slate| assert_eq!(slate.not_default, [33]));
    });
}

/// Where dead children vanish at once, a program that kills itself is never said not to have begun: that cannot be known.
#[test]
fn killed_at_once_where_sigchld_is_ignored() {
    alone("signals::killed_at_once_where_sigchld_is_ignored", || {
        probe();
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        for vehicle in [Vehicle::InPlace, Vehicle::Relay, Vehicle::RelayAt(crate::support::relay())] {
            for _ in 0..100 {
                let mut launch = Launch::new("/bin/sh");
                match launch.args(["-c", "kill -9 $$"]).vehicle(vehicle.clone()).launch() {
                    Ok(_) => {}
                    Err(exec_relay_launcher::Error::Killed { may_have_begun: true, .. }) => {
                        assert_ne!(vehicle, Vehicle::InPlace, "which can always tell");
                    }
                    Err(error) => panic!("{vehicle:?}: {error:?}"),
                }
            }
        }
    });
}
