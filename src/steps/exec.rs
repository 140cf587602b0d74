//! Becoming the program.

use linux_raw_sys::errno::{ENOENT, ETXTBSY};
use linux_raw_sys::general::{SIGTSTP, SIGTTIN, SIGTTOU};

use crate::signal::SignalSet;
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

/// Replaces this process's program by `program`, which starts with `ignored`. Returns only where that failed.
pub fn exec(program: Path, ignored: SignalSet, arguments: Strings, environment: Strings) -> Failure {
    let Path { path, argument } = program;
    let mut milliseconds = 0;
    let errno = loop {
        let errno = sys::execve(path, arguments, environment);
        milliseconds += 1;
        if !errno.is(ETXTBSY) || milliseconds > LONGEST_PAUSE_MS {
            break errno;
        }
        if let Err(failure) = pause(milliseconds, ignored) {
            return failure;
        }
    };
    // The kernel says ENOENT too where the program is there, but not the interpreter that it names.
    let there = errno.is(ENOENT) && sys::exists(path);
    Failure::new(if there { Step::Interpreter } else { Step::Exec }, errno, argument)
}

/// Pauses, and is not stopped by a terminal meanwhile: a launcher that waits for this process to become the program would
/// wait for as long as it is stopped.
fn pause(milliseconds: u32, ignored: SignalSet) -> Result<(), Failure> {
    let set = |signal, is_ignored| {
        sys::set_disposition(signal, is_ignored).map_err(|errno| Failure::new(Step::Dispositions, errno, signal))
    };
    let stopping = [SIGTSTP, SIGTTIN, SIGTTOU];
    stopping.into_iter().try_for_each(|signal| set(signal, true))?;
    sys::pause(milliseconds);
    stopping.into_iter().try_for_each(|signal| set(signal, ignored.has(signal)))
}
