//! Becoming the program.

use linux_raw_sys::errno::{ENOENT, ETXTBSY};

use crate::request::Request;
use crate::status::{Failure, Step};
use crate::sys::{self, Strings};

/// How often a program that is open for writing is tried again: after 1 ms, after 2 ms more, ..., 300 ms in all.
///
/// Another thread of the launcher that forks while this program's file is being written holds it open until its own
/// exec (go#22315).
const BUSY_TRIES: u32 = 24;

/// Replaces the relay by the program. Returns only where that failed.
pub fn exec(request: &Request, arguments: Strings, environment: Strings) -> Failure {
    let program = request.program;
    let mut milliseconds = 0;
    let errno = loop {
        let errno = sys::execve(program, arguments, environment);
        if milliseconds == BUSY_TRIES || !errno.is(ETXTBSY) {
            break errno;
        }
        milliseconds += 1;
        sys::pause(milliseconds);
    };
    // The kernel says ENOENT too where the program is there, but not the interpreter that it names.
    let there = errno.is(ENOENT) && sys::exists(program);
    Failure::new(if there { Step::INTERPRETER } else { Step::EXEC }, errno, request.arguments.index)
}
