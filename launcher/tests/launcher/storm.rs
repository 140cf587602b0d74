//! 16 threads launch while others fork, spawn, and open descriptors that are not close-on-exec.

#![allow(unsafe_code)]

use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use exec_relay_launcher::{Launch, Stdio, Step};

use crate::support::{alone, children, open_descriptors, vehicles};

#[test]
fn storm() {
    alone("storm::storm", || {
        // The file in memory is there from now on.
        let vehicles = vehicles();
        for vehicle in &vehicles {
            Launch::new("/bin/true").vehicle(vehicle.clone()).launch().expect("true").wait().expect("a status");
        }
        let before = open_descriptors();
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| until(&over, fork));
            threads.spawn(|| until(&over, || assert!(Command::new("/bin/true").status().expect("true").success())));
            threads.spawn(|| until(&over, leak));
            let launchers: Vec<_> = (0..16)
                .map(|thread| {
                    let vehicles = &vehicles;
                    threads.spawn(move || {
                        (0..200).for_each(|count| launch(vehicles[(thread + count) % 3].clone(), count % 5 == 0))
                    })
                })
                .collect();
            let outcomes: Vec<_> = launchers.into_iter().map(|launcher| launcher.join()).collect();
            over.store(true, Ordering::Relaxed);
            outcomes.into_iter().for_each(|outcome| outcome.expect("all its launches"));
        });
        assert_eq!(open_descriptors(), before);
        assert_eq!(children(), [""; 0]);
    });
}

fn until(over: &AtomicBool, act: impl Fn()) {
    while !over.load(Ordering::Relaxed) {
        act();
    }
}

/// One launch, of a program that is missing or of one that lists its descriptors: 0 to 2, and what it lists them by.
fn launch(vehicle: exec_relay_launcher::Vehicle, missing: bool) {
    let mut launch = Launch::new(if missing { "/no/such/program" } else { "/bin/sh" });
    launch.args(["-c", "cd /proc/self/fd; echo *"]).stdin(Stdio::Null).stdout(Stdio::Piped).vehicle(vehicle.clone());
    match launch.launch() {
        Ok(mut child) if !missing => {
            let mut listed = String::new();
            child.stdout.take().expect("piped").read_to_string(&mut listed).expect("the list");
            assert!(child.wait().expect("a status").success());
            assert_eq!(listed, "0 1 2 3\n", "{vehicle:?}");
        }
        Err(error) if missing => {
            assert_eq!((error.step(), error.errno()), (Some(Step::Exec), Some(libc::ENOENT)), "{error:?}");
        }
        other => panic!("{vehicle:?}, missing: {missing}: {other:?}"),
    }
}

/// A process that holds all that is open right now, for a millisecond.
fn fork() {
    // SAFETY: the child makes two system calls and ends; the parent waits for it.
    unsafe {
        match libc::fork() {
            0 => {
                let time = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
                libc::nanosleep(&time, std::ptr::null_mut());
                libc::_exit(0);
            }
            child => assert_eq!(libc::waitpid(child, std::ptr::null_mut(), 0), child),
        }
    }
}

/// Descriptors that every child inherits which does not clean.
fn leak() {
    // SAFETY: opens two descriptors and closes them.
    unsafe {
        let mut pair = [0; 2];
        assert_eq!(libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr()), 0);
        thread::yield_now();
        for descriptor in pair {
            libc::close(descriptor);
        }
    }
}
