//! Descriptors that are closed, change while a launch begins, or are the library's own.

#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use exec_relay_launcher::{Error, Launch, Stdio, Vehicle};
use tempfile::tempfile;

use crate::hosts::where_refused;
use crate::killed::{answer, ask_about};
use crate::support::{alone, inherited_descriptors, open_descriptors, probe, relay, slate_by, vehicles};

fn inode(file: &File) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&file.metadata().expect("metadata"))
}

/// A number that nothing has, lent all the same.
fn lend_closed(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the library must find out, and uses it for nothing but that.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// What is lent must be open when the launch begins. The error names it, by every vehicle, and nothing is left open.
#[test]
fn a_lent_descriptor_that_is_closed() {
    alone("descriptors::a_lent_descriptor_that_is_closed", || {
        Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().expect("true").wait().expect("a status");
        let before = open_descriptors();
        for vehicle in vehicles() {
            // The lowest free numbers: what the library opens would get them.
            let closed = File::open("/dev/null").expect("/dev/null").into_raw_fd();
            // SAFETY: it is this test's.
            assert_eq!(unsafe { libc::close(closed) }, 0);
            type Set = fn(&mut Launch<'_>, BorrowedFd<'static>);
            let ways: [(Set, RawFd); 3] = [
                (|launch, closed| _ = launch.fd(7, closed), 7),
                (|launch, closed| _ = launch.stdout(closed), 1),
                (|launch, closed| _ = launch.listen_fds([closed]), 3),
            ];
            for (set, number) in ways {
                let mut launch = Launch::new("/bin/true");
                launch.stdin(Stdio::Piped).pulse().vehicle(vehicle.clone());
                set(&mut launch, lend_closed(closed));
                let error = launch.launch().map(|child| child.id()).expect_err("it is closed");
                let Error::Source { source, target, .. } = &error else { panic!("{vehicle:?}: {error:?}") };
                assert_eq!((*source, *target, error.errno()), (closed, number, Some(libc::EBADF)));
                let sentence = format!(
                    "cannot launch: descriptor {closed}, to be the program's {number}, is closed here: not open for this \
                     (EBADF)"
                );
                assert_eq!(error.to_string(), sentence);
            }
        }
        assert_eq!(open_descriptors(), before);
    });
}

/// A kept number is the file that was there or nothing, never what another thread or the library opens meanwhile.
#[test]
fn a_kept_descriptor_that_others_close() {
    alone("descriptors::a_kept_descriptor_that_others_close", || {
        probe();
        let file = tempfile().expect("a file");
        let inode = inode(&file);
        // Above the numbers that the library gets for what it opens.
        let number: RawFd = 900;
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // SAFETY: the number is this thread's.
                    unsafe {
                        libc::dup2(file.as_raw_fd(), number);
                        libc::close(number);
                    }
                }
            });
            for vehicle in vehicles() {
                for _ in 0..40 {
                    let slate = slate_by(vehicle.clone(), |launch| _ = launch.keep(number));
                    let found = slate.descriptors.iter().find(|descriptor| descriptor.number == number);
                    assert!(found.is_none_or(|found| found.inode == inode), "{vehicle:?}: {slate:?}");
                    assert!(slate.numbers().iter().all(|&open| open < 3 || open == number), "{slate:?}");
                }
            }
            over.store(true, Ordering::Relaxed);
        });
    });
}

/// A number that is closed when the launch begins is not kept, even where another thread opens something under it before
/// there is a child: here, while the host waits to be let into clone(2).
#[test]
fn a_kept_number_that_is_closed_and_then_taken() {
    alone("descriptors::a_kept_number_that_is_closed_and_then_taken", || {
        probe();
        let file = tempfile().expect("a file");
        let number: RawFd = 900;
        for vehicle in vehicles() {
            let slate = thread::scope(|threads| {
                let (send, receive) = std::sync::mpsc::channel();
                let launch = threads.spawn(move || {
                    slate_by(vehicle, |launch| {
                        launch.keep(number);
                        send.send(ask_about(libc::SYS_clone)).expect("a receiver");
                    })
                });
                let listener = receive.recv().expect("a filter");
                // Nobody is the host: it is the first who asks.
                answer(&listener, 0, 1, |_| {
                    // SAFETY: the number is this test's. A copy is not close-on-exec.
                    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
                    true
                });
                launch.join().expect("a thread")
            });
            slate.assert_clean([0, 1, 2]);
            // SAFETY: the same.
            assert_eq!(unsafe { libc::close(number) }, 0);
        }
    });
}

/// Where the pidfd can be no number but a standard one, the launch fails, and nothing runs on.
#[test]
fn no_room_for_a_pidfd() {
    alone("descriptors::no_room_for_a_pidfd", || {
        crate::support::set_limit(libc::RLIMIT_NOFILE, 64, 64).expect("a limit");
        let held: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // SAFETY: it is opened again below.
        let outcome = unsafe {
            let saved = libc::dup2(0, 63);
            assert_eq!((saved, libc::close(0)), (63, 0));
            let outcome = Launch::new("/bin/cat").launch().map(|child| child.id());
            assert_eq!(libc::dup2(63, 0), 0);
            outcome
        };
        drop(held);
        let error = outcome.expect_err("no room");
        assert!(matches!(error, Error::Host { .. }), "{error:?}");
        assert_eq!((error.errno(), crate::support::children()), (Some(libc::EMFILE), Vec::<String>::new()));
    });
}

/// What cannot be looked at is not taken for closed.
#[test]
fn a_kept_descriptor_that_a_sandbox_hides() {
    let file = tempfile().expect("a file");
    for vehicle in vehicles() {
        let error = where_refused(&[(libc::SYS_fcntl, Some(libc::F_DUPFD_CLOEXEC as u64))], || {
            Launch::new("/bin/true").keep(file.as_raw_fd()).vehicle(vehicle.clone()).launch().map(|child| child.id())
        });
        let error = error.expect_err("it cannot be kept");
        assert!(matches!(error, Error::Host { .. }), "{vehicle:?}: {error:?}");
        assert_eq!(error.errno(), Some(libc::EPERM));
    }
}

/// Where 0, 1 and 2 are closed, nothing that a launch opens gets these numbers: here it would be taken for a standard
/// stream.
#[test]
fn nothing_of_the_library_s_is_standard() {
    alone("descriptors::nothing_of_the_library_s_is_standard", || {
        let relay = relay();
        let saved: Vec<_> = (0..3)
            // SAFETY: touches no memory.
            .map(|descriptor| unsafe { libc::fcntl(descriptor, libc::F_DUPFD_CLOEXEC, 500) })
            .collect();
        (0..3).for_each(|descriptor| {
            // SAFETY: they are open, and opened again below.
            assert_eq!(unsafe { libc::close(descriptor) }, 0);
        });
        let outcome = std::panic::catch_unwind(|| {
            for vehicle in [Vehicle::InPlace, Vehicle::Relay, Vehicle::RelayAt(relay)] {
                let mut launch = Launch::new("/bin/cat");
                let mut child =
                    launch.stdin(Stdio::Piped).stdout(Stdio::Piped).pulse().vehicle(vehicle).launch().expect("cat");
                let pulse = child.take_pulse().expect("it was asked for");
                let own = [child.stdin.as_ref().expect("piped").as_fd(), child.stdout.as_ref().expect("piped").as_fd()];
                let own = own.into_iter().chain([child.pidfd(), pulse.as_fd()]);
                assert!(own.into_iter().all(|descriptor| descriptor.as_raw_fd() > 2));
                assert!(open_descriptors().iter().all(|&number| number > 2));
                assert!(child.wait().expect("a status").success());
            }
        });
        for (descriptor, saved) in (0..).zip(saved) {
            // SAFETY: touches no memory.
            assert_eq!(unsafe { libc::dup2(saved, descriptor) }, descriptor);
        }
        outcome.expect("all of it");
    });
}

/// What is open of a range is kept, and what the library opens itself is not.
#[test]
fn a_wide_range() {
    alone("descriptors::a_wide_range", || {
        probe();
        let file = tempfile().expect("a file");
        for range in ["3-100000", "3-2147483647", "3-900"] {
            for vehicle in vehicles() {
                let open = open_descriptors();
                let slate = slate_by(vehicle.clone(), |launch| _ = launch.option(format!("--keep={range}")));
                slate.assert_clean(open);
                assert_eq!(slate.inode(file.as_raw_fd()), inode(&file), "{vehicle:?}");
            }
        }
        let twice =
            Launch::new("/bin/true").option("--keep=3-100000").fd(1000, file.as_fd()).launch().map(|child| child.id());
        let twice = twice.expect_err("a number that is to be two files").to_string();
        assert_eq!(twice, "cannot launch: the program's descriptor 1000 is asked for twice");
    });
}

/// The program has all that is not close-on-exec, under its number, beside what was asked for; and nothing of the library's.
#[test]
fn what_is_inherited_is_kept() {
    alone("descriptors::what_is_inherited_is_kept", || {
        probe();
        let file = tempfile().expect("a file");
        // The lowest free numbers, which the library takes for its own where it can, and a high one.
        // SAFETY: touches no memory; the numbers are this test's.
        let inherited = unsafe {
            let low = [(); 4].map(|()| libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 3));
            assert!(low.iter().all(|&number| number > 2) && libc::dup2(low[0], 900) == 900);
            [low[0], low[1], low[2], low[3], 900]
        };
        // Those of whoever started this test among them.
        let expected = || inherited_descriptors().into_iter();
        for vehicle in vehicles() {
            let slate = slate_by(vehicle.clone(), |launch| _ = launch.keep_inherited());
            slate.assert_clean(expected());
            assert!(inherited.iter().all(|&number| slate.inode(number) == inode(&file)), "{vehicle:?}: {slate:?}");

            let slate = slate_by(vehicle.clone(), |launch| {
                launch.option("--keep-inherited").fd(901, file.as_fd()).stdin(Stdio::Closed).current_dir("/");
            });
            slate.assert_clean(expected().chain([901]).filter(|&number| number != 0));

            // One that is open and one that is not, and the number of what is lent.
            let slate = slate_by(vehicle.clone(), |launch| {
                let closed = [inherited[1], inherited[3], 800].map(|number| format!("--close={number}"));
                launch.keep_inherited();
                closed.into_iter().for_each(|option| _ = launch.option(option));
                // SAFETY: it stays open.
                launch.fd(901, unsafe { BorrowedFd::borrow_raw(inherited[3]) });
            });
            slate.assert_clean(
                expected().chain([901]).filter(|&number| number != inherited[1] && number != inherited[3]),
            );
            assert_eq!(slate.inode(901), inode(&file), "{vehicle:?}: {slate:?}");

            // A pulse, whose number nobody chooses, and every number asked for that the library's own could have.
            let (null, own) = (File::open("/dev/null").expect("/dev/null"), 910..=1023);
            let slate = slate_by(vehicle.clone(), |launch| {
                own.clone().for_each(|number| _ = launch.fd(number, null.as_fd()));
                launch.keep_inherited().pulse();
            });
            let others: Vec<_> = slate.numbers().into_iter().filter(|number| !own.contains(number)).collect();
            assert_eq!(others.len(), expected().count() + 1, "{vehicle:?}: {slate:?}");
            assert!(inherited.iter().all(|&number| slate.inode(number) == inode(&file)), "{vehicle:?}: {slate:?}");
            assert!(own.clone().all(|number| slate.inode(number) != inode(&file)));
        }
    });
}
