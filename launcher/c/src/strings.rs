//! What C's pointers to characters mean.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

/// # Safety
///
/// NULL, or a string that lasts for as long as what is returned is used.
pub unsafe fn text<'a>(text: *const c_char) -> &'a OsStr {
    // SAFETY: the caller's.
    OsStr::from_bytes(if text.is_null() { b"" } else { unsafe { CStr::from_ptr(text) }.to_bytes() })
}

/// # Safety
///
/// NULL, or a vector of strings, ended by a NULL, that lasts for as long as what is returned is used.
pub unsafe fn strings<'a>(vector: *const *const c_char) -> impl Iterator<Item = &'a OsStr> {
    let mut next = vector;
    std::iter::from_fn(move || {
        // SAFETY: the caller's; it goes no further than the NULL.
        unsafe {
            let string = *next.as_ref()?;
            next = next.add(1);
            if string.is_null() { None } else { Some(text(string)) }
        }
    })
    .fuse()
}
