//! What a person reads: the help text, and the line that says what failed.

use exec_relay::request::Request;
use exec_relay::status::{Failure, Step};
use exec_relay::sys::{Strings, Text};
use exec_relay::words;

use crate::line::Line;
use crate::texts;

/// The texts that are neither a step's nor an errno's, in this order, each ended by a NUL.
pub const OTHERS: &str = concat!(
    "relay: \0: \0: errno \0relay ",
    env!("CARGO_PKG_VERSION"),
    "\0",
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
failed, 126 cannot run, 127 no program or STATUS_FD, 1 see STATUS_FD.\0\
LISTEN_FDS=#\0LISTEN_PID=#\0"
);

const PREFIX: usize = texts::OTHERS;
const REASON: usize = texts::OTHERS + 1;
const UNKNOWN_REASON: usize = texts::OTHERS + 2;
/// What `--version` prints.
pub const VERSION: usize = texts::OTHERS + 3;
/// What `--help` prints.
pub const HELP: usize = texts::OTHERS + 4;
/// The variables that sd_listen_fds(3) reads.
pub const LISTEN_FDS: usize = texts::OTHERS + 5;
pub const LISTEN_PID: usize = texts::OTHERS + 6;

/// Writes one line to standard error: which step failed, on what, and why. Where that fails too nobody is left to tell.
#[inline(never)]
pub fn tell(failure: Failure, request: &Request, mut arguments: Strings) {
    let subject = match failure.step() {
        Step::EXEC | Step::INTERPRETER => Some(Text::from(request.program)),
        Step::DIRECTORY => request.directory.map(Text::from),
        _ => arguments.nth(failure.detail as usize),
    };
    let mut line = Line::about(failure.detail, subject.unwrap_or_default());
    line.add(PREFIX);
    line.add(texts::MESSAGES + usize::from(failure.step().number()));
    if failure.errno() != 0 {
        match words::errno_place(failure.errno()) {
            Some(place) => {
                line.add(REASON);
                line.add(texts::ERRNOS + place);
            }
            None => {
                line.add(UNKNOWN_REASON);
                line.add_number(failure.errno());
            }
        }
    }
    let _ = line.tell(2);
}
