//! What C's pointers to characters mean.

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;

use exec_relay_launcher::Strings;

/// # Safety
///
/// 1. `text` must be NULL, or end with a NUL and stay as it is for as long as what is returned is used.
pub unsafe fn text<'a>(text: *const c_char) -> &'a OsStr {
    // SAFETY: it ends with a NUL and lasts for 'a (1).
    OsStr::from_bytes(if text.is_null() { b"" } else { unsafe { CStr::from_ptr(text) }.to_bytes() })
}

/// Nothing where it is NULL.
///
/// # Safety
///
/// 1. `vector` must be NULL, or a vector of strings that ends with a NULL, and stay as it is for as long as what is
///    returned is used.
pub unsafe fn strings<'a>(vector: *const *const c_char) -> Option<Strings<'a, 'a>> {
    // SAFETY: it ends with a NULL, and it and its strings last for 'a (1).
    (!vector.is_null()).then(|| unsafe { Strings::new(vector) })
}
