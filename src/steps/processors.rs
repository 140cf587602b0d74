//! Processors.

use crate::attribute::{Attribute, AttributeSet};
use crate::scheduling::{NO_PROCESSORS, Processors};
use crate::status::{Failure, Step};
use crate::sys;

/// Sets them. The kernel leaves out what the cpuset does not allow.
pub fn set(processors: Option<Processors>, reset: AttributeSet) -> Result<(), Failure> {
    let Some(processors) = reset.or(processors, Attribute::Processors, Processors::All) else { return Ok(()) };
    set_mask(processors)
}

/// Out of line, so that only who asks for it has the mask on the stack.
#[inline(never)]
fn set_mask(processors: Processors) -> Result<(), Failure> {
    let mut mask = NO_PROCESSORS;
    processors.add_to(&mut mask);
    sys::set_processors(&mask).map_err(|errno| Failure::new(Step::Processors, errno, 0))
}
