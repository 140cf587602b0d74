//! The session keyring.

use crate::status::{Failure, Step};
use crate::sys;

/// Begins one, which belongs to the user that the program has.
pub fn begin(asked_for: bool) -> Result<(), Failure> {
    if !asked_for {
        return Ok(());
    }
    sys::new_session_keyring().map_err(|errno| Failure::new(Step::Keyring, errno, 0))
}
