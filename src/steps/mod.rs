//! One file a step, in the order in which the program takes them.

pub mod descriptors;

pub mod limits;

pub mod session;

pub mod directory;

pub mod privileges;

pub mod timers;

pub mod signals;

pub mod report;

pub mod exec;

use crate::request::Request;
use crate::status::Failure;

/// The steps that make the slate, in order: all but telling that the program is about to be started, and exec.
///
/// The one list of them, for relay and for launchers that take them in a child of their own. A new step is a file beside
/// this one and a line here.
pub fn make_slate(request: &mut Request) -> Result<(), Failure> {
    descriptors::close_at_exec(&request.descriptors)?;
    descriptors::rename(request)?;
    limits::set(request)?;
    session::begin(request)?;
    descriptors::close_before_directory(request)?;
    directory::change(request)?;
    privileges::set(request)?;
    timers::disarm(request)?;
    signals::set_dispositions(request)?;
    signals::set_mask(request)
}
