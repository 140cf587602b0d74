//! Becoming the program.

use linux_raw_sys::errno::{ENOENT, ETXTBSY};

use crate::slate::Path;
use crate::status::{Failure, Step};
use crate::sys::{self, Descriptor};
use crate::text::Strings;

/// The longest pause before a program that is open for writing is tried again. It is tried after 1 ms, after 2 ms more,
/// and so on up to this, 300 ms in all.
///
/// Another thread of the launcher that forks while this program's file is being written holds it open until its own
/// exec (go#22315).
const LONGEST_PAUSE_MS: u32 = 24;

/// Replaces this process's program by `program`, or by the one that `file` is open on. Returns only where that failed.
/// `pause` does nothing for some milliseconds.
pub fn exec(
    program: Path,
    file: Option<Descriptor>,
    arguments: Strings,
    environment: Strings,
    pause: impl Fn(u32),
) -> Failure {
    let Path { path, argument } = program;
    let mut milliseconds = 0;
    let errno = loop {
        let errno = match file {
            None => sys::execve(path, arguments, environment),
            Some(file) => sys::execve_file(file, arguments, environment),
        };
        milliseconds += 1;
        if !errno.is(ETXTBSY) || milliseconds > LONGEST_PAUSE_MS {
            break errno;
        }
        pause(milliseconds);
    };
    // The kernel says ENOENT too where the program is there, but not the interpreter that it names.
    let there = errno.is(ENOENT) && (file.is_some() || sys::exists(path));
    Failure::new(if there { Step::Interpreter } else { Step::Exec }, errno, argument)
}
