//! Finding descriptors, whatever the kernel, a sandbox or the lack of /proc stand in the way.
//!
//! Three ways, each taken on any error of the one before: an old kernel says ENOSYS or EINVAL, a sandbox EPERM, EACCES
//! or whatever else its author chose. The first is close_range(2), a call for each gap between kept descriptors.

use linux_raw_sys::errno::{EBADF, ENODEV, ERANGE};
use linux_raw_sys::general::{O_DIRECTORY, PROC_SUPER_MAGIC};

use crate::errno::Errno;
use crate::fd_plan::FdPlan;
use crate::status::{Failure, Step};
use crate::sys::{self, Descriptor, DescriptorTable, Entries, EntryBuffer, OwnedFile};
use crate::text::Digits;
use crate::value::decimal;

/// How many descriptor numbers are tried one by one at the most.
const MOST_TRIED: usize = 65_536;

/// The first size of a descriptor table that is looked for.
const SMALLEST_TABLE: usize = 256;

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
    let (directory, mut buffer) = (open_own_directory()?, EntryBuffer::new());
    let mut listed = Listed::new(&directory, &mut buffer);
    while let Some(descriptor) = listed.next_descriptor()? {
        if !plan.keeps(descriptor) {
            act.on_one(descriptor, table)?;
        }
    }
    Ok(())
}

/// The descriptors that /proc/self/fd lists.
pub struct Listed<'a> {
    entries: Entries<'a>,
    /// The directory's own.
    own: Descriptor,
    lists_own: bool,
}

impl<'a> Listed<'a> {
    /// Those in what [`open_own_directory`] has opened.
    pub const fn new(directory: &'a OwnedFile, buffer: &'a mut EntryBuffer) -> Self {
        Self { own: directory.descriptor(), entries: Entries::new(directory, buffer), lists_own: false }
    }

    /// The next one, but for the directory's own, which is closed again; nothing at the end. ENODEV there where its own was
    /// not among them.
    #[inline(never)]
    pub fn next_descriptor(&mut self) -> Result<Option<Descriptor>, Errno> {
        while let Some(name) = self.entries.next_name()? {
            match decimal(name) {
                Some(descriptor) if descriptor == self.own => self.lists_own = true,
                Some(descriptor) => return Ok(Some(descriptor)),
                // "." and "..".
                None => {}
            }
        }
        require_believed(self.lists_own).map(|()| None)
    }
}

fn require_believed(believed: bool) -> Result<(), Errno> {
    if believed { Ok(()) } else { Err(Errno::new(ENODEV)) }
}

/// Opens the directory of this process's descriptors, /proc/self/fd. ENODEV where it is not to be believed.
///
/// Only a procfs is (CVE-2019-16884), which is asked before it is listed: another file system could list without end. And
/// only the directory of this process: a link in a false root can lead to that of another one, which can have the same low
/// numbers. So a number that is opened here must appear in it, and disappear when it is closed. The process's own number
/// would be no proof: where the host's procfs is in a container, it is another one there.
///
/// A file system that never answers, as FUSE can, holds this up for as long: opening the directory is a question to it
/// already, and so is what kind it is.
#[inline(never)]
pub fn open_own_directory() -> Result<OwnedFile, Errno> {
    let directory = sys::open(c"/proc/self/fd", O_DIRECTORY)?;
    require_believed(sys::file_system(&directory)?.kind == PROC_SUPER_MAGIC)?;
    let copy = directory.copy()?;
    let mut digits = Digits::default();
    let name = digits.of(copy.descriptor() as u64, false);
    let appears = sys::has_link(&directory, name);
    drop(copy);
    require_believed(appears && !sys::has_link(&directory, name))?;
    Ok(directory)
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
/// The limits cannot tell it: both may have been lowered below descriptors that were open by then. So the end of the
/// descriptor table is looked for, among sizes that double. ERANGE where it is beyond 65,536: neither a loop over a
/// billion numbers nor a slate that may be dirty. An error too where it cannot be found out.
///
/// Out of line, for its bits are 8 KiB of stack. A table as large as that is rare even where there is no other way, and
/// memory for more bits would have to be mapped, which in a launcher's child is the host's.
#[inline(never)]
pub fn end_of_numbers() -> Result<Descriptor, Errno> {
    let mut zeros = [0; MOST_TRIED / WORD];
    let mut size = SMALLEST_TABLE;
    while let Some(bits) = zeros.get_mut(..size / WORD) {
        if !reaches(bits)? {
            return Ok(size as Descriptor);
        }
        size *= 2;
    }
    Err(Errno::new(ERANGE))
}

/// How many descriptors have their bits in one word.
const WORD: usize = usize::BITS as usize;

/// Whether this process's descriptor table has as many places as there are `bits`, which are all 0 before and after.
///
/// select(2) passes over a bit beyond the end of the table. Before it, a closed descriptor is EBADF, and the bit of an
/// open one stays only where it is counted.
fn reaches(bits: &mut [usize]) -> Result<bool, Errno> {
    const HIGHEST: usize = 1 << (WORD - 1);
    if let [.., last] = bits {
        *last = HIGHEST;
    }
    let readable = sys::readable_now(bits);
    let [.., last] = bits else { return Ok(true) };
    let stayed = core::mem::take(last) == HIGHEST;
    match readable {
        Ok(count) => Ok(count != 0 || !stayed),
        Err(errno) if errno.is(EBADF) => Ok(true),
        Err(errno) => Err(errno),
    }
}
