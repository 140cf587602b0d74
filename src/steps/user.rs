//! User and group.

use linux_raw_sys::errno::ENOSYS;
use linux_raw_sys::prctl::PR_SET_KEEPCAPS;

use crate::capability::CapabilitySet;
use crate::errno::Errno;
use crate::identity::User;
use crate::status::{Failure, Step};
use crate::sys;

/// Becomes the user, with real, effective and saved ids, and looks whether that was done. After the groups, whose change is
/// a privilege.
///
/// Where nothing is said of capabilities, root must be given up for good: the kernel takes all from who leaves it, but not
/// from another user who has some.
pub fn become_user(user: Option<User>, capabilities: Option<CapabilitySet>) -> Result<(), Failure> {
    let Some(User { user, group, .. }) = user else { return Ok(()) };
    // Those that are asked for are given afterwards, out of what is kept.
    if user != 0 && capabilities.is_some_and(|capabilities| capabilities.0 != 0) {
        let kept = sys::set_attribute(PR_SET_KEEPCAPS, 1);
        kept.map_err(|errno| Failure::new(Step::Capabilities, errno, 0))?;
    }
    let is_done = |found: Result<[u32; 3], Errno>, wanted: u32| {
        if found? == [wanted; 3] { Ok(()) } else { Err(Errno::new(ENOSYS)) }
    };
    let changed = sys::set_group_ids(group).and_then(|()| is_done(sys::group_ids(), group));
    changed.map_err(|errno| Failure::new(Step::Group, errno, group))?;
    let changed = sys::set_user_ids(user).and_then(|()| is_done(sys::user_ids(), user));
    changed.map_err(|errno| Failure::new(Step::User, errno, user))?;
    if user != 0 && capabilities.is_none() && sys::set_user_ids(0).is_ok() {
        return Err(Failure::without_errno(Step::RootKept, 0));
    }
    Ok(())
}
