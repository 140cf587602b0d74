//! Strings as a program is given them.

use std::ffi::{CStr, CString, c_char};
use std::ptr::null;

use exec_relay::text::Strings;

/// A vector of strings as execve(2) takes it.
pub struct Vector<'s> {
    pointers: Vec<*const c_char>,
    strings: &'s [CString],
}

impl<'s> Vector<'s> {
    pub fn new(strings: &'s [CString]) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([null()]).collect();
        Self { pointers, strings }
    }

    pub fn strings(&self) -> Strings<'_, 's> {
        // SAFETY: the pointers end with a NULL (1), are borrowed with this vector (2), and point to strings that are
        // borrowed for 's (3).
        unsafe { Strings::new(self.pointers.as_ptr()) }
    }

    pub fn get(&self, index: u32) -> Option<&'s CStr> {
        self.strings.get(index as usize).map(CString::as_c_str)
    }
}
