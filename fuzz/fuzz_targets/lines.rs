//! Inputs as text, so that a corpus can be read and written by hand: a string a line.

use std::ffi::CString;

/// The lines of an input, each up to its first NUL.
pub fn lines(input: &[u8]) -> Vec<CString> {
    let string = |line: &[u8]| CString::new(line.split(|&byte| byte == 0).next().unwrap_or_default());
    input.split(|&byte| byte == b'\n').map(|line| string(line).expect("no NUL")).collect()
}
