//! New privileges, which execve would grant for a set-user-ID file or one with capabilities.

use crate::status::{Failure, Step};
use crate::sys;

/// Gives them up, for the program and for all that it starts.
pub fn give_up(asked_for: bool) -> Result<(), Failure> {
    if !asked_for {
        return Ok(());
    }
    sys::no_new_privileges().map_err(|errno| Failure::new(Step::NewPrivileges, errno, 0))
}
