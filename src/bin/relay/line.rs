//! One line of text in the making.

use exec_relay::report;
use exec_relay::status::Failure;
use exec_relay::sys::Descriptor;
use exec_relay::text::{Digits, Text};

use crate::texts::Phrase;

/// PATH_MAX of linux/limits.h.
const LONGEST_PATH: usize = 4096;

/// One line of text.
pub struct Line<'a> {
    /// What `#` stands for in a text.
    number: u32,
    /// What `@` stands for in a text.
    subject: Text<'a>,
    line: heapless::Vec<u8, { LONGEST_PATH + 256 }>,
}

impl<'a> Line<'a> {
    /// An empty line, in which `#` will stand for `number`, and `@` for `subject`.
    #[inline(never)]
    pub fn about(number: u32, subject: Text<'a>) -> Self {
        Self { number, subject, line: heapless::Vec::new() }
    }

    /// Adds one of relay's own texts, with what `#` and `@` stand for.
    #[inline(never)]
    pub fn add(&mut self, text: Text<'static>) {
        for byte in text.bytes() {
            match byte {
                b'#' => self.add_number(self.number.into()),
                b'@' => self.add_foreign(self.subject),
                _ => self.add_byte(byte),
            }
        }
    }

    /// Adds what somebody else has written, as far as a path can be long: what relay itself says always has room. A
    /// control character, which could break the line, becomes a question mark.
    #[inline(never)]
    pub fn add_foreign(&mut self, text: Text) {
        for byte in text.bytes().take(LONGEST_PATH) {
            self.add_byte(if byte.is_ascii_control() { b'?' } else { byte });
        }
    }

    /// Adds a number in decimal.
    #[inline(never)]
    pub fn add_number(&mut self, number: i64) {
        self.add_foreign(Digits::default().of(number.unsigned_abs(), number < 0));
    }

    /// Adds a byte.
    #[inline(never)]
    pub fn add_byte(&mut self, byte: u8) {
        let _ = self.line.push(byte);
    }

    /// The same, and a NUL.
    #[inline(never)]
    pub fn add_string(&mut self, phrase: Phrase) {
        self.add(phrase.text());
        self.add_byte(0);
    }

    /// What `#` stands for from now on.
    pub const fn set_number(&mut self, number: u32) {
        self.number = number;
    }

    /// How long it is.
    pub fn length(&self) -> usize {
        self.line.len()
    }

    /// What begins at `first`.
    pub fn bytes_from(&self, first: usize) -> &[u8] {
        self.line.get(first..).unwrap_or_default()
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.line.clear();
    }

    /// What begins at `first`, up to the next NUL. The line must end with one.
    #[inline(never)]
    pub fn text_from(&self, first: usize) -> Text<'_> {
        Text::within(self.bytes_from(first))
    }

    /// Ends the line and writes it to `descriptor`.
    #[inline(never)]
    pub fn tell(&mut self, descriptor: Descriptor) -> Result<(), Failure> {
        self.add_byte(b'\n');
        report::tell(descriptor, &self.line)
    }
}
