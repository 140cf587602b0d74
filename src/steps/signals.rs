//! Signals: what the launcher ignored would stay ignored, what it blocked would stay blocked; see execve(2).

use crate::signal;
use crate::status::{Failure, Step};
use crate::sys;

/// Sets every disposition to the default, 32 and 33 included, which C libraries refuse to touch.
///
/// Without asking first what it was: that would be one call more for each signal.
pub fn reset_dispositions() -> Result<(), Failure> {
    for signal in signal::ALL.filter(|&signal| signal::can_be_changed(signal)) {
        sys::reset_disposition(signal).map_err(|errno| Failure::new(Step::DISPOSITIONS, errno, signal))?;
    }
    Ok(())
}

/// Empties the blocked mask. A signal that is pending is delivered here, as it would be in the program.
pub fn unblock() -> Result<(), Failure> {
    sys::set_blocked(0).map_err(|errno| Failure::new(Step::MASK, errno, 0))
}
