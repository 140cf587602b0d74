//! Whether this process can be dumped and traced: what a child that shares its memory takes away when it changes its user.
//!
//! The kernel keeps this with the memory, and clears it when a process that uses the memory changes its effective user or
//! group; see PR_SET_DUMPABLE(2const). That protects the host, unless fs.suid_dumpable is 1, which is for debugging: as long as
//! it is cleared, the new user can neither trace the child nor write to its memory, which is the host's. So it is set back only
//! when no such child uses the memory any more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{DumpableBehavior, dumpable_behavior, getpid, set_dumpable_behavior};

/// How many children there are that change their user in this memory, and what the memory was before the first of them.
struct Children {
    /// The process whose they are. One that was forked meanwhile has none of them.
    host: i32,
    count: usize,
    was_dumpable: bool,
}

/// Only held for a few calls, not for a launch: a launch that hangs holds up no other one, and a process that is forked
/// meanwhile hardly ever inherits it locked.
static CHILDREN: Mutex<Children> = Mutex::new(Children { host: 0, count: 0, was_dumpable: false });

fn children() -> MutexGuard<'static, Children> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is such a child now.
pub fn has_children() -> bool {
    children().count > 0
}

/// To be held while there may be a child that changes its user in this memory.
pub struct Dumpable;

impl Dumpable {
    pub fn new() -> Self {
        let (mut children, host) = (children(), getpid().as_raw_pid());
        if children.count == 0 || children.host != host {
            *children = Children { host, count: 0, was_dumpable: is_dumpable() };
        }
        children.count += 1;
        Self
    }
}

impl Drop for Dumpable {
    fn drop(&mut self) {
        let mut children = children();
        children.count -= 1;
        if children.count == 0 && children.was_dumpable && !is_dumpable() {
            // The kernel refuses this to nobody.
            let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
        }
    }
}

fn is_dumpable() -> bool {
    dumpable_behavior() == Ok(DumpableBehavior::Dumpable)
}
