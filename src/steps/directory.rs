//! The current directory.

use crate::slate::Path;
use crate::status::{Failure, Step};
use crate::sys;

/// Changes it. After descriptors were dealt with: no leaked one can be reached from the new directory (CVE-2024-21626).
pub fn change(directory: Option<Path>) -> Result<(), Failure> {
    let Some(Path { path, argument }) = directory else { return Ok(()) };
    sys::change_directory(path).map_err(|errno| Failure::new(Step::Directory, errno, argument))
}
