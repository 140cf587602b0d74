//! What a person reads: the help text, and the line that says what failed.

use core::ffi::CStr;

use exec_relay::request::Request;
use exec_relay::status::{Failure, Step};
use exec_relay::steps::report;
use exec_relay::sys::Strings;
use exec_relay::words;

use crate::line::Line;

/// What `--help` prints.
pub const HELP: &[u8] = b"\
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
";

/// What `--version` prints.
pub const VERSION: &[u8] = concat!("relay ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();

/// Writes one line to standard error: which step failed, on what, and why. Where that fails too nobody is left to tell.
pub fn tell(failure: Failure, request: &Request, mut arguments: Strings) {
    let mut line = Line::new(b"relay: ");
    for &byte in words::text_at(Step::MESSAGES, failure.step().number().into()) {
        match byte {
            b'@' => {
                let argument = arguments.nth(failure.detail as usize);
                line.add_foreign(argument.map_or(b"", CStr::to_bytes));
            }
            b'%' => line.add_foreign(request.program.to_bytes()),
            b'~' => line.add_foreign(request.directory.unwrap_or_default().to_bytes()),
            b'#' => line.add_number(failure.detail),
            b'$' => match words::errno_place(failure.errno()) {
                Some(place) => line.add_foreign(words::text_at(words::ERRNOS, place)),
                None => {
                    line.add_foreign(b"errno ");
                    line.add_number(failure.errno());
                }
            },
            _ => line.add(byte),
        }
    }
    let _ = report::tell(2, line.end());
}
