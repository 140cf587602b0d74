//! Descriptors of the library's own: close-on-exec from birth, and never 0, 1 or 2, which a host may have closed and others
//! take for its standard streams.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use exec_relay::fd_plan::{FdPlan, UNOPENED};
use exec_relay::status::{Failure, Step};
use exec_relay::sweep::{Listed, end_of_numbers, open_own_directory};
use exec_relay::sys::{self, Descriptor, DescriptorTable, EntryBuffer};
use libc::{O_RDONLY, O_WRONLY};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Resource, getrlimit};

use crate::sys::of_errno;

/// No descriptor can get this number or one above it now. One that is open may have such a number: the limit can have been
/// lowered since.
pub fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many numbers are asked about one by one. More are looked for in a list of what is open.
const FEW: u32 = 1024;

/// Those from `first` to `last` that are open.
pub fn open_among(first: RawFd, last: RawFd) -> io::Result<Vec<RawFd>> {
    if last.abs_diff(first) < FEW {
        return open_up_to(first, last);
    }
    let listed = open_own_directory().and_then(|directory| {
        let (mut buffer, mut open) = (EntryBuffer::new(), Vec::new());
        let mut listed = Listed::new(&directory, &mut buffer);
        while let Some(descriptor) = listed.next_descriptor()? {
            open.push(descriptor);
        }
        Ok(open)
    });
    match listed {
        Ok(mut open) => {
            open.retain(|descriptor| (first..=last).contains(descriptor));
            Ok(open)
        }
        // There is no /proc.
        Err(_) => open_up_to(first, last.min(end_of_numbers().map_err(of_errno)?)),
    }
}

fn open_up_to(first: RawFd, last: RawFd) -> io::Result<Vec<RawFd>> {
    let mut open = Vec::new();
    for descriptor in first..=last {
        match sys::is_open(descriptor) {
            Ok(()) => open.push(descriptor),
            Err(errno) if errno.is(libc::EBADF as u32) => {}
            Err(errno) => return Err(of_errno(errno)),
        }
    }
    Ok(open)
}

/// The same file under a number of 3 or above.
pub fn above_standard(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > 2 { Ok(descriptor) } else { Ok(fcntl_dupfd_cloexec(descriptor, 3)?) }
}

/// The same file under a number that is no program's descriptor by this plan.
pub fn beside(plan: &FdPlan, descriptor: OwnedFd) -> io::Result<OwnedFd> {
    let is_free = |number: RawFd| number > 2 && !plan.is_target(number);
    if is_free(descriptor.as_raw_fd()) {
        return Ok(descriptor);
    }
    let mut least = 3;
    loop {
        let copy = fcntl_dupfd_cloexec(&descriptor, least)?;
        if is_free(copy.as_raw_fd()) {
            return Ok(copy);
        }
        least = copy.as_raw_fd() + 1;
    }
}

/// Read end and write end.
pub fn pipe(flags: PipeFlags) -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(flags | PipeFlags::CLOEXEC)?;
    Ok((above_standard(reader)?, above_standard(writer)?))
}

/// What the plan has for /dev/null, to be read and to be written. The child opens it: in its own table numbers are low.
pub const NULL: [Descriptor; 2] = UNOPENED;

/// Opens /dev/null where the plan asks for it. In the child: it only makes system calls.
///
/// # Errors
///
/// [`Step::Rename`] of what stands for it in the plan.
pub fn open_null(plan: &mut FdPlan, table: &mut DescriptorTable) -> Result<(), Failure> {
    for (null, access) in NULL.into_iter().zip([O_RDONLY as u32, O_WRONLY as u32]) {
        if plan.is_source(null) {
            // Never 0, 1 or 2, where it would be taken for what it is to become.
            let opened = sys::open(c"/dev/null", access).and_then(|file| {
                if file.descriptor() > 2 { Ok(file.leave_open()) } else { table.copy_above(file.descriptor(), 3) }
            });
            plan.set_aside(null, opened.map_err(|errno| Failure::new(Step::Rename, errno, null as u32))?);
        }
    }
    Ok(())
}

/// Whether a failure is of [`open_null`].
pub fn is_null(failure: Failure) -> bool {
    failure.step() == Step::Rename && NULL.contains(&(failure.detail as Descriptor))
}
