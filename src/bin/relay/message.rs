//! What a person reads: the help text, the version, and the line that says what failed.

use exec_relay::errno;
use exec_relay::options::Other;
use exec_relay::report;
use exec_relay::settings::Settings;
use exec_relay::status::Failure;
use exec_relay::sys::Descriptor;
use exec_relay::text::Text;

use crate::line::Line;
use crate::texts::{HELP_BEGIN, HELP_END, Phrase, VERSION};

/// Prints the help text to standard output.
pub fn print_help() -> Result<(), Failure> {
    print(HELP_BEGIN)?;
    print(Other::HELP)?;
    print(Settings::HELP)?;
    print(HELP_END)
}

/// Prints the version to standard output.
pub fn print_version() -> Result<(), Failure> {
    print(VERSION)
}

fn print(text: &'static str) -> Result<(), Failure> {
    report::tell(1, text.as_bytes())
}

/// Writes one line to `stderr`: which step failed, on what, and why. Where that fails too nobody is left to tell.
#[inline(never)]
pub fn tell(stderr: Descriptor, failure: Failure, subject: Text) {
    let mut line = Line::about(failure.detail, subject);
    line.add(Phrase::Prefix.text());
    line.add(failure.step().text());
    if failure.errno() != 0 {
        match errno::words(failure.errno()) {
            Some(words) => {
                line.add(Phrase::Reason.text());
                line.add(words);
            }
            None => {
                line.add(Phrase::UnknownReason.text());
                line.add_number(failure.errno());
            }
        }
    }
    let _ = line.tell(stderr);
}
