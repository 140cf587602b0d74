//! A session of the program's own.

use crate::status::{Failure, Step};
use crate::sys;

/// Begins a session, unless this process leads one already.
pub fn begin(asked_for: bool) -> Result<(), Failure> {
    if !asked_for || sys::session() == sys::process() {
        return Ok(());
    }
    sys::new_session().map_err(|errno| Failure::new(Step::Session, errno, 0))
}
