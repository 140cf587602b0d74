//! All in one call.

use std::ffi::c_char;

use exec_relay_launcher::{Launch, Stdio};

use crate::cancellation::Uncancelled;
use crate::error::errno_of;
use crate::launch::lent;
use crate::strings::{strings, text};

/// One call that does it all.
///
/// # Safety
///
/// 1. `path` must be NULL, or end with a NUL.
/// 2. `argv` and `envp` must be NULL, or vectors of strings that end with a NULL.
/// 3. `fds` must have `fd_count` numbers.
/// 4. No other thread may change or close any of this meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_spawn(
    path: *const c_char,
    argv: *const *mut c_char,
    envp: *const *mut c_char,
    fds: *const i32,
    fd_count: usize,
) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: it ends with a NUL (1), and is copied here.
    let Some(path) = (unsafe { text(path) }) else { return -libc::EINVAL };
    // SAFETY: vectors, or NULL (2), and nobody changes them while this is used (4).
    let [argv, envp] = unsafe { [strings(argv), strings(envp)] };
    let mut launch = Launch::new(path);
    launch.keep_nofile().stdin(Stdio::Closed).stdout(Stdio::Closed).stderr(Stdio::Closed);
    for index in 0..fd_count {
        // SAFETY: there are that many (3).
        let source = unsafe { *fds.add(index) };
        if source == -1 {
            continue;
        }
        // SAFETY: it stays open for as long as this function runs, and what is lent goes no further (4).
        let Some(source) = (unsafe { lent(source) }) else { return -libc::EBADF };
        match index {
            0 => _ = launch.stdin(source),
            1 => _ = launch.stdout(source),
            2 => _ = launch.stderr(source),
            _ => _ = launch.fd(i32::try_from(index).unwrap_or(-1), source),
        }
    }
    match launch.launch_in_place(argv, envp) {
        Ok(child) => child.into_id() as i32,
        Err(error) => -errno_of(&error),
    }
}
