//! The supplementary groups.

use linux_raw_sys::errno::ENOSYS;

use crate::errno::Errno;
use crate::identity::{MOST_GROUPS, User};
use crate::status::{Failure, Step};
use crate::sys;

/// Replaces them by those of the user. It is no failure where that is not allowed, as in a user namespace, and they are
/// the right ones already.
pub fn replace(user: Option<User>) -> Result<(), Failure> {
    let Some(user) = user else { return Ok(()) };
    replace_by(user).map_err(|errno| Failure::new(Step::Groups, errno, 0))
}

/// Out of line, so that only who asks for it has the groups on the stack.
#[inline(never)]
fn replace_by(user: User) -> Result<(), Errno> {
    let mut wanted = heapless::Vec::<u32, MOST_GROUPS>::new();
    // There is room: the user was read.
    user.groups().for_each(|group| _ = wanted.push(group));
    let set = sys::set_groups(&wanted);
    let mut buffer = sys::GroupBuffer::new();
    let found = sys::groups(&mut buffer);
    let has_all = |groups: &[u32], others: &[u32]| others.iter().all(|group| groups.contains(group));
    let is_right = found.is_ok_and(|found| has_all(found, &wanted) && has_all(&wanted, found));
    // A sandbox can say that it was done.
    if is_right { Ok(()) } else { set.and(found.map(drop)).and(Err(Errno::new(ENOSYS))) }
}
