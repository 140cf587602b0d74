//! The session's controlling terminal.

use crate::status::{Failure, Step};
use crate::sys::{self, Descriptor};
use crate::value::Number;

/// Takes the terminal that is open on this descriptor.
pub fn take(terminal: Option<Number<0, { Descriptor::MAX }>>) -> Result<(), Failure> {
    let Some(terminal) = terminal else { return Ok(()) };
    let taken = sys::set_controlling_terminal(terminal.get());
    taken.map_err(|errno| Failure::new(Step::Terminal, errno, terminal.get() as u32))
}
