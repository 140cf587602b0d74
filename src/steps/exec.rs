//! Becoming the program.

use linux_raw_sys::errno::{ENOENT, ETXTBSY};

use crate::slate::Path;
use crate::status::{Failure, Step};
use crate::sys;
use crate::text::Strings;

/// The longest pause before a program that is open for writing is tried again. It is tried after 1 ms, after 2 ms more,
/// and so on up to this, 300 ms in all.
///
/// Another thread of the launcher that forks while this program's file is being written holds it open until its own
/// exec (go#22315).
const LONGEST_PAUSE_MS: u32 = 24;

/// Replaces this process's program by `program`. Returns only where that failed.
pub fn exec(program: Path, arguments: Strings, environment: Strings) -> Failure {
    let Path { path, argument } = program;
    let mut errno = sys::execve(path, arguments, environment);
    for milliseconds in 1..LONGEST_PAUSE_MS + 1 {
        if !errno.is(ETXTBSY) {
            break;
        }
        sys::pause(milliseconds);
        errno = sys::execve(path, arguments, environment);
    }
    // The kernel says ENOENT too where the program is there, but not the interpreter that it names.
    let there = errno.is(ENOENT) && sys::exists(path);
    Failure::new(if there { Step::Interpreter } else { Step::Exec }, errno, argument)
}
