//! What a person reads: the help text, and the line that says what failed.

use core::ffi::CStr;

use exec_relay::status::{Failure, Step};
use exec_relay::steps::report;
use exec_relay::sys::Strings;
use exec_relay::words;

/// What `--help` prints.
pub const HELP: &[u8] = b"\
relay [--] /program [ARG...]
relay STATUS_FD PULSE_FD /program [ARG...]
relay --help | --version

Becomes the program, with no descriptors but 0, 1, 2 and PULSE_FD, default
signals, no timers. Exit status: 125 relay failed, 126 cannot run, 127 no
program or STATUS_FD, 1 see STATUS_FD.
";

/// What `--version` prints.
pub const VERSION: &[u8] = concat!("relay ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();

/// The longest line, but for its end: a path of the greatest length, and the words around it.
const LONGEST_LINE: usize = 4096 + 256;

/// One line of text in the making. What does not fit is left out.
struct Line<'a> {
    text: heapless::Vec<u8, { LONGEST_LINE + 1 }>,
    failure: Failure,
    arguments: Strings<'a>,
}

impl Line<'_> {
    fn add(&mut self, byte: u8) {
        if self.text.len() < LONGEST_LINE {
            let _ = self.text.push(byte);
        }
    }

    fn add_number(&mut self, number: u32) {
        if number >= 10 {
            self.add_number(number / 10);
        }
        self.add(b'0' + (number % 10) as u8);
    }

    /// Adds the argument that failed. A control character, which could break the line, becomes a question mark.
    fn add_argument(&mut self) {
        let argument = self.arguments.nth(self.failure.detail as usize);
        for &byte in argument.map_or(&b""[..], CStr::to_bytes) {
            self.add(if byte < b' ' { b'?' } else { byte });
        }
    }

    /// Adds the one of `texts`, each ended by a NUL, that `place` others stand before.
    fn add_text(&mut self, texts: &str, mut place: usize) {
        for byte in texts.bytes() {
            match byte {
                0 if place == 0 => return,
                0 => place -= 1,
                _ if place > 0 => {}
                b'@' => self.add_argument(),
                b'#' => self.add_number(self.failure.detail),
                b'$' => match words::errno_place(self.failure.errno()) {
                    Some(place) => self.add_text(words::ERRNO_NAMES, place),
                    None => self.add_number(self.failure.errno()),
                },
                _ => self.add(byte),
            }
        }
    }
}

/// Writes one line to standard error: which step failed, on what, and why. Where that fails too nobody is left to tell.
pub fn tell(failure: Failure, arguments: Strings) {
    let mut line = Line { text: heapless::Vec::new(), failure, arguments };
    line.add_text("relay: ", 0);
    line.add_text(Step::MESSAGES, failure.step().number().into());
    let _ = line.text.push(b'\n');
    let _ = report::tell(2, &line.text);
}
