//! Waiting for descriptors.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Waits until `events` hold for one of `descriptors` or it is hung up, or until `deadline`. Which of them it is.
pub fn wait_for<const COUNT: usize>(
    descriptors: &[BorrowedFd; COUNT],
    events: PollFlags,
    deadline: Option<Instant>,
) -> io::Result<[bool; COUNT]> {
    let mut entries = descriptors.map(|descriptor| PollFd::from_borrowed_fd(descriptor, events));
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // One that is too long for the kernel is for ever.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut entries, left.as_ref()) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => return Ok(entries.map(|entry| !entry.revents().is_empty())),
        }
    }
}
