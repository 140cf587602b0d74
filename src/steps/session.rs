//! A session of the program's own, and its terminal.

use crate::request::Request;
use crate::status::{Failure, Step};
use crate::sys;

/// Begins a session, unless this process leads one already, and takes the terminal.
pub fn begin(request: &Request) -> Result<(), Failure> {
    if request.session && sys::session() != sys::process() {
        sys::new_session().map_err(|errno| Failure::new(Step::SESSION, errno, 0))?;
    }
    let Some(terminal) = request.terminal else { return Ok(()) };
    sys::set_controlling_terminal(terminal).map_err(|errno| Failure::new(Step::TERMINAL, errno, terminal as u32))
}
