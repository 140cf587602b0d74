//! The I/O class.

use linux_raw_sys::errno::ENOSYS;

use crate::attribute::{Attribute, AttributeSet};
use crate::scheduling::IoClass;
use crate::status::{Failure, Step};
use crate::sys;

/// Sets it. A kernel that has no classes has none set.
pub fn set(class: Option<IoClass>, reset: AttributeSet) -> Result<(), Failure> {
    let Some(class) = reset.or(class, Attribute::IoClass, IoClass::NONE) else { return Ok(()) };
    match sys::set_io_priority(class.number()) {
        Err(errno) if class != IoClass::NONE || !errno.is(ENOSYS) => Err(Failure::new(Step::IoClass, errno, 0)),
        _ => Ok(()),
    }
}
