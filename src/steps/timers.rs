//! Interval timers: they survive execve(2), and the program would be killed by an alarm that it never set.

use linux_raw_sys::general::{ITIMER_PROF, ITIMER_REAL};

use crate::status::{Failure, Step};
use crate::sys;

/// Disarms all three, which are numbered one after the other. POSIX timers need nothing: execve(2) deletes them.
pub fn disarm(asked_for: bool) -> Result<(), Failure> {
    if !asked_for {
        return Ok(());
    }
    for timer in ITIMER_REAL..ITIMER_PROF + 1 {
        sys::disarm_timer(timer).map_err(|errno| Failure::new(Step::Timers, errno, 0))?;
    }
    Ok(())
}
