//! What a person reads: the help text, the version, and the line that says what failed.

use exec_relay::errno;
use exec_relay::options::Name;
use exec_relay::report;
use exec_relay::status::Failure;
use exec_relay::sys::Descriptor;
use exec_relay::text::Text;

use crate::line::Line;
use crate::reason;
use crate::texts::{Phrase, VERSION};

/// Prints the help text to standard output.
#[inline(never)]
pub fn print_help() -> Result<(), Failure> {
    let mut line = Line::about(0, Text::default());
    line.add(Phrase::Help.text());
    Name::all().for_each(|option| add_option(&mut line, option, false));
    line.tell(1)
}

/// Prints the version to standard output.
pub fn print_version() -> Result<(), Failure> {
    report::tell(1, VERSION.as_bytes())
}

/// Writes one line to `stderr`: which step failed, on what, and why. Where that fails too nobody is left to tell.
///
/// Where the program could not be started, `subject` says why more closely, as far as it `is_path`.
#[inline(never)]
pub fn tell(stderr: Descriptor, failure: Failure, subject: Text, mistaken: Option<Name>, is_path: bool) {
    let mut line = Line::about(failure.detail, subject);
    line.add(Phrase::Prefix.text());
    if let Some(option) = mistaken {
        line.add(Phrase::Use.text());
        add_option(&mut line, option, true);
    } else {
        line.add(failure.step().text());
        if failure.errno() != 0 {
            match errno::words(failure.errno()) {
                Some(words) => {
                    line.add(Phrase::Reason.text());
                    line.add(words);
                }
                None => {
                    line.add(Phrase::UnknownReason.text());
                    line.add_number(failure.errno().into());
                }
            }
        }
        if is_path {
            reason::add(&mut line, failure, subject.as_c_str());
        }
    }
    let _ = line.tell(stderr);
}

/// Adds an option and how it is used, and where that `is_all` not, what it does too.
#[inline(never)]
fn add_option(line: &mut Line, option: Name, is_all: bool) {
    line.add(Phrase::Option.text());
    line.add_foreign(option.text());
    for byte in option.usage().bytes() {
        match byte {
            b';' | b'\n' if is_all => return,
            b';' => line.add(Phrase::Gap.text()),
            _ => line.add_byte(byte),
        }
    }
}
