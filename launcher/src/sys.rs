//! Calls on processes that no safe crate has whole.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;

/// Sends any signal, those of real time included, which safe crates leave out; see pidfd_send_signal(2). Linux 5.1.
pub fn send_signal(pidfd: BorrowedFd, signal: i32) -> io::Result<()> {
    let no_information = ptr::null::<libc::siginfo_t>();
    // SAFETY: reads no memory, since the information is left out.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_information, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Asks for the exit code, and says that there is one.
const EXIT: u64 = libc::PIDFD_INFO_EXIT as u64;

/// How the child of a pidfd ended that somebody else has reaped. ECHILD where the kernel does not tell.
pub fn status_of_reaped(pidfd: BorrowedFd) -> io::Result<ExitStatus> {
    // SAFETY: zero is a value of all that is in it. The kernel reads and writes one structure, of the size that the
    // request's number holds.
    let (value, info) = unsafe {
        let mut info: libc::pidfd_info = zeroed();
        info.mask = EXIT;
        (libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info), info)
    };
    if value == 0 && info.mask & EXIT != 0 {
        Ok(ExitStatus::from_raw(info.exit_code))
    } else {
        Err(io::Error::from_raw_os_error(libc::ECHILD))
    }
}

/// Whether a process is seen to have memory: a dying one has none. Not seen either where the kernel is built without the
/// call, or where a sandbox or the program's privileges forbid it; see process_vm_readv(2), Linux 3.2.
pub fn has_memory(id: i32) -> bool {
    let mut byte = 0_u8;
    let here = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // Nothing is mapped there: EFAULT says that there is memory to look in, ESRCH that there is none.
    let there = libc::iovec { iov_base: ptr::null_mut(), iov_len: 1 };
    // SAFETY: writes one byte of ours at the most.
    let read = unsafe { libc::process_vm_readv(id, &raw const here, 1, &raw const there, 1, 0) };
    read >= 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}
