//! Ends what takes longer than any launch may.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

/// Many times what a launch needs. relay itself waits 300 ms at the most.
const BOUND: Duration = Duration::from_secs(20);

/// How often it is looked.
const INTERVAL: Duration = Duration::from_millis(200);

/// A process that is watched until this goes.
pub struct Watched {
    process: OwnedFd,
    deadline: Instant,
    is_late: AtomicBool,
}

impl Watched {
    /// Whether it was ended.
    pub fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }
}

/// What watches.
pub struct Watchdog(Arc<Mutex<Vec<Weak<Watched>>>>);

impl Watchdog {
    pub fn new() -> Self {
        let watched = Arc::new(Mutex::new(Vec::<Weak<Watched>>::new()));
        let weak = Arc::downgrade(&watched);
        thread::spawn(move || {
            while let Some(all) = weak.upgrade() {
                let mut all = all.lock().expect("no panic");
                all.retain(|watched| watched.strong_count() > 0);
                for watched in all.iter().filter_map(Weak::upgrade).filter(|one| Instant::now() > one.deadline) {
                    watched.is_late.store(true, Ordering::Relaxed);
                    // By its pidfd: the number may be another process's by now.
                    // SAFETY: no information is NULL.
                    unsafe {
                        libc::syscall(libc::SYS_pidfd_send_signal, watched.process.as_raw_fd(), libc::SIGKILL, 0, 0)
                    };
                }
                drop(all);
                thread::sleep(INTERVAL);
            }
        });
        Self(watched)
    }

    /// Watches a child that nobody has waited for yet.
    pub fn watch(&self, pid: u32) -> Arc<Watched> {
        // SAFETY: touches no memory, and the descriptor is nobody else's.
        let process = unsafe {
            let descriptor = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            assert!(descriptor >= 0, "{}", std::io::Error::last_os_error());
            OwnedFd::from_raw_fd(descriptor as i32)
        };
        let watched = Arc::new(Watched { process, deadline: Instant::now() + BOUND, is_late: AtomicBool::new(false) });
        self.0.lock().expect("no panic").push(Arc::downgrade(&watched));
        watched
    }
}
