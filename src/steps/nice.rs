//! The nice value.

use crate::attribute::{Attribute, AttributeSet};
use crate::status::{Failure, Step};
use crate::sys;
use crate::value::Number;

/// Sets it.
pub fn set(nice: Option<Number<-20, 19>>, reset: AttributeSet) -> Result<(), Failure> {
    let Some(nice) = reset.or(nice, Attribute::Nice, Number::fixed(0)) else { return Ok(()) };
    sys::set_nice(nice.get()).map_err(|errno| Failure::new(Step::Nice, errno, 0))
}
