//! Signals: what the launcher ignored would stay ignored, what it blocked would stay blocked; see execve(2).

use crate::request::Request;
use crate::signal;
use crate::status::{Failure, Step};
use crate::sys;

/// Sets every disposition, 32 and 33 included, which C libraries refuse to touch.
///
/// Without asking first what it was: that would be one call more for each signal.
pub fn set_dispositions(request: &Request) -> Result<(), Failure> {
    for signal in signal::ALL.filter(|&signal| signal::can_be_changed(signal)) {
        let ignored = request.ignored.has(signal);
        if ignored || !request.keep_ignored.has(signal) {
            let set = sys::set_disposition(signal, ignored);
            set.map_err(|errno| Failure::new(Step::DISPOSITIONS, errno, signal))?;
        }
    }
    Ok(())
}

/// Sets the blocked mask. A signal that is pending and not in it is delivered here, as it would be in the program.
pub fn set_mask(request: &Request) -> Result<(), Failure> {
    sys::set_blocked(request.blocked).map_err(|errno| Failure::new(Step::MASK, errno, 0))
}
