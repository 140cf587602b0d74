//! Cancellation of threads, pthread_cancel(3): it would unwind through Rust, and leave processes that nobody knows.

use std::ffi::c_int;
use std::ptr;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// PTHREAD_CANCEL_DISABLE of pthread.h, the same in glibc and musl.
const DISABLE: c_int = 1;

/// As long as this lives the thread is not cancelled. A request stays pending.
pub struct Uncancelled {
    before: c_int,
}

impl Uncancelled {
    pub fn new() -> Self {
        let mut before = 0;
        // SAFETY: writes one int.
        unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
        Self { before }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: no place for the state before is NULL, which POSIX leaves open and both C libraries of Linux allow.
        unsafe { pthread_setcancelstate(self.before, ptr::null_mut()) };
    }
}
