//! Descriptors: every one that the plan does not keep closes at the moment the program starts.
//!
//! They are marked close-on-exec rather than closed, so that the end of file on the status pipe proves that the program
//! runs. Three ways, each taken on any error of the one before: an old kernel says ENOSYS or EINVAL, a sandbox EPERM,
//! EACCES or whatever else its author chose. The first is close_range(2), a call for each gap between kept descriptors.

use linux_raw_sys::errno::{EBADF, EMFILE, ENODEV, ERANGE};
use linux_raw_sys::general::{O_DIRECTORY, PROC_SUPER_MAGIC, rlimit64};

use crate::fd_plan::{FdPlan, Move};
use crate::options::decimal;
use crate::request::Request;
use crate::status::{Failure, Report, Step};
use crate::sys::{self, Descriptor, Errno};

/// How many descriptor numbers are tried one by one at the most: the kernel's own default ceiling, fs.nr_open.
const MOST_TRIED: Descriptor = 1_048_576;

/// The size of a descriptor table up to which only its own numbers are tried.
const SMALL_TABLE: Descriptor = 512;

/// Marks every descriptor close-on-exec that `plan` does not keep.
pub fn close_at_exec(plan: &FdPlan) -> Result<(), Failure> {
    sweep(plan, Act::MarkCloseOnExec)
}

/// Where the directory is to be changed, closes now what would be closed at exec, but for the status descriptor.
///
/// /proc/self/fd has a way to each directory that is open, and one that leaked from a host would be a way out of a
/// container (CVE-2024-21626). To be called when descriptors have their numbers.
pub fn close_before_directory(request: &mut Request) -> Result<(), Failure> {
    if request.directory.is_none() {
        return Ok(());
    }
    if let Report::Records(status) = request.report {
        // It stays marked.
        request.descriptors.keep_status(status);
    }
    sweep(&request.descriptors, Act::Close)
}

/// Has `kept` descriptors stay open at exec even where they are marked close-on-exec. One that is closed stays closed.
///
/// Only a launcher that takes the steps in a child of its own needs it: relay's own exec has closed what was marked.
pub fn keep_at_exec(kept: &[Descriptor]) -> Result<(), Failure> {
    kept.iter().try_for_each(|&descriptor| match sys::unmark_close_on_exec(descriptor) {
        Err(errno) if !errno.is(EBADF) => Err(Failure::new(Step::DESCRIPTORS, errno, 0)),
        _ => Ok(()),
    })
}

/// What is done to descriptors that a plan does not keep.
#[derive(Clone, Copy)]
enum Act {
    MarkCloseOnExec,
    Close,
}

impl Act {
    fn on_range(self, first: u32, last: u32) -> Result<(), Errno> {
        match self {
            Self::MarkCloseOnExec => sys::mark_range_close_on_exec(first, last),
            Self::Close => sys::close_range(first, last),
        }
    }

    /// EBADF where it is not open.
    fn on_one(self, descriptor: Descriptor) -> Result<(), Errno> {
        match self {
            Self::MarkCloseOnExec => sys::mark_close_on_exec(descriptor),
            Self::Close => sys::close(descriptor),
        }
    }
}

/// Acts on every descriptor that `plan` does not keep.
#[inline(never)]
fn sweep(plan: &FdPlan, act: Act) -> Result<(), Failure> {
    plan.try_for_each_gap(|first, last| act.on_range(first, last))
        .or_else(|_| sweep_listed(plan, act))
        .or_else(|_| sweep_numbers(plan, act))
        .map_err(|errno| Failure::new(Step::DESCRIPTORS, errno, 0))
}

/// Gives every descriptor its number in the program. A status descriptor that is in the way gets another number.
pub fn rename(request: &mut Request) -> Result<(), Failure> {
    let plan = &mut request.descriptors;
    if let Report::Records(status) = &mut request.report
        && plan.is_target(*status)
    {
        *status = set_aside(plan, *status).map_err(|errno| Failure::new(Step::RENAME, errno, *status as u32))?;
    }
    while let Some(next) = plan.next_move() {
        let (concerned, moved) = match next {
            Move::Copy { target, source } => (target, copy_to(source, target).map(|()| plan.copied(target))),
            Move::SetAside(source) => (source, set_aside(plan, source).map(|aside| plan.set_aside(source, aside))),
        };
        moved.map_err(|errno| Failure::new(Step::RENAME, errno, concerned as u32))?;
    }
    Ok(())
}

/// Makes `target` a copy of `source`, which is open: where the kernel says EBADF, it means that the target is above the
/// limit (dup(2)), which is EMFILE elsewhere.
fn copy_to(source: Descriptor, target: Descriptor) -> Result<(), Errno> {
    sys::copy_to(source, target).map_err(|errno| if errno.is(EBADF) { Errno::new(EMFILE) } else { errno })
}

/// Copies `descriptor` to a number that is not asked for.
fn set_aside(plan: &FdPlan, descriptor: Descriptor) -> Result<Descriptor, Errno> {
    let mut least = 3;
    loop {
        let aside = sys::copy_above(descriptor, least)?;
        if !plan.is_target(aside) {
            return Ok(aside);
        }
        sys::close(aside)?;
        least = aside + 1;
    }
}

/// The second way: those that /proc/self/fd lists. Out of line, so that the first way has no buffer on its stack.
#[inline(never)]
fn sweep_listed(plan: &FdPlan, act: Act) -> Result<(), Errno> {
    try_for_each_listed(|descriptor| if plan.keeps(descriptor) { Ok(()) } else { act.on_one(descriptor) })
}

/// Visits the descriptors that /proc/self/fd lists until `visit` fails.
///
/// ENODEV, in the end, where it is not to be believed: only a procfs is (CVE-2019-16884), and only one that lists the
/// directory's own descriptor, which is not visited and closed again.
pub fn try_for_each_listed(mut visit: impl FnMut(Descriptor) -> Result<(), Errno>) -> Result<(), Errno> {
    let directory = sys::open(c"/proc/self/fd", O_DIRECTORY)?;
    let mut lists_itself = false;
    let listed = sys::try_for_each_entry(directory, |name| match decimal(name) {
        Some(descriptor) if descriptor == directory => {
            lists_itself = true;
            Ok(())
        }
        Some(descriptor) => visit(descriptor),
        // "." and "..".
        None => Ok(()),
    });
    let believed = lists_itself && sys::lies_on(directory, PROC_SUPER_MAGIC);
    let _ = sys::close(directory);
    listed.and(if believed { Ok(()) } else { Err(Errno::new(ENODEV)) })
}

/// The third way: every number that a descriptor can have.
///
/// One by one, since the calls that take many at once do not see all: to ppoll(2) a descriptor opened with O_PATH is not
/// open at all, and one such on a host's directory is a way out of a container (CVE-2024-21626).
fn sweep_numbers(plan: &FdPlan, act: Act) -> Result<(), Errno> {
    for descriptor in (0..end_of_numbers()?).filter(|&descriptor| !plan.keeps(descriptor)) {
        match act.on_one(descriptor) {
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
