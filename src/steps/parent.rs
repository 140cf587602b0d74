//! Dying with the parent.

use linux_raw_sys::errno::ESRCH;

use crate::errno::Errno;
use crate::status::{Failure, Step};
use crate::sys;
use crate::value::Parent;

/// Asks to be killed when the parent ends.
pub fn die_with(parent: Option<Parent>) -> Result<(), Failure> {
    let Some(parent) = parent else { return Ok(()) };
    let asked = sys::die_with_parent().and_then(|()| match parent {
        // One that ended before we asked will not end again.
        Parent::Process(id) if id != sys::parent()? => Err(Errno::new(ESRCH)),
        _ => Ok(()),
    });
    asked.map_err(|errno| Failure::new(Step::Parent, errno, parent.id()))
}
