//! One line of text in the making.

use exec_relay::sys::Text;
use exec_relay::words;
use heapless::VecView;

use crate::texts;

/// The longest line, but for its end: a path of the greatest length, and the words around it.
const LONGEST: usize = 4096 + 256;

/// One line of text. What does not fit is left out.
pub struct Line(heapless::Vec<u8, { LONGEST + 1 }>);

impl Line {
    /// An empty line.
    pub fn new() -> Self {
        Self(heapless::Vec::new())
    }

    /// Adds the text at `place` in [`texts`], with `number` for each `#` and `subject` for each `@` in it.
    pub fn add(&mut self, place: usize, number: u32, subject: Option<Text>) {
        self.add_packed(texts::at(place), number, subject);
    }

    fn add_packed(&mut self, packed: &[u8], number: u32, subject: Option<Text>) {
        for &byte in packed {
            match byte {
                b'#' => add_number(&mut self.0, number),
                b'@' => self.add_foreign(subject.into_iter().flatten()),
                _ => match texts::pair(byte) {
                    Some(pair) => self.add_packed(pair, number, subject),
                    None => self.add_byte(byte),
                },
            }
        }
    }

    /// Adds what somebody else has written. A control character, which could break the line, becomes a question mark.
    pub fn add_foreign(&mut self, text: impl Iterator<Item = u8>) {
        for byte in text {
            self.add_byte(if byte < b' ' { b'?' } else { byte });
        }
    }

    /// Adds a byte.
    pub fn add_byte(&mut self, byte: u8) {
        let _ = self.0.push(byte);
    }

    /// Adds a number in decimal.
    pub fn add_number(&mut self, number: u32) {
        add_number(&mut self.0, number);
    }

    /// What is there.
    pub fn text(&self) -> &[u8] {
        &self.0
    }

    /// The line with its end.
    pub fn end(&mut self) -> &[u8] {
        self.0.truncate(LONGEST);
        self.add_byte(b'\n');
        &self.0
    }
}

/// `name` and a number in decimal: a string of C, as [`Text::within`] takes it.
#[inline(never)]
pub fn numbered(name: &[u8], number: u32) -> heapless::Vec<u8, 32> {
    let mut text = heapless::Vec::new();
    for &byte in name {
        let _ = text.push(byte);
    }
    add_number(&mut text, number);
    let _ = text.push(0);
    text
}

#[inline(never)]
fn add_number(text: &mut VecView<u8>, number: u32) {
    words::each_digit(number, &mut |digit| _ = text.push(digit));
}
