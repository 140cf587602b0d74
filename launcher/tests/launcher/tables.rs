//! The child's descriptor table: shared with the host for one call, then its own, whatever the host has open and whatever is
//! refused.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use exec_relay_launcher::{Launch, Stdio, Vehicle, reserve_descriptors};
use tempfile::{TempDir, tempfile};

use crate::support::{
    Arguments, alone, alone_as, alone_by, children, open_descriptors, refuse, set_limit, slate_by, vehicles,
};

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

/// The same with what was lent in other ways: a socket, and a descriptor that is open on a path alone.
#[track_caller]
fn everything_else_arrives() {
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    let (socket, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let path = File::options().read(true).custom_flags(libc::O_PATH).open("/").expect("/");
    let inode = fs::metadata("/").expect("its metadata").ino();
    for vehicle in vehicles() {
        let slate =
            slate_by(vehicle, |launch| _ = launch.fd(10, socket.as_fd()).fd(9, path.as_fd()).fd(3, path.as_fd()));
        slate.assert_clean([0, 1, 2, 3, 9, 10]);
        assert_eq!([3, 9].map(|number| slate.inode(number)), [inode; 2]);
    }
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

/// A host that may not fetch, and has reserved descriptors before it opened many: all arrives, and nothing is left behind.
#[test]
fn reserved() {
    for (part, call, errno) in [
        ("getfd", libc::SYS_pidfd_getfd, libc::EPERM),
        ("open", libc::SYS_pidfd_open, libc::ENOSYS),
        // What was reserved is of no use then.
        ("send", libc::SYS_sendmsg, libc::EPERM),
        ("receive", libc::SYS_recvmsg, libc::EPERM),
        ("receive falsely", libc::SYS_recvmsg, 0),
        ("receive for now", libc::SYS_recvmsg, libc::ENOMEM),
        ("unshare", libc::SYS_close_range, libc::EPERM),
    ] {
        alone_as("tables::reserved", part, || {
            let before = open_descriptors();
            reserve_descriptors(2).expect("low numbers");
            reserve_descriptors(1).expect("they are there");
            let low: Vec<_> = open_descriptors().difference(&before).copied().filter(|&number| number < 64).collect();
            assert_eq!((low.len(), open_descriptors().len()), (2, before.len() + 4));
            for number in open_descriptors().difference(&before) {
                // SAFETY: touches no memory.
                assert_eq!(unsafe { libc::fcntl(*number, libc::F_GETFD) }, libc::FD_CLOEXEC);
            }
            let _others = dense(5000);
            Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().expect("true").wait().expect("a status");
            let before = open_descriptors();
            refuse(call, if part == "unshare" { UNSHARE } else { &[] }, errno);
            for _ in 0..2 {
                everything_arrives();
                everything_else_arrives();
                let error = Launch::new("/no/such").stdout(Stdio::Piped).launch().map(|child| child.id());
                assert_eq!(error.expect_err("it is missing").errno(), Some(libc::ENOENT));
            }
            assert_eq!((open_descriptors(), children()), (before, vec![]));
        });
    }
}

/// More threads than can use what is reserved, and each gets its own.
#[test]
fn reserved_for_fewer_than_launch() {
    alone("tables::reserved_for_fewer_than_launch", || {
        reserve_descriptors(2).expect("low numbers");
        let _others = dense(3000);
        Launch::new("/bin/true").vehicle(Vehicle::Relay).launch().expect("true").wait().expect("a status");
        let before = open_descriptors();
        refuse(libc::SYS_pidfd_getfd, &[], libc::EPERM);
        thread::scope(|threads| {
            for _ in 0..6 {
                threads.spawn(|| {
                    for round in 0..30 {
                        let lent = tempfile().expect("a file");
                        let inode = std::os::unix::fs::MetadataExt::ino(&lent.metadata().expect("its metadata"));
                        let vehicle = vehicles()[round % 3].clone();
                        let slate = slate_by(vehicle, |launch| _ = launch.fd(3, lent.as_fd()).stderr(Stdio::Null));
                        slate.assert_clean([0, 1, 2, 3]);
                        assert_eq!(slate.inode(3), inode);
                    }
                });
            }
        });
        assert_eq!((open_descriptors(), children()), (before, vec![]));
    });
}

/// A host that closes what it does not know: its own files under those numbers are let be, and it can reserve others.
#[test]
fn reserved_and_closed_by_the_host() {
    alone("tables::reserved_and_closed_by_the_host", || {
        set_limit(libc::RLIMIT_NOFILE, 20_000, 20_000).expect("a limit");
        refuse(libc::SYS_pidfd_getfd, &[], libc::EPERM);
        let before = open_descriptors();
        reserve_descriptors(3).expect("low numbers");
        let reserved: Vec<_> = open_descriptors().difference(&before).copied().collect();
        for only in [&reserved[..1], &reserved[5..], &reserved[..]] {
            for &number in only {
                // SAFETY: this test has the process to itself.
                unsafe { libc::close(number) };
            }
            // Sockets under the same numbers, each with a message that nobody may take.
            let others: Vec<_> = (0..2000).map(|_| std::os::unix::net::UnixDatagram::pair().expect("a pair")).collect();
            others.iter().for_each(|(sender, _)| _ = sender.send(b"not yours").expect("it has room"));
            assert!(only.iter().all(|number| open_descriptors().contains(number)));
            let all = open_descriptors();
            for _ in 0..2 {
                everything_arrives();
            }
            for (sender, receiver) in &others {
                let mut message = [0; 20];
                receiver.set_nonblocking(true).expect("a mode");
                sender.set_nonblocking(true).expect("a mode");
                assert_eq!(receiver.recv(&mut message).expect("a message"), 9);
                assert!(receiver.recv(&mut message).is_err() && sender.recv(&mut message).is_err());
            }
            // What is left of a pair may be closed, and the file in memory is there from now on.
            let fewer = open_descriptors();
            assert!(fewer.difference(&all).count() <= 1 && all.difference(&fewer).count() <= 1);
        }
        reserve_descriptors(3).expect("low numbers");
        assert!(reserve_descriptors(33).is_err());
        let _others = dense(2000);
        everything_arrives();
    });
}

/// Where no low number is free, that is said, and nothing is left of the attempt.
#[test]
fn reserved_too_late() {
    alone("tables::reserved_too_late", || {
        let mut others = dense(200);
        let before = open_descriptors();
        assert_eq!(reserve_descriptors(1).expect_err("too late").raw_os_error(), Some(libc::EMFILE));
        assert_eq!(open_descriptors(), before);
        let low = others.remove(5).as_raw_fd();
        assert!(reserve_descriptors(2).is_err());
        reserve_descriptors(1).expect("one that is free");
        assert!(open_descriptors().contains(&low));
        refuse(libc::SYS_pidfd_getfd, &[], libc::EPERM);
        everything_arrives();
    });
}

/// A process that is forked does not take what is the first one's, and can reserve some itself.
#[test]
fn reserved_by_a_process_that_forks() {
    alone("tables::reserved_by_a_process_that_forks", || {
        reserve_descriptors(1).expect("low numbers");
        let _others = dense(1000);
        let probe = crate::support::probe();
        let lent = tempfile().expect("a file");
        let inode = std::os::unix::fs::MetadataExt::ino(&lent.metadata().expect("its metadata"));
        refuse(libc::SYS_pidfd_getfd, &[], libc::EPERM);
        everything_arrives();
        let before = open_descriptors();
        // SAFETY: the child has this one thread, in which the C library works.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            let lent = tempfile().expect("another file");
            let before = open_descriptors();
            let launches = || {
                for _ in 0..50 {
                    let mut launch = Launch::new(&probe);
                    launch.stdin(Stdio::Null).stdout(Stdio::Null).fd(3, lent.as_fd());
                    assert!(launch.launch().expect("the probe").wait().expect("a status").success());
                }
            };
            let outcome = std::panic::catch_unwind(|| {
                launches();
                reserve_descriptors(1).expect("the same number");
                let now = open_descriptors();
                assert!(now.len() == before.len() && (0..64).all(|low| now.contains(&low)));
                launches();
            });
            // SAFETY: ends this process.
            unsafe { libc::_exit(outcome.is_err().into()) };
        }
        for _ in 0..50 {
            let slate = slate_by(Vehicle::InPlace, |launch| _ = launch.fd(3, lent.as_fd()));
            slate.assert_clean([0, 1, 2, 3]);
            assert_eq!(slate.inode(3), inode);
        }
        let mut status = -1;
        // SAFETY: writes a status.
        assert_eq!(unsafe { libc::waitpid(forked, &raw mut status, 0) }, forked);
        assert!(status == 0 && open_descriptors() == before, "{status}");
    });
}

/// What is fetched, and what is received, can get numbers of 0 to 2 where the host has closed them: it does not stay there.
#[test]
fn what_is_closed_stays_closed() {
    for part in ["fetched", "received"] {
        alone_as("tables::what_is_closed_stays_closed", part, || {
            if part == "received" {
                reserve_descriptors(1).expect("low numbers");
            }
            let _others = dense(1000);
            let lent = tempfile().expect("a file");
            let saved: Vec<OwnedFd> = (0..3).map(crate::support::copy).collect();
            for number in 0..3 {
                // SAFETY: this test has the process to itself.
                unsafe { libc::close(number) };
            }
            let slates: Vec<_> = vehicles()
                .into_iter()
                .map(|vehicle| {
                    slate_by(vehicle, |launch| _ = launch.stdin(Stdio::Inherit).fd(7, lent.as_fd()).fd(6, lent.as_fd()))
                })
                .collect();
            for (number, saved) in (0..).zip(&saved) {
                // SAFETY: touches no memory.
                assert_eq!(unsafe { libc::dup2(saved.as_raw_fd(), number) }, number);
            }
            for slate in slates {
                slate.assert_clean([1, 6, 7]);
            }
        });
    }
}

/// What is kept cannot be fetched where its number lies above a limit that was lowered since: no copy could get it again.
#[test]
fn kept_above_the_limit() {
    alone("tables::kept_above_the_limit", || {
        let others = dense(1000);
        let kept = others[900].as_raw_fd();
        let _open: Vec<File> =
            others.into_iter().filter(|file| file.as_raw_fd() < 200 || file.as_raw_fd() == kept).collect();
        set_limit(libc::RLIMIT_NOFILE, 300, 20_000).expect("a limit");
        for vehicle in vehicles() {
            slate_by(vehicle, |launch| _ = launch.keep(kept)).assert_clean([0, 1, 2, kept]);
        }
    });
}

/// io_uring's descriptor is dropped by the child, and goes on in the host. It is the one kind that cannot be sent, but it can
/// be fetched, and copied.
#[test]
fn io_uring_goes_on() {
    alone("tables::io_uring_goes_on", || {
        reserve_descriptors(1).expect("low numbers");
        let _others = dense(100);
        // `struct io_uring_params`: 120 bytes of plain numbers.
        let mut parameters = [0_u32; 30];
        // SAFETY: reads and writes that structure.
        let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, &raw mut parameters) };
        if ring == -1 {
            let error = io::Error::last_os_error();
            assert!(matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)), "{error}");
            println!("left out: this kernel has no io_uring for us: {error}");
            return;
        }
        // SAFETY: it is nobody else's.
        let ring = unsafe { OwnedFd::from_raw_fd(ring as RawFd) };
        let submit = Ring::new(&ring, &parameters);
        for (count, vehicle) in (0..).zip(vehicles()) {
            submit.nothing(2 * count);
            let slate = slate_by(vehicle.clone(), |_| {});
            slate.assert_clean([0, 1, 2]);
            submit.nothing(2 * count + 1);
            for refused in [false, true] {
                if refused && count == 2 {
                    refuse(libc::SYS_pidfd_getfd, &[], libc::EPERM);
                }
                let slate = slate_by(vehicle.clone(), |launch| _ = launch.fd(3, ring.as_fd()));
                slate.assert_clean([0, 1, 2, 3]);
            }
        }
    });
}

/// The queues of an io_uring, mapped; see io_uring(7).
struct Ring<'a> {
    ring: &'a OwnedFd,
    submissions: *mut u8,
    completions: *mut u8,
    entries: *mut u8,
    parameters: [u32; 30],
}

impl<'a> Ring<'a> {
    fn new(ring: &'a OwnedFd, parameters: &[u32; 30]) -> Self {
        let map = |offset| {
            let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
            // SAFETY: a new mapping. Each queue of four entries is smaller than a page.
            let start = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, flags, ring.as_raw_fd(), offset) };
            assert_ne!(start, libc::MAP_FAILED, "{}", io::Error::last_os_error());
            start.cast()
        };
        let (submissions, completions, entries) = (map(0), map(0x800_0000), map(0x1000_0000));
        Self { ring, submissions, completions, entries, parameters: *parameters }
    }

    /// Has the ring do nothing once, which is its `number`th operation, and sees it done.
    fn nothing(&self, number: u32) {
        // `struct io_sqring_offsets` begins at word 10: head, tail, mask, number of entries, flags, dropped, array. `struct
        // io_cqring_offsets` at word 20: head, tail, mask, number of entries, overflow, entries.
        let at = |queue: *mut u8, word: usize| {
            // SAFETY: the kernel says where in the mapping it lies, and it is aligned.
            unsafe { &*queue.add(self.parameters[word] as usize).cast::<std::sync::atomic::AtomicU32>() }
        };
        let slot = number % 4;
        // SAFETY: an entry of 64 bytes of the queue, and its word in the array, which the kernel does not read yet.
        unsafe {
            let entry = self.entries.add(64 * slot as usize);
            entry.write_bytes(0, 64);
            entry.add(32).cast::<u64>().write(u64::from(number) + 1000);
            self.submissions.add(self.parameters[16] as usize).cast::<u32>().add(slot as usize).write(slot);
        }
        at(self.submissions, 11).store(number + 1, Ordering::Release);
        const GET_EVENTS: u32 = 1;
        let (ring, no_mask) = (self.ring.as_raw_fd(), std::ptr::null::<u8>());
        // SAFETY: no mask is NULL.
        let submitted = unsafe { libc::syscall(libc::SYS_io_uring_enter, ring, 1, 1, GET_EVENTS, no_mask, 0) };
        assert_eq!(submitted, 1, "{}", io::Error::last_os_error());
        assert_eq!(at(self.completions, 21).load(Ordering::Acquire), number + 1);
        // SAFETY: a completion of 16 bytes in the ring of eight.
        let done = unsafe {
            let completions = self.completions.add(self.parameters[25] as usize).cast::<u64>();
            completions.add(2 * (number % 8) as usize).read_volatile()
        };
        at(self.completions, 20).store(number + 1, Ordering::Release);
        assert_eq!(done, u64::from(number) + 1000);
    }
}

/// The host's record locks on files that the child drops stay: they go only when a process closes a descriptor of its own
/// table.
#[test]
fn record_locks_stay() {
    for part in ["fetched", "received"] {
        alone_as("tables::record_locks_stay", part, || record_locks_stay_if(part == "received"));
    }
}

fn record_locks_stay_if(reserves: bool) {
    if reserves {
        reserve_descriptors(1).expect("low numbers");
    }
    let _others = dense(300);
    let file = tempfile().expect("a file");
    let lock = libc::flock { l_type: libc::F_WRLCK as i16, l_whence: 0, l_start: 0, l_len: 0, l_pid: 0 };
    // SAFETY: reads one structure.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) }, 0);
    for vehicle in vehicles() {
        for lends in [false, true] {
            let mut launch = Launch::new("/bin/true");
            launch.stdout(Stdio::Piped);
            if lends {
                launch.fd(3, file.as_fd());
            }
            launch.vehicle(vehicle.clone()).launch().expect("true").wait().expect("a status");
        }
        let mut launch = Launch::new("/no/such/program");
        launch.vehicle(vehicle.clone()).launch().map(|child| child.id()).expect_err("there is none");
    }
    // Whether it is there, another process can tell. /proc/locks cannot: it moves while it is read.
    let mut found = lock;
    // SAFETY: the child only makes system calls, and ends by one. Its status is read into what is there.
    let status = unsafe {
        let child = libc::fork();
        if child == 0 {
            let asked = libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut found);
            let is_there = asked == 0 && found.l_type == libc::F_WRLCK as i16 && found.l_pid == libc::getppid();
            libc::_exit(i32::from(!is_there));
        }
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status
    };
    assert_eq!(status, 0, "the lock is gone");
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
