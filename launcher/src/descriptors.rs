//! Descriptors of the library's own: close-on-exec from birth, and never 0, 1 or 2, which a host may have closed and others
//! take for its standard streams.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use exec_relay::fd_plan::FdPlan;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};

/// The same file under a number of 3 or above.
pub fn above_standard(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > 2 { Ok(descriptor) } else { Ok(fcntl_dupfd_cloexec(descriptor, 3)?) }
}

/// The same file under a number that is no program's descriptor by this plan, and none that it is made from.
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

/// /dev/null, to be read or to be written.
pub fn null(write: bool) -> io::Result<OwnedFd> {
    above_standard(File::options().read(!write).write(write).open("/dev/null")?.into())
}
