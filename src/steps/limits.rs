//! The limit of descriptors.

use crate::request::{HARD_LIMIT, Request};
use crate::status::{Failure, Step};
use crate::sys;

/// Sets RLIMIT_NOFILE. A soft limit above the hard one becomes the hard one.
pub fn set(request: &Request) -> Result<(), Failure> {
    let Some(soft) = request.soft_limit else { return Ok(()) };
    let set = sys::descriptor_limit().and_then(|mut limit| {
        if let Some(hard) = request.hard_limit
            && hard != HARD_LIMIT
        {
            limit.rlim_max = hard.into();
        }
        // HARD_LIMIT is above any hard limit.
        limit.rlim_cur = u64::from(soft).min(limit.rlim_max);
        sys::set_descriptor_limit(&limit)
    });
    set.map_err(|errno| Failure::new(Step::NOFILE, errno, 0))
}
