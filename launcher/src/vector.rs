//! Vectors of strings as execve(2) takes them.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr;

use exec_relay::text::{Strings, Text, each_digit};

/// A vector of strings that are borrowed for `'s`.
pub struct Vector<'s> {
    /// Always ended by a NULL.
    pointers: Vec<*const c_char>,
    strings: PhantomData<&'s CStr>,
}

impl<'s> Vector<'s> {
    /// A vector of these, in this order.
    pub fn new(strings: impl IntoIterator<Item = Text<'s>>) -> Self {
        let pointers = strings.into_iter().map(Text::as_ptr).chain([ptr::null()]).collect();
        Self { pointers, strings: PhantomData }
    }

    pub fn strings(&self) -> Strings<'_, 's> {
        // SAFETY: a vector that ends with a NULL (1) and is borrowed (2), of strings that are borrowed (3).
        unsafe { Strings::new(self.pointers.as_ptr()) }
    }
}

/// The variable LISTEN_PID, which is written when there is a process whose number it names.
#[derive(Default)]
pub struct ListenPid([Cell<u8>; Self::SIZE]);

impl ListenPid {
    const NAME: &[u8] = b"LISTEN_PID=";
    /// The name, the ten digits that a number has at the most, and a NUL, which is never written over.
    const SIZE: usize = Self::NAME.len() + 10 + 1;

    /// The string, empty at first.
    pub fn text(&self) -> Text<'_> {
        // SAFETY: it ends with a NUL (1) and is borrowed (2). Its bytes change while it is borrowed, but only in `set`, which
        // nobody calls while another reads.
        unsafe { Text::new(self.0.as_ptr().cast()) }
    }

    /// Allocates nothing, so that the child can call it.
    pub fn set(&self, process: u32) {
        let mut cells = self.0.iter().take(Self::SIZE - 1);
        let mut add = |byte| _ = cells.next().map(|cell| cell.set(byte));
        Self::NAME.iter().for_each(|&byte| add(byte));
        each_digit(process, &mut add);
    }
}
