//! The current directory, and the mask of the permissions of new files.

use crate::request::Request;
use crate::status::{Failure, Step};
use crate::sys;

/// Changes both. After descriptors were dealt with: no leaked one can be reached from the new directory (CVE-2024-21626).
pub fn change(request: &Request) -> Result<(), Failure> {
    if let Some(directory) = request.directory {
        sys::change_directory(directory)
            .map_err(|errno| Failure::new(Step::DIRECTORY, errno, request.directory_index))?;
    }
    if let Some(mask) = request.umask {
        sys::set_umask(mask);
    }
    Ok(())
}
