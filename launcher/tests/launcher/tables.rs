//! The child's descriptor table: shared with the host for one call, then its own, whatever the host has open and whatever is
//! refused.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use exec_relay_launcher::{Launch, Stdio, Vehicle};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use tempfile::{TempDir, tempfile};

use crate::support::{alone, alone_as, alone_by, children, open_descriptors, set_limit, slate_by, vehicles};

/// A table that is full from 0 to the number that is returned.
fn dense(count: usize) -> Vec<File> {
    set_limit(libc::RLIMIT_NOFILE, 20_000, 20_000).expect("a limit");
    (0..count).map(|_| File::open("/dev/null").expect("/dev/null")).collect()
}

fn copy_of(file: &File) -> OwnedFd {
    file.try_clone().expect("a copy").into()
}

/// Launches with everything that needs a descriptor, by each vehicle, and looks at what the program has.
#[track_caller]
fn everything_arrives() {
    let mut lent = tempfile().expect("a file");
    let inode = std::os::unix::fs::MetadataExt::ino(&lent.metadata().expect("its metadata"));
    for vehicle in vehicles() {
        let slate = slate_by(vehicle.clone(), |launch| {
            launch.stderr(Stdio::Piped).fd(91, copy_of(&lent)).fd(90, copy_of(&lent)).keep(lent.as_raw_fd()).pulse();
        });
        let kept = lent.as_raw_fd();
        let pulse = if kept == 3 { 4 } else { 3 };
        slate.assert_clean([0, 1, 2, pulse, 90, 91, kept]);
        for number in [90, 91, kept] {
            assert_eq!(slate.inode(number), inode, "{vehicle:?}");
        }
    }
    // The host's own is still there, and where it was.
    lent.write_all(b"still here").expect("a write");
    lent.seek(SeekFrom::Start(0)).expect("a seek");
    assert_eq!(io::read_to_string(lent).expect("a read"), "still here");
}

#[test]
fn a_dense_table() {
    alone("tables::a_dense_table", || {
        for count in [0, 60, 130, 5000, 15_000] {
            let _others = dense(count);
            everything_arrives();
        }
    });
}

/// As many with high numbers as can be fetched, and more.
#[test]
fn many_high_descriptors() {
    alone("tables::many_high_descriptors", || {
        let _others = dense(3000);
        let files: Vec<File> = (0..100).map(|_| tempfile().expect("a file")).collect();
        for count in [1, 31, 32, 33, 100] {
            for vehicle in vehicles() {
                let slate = slate_by(vehicle, |launch| {
                    for (to, file) in (3..).zip(&files[..count]) {
                        launch.fd(to, copy_of(file));
                    }
                });
                slate.assert_clean(0..3 + count as RawFd);
                for (to, file) in (3..).zip(&files[..count]) {
                    let metadata = file.metadata().expect("its metadata");
                    assert_eq!(slate.inode(to), std::os::unix::fs::MetadataExt::ino(&metadata));
                }
            }
        }
    });
}

/// Arguments of a system call, by their places.
type Arguments = [(u8, u64)];

/// A filter for this process that answers `errno` to a call, where its arguments have these values.
fn refuse(call: i64, arguments: &Arguments, errno: i32) {
    let condition = |&(index, value)| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).expect("a condition")
    };
    let conditions: Vec<_> = arguments.iter().map(condition).collect();
    let rules = if conditions.is_empty() { vec![] } else { vec![SeccompRule::new(conditions).expect("a rule")] };
    let architecture = env::consts::ARCH.try_into().expect("an architecture");
    let refusal = SeccompAction::Errno(errno as u32);
    let filter = SeccompFilter::new(BTreeMap::from([(call, rules)]), SeccompAction::Allow, refusal, architecture);
    let filter: BpfProgram = filter.expect("a filter").try_into().expect("a filter");
    seccompiler::apply_filter_all_threads(&filter).expect("a filter");
}

const UNSHARE: &Arguments = &[(2, 2)];

/// Whatever is refused, each launch works and leaves nothing behind.
#[test]
fn refusals() {
    type Part = (&'static str, i64, &'static Arguments, &'static [i32]);
    const PARTS: [Part; 5] = [
        ("unshare", libc::SYS_close_range, UNSHARE, &[libc::ENOSYS, libc::EPERM, libc::EINVAL, libc::ENOMEM]),
        ("all", libc::SYS_close_range, &[], &[libc::ENOSYS, libc::EPERM]),
        // A sandbox that says that it was done.
        ("false", libc::SYS_close_range, UNSHARE, &[0]),
        ("getfd", libc::SYS_pidfd_getfd, &[], &[libc::EPERM, libc::ENOSYS, libc::EMFILE]),
        ("open", libc::SYS_pidfd_open, &[], &[libc::EPERM]),
    ];
    for (part, call, arguments, errnos) in PARTS {
        for &errno in errnos {
            alone_as("tables::refusals", &format!("{part} {errno}"), || {
                let _others = dense(2000);
                // The file in memory is there from now on.
                Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().expect("true").wait().expect("a status");
                let before = open_descriptors();
                refuse(call, arguments, errno);
                everything_arrives();
                everything_arrives();
                assert_eq!((open_descriptors(), children()), (before, vec![]));
            });
        }
    }
}

/// The host's record locks on files that the child drops stay: they go only when a process closes a descriptor of its own
/// table.
#[test]
fn record_locks_stay() {
    alone("tables::record_locks_stay", || {
        let _others = dense(300);
        let file = tempfile().expect("a file");
        let lock = libc::flock { l_type: libc::F_WRLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
        // SAFETY: reads one structure.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) }, 0);
        for vehicle in vehicles() {
            for set in [|_: &mut Launch| {}, |launch: &mut Launch| _ = launch.stdout(Stdio::Piped)] {
                let mut launch = Launch::new("/bin/true");
                set(&mut launch);
                launch.vehicle(vehicle.clone()).launch().expect("true").wait().expect("a status");
            }
            let mut launch = Launch::new("/no/such/program");
            launch.vehicle(vehicle.clone()).launch().map(|child| child.id()).expect_err("there is none");
        }
        // Whether it is there, another process can tell.
        let script = "while read -r number kind mode access process rest; do [[ $process == $PPID ]] && echo $kind $access; \
                      done </proc/locks";
        let told = Command::new("bash").args(["-c", script]).output().expect("bash");
        assert_eq!(String::from_utf8_lossy(&told.stdout), "POSIX WRITE\n", "{told:?}");
    });
}

/// Descriptors of a kind of their own, which the child drops: the host's go on.
#[test]
fn epoll_and_inotify_go_on() {
    use rustix::event::{PollFd, PollFlags, epoll, poll};
    use rustix::fs::inotify;
    alone("tables::epoll_and_inotify_go_on", || {
        let _others = dense(100);
        let directory = TempDir::new().expect("a directory");
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
        inotify::add_watch(&watch, directory.path(), inotify::WatchFlags::CREATE).expect("a watch");
        let events = epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll");
        let (data, flags) = (epoll::EventData::new_u64(7), epoll::EventFlags::IN);
        epoll::add(&events, &watch, data, flags).expect("an interest");
        for (count, vehicle) in vehicles().into_iter().enumerate() {
            let mut launch = Launch::new("/bin/true");
            launch.vehicle(vehicle).launch().expect("true").wait().expect("a status");
            fs::write(directory.path().join(count.to_string()), "").expect("a file");
            let mut ready = [PollFd::new(&events, PollFlags::IN)];
            poll(&mut ready, None).expect("an event");
            let mut buffer = [0; 4096];
            assert!(rustix::io::read(&watch, &mut buffer).expect("an event") > 0);
        }
    });
}

/// Others open, copy over and close descriptors all the time, low ones and high ones, while what is lent has a high number.
#[test]
fn beside_others() {
    alone("tables::beside_others", || {
        let _others = dense(500);
        let lent = tempfile().expect("a file");
        let inode = std::os::unix::fs::MetadataExt::ino(&lent.metadata().expect("its metadata"));
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            for number in [40, 400, 1500] {
                let over = &over;
                threads.spawn(move || {
                    let null = File::open("/dev/null").expect("/dev/null");
                    while !over.load(Ordering::Relaxed) {
                        // SAFETY: touches no memory; nobody else has these numbers.
                        unsafe {
                            assert_eq!(libc::dup2(null.as_raw_fd(), number + 2000), number + 2000);
                            libc::close(number + 2000);
                        }
                        drop(File::open("/dev/null").expect("/dev/null"));
                    }
                });
            }
            let launchers: Vec<_> = (0..4)
                .map(|_| {
                    let lent = &lent;
                    threads.spawn(move || {
                        for round in 0..60 {
                            let vehicle = vehicles()[round % 3].clone();
                            let slate = slate_by(vehicle, |launch| _ = launch.fd(3, copy_of(lent)).stderr(Stdio::Null));
                            slate.assert_clean([0, 1, 2, 3]);
                            assert_eq!(slate.inode(3), inode);
                        }
                    })
                })
                .collect();
            let outcomes: Vec<_> = launchers.into_iter().map(|launcher| launcher.join()).collect();
            over.store(true, Ordering::Relaxed);
            outcomes.into_iter().for_each(|outcome| outcome.expect("all its launches"));
        });
    });
}

/// What CVE-2024-45025 damages: a program that opens more than 64 files must get one number after the other. All of 0 to 127
/// are open in the host, as in the kernel's own test.
#[track_caller]
fn numbers_without_a_gap() {
    for vehicle in vehicles() {
        let mut launch = Launch::new("/bin/bash");
        // Below 10 none may stay free: in a word that is not full the kernel looks no further.
        let script = "for i in {3..9}; do eval \"exec $i</dev/null\"; done; \
                      for i in {1..300}; do exec {fd}</dev/null; echo $fd; done";
        launch.args(["-c", script]).stdout(Stdio::Piped);
        let mut child = launch.vehicle(vehicle.clone()).launch().expect("bash");
        let mut printed = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut printed).expect("what it printed");
        assert!(child.wait().expect("a status").success());
        let numbers: Vec<i32> = printed.lines().map(|line| line.parse().expect("a number")).collect();
        // bash begins at 10, and keeps one for itself.
        let gaps: Vec<_> = numbers.windows(2).filter(|pair| pair[1] - pair[0] > 2).collect();
        assert_eq!((gaps, numbers.len()), (vec![], 300), "{vehicle:?}");
    }
}

/// A host whose kernel says that it is an old one, so that the child looks whether its table is damaged.
fn on_an_old_kernel(part: &str, body: impl FnOnce()) {
    alone_by(&["setarch", "--uname-2.6"], "tables::a_damaged_table", part, body);
}

#[test]
fn a_table_that_is_full_to_127() {
    alone("tables::a_table_that_is_full_to_127", || {
        let highest = dense(130).last().expect("some").as_raw_fd();
        assert!(highest >= 127);
        let _others = dense(130);
        numbers_without_a_gap();
    });
}

/// No kernel that has the fault can be had here: a filter stands in for it, which answers as a table does one of whose words
/// is taken for full up to the limit.
#[test]
fn a_damaged_table() {
    on_an_old_kernel("damaged", || {
        let _others = dense(130);
        refuse(libc::SYS_fcntl, &[(1, libc::F_DUPFD_CLOEXEC as u64), (2, 192)], libc::EMFILE);
        everything_arrives();
        numbers_without_a_gap();
    });
    on_an_old_kernel("whole", || {
        let _others = dense(130);
        everything_arrives();
        numbers_without_a_gap();
    });
}

/// One that is not dumpable may not be looked into by its own child.
#[test]
fn a_host_that_is_not_dumpable() {
    alone("tables::a_host_that_is_not_dumpable", || {
        // SAFETY: touches no memory.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) }, 0);
        let _others = dense(1000);
        everything_arrives();
    });
}

/// Where all 0 to 2 are closed, what the library opens gets low numbers.
#[test]
fn standard_descriptors_closed_in_a_dense_table() {
    alone("tables::standard_descriptors_closed_in_a_dense_table", || {
        let _others = dense(1000);
        let saved: Vec<OwnedFd> = (0..3).map(crate::support::copy).collect();
        for number in 0..3 {
            // SAFETY: this test has the process to itself.
            unsafe { libc::close(number) };
        }
        let slates: Vec<_> = vehicles().into_iter().map(|vehicle| slate_by(vehicle, |_| {})).collect();
        for (number, saved) in (0..).zip(&saved) {
            // SAFETY: touches no memory.
            assert_eq!(unsafe { libc::dup2(saved.as_raw_fd(), number) }, number);
        }
        for slate in slates {
            slate.assert_clean([0, 1]);
        }
    });
}
