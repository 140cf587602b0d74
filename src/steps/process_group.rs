//! The process group.

use crate::status::{Failure, Step};
use crate::sys;
use crate::value::ProcessGroup;

/// Joins it; 0 is one of the program's own. That is nothing to do where the process leads one, as the leader of a session
/// does, which may not be asked for it.
pub fn join(group: Option<ProcessGroup>) -> Result<(), Failure> {
    let Some(group) = group.map(ProcessGroup::id) else { return Ok(()) };
    if group == 0 && sys::process_group().is_ok_and(|led| led != 0 && sys::process() == Ok(led)) {
        return Ok(());
    }
    sys::set_process_group(group).map_err(|errno| Failure::new(Step::ProcessGroup, errno, group))
}
