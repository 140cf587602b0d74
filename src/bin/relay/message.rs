//! What a person reads: the help text, and the line that says what failed.

use exec_relay::request::Request;
use exec_relay::status::{Failure, Step};
use exec_relay::steps::report;
use exec_relay::sys::{Strings, Text};
use exec_relay::words;

use crate::line::Line;
use crate::texts;

/// The texts that are neither a step's nor an errno's, in this order, each ended by a NUL.
pub const OTHERS: &str = concat!(
    "relay: \0: \0: errno #\0",
    concat!("relay ", env!("CARGO_PKG_VERSION"), "\n\0"),
    "\
relay [OPTION...] [--] /program [ARG...]
relay STATUS_FD PULSE_FD /program [ARG...]
relay --help | --version | --report

Becomes the program on a clean slate: no descriptors but 0, 1, 2 and those asked
for, default signals, none blocked, no timers. Options, --x VALUE or --x=VALUE:

--fd TO=FROM               TO is what FROM is now; repeatable
--keep 5,7-9               stay open as they are
--close FD                 0, 1 or 2
--pulse FD                 stay open, must be
--listen-fds N             sockets from 3 up; sets LISTEN_FDS, LISTEN_PID
--ignore, --block SIGNALS  TERM,SIGINT,2,RTMIN+1
--keep-ignored SIGNALS     or all: leave ignored
--nofile SOFT[:HARD]       numbers, or hard
--umask OCTAL  --chdir DIR  --setsid  --ctty FD  --argv0 NAME
--die-with-parent[=PID]  --no-new-privs  --oom-score-adj N
--clear-env  --unset NAME  --env NAME=VALUE
--status FD                records instead of messages; give it first

--report prints the slate that relay was started on. Exit status: 125 relay
failed, 126 cannot run, 127 no program or STATUS_FD, 1 see STATUS_FD.
\0"
);

const PREFIX: usize = texts::OTHERS;
const REASON: usize = texts::OTHERS + 1;
const UNKNOWN_REASON: usize = texts::OTHERS + 2;
/// What `--version` prints.
pub const VERSION: usize = texts::OTHERS + 3;
/// What `--help` prints.
pub const HELP: usize = texts::OTHERS + 4;

/// Prints one of the texts on standard output.
pub fn print(place: usize) -> Result<(), Failure> {
    let mut text = Line::new();
    text.add(place, 0, None);
    report::tell(1, text.text())
}

/// Writes one line to standard error: which step failed, on what, and why. Where that fails too nobody is left to tell.
pub fn tell(failure: Failure, request: &Request, mut arguments: Strings) {
    let subject = match failure.step() {
        Step::EXEC | Step::INTERPRETER => Some(Text::from(request.program)),
        Step::DIRECTORY => request.directory.map(Text::from),
        _ => arguments.nth(failure.detail as usize),
    };
    let mut line = Line::new();
    line.add(PREFIX, 0, None);
    line.add(texts::MESSAGES + usize::from(failure.step().number()), failure.detail, subject);
    if failure.errno() != 0 {
        match words::errno_place(failure.errno()) {
            Some(place) => {
                line.add(REASON, 0, None);
                line.add(texts::ERRNOS + place, 0, None);
            }
            None => line.add(UNKNOWN_REASON, failure.errno(), None),
        }
    }
    let _ = report::tell(2, line.end());
}
