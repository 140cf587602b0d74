//! What was launched.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use exec_relay_launcher::Child;

use crate::cancellation::Uncancelled;

/// A program that was launched.
pub struct ExecRelayChild(pub(crate) Child);

/// Frees a child. The process goes on.
///
/// # Safety
///
/// 1. `child` must be NULL or a child that has not been freed, and that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_free(child: *mut ExecRelayChild) {
    let _uncancelled = Uncancelled::new();
    if !child.is_null() {
        // SAFETY: it was made by exec_relay_launch_start, and is freed once (1).
        drop(unsafe { Box::from_raw(child) });
    }
}

/// Frees a child, and leaves its process to the caller.
///
/// # Safety
///
/// 1. `child` must be a child that has not been freed, and that nobody uses any more.
/// 2. `pidfd` must be a pointer to write to, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_into_pid(child: *mut ExecRelayChild, pidfd: *mut i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: it was made by exec_relay_launch_start, and is freed once (1).
    let (id, own) = unsafe { Box::from_raw(child) }.0.into_id_and_pidfd();
    if !pidfd.is_null() {
        // SAFETY: it can be written to (2).
        unsafe { *pidfd = own.into_raw_fd() };
    }
    id as i32
}

/// Its process identifier.
///
/// # Safety
///
/// 1. `child` must be a child that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_pid(child: *const ExecRelayChild) -> i32 {
    // SAFETY: the child is this thread's (1).
    unsafe { &*child }.0.id() as i32
}

/// Its pidfd, which stays the child's.
///
/// # Safety
///
/// 1. `child` must be a child that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_pidfd(child: *const ExecRelayChild) -> i32 {
    // SAFETY: the child is this thread's (1).
    unsafe { &*child }.0.pidfd().as_raw_fd()
}

/// Takes the other end of the pulse.
///
/// # Safety
///
/// 1. `child` must be a child that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_take_pulse(child: *mut ExecRelayChild) -> i32 {
    // SAFETY: the child is this thread's (1).
    unsafe { &mut *child }.0.take_pulse().map_or(-libc::EBADF, IntoRawFd::into_raw_fd)
}

/// Takes the other end of the pipe that the program has as its descriptor `target`.
///
/// # Safety
///
/// 1. `child` must be a child that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_take_pipe(child: *mut ExecRelayChild, target: i32) -> i32 {
    // SAFETY: the child is this thread's (1).
    let child = unsafe { &mut (*child).0 };
    let pipe = match target {
        0 => child.stdin.take().map(OwnedFd::from),
        1 => child.stdout.take().map(OwnedFd::from),
        2 => child.stderr.take().map(OwnedFd::from),
        _ => return -libc::EINVAL,
    };
    pipe.map_or(-libc::EBADF, IntoRawFd::into_raw_fd)
}

/// Waits for the program's end.
///
/// # Safety
///
/// 1. `child` must be a child that has not been freed, and that no other thread uses meanwhile.
/// 2. `status` must be a pointer to write to, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_wait(child: *mut ExecRelayChild, milliseconds: i64, status: *mut i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the child is this thread's (1).
    let child = unsafe { &mut (*child).0 };
    let ended = match u64::try_from(milliseconds) {
        Ok(milliseconds) => child.wait_timeout(Duration::from_millis(milliseconds)),
        Err(_) => child.wait().map(Some),
    };
    match ended {
        Ok(Some(ended)) => {
            if !status.is_null() {
                // SAFETY: it can be written to (2).
                unsafe { *status = ended.into_raw() };
            }
            1
        }
        Ok(None) => 0,
        Err(error) => outcome(Err(error)),
    }
}

/// Sends a signal by the pidfd.
///
/// # Safety
///
/// 1. `child` must be a child that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_signal(child: *const ExecRelayChild, signal: i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the child is this thread's (1).
    outcome(unsafe { &*child }.0.signal(signal))
}

/// 0, or the negative errno.
pub(crate) fn outcome(result: io::Result<()>) -> i32 {
    result.map_or_else(|error| -error.raw_os_error().unwrap_or(libc::EIO), |()| 0)
}
