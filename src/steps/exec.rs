//! Becoming the program.

use crate::request::Request;
use crate::status::{Failure, Step};
use crate::sys::{self, Strings};

/// Replaces the relay by the program. Returns only where that failed.
pub fn exec(request: &Request, environment: Strings) -> Failure {
    Failure::new(Step::EXEC, sys::execve(request.arguments, environment), request.index)
}
