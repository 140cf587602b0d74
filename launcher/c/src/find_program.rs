//! Programs by their names.

use std::ffi::c_char;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cancellation::Uncancelled;
use crate::child::outcome;
use crate::strings::text;

/// What execvp(3) takes where PATH is not set, by POSIX's confstr and both C libraries of Linux.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The absolute path of the program that execvp(3) would execute for `name`.
///
/// # Safety
///
/// 1. `name`, `path` and `directory` must be NULL, or end with a NUL.
/// 2. `buffer` must have `size` bytes to write to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_find_program(
    name: *const c_char,
    path: *const c_char,
    directory: *const c_char,
    buffer: *mut c_char,
    size: usize,
) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: they end with a NUL (1), and are used here alone.
    let [name, path, directory] = unsafe { [text(name), text(path), text(directory)] };
    let Some(name) = name else { return -libc::EINVAL };
    let path = path.unwrap_or(DEFAULT_PATH.as_ref());
    // What is relative is below this process's directory.
    let directory = directory.map_or(Path::new(""), Path::new);
    let found = match exec_relay_launcher::find_program(name, path, directory) {
        Ok(found) => found,
        Err(error) => return outcome(Err(error)),
    };
    let found = found.as_os_str().as_bytes();
    let Some(length) = i32::try_from(found.len()).ok().filter(|_| found.len() < size) else { return -libc::ERANGE };
    // SAFETY: there is room for that and a NUL (2), which was compared; a path of Rust's does not lie in the buffer.
    unsafe {
        found.as_ptr().copy_to_nonoverlapping(buffer.cast(), found.len());
        *buffer.add(found.len()) = 0;
    }
    length
}
