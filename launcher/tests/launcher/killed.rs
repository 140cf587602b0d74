//! Kill -9 at each stage. The child is stopped there by seccomp's user notification (seccomp_unotify(2)): the system call
//! that it is about to make waits for an answer, and instead of one it gets the signal.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use exec_relay_launcher::{Child, Error, Launch, Vehicle};

use crate::hosts::where_refused;
use crate::support::{alone, children, relay, set_disposition, vehicles};

/// Installs a filter for this thread and its children that asks about each `call`, and returns where it asks.
pub fn ask_about(call: i64) -> OwnedFd {
    let statement = |code, value| libc::sock_filter { code, jt: 0, jf: 0, k: value };
    let mut filter = [
        // The number of the call is the first word of struct seccomp_data.
        statement((libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, 0),
        libc::sock_filter { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jt: 0, jf: 1, k: call as u32 },
        statement((libc::BPF_RET | libc::BPF_K) as u16, libc::SECCOMP_RET_USER_NOTIF),
        statement((libc::BPF_RET | libc::BPF_K) as u16, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: reads one program, and opens a descriptor that is nobody else's.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
        let listener = libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program);
        assert!(listener >= 0, "{}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(listener as RawFd)
    }
}

/// Answers: `host` may go on, and so may the child; at its call with this number, counted from 1, `act` is told its
/// process, and says whether it may. Returns when nobody is left who could ask.
pub fn answer(listener: &OwnedFd, host: u32, mut nth: u32, mut act: impl FnMut(i32) -> bool) {
    loop {
        let mut entry = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry.
        assert_eq!(unsafe { libc::poll(&mut entry, 1, -1) }, 1);
        if entry.revents & libc::POLLIN == 0 {
            return;
        }
        // SAFETY: zero is a value of all three, the requests read and write one structure, and kill touches no memory.
        unsafe {
            let mut asked: libc::seccomp_notif = std::mem::zeroed();
            if libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut asked) != 0 {
                // It was gone already.
                continue;
            }
            if asked.pid != host {
                nth = nth.saturating_sub(1);
                if nth == 0 {
                    nth = u32::MAX;
                    if !act(asked.pid as i32) {
                        continue;
                    }
                }
            }
            let mut answer: libc::seccomp_notif_resp = std::mem::zeroed();
            answer.id = asked.id;
            answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
            libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut answer);
        }
    }
}

/// Launches a program whose process is killed at its `nth` system call of this number.
fn launch_killed_at(call: i64, nth: u32, vehicle: Vehicle) -> Result<Child, Error> {
    launch_stopped_at(call, nth, vehicle, Duration::from_secs(30), |process| {
        // SAFETY: touches no memory; the process is stopped, so it is still the one that asked.
        assert_eq!(unsafe { libc::kill(process, libc::SIGKILL) }, 0);
        false
    })
}

/// Launches a program that is told to `act` about when its process makes its `nth` system call of this number.
fn launch_stopped_at(
    call: i64,
    nth: u32,
    vehicle: Vehicle,
    timeout: Duration,
    act: impl FnMut(i32) -> bool,
) -> Result<Child, Error> {
    thread::scope(|threads| {
        let (send, receive) = std::sync::mpsc::channel();
        let thread = threads.spawn(move || {
            let mut launch = Launch::new("/bin/true");
            // In place no time can be kept.
            launch.timeout(Some(timeout).filter(|_| vehicle != Vehicle::InPlace)).vehicle(vehicle);
            let listener = ask_about(call);
            // SAFETY: touches no memory.
            send.send((listener, unsafe { libc::gettid() } as u32)).expect("a receiver");
            let mut outcome = launch.launch();
            if let Ok(child) = &mut outcome {
                // Before Linux 6.11 a process may still ask, as it were, until it is reaped.
                let _ = child.wait();
            }
            outcome
        });
        let (listener, host) = receive.recv().expect("a filter");
        answer(&listener, host, nth, act);
        thread.join().expect("a thread")
    })
}

#[test]
fn killed_at_each_stage() {
    let in_place = [
        (libc::SYS_close_range, 1),
        (libc::SYS_prlimit64, 1),
        (libc::SYS_rt_sigaction, 1),
        (libc::SYS_rt_sigaction, 62),
        (libc::SYS_rt_sigprocmask, 1),
        // After READY.
        (libc::SYS_execve, 1),
    ];
    // By relay's hand after the first exec, which is by the file in memory where relay is embedded.
    let relayed = |first_exec, last_exec| {
        [
            (first_exec, 1),
            (libc::SYS_close_range, 1),
            (libc::SYS_setitimer, 1),
            (libc::SYS_write, 1),
            // After READY.
            (libc::SYS_execve, last_exec),
        ]
    };
    let stages = in_place.map(|stage| (stage, Vehicle::InPlace)).into_iter();
    let stages = stages.chain(relayed(libc::SYS_execveat, 1).map(|stage| (stage, Vehicle::Relay)));
    let at_path = relayed(libc::SYS_execve, 2).map(|stage| (stage, Vehicle::RelayAt(relay())));
    for ((call, nth), vehicle) in stages.chain(at_path) {
        let outcome = launch_killed_at(call, nth, vehicle.clone());
        let Err(Error::Killed { status: Some(status), .. }) = &outcome else {
            panic!("{vehicle:?}, call {call}, {nth}: {outcome:?}");
        };
        assert_eq!(status.signal(), Some(libc::SIGKILL));
        let sentence = "cannot start /bin/true: its process was gone before the program began (signal: 9 (SIGKILL))";
        assert_eq!(outcome.expect_err("it was").to_string(), sentence);
    }
}

/// A program that kills itself at once has begun, and nobody says otherwise.
#[test]
fn killed_after_its_beginning() {
    for vehicle in vehicles() {
        for _ in 0..30 {
            let mut launch = Launch::new("/bin/sh");
            let mut child = launch.args(["-c", "kill -9 $$"]).vehicle(vehicle.clone()).launch().expect("it began");
            assert_eq!(child.wait().expect("a status").signal(), Some(libc::SIGKILL));
        }
    }
}

/// The same where the host may not look at its child's memory: then its name tells.
#[test]
fn killed_where_a_sandbox_hides_its_memory() {
    where_refused(&[(libc::SYS_process_vm_readv, None)], || {
        let outcome = launch_killed_at(libc::SYS_execve, 2, Vehicle::RelayAt(relay()));
        let is_proven = matches!(outcome, Err(Error::Killed { status: Some(_), may_have_begun: false, .. }));
        assert!(is_proven, "{outcome:?}");
        let mut launch = Launch::new("/bin/sh");
        launch.args(["-c", "kill -9 $$"]).vehicle(Vehicle::RelayAt(relay()));
        let status = launch.launch().expect("it began").wait().expect("a status");
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    });
}

/// Where dead children vanish at once, a child that never became the program does not: it is no ordinary child yet.
#[test]
fn killed_where_sigchld_is_ignored() {
    alone("killed::killed_where_sigchld_is_ignored", || {
        let relay = relay();
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        for call in [libc::SYS_close_range, libc::SYS_execve] {
            let outcome = launch_killed_at(call, 1, Vehicle::InPlace);
            let Err(Error::Killed { status: Some(status), .. }) = &outcome else { panic!("{outcome:?}") };
            assert_eq!(status.signal(), Some(libc::SIGKILL));
        }
        for nth in [1, 2] {
            let outcome = launch_killed_at(libc::SYS_execve, nth, Vehicle::RelayAt(relay.clone()));
            // Since Linux 6.15 its status is known even so.
            assert!(matches!(outcome, Err(Error::Killed { .. })), "{outcome:?}");
        }
        assert_eq!(children(), [""; 0]);
    });
}

/// While the host is in clone, another of its threads forks, without exec: that process holds the status pipe, and
/// everything else. InPlace has nothing that could be held.
#[test]
fn a_sibling_holds_everything() {
    alone("killed::a_sibling_holds_everything", || {
        let relay = relay();
        let launch_with_sibling = |vehicle| {
            let mut sibling = 0;
            let outcome = launch_stopped_at(libc::SYS_execve, 1, vehicle, Duration::from_millis(500), |_| {
                // SAFETY: the child makes one system call, again and again.
                unsafe {
                    sibling = libc::fork();
                    if sibling == 0 {
                        loop {
                            libc::pause();
                        }
                    }
                }
                true
            });
            // SAFETY: a child of this process that has not been waited for; no status is NULL.
            unsafe {
                assert_eq!(libc::kill(sibling, libc::SIGKILL), 0);
                assert_eq!(libc::waitpid(sibling, std::ptr::null_mut(), 0), sibling);
            }
            outcome
        };
        let outcome = launch_with_sibling(Vehicle::RelayAt(relay));
        assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
        let mut child = launch_with_sibling(Vehicle::InPlace).expect("true");
        assert!(child.wait().expect("a status").success());
        drop(child);
        assert_eq!(children(), [""; 0]);
    });
}
