//! Telling the launcher how far the relay got.

use linux_raw_sys::errno::{EAGAIN, EINTR, EIO};
use linux_raw_sys::general::POLLOUT;

use crate::errno::Errno;
use crate::status::{Failure, Record, Report, Step, attendant_record};
use crate::sys::{self, Descriptor};

/// Proves to the attendant that its pipe works. It reads the descriptor's number first on standard output, which says
/// that this is the right descriptor, then on the descriptor itself.
pub fn handshake(report: Report) -> Result<(), Failure> {
    let Report::Attendant(status) = report else { return Ok(()) };
    tell(1, &status.to_ne_bytes())?;
    tell(status, &status.to_ne_bytes())
}

/// Tells the launcher that the program is about to be started.
pub fn ready(report: Report) -> Result<(), Failure> {
    let Report::Records(status) = report else { return Ok(()) };
    tell(status, Record::READY.encode().as_flattened())
}

/// Writes the record of `failure`. Whether there is a place for records and it took this one.
pub fn record(report: Report, failure: Failure) -> bool {
    match report {
        Report::Returned | Report::Message(_) => false,
        // A handshake that failed is not told: the launcher does not know yet what it reads.
        Report::Attendant(status) => {
            failure.step() != Step::Write && write_whole(status, attendant_record(failure).as_flattened()).is_ok()
        }
        // Where records cannot be written there is no use in one more.
        Report::Records(status) if failure.step() == Step::Write && failure.detail == status as u32 => false,
        Report::Records(status) => write_whole(status, Record::of(failure).encode().as_flattened()).is_ok(),
    }
}

/// Writes all of `bytes` to `descriptor`; the step is [`Step::Write`] where that fails.
pub fn tell(descriptor: Descriptor, bytes: &[u8]) -> Result<(), Failure> {
    write_whole(descriptor, bytes).map_err(|errno| Failure::new(Step::Write, errno, descriptor as u32))
}

/// How many writes in vain are tried again. The kernel says EAGAIN to a reader that is slow and EINTR to a signal, but a
/// sandbox can say so for ever.
const MOST_TRIES: u32 = 10_000;

/// Writes all of `bytes`, however many calls that takes and whether or not the descriptor blocks.
///
/// A pipe or socket whose reader has gone ends the process by SIGPIPE or is EPIPE here; it never waits for ever.
pub fn write_whole(descriptor: Descriptor, mut bytes: &[u8]) -> Result<(), Errno> {
    let mut tries = 0;
    while !bytes.is_empty() {
        match sys::write(descriptor, bytes) {
            Ok(written @ 1..) => bytes = bytes.get(written..).unwrap_or_default(),
            Ok(0) => return Err(Errno::new(EIO)),
            Err(errno) if tries < MOST_TRIES && (errno.is(EAGAIN) || errno.is(EINTR)) => {
                tries += 1;
                match sys::wait_for(descriptor, POLLOUT) {
                    Err(errno) if !errno.is(EINTR) => return Err(errno),
                    _ => {}
                }
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
