//! A session of the program's own.

use crate::status::{Failure, Step};
use crate::sys;

/// Begins a session, unless this process leads one already. Where a sandbox does not let us know, we try.
pub fn begin(asked_for: bool) -> Result<(), Failure> {
    if !asked_for || sys::session().is_ok_and(|session| session != 0 && sys::process() == Ok(session)) {
        return Ok(());
    }
    sys::new_session().map_err(|errno| Failure::new(Step::Session, errno, 0))
}
