//! The limit of descriptors.

use linux_raw_sys::general::rlimit64;

use crate::request::{HARD_LIMIT, Request};
use crate::status::{Failure, Step};
use crate::sys;

/// Sets RLIMIT_NOFILE. A soft limit above the hard one becomes the hard one.
pub fn set(request: &Request) -> Result<(), Failure> {
    let Some(soft) = request.soft_limit else { return Ok(()) };
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let set = sys::descriptor_limit(&mut limit).and_then(|()| {
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
