//! Calls on processes that no safe crate has whole.

use std::io;
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

/// `struct pidfd_info` of linux/pidfd.h in its first size, 64 bytes. Linux 6.13; the exit code, 6.15.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// Asks for, and says that there is, the exit code.
const INFO_EXIT: u64 = 1 << 3;

/// `PIDFD_GET_INFO`: _IOWR(0xFF, 11, struct pidfd_info).
const GET_INFO: u64 = 3 << 30 | (size_of::<Info>() as u64) << 16 | 0xff << 8 | 11;

/// How the child of a pidfd ended that somebody else has reaped. ECHILD where the kernel does not tell.
pub fn status_of_reaped(pidfd: BorrowedFd) -> io::Result<ExitStatus> {
    let mut info = Info { mask: INFO_EXIT, ..Info::default() };
    // SAFETY: the kernel reads and writes one structure, of the size that the request's number holds.
    let value = unsafe { libc::ioctl(pidfd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    if value == 0 && info.mask & INFO_EXIT != 0 {
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
