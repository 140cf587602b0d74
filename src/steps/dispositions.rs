//! Dispositions of signals: what the launcher ignored would stay ignored; see execve(2).

use crate::signal::{self, SignalSet};
use crate::status::{Failure, Step};
use crate::sys;

/// Sets every disposition, 32 and 33 included, which C libraries refuse to touch.
///
/// Without asking first what it was: that would be one call more for each signal.
pub fn reset(ignored: SignalSet, keep_ignored: SignalSet) -> Result<(), Failure> {
    for signal in signal::ALL.filter(|&signal| signal::can_be_changed(signal)) {
        let is_ignored = ignored.has(signal);
        if is_ignored || !keep_ignored.has(signal) {
            let set = sys::set_disposition(signal, is_ignored);
            set.map_err(|errno| Failure::new(Step::Dispositions, errno, signal))?;
        }
    }
    Ok(())
}
