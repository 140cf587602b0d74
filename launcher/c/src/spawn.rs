//! All in one call.

use std::ffi::c_char;

use exec_relay_launcher::{Error, Launch, Stdio};

use crate::cancellation::Uncancelled;
use crate::launch::lent;
use crate::strings::{strings, text};

/// One call that does it all: launches the program at `path` with these vectors, each ended by a NULL; its descriptor `i`
/// is what `fds[i]` is here, or closed where that is -1, and it has no others. Limits are this process's.
///
/// `argv` and `envp` are handed to the kernel as they are, and only the kernel reads them. NULL for `argv` is `path` alone.
/// NULL for `envp` is this process's own environment: where another thread calls setenv(3) meanwhile, this process does not
/// crash, but the launch may fail (EFAULT, E2BIG) or variables be wrong.
///
/// Returns the number of the process, which the caller reaps by waitpid(2), or the negative errno; EINVAL for a request
/// that cannot be expressed, ECHILD where the process was gone before the program began, or nobody can tell whether it had.
///
/// # Safety
///
/// 1. `path` must end with a NUL.
/// 2. `argv` and `envp` must be NULL, or vectors of strings that end with a NULL.
/// 3. `fds` must have `fd_count` numbers.
/// 4. No other thread may change or close any of this meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_spawn(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    fds: *const i32,
    fd_count: usize,
) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: vectors, or NULL (2), and nobody changes them while this is used (4).
    let [argv, envp] = unsafe { [strings(argv), strings(envp)] };
    // SAFETY: it ends with a NUL, and is copied here (1).
    let mut launch = Launch::new(unsafe { text(path) });
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
        Err(Error::Request { .. }) => -libc::EINVAL,
        Err(error) => -error.errno().unwrap_or(libc::ECHILD),
    }
}
