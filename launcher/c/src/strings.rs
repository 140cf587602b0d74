//! What C's pointers to characters mean.

use std::ffi::{CStr, OsStr, c_char};
use std::iter;
use std::os::unix::ffi::OsStrExt;

use exec_relay_launcher::Strings;

/// Nothing where it is NULL.
///
/// # Safety
///
/// 1. `text` must be NULL, or end with a NUL and stay as it is for as long as what is returned is used.
pub unsafe fn text<'a>(text: *const c_char) -> Option<&'a OsStr> {
    // SAFETY: it ends with a NUL and lasts for 'a (1).
    (!text.is_null()).then(|| OsStr::from_bytes(unsafe { CStr::from_ptr(text) }.to_bytes()))
}

/// Nothing where it is NULL.
///
/// # Safety
///
/// 1. `vector` must be NULL, or a vector of strings that ends with a NULL, and stay as it is for as long as what is
///    returned is used.
pub unsafe fn strings<'a>(vector: *const *mut c_char) -> Option<Strings<'a, 'a>> {
    // SAFETY: it ends with a NULL, and it and its strings last for 'a (1).
    (!vector.is_null()).then(|| unsafe { Strings::new(vector.cast()) })
}

/// The strings of a vector, one after the other.
pub fn each<'s>(vector: Strings<'s, 's>) -> impl Iterator<Item = &'s CStr> {
    let mut rest = vector;
    iter::from_fn(move || {
        let first;
        (first, rest) = rest.split_first()?;
        Some(first.as_c_str())
    })
}
