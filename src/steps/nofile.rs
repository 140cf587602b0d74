//! The limit of descriptors.

use linux_raw_sys::general::rlimit64;

use crate::status::{Failure, Step};
use crate::sys;
use crate::value::{Limit, Limits};

/// Sets RLIMIT_NOFILE. A soft limit above the hard one becomes the hard one.
pub fn set_limit(limits: Option<Limits>) -> Result<(), Failure> {
    let Some(Limits { soft, hard }) = limits else { return Ok(()) };
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let set = sys::descriptor_limit(&mut limit).and_then(|()| {
        if let Limit::Number(hard) = hard {
            limit.rlim_max = hard.into();
        }
        limit.rlim_cur = match soft {
            Limit::Number(soft) => limit.rlim_max.min(soft.into()),
            Limit::Hard => limit.rlim_max,
        };
        sys::set_descriptor_limit(&limit)
    });
    set.map_err(|errno| Failure::new(Step::Nofile, errno, 0))
}
