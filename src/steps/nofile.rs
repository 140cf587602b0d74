//! The limit of descriptors.

use linux_raw_sys::general::RLIMIT_NOFILE;

use crate::limit::Limits;
use crate::status::{Failure, Step};
use crate::sys;

/// Sets RLIMIT_NOFILE. A soft limit above the hard one becomes the hard one.
pub fn set_limit(limits: Option<Limits>) -> Result<(), Failure> {
    let Some(limits) = limits else { return Ok(()) };
    let set = sys::limit(RLIMIT_NOFILE).and_then(|present| {
        let mut limit = limits.applied_to(present);
        limit.rlim_cur = limit.rlim_cur.min(limit.rlim_max);
        sys::set_limit(RLIMIT_NOFILE, &limit)
    });
    set.map_err(|errno| Failure::new(Step::Nofile, errno, 0))
}
