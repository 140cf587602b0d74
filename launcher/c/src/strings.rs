//! What C's pointers to characters mean.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

/// # Safety
///
/// 1. `text` must be NULL, or end with a NUL and stay as it is for as long as what is returned is used.
pub unsafe fn text<'a>(text: *const c_char) -> &'a OsStr {
    // SAFETY: it ends with a NUL and lasts for 'a (1).
    OsStr::from_bytes(if text.is_null() { b"" } else { unsafe { CStr::from_ptr(text) }.to_bytes() })
}

/// # Safety
///
/// 1. `vector` must be NULL, or a vector of strings that ends with a NULL, and stay as it is for as long as what is
///    returned is used.
pub unsafe fn strings<'a>(vector: *const *const c_char) -> impl Iterator<Item = &'a CStr> {
    let mut next = vector;
    std::iter::from_fn(move || {
        // SAFETY: it ends with a NULL, beyond which this does not go, and lasts for 'a (1).
        unsafe {
            let string = *next.as_ref()?;
            next = next.add(1);
            if string.is_null() { None } else { Some(CStr::from_ptr(string)) }
        }
    })
    .fuse()
}
