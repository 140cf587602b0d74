//! The blocked mask: what the launcher blocked would stay blocked; see execve(2).

use crate::signal::SignalSet;
use crate::status::{Failure, Step};
use crate::sys;

/// Sets it. A signal that is pending and not in it is delivered here, as it would be in the program.
pub fn set(blocked: SignalSet) -> Result<(), Failure> {
    sys::set_blocked(blocked).map_err(|errno| Failure::new(Step::Mask, errno, 0))
}
