//! Scheduling policy and priority.

use crate::attribute::{Attribute, AttributeSet};
use crate::scheduling::Scheduling;
use crate::status::{Failure, Step};
use crate::sys;

/// Sets them, without reset-on-fork.
pub fn set(scheduling: Option<Scheduling>, reset: AttributeSet) -> Result<(), Failure> {
    let Some(scheduling) = reset.or(scheduling, Attribute::Scheduling, Scheduling::OTHER) else { return Ok(()) };
    let set = sys::set_scheduling(scheduling.policy(), scheduling.priority());
    set.map_err(|errno| Failure::new(Step::Scheduling, errno, 0))
}
