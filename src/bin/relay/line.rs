//! One line of text in the making.

use core::ffi::CStr;

use exec_relay::words;

/// The longest line, but for its end: a path of the greatest length, and the words around it.
const LONGEST: usize = 4096 + 256;

/// One line of text. What does not fit is left out.
pub struct Line(heapless::Vec<u8, { LONGEST + 1 }>);

impl Line {
    /// A line that begins with `text`.
    pub fn new(text: &[u8]) -> Self {
        let mut line = Self(heapless::Vec::new());
        line.add_foreign(text);
        line
    }

    /// Adds a character.
    #[inline(never)]
    pub fn add(&mut self, byte: u8) {
        if self.0.len() < LONGEST {
            let _ = self.0.push(byte);
        }
    }

    /// Adds what somebody else has written. A control character, which could break the line, becomes a question mark.
    #[inline(never)]
    pub fn add_foreign(&mut self, text: &[u8]) {
        for &byte in text {
            self.add(if byte < b' ' { b'?' } else { byte });
        }
    }

    /// Adds a number in decimal.
    #[inline(never)]
    pub fn add_number(&mut self, number: u32) {
        words::each_digit(number, &mut |digit| self.add(digit));
    }

    /// Adds a character that ends what is there as a string of C, and returns that.
    pub fn as_c_string(&mut self) -> &CStr {
        self.add(0);
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    /// The line with its end.
    pub fn end(&mut self) -> &[u8] {
        let _ = self.0.push(b'\n');
        &self.0
    }
}
