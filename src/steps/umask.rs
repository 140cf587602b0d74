//! The mask of the permissions of new files.

use crate::status::{Failure, Step};
use crate::sys;
use crate::value::Octal;

/// Sets it.
pub fn set(mask: Option<Octal<0o777>>) -> Result<(), Failure> {
    let Some(mask) = mask else { return Ok(()) };
    sys::set_umask(mask.get()).map(drop).map_err(|errno| Failure::new(Step::Umask, errno, 0))
}
