//! Resource limits.

use crate::limit::LimitSet;
use crate::status::{Failure, Step};
use crate::sys;

/// Sets them.
pub fn set(limits: &LimitSet) -> Result<(), Failure> {
    for (resource, limits) in limits.iter() {
        let set = sys::limit(resource).and_then(|present| sys::set_limit(resource, &limits.applied_to(present)));
        set.map_err(|errno| Failure::new(Step::Limit, errno, resource))?;
    }
    Ok(())
}
