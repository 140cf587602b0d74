//! Finding descriptors, whatever the kernel, a sandbox or the lack of /proc stand in the way.
//!
//! Three ways, each taken on any error of the one before: an old kernel says ENOSYS or EINVAL, a sandbox EPERM, EACCES
//! or whatever else its author chose. The first is close_range(2), a call for each gap between kept descriptors.

use linux_raw_sys::errno::{EBADF, ENODEV, ERANGE};
use linux_raw_sys::general::{O_DIRECTORY, PROC_SUPER_MAGIC, rlimit64};

use crate::errno::Errno;
use crate::fd_plan::FdPlan;
use crate::status::{Failure, Step};
use crate::sys::{self, Descriptor, DescriptorTable};
use crate::value::decimal;

/// How many descriptor numbers are tried one by one at the most: the kernel's own default ceiling, fs.nr_open.
const MOST_TRIED: Descriptor = 1_048_576;

/// The size of a descriptor table up to which only its own numbers are tried.
const SMALL_TABLE: Descriptor = 512;

/// What is done to descriptors that a plan does not keep.
#[derive(Clone, Copy)]
pub enum Act {
    /// They close at exec.
    MarkCloseOnExec,
    /// They close now.
    Close,
}

impl Act {
    fn on_range(self, first: u32, last: u32, table: &mut DescriptorTable) -> Result<(), Errno> {
        match self {
            Self::MarkCloseOnExec => table.mark_range_close_on_exec(first, last),
            Self::Close => table.close_range(first, last),
        }
    }

    /// EBADF where it is not open.
    fn on_one(self, descriptor: Descriptor, table: &mut DescriptorTable) -> Result<(), Errno> {
        match self {
            Self::MarkCloseOnExec => table.mark_close_on_exec(descriptor),
            Self::Close => table.close(descriptor),
        }
    }
}

/// Acts on every descriptor that `plan` does not keep.
#[inline(never)]
pub fn all_but(plan: &FdPlan, act: Act, table: &mut DescriptorTable) -> Result<(), Failure> {
    plan.try_for_each_gap(|first, last| act.on_range(first, last, table))
        .or_else(|_| sweep_listed(plan, act, table))
        .or_else(|_| sweep_numbers(plan, act, table))
        .map_err(|errno| Failure::new(Step::Descriptors, errno, 0))
}

/// The second way: those that /proc/self/fd lists. Out of line, so that the first way has no buffer on its stack.
#[inline(never)]
fn sweep_listed(plan: &FdPlan, act: Act, table: &mut DescriptorTable) -> Result<(), Errno> {
    try_for_each_listed(|descriptor| if plan.keeps(descriptor) { Ok(()) } else { act.on_one(descriptor, table) })
}

/// Visits the descriptors that /proc/self/fd lists until `visit` fails.
///
/// ENODEV, in the end, where it is not to be believed: only a procfs is (CVE-2019-16884), and only one that lists the
/// directory's own descriptor, which is not visited and closed again.
pub fn try_for_each_listed(mut visit: impl FnMut(Descriptor) -> Result<(), Errno>) -> Result<(), Errno> {
    let directory = sys::open(c"/proc/self/fd", O_DIRECTORY)?;
    let mut lists_itself = false;
    let listed = sys::try_for_each_entry(&directory, |name| match decimal(name) {
        Some(descriptor) if descriptor == directory.descriptor() => {
            lists_itself = true;
            Ok(())
        }
        Some(descriptor) => visit(descriptor),
        // "." and "..".
        None => Ok(()),
    });
    let believed = lists_itself && sys::lies_on(&directory, PROC_SUPER_MAGIC);
    listed.and(if believed { Ok(()) } else { Err(Errno::new(ENODEV)) })
}

/// The third way: every number that a descriptor can have.
///
/// One by one, since the calls that take many at once do not see all: to ppoll(2) a descriptor opened with O_PATH is not
/// open at all, and one such on a host's directory is a way out of a container (CVE-2024-21626).
fn sweep_numbers(plan: &FdPlan, act: Act, table: &mut DescriptorTable) -> Result<(), Errno> {
    for descriptor in (0..end_of_numbers()?).filter(|&descriptor| !plan.keeps(descriptor)) {
        match act.on_one(descriptor, table) {
            Err(errno) if !errno.is(EBADF) => return Err(errno),
            _ => {}
        }
    }
    Ok(())
}

/// A number that no open descriptor reaches.
///
/// The limits cannot tell it: both may have been lowered below descriptors that were open by then. Where the table is
/// not a small one, every number up to the usual ceiling is tried, and more than that is refused: neither a loop over
/// a billion numbers nor a slate that may be dirty.
pub fn end_of_numbers() -> Result<Descriptor, Errno> {
    if has_small_table() {
        return Ok(SMALL_TABLE);
    }
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    sys::descriptor_limit(&mut limit)?;
    if limit.rlim_max > MOST_TRIED as u64 {
        return Err(Errno::new(ERANGE));
    }
    Ok(MOST_TRIED)
}

/// Whether this process's descriptor table ends before [`SMALL_TABLE`].
///
/// select(2) passes over a bit beyond the end of the table. Before it, a closed descriptor is EBADF, and the bit of an
/// open one stays only where it is counted.
fn has_small_table() -> bool {
    const WORDS: usize = SMALL_TABLE as usize / usize::BITS as usize;
    const HIGHEST: usize = 1 << (usize::BITS - 1);
    let mut bits = [0; WORDS];
    bits[WORDS - 1] = HIGHEST;
    sys::readable_now(&mut bits) == Ok(0) && bits[WORDS - 1] == HIGHEST
}
