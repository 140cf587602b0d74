//! What no safe crate has whole: calls on processes, sockets that a host may close, and the host's own environment.

use std::ffi::c_char;
use std::io;
use std::mem::{offset_of, zeroed};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use exec_relay::errno::Errno;
use exec_relay::sys::MOST_RECEIVED;
use exec_relay::text::Strings;
use rustix::event::PollFlags;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::descriptors::above_standard;
use crate::wait::wait_for;

/// Sends any signal, those of real time included, which safe crates leave out; see pidfd_send_signal(2). Linux 5.1.
pub fn send_signal(pidfd: BorrowedFd, signal: i32) -> io::Result<()> {
    let no_information = ptr::null::<libc::siginfo_t>();
    // SAFETY: reads no memory, since the information is left out.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_information, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// What a call of relay's library has failed with.
pub fn of_errno(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.number() as i32)
}

/// A copy of whatever has this number here, close-on-exec and above the standard ones. EBADF where nothing has.
pub fn copy_of(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: touches no memory, and the copy is nobody else's.
    match unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the same.
        copy => Ok(unsafe { OwnedFd::from_raw_fd(copy) }),
    }
}

/// This process's standard stream with this number, 0, 1 or 2.
pub fn standard_stream<const NUMBER: RawFd>() -> BorrowedFd<'static> {
    const { assert!(0 <= NUMBER && NUMBER <= 2) };
    // SAFETY: as the standard library has it (`AsFd` of its streams), these stay open as long as the process. A launch finds
    // out where one is closed all the same, and says so.
    unsafe { BorrowedFd::borrow_raw(NUMBER) }
}

/// A socket of this library's own, which the host may close at any time, and open another file under its number: so it is
/// known by its cookie, which the kernel gives to no other socket.
pub struct Socket {
    number: RawFd,
    cookie: u64,
}

impl Socket {
    /// Two that are connected. What the first one sends, the second one receives. Close-on-exec and above the standard ones;
    /// the second one has the lowest number that is free, the first one another, from `above` up where there is one.
    pub fn pair(above: RawFd) -> io::Result<(Self, Self)> {
        let mut pair = [-1; 2];
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
        // SAFETY: writes two numbers, of descriptors that are nobody else's.
        let (sender, receiver) = unsafe {
            if libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) == -1 {
                return Err(io::Error::last_os_error());
            }
            (OwnedFd::from_raw_fd(pair[0]), OwnedFd::from_raw_fd(pair[1]))
        };
        let sender = match fcntl_dupfd_cloexec(&sender, above) {
            Ok(high) if sender.as_raw_fd() < above => {
                drop(sender);
                high
            }
            // It is there, or the limit lies below that.
            _ => above_standard(sender)?,
        };
        // The number that the sender had, where that was a lower one.
        let receiver = fcntl_dupfd_cloexec(&receiver, 3)?;
        Ok((Self::new(sender)?, Self::new(receiver)?))
    }

    fn new(socket: OwnedFd) -> io::Result<Self> {
        let cookie = cookie(socket.as_raw_fd())?;
        Ok(Self { number: socket.into_raw_fd(), cookie })
    }

    pub fn number(&self) -> RawFd {
        self.number
    }

    /// Whether the host has left it open.
    pub fn is_open(&self) -> bool {
        cookie(self.number).is_ok_and(|cookie| cookie == self.cookie)
    }

    /// Sends these descriptors, as many as fit, in a message that holds nothing else.
    pub fn send(&self, descriptors: &[RawFd]) -> io::Result<()> {
        #[repr(C)]
        struct Control {
            header: libc::cmsghdr,
            descriptors: [RawFd; MOST_RECEIVED],
        }
        // SAFETY: zero is a value of all that is in these. The call reads them; the control is as long as it is said to be.
        let sent = unsafe {
            let (mut control, mut message): (Control, libc::msghdr) = (zeroed(), zeroed());
            control.descriptors.iter_mut().zip(descriptors).for_each(|(to, &from)| *to = from);
            let size = size_of_val(descriptors).min(size_of_val(&control.descriptors));
            let length = offset_of!(Control, descriptors) + size;
            control.header.cmsg_len = length as _;
            (control.header.cmsg_level, control.header.cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
            (message.msg_control, message.msg_controllen) = ((&raw mut control).cast(), length as _);
            libc::sendmsg(self.number, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        };
        if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes away a message that nobody has received, if there is one. What is in it is opened nowhere.
    pub fn discard(&self) {
        // SAFETY: writes nothing.
        unsafe { libc::recv(self.number, ptr::null_mut(), 0, libc::MSG_DONTWAIT) };
    }

    /// Closes it, unless the host has done that.
    pub fn close(self) {
        if self.is_open() {
            // SAFETY: it is this library's, and goes with this.
            drop(unsafe { OwnedFd::from_raw_fd(self.number) });
        }
    }
}

/// What the kernel tells sockets apart by, since Linux 4.12. Errors are those of what is no socket.
fn cookie(socket: RawFd) -> io::Result<u64> {
    let (mut cookie, mut size) = (0_u64, size_of::<u64>() as libc::socklen_t);
    let place = (&raw mut cookie).cast();
    // SAFETY: writes so many bytes at the most.
    match unsafe { libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_COOKIE, place, &raw mut size) } {
        0 => Ok(cookie),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A number that is 0 in each process that is forked from this one, whatever it is here. Of it stays a page of memory.
pub fn cleared_by_fork() -> io::Result<&'static AtomicU32> {
    let size = page_size();
    // SAFETY: a new mapping, where the kernel likes, that is never taken away; it is aligned, and zero at first. The kernel
    // clears it for a process in which there is one thread, before that runs.
    unsafe {
        let page = mmap_anonymous(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
        if let Err(errno) = madvise(page, size, Advice::LinuxWipeOnFork) {
            let _ = munmap(page, size);
            return Err(errno.into());
        }
        Ok(&*page.cast::<AtomicU32>())
    }
}

/// Asks for the exit code, and says that there is one.
const EXIT: u64 = libc::PIDFD_INFO_EXIT as u64;

/// How long the kernel may take from a process's death, which its pidfd shows, to its release, from which on the pidfd
/// tells how it ended.
const RELEASE: Duration = Duration::from_millis(500);

/// How the child of a pidfd ended that somebody else has reaped. ECHILD where the kernel does not tell: before Linux 6.15.
pub fn status_of_reaped(pidfd: BorrowedFd) -> io::Result<ExitStatus> {
    let unknown = || io::Error::from_raw_os_error(libc::ECHILD);
    match exit_code(pidfd) {
        Ok(Some(code)) => return Ok(ExitStatus::from_raw(code)),
        // It is dead, but not released yet.
        Ok(None) => {}
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
        Err(_) => return Err(unknown()),
    }
    // One that lives is not this process's child: a fork of this process asks.
    if !wait_for(&[pidfd], PollFlags::IN, Some(Instant::now()))?[0] {
        return Err(unknown());
    }
    // When it is released the pidfd hangs up. POLLIN, which is not asked for, has been there since its death.
    wait_for(&[pidfd], PollFlags::empty(), Instant::now().checked_add(RELEASE))?;
    exit_code(pidfd).ok().flatten().map(ExitStatus::from_raw).ok_or_else(unknown)
}

/// The exit code, as wait(2) encodes it, of a process that is released; nothing of one that is not.
fn exit_code(pidfd: BorrowedFd) -> io::Result<Option<i32>> {
    // SAFETY: zero is a value of all that is in it. The kernel reads and writes one structure, of the size that the
    // request's number holds.
    let (value, info) = unsafe {
        let mut info: libc::pidfd_info = zeroed();
        info.mask = EXIT;
        (libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info), info)
    };
    match value {
        0 => Ok((info.mask & EXIT != 0).then_some(info.exit_code)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The size of a page in bytes. Not by rustix, which reads the auxiliary vector in a way that ends programs under valgrind.
pub fn page_size() -> usize {
    // SAFETY: touches no memory.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(65_536)
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

/// The host's environment as it lies in memory, malformed entries included.
///
/// Whoever changes it at the same time, by setenv(3) or `std::env::set_var`, must know that nobody reads it: that is the
/// condition under which those may be called.
pub fn environment() -> Strings<'static, 'static> {
    unsafe extern "C" {
        static mut environ: *const *const c_char;
    }
    const EMPTY: &[usize; 1] = &[0];
    // SAFETY: a vector that ends with a NULL (1), of strings (3), as environ(7) has it; a host may also have set it to NULL.
    // What changes it meanwhile breaks its own condition (2).
    unsafe {
        let vector = if environ.is_null() { EMPTY.as_ptr().cast() } else { environ };
        Strings::new(vector)
    }
}

/// Does something that may exceed RLIMIT_FSIZE. Instead of the signal, SIGXFSZ, there is only the error, EFBIG. All signals
/// must be blocked in this thread.
#[cfg(feature = "embedded")]
pub fn without_file_size_signal<T>(action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let outcome = action();
    if outcome.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EFBIG)) {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a set is plain numbers, and the calls read and write it; nothing is written where the information is NULL.
        unsafe {
            let mut set: libc::sigset_t = zeroed();
            libc::sigaddset(&raw mut set, libc::SIGXFSZ);
            libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const at_once);
        }
    }
    outcome
}
