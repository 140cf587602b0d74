//! The mask of the permissions of new files.

use crate::sys;
use crate::value::Octal;

/// Sets it, which cannot fail.
pub fn set(mask: Option<Octal<0o777>>) {
    if let Some(mask) = mask {
        sys::set_umask(mask.get());
    }
}
