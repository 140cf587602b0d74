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

/// Replaces this process's program by `program`. Returns only where that failed. `pause` does nothing for some
/// milliseconds.
pub fn exec(program: Path, arguments: Strings, environment: Strings, pause: impl Fn(u32)) -> Failure {
    let Path { path, argument } = program;
    let mut milliseconds = 0;
    let errno = loop {
        let errno = sys::execve(path, arguments, environment);
        milliseconds += 1;
        if !errno.is(ETXTBSY) || milliseconds > LONGEST_PAUSE_MS {
            break errno;
        }
        pause(milliseconds);
    };
    // The kernel says ENOENT too where the program is there, but not the interpreter that it names.
    let there = errno.is(ENOENT) && sys::exists(path);
    Failure::new(if there { Step::Interpreter } else { Step::Exec }, errno, argument)
}
