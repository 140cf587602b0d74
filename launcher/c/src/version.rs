//! Which release this is.

use std::ffi::{CStr, c_char};

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version has no NUL"),
};

/// The version of this library.
#[unsafe(no_mangle)]
pub extern "C" fn exec_relay_version() -> *const c_char {
    VERSION.as_ptr()
}
