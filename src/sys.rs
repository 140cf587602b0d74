//! One typed function for each system call used. Nothing here decides anything.
//!
//! Constants and layouts come from `linux-raw-sys`, which is generated from the kernel's headers for each architecture.

#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::mem::{MaybeUninit, zeroed};
use core::num::NonZeroU32;

use linux_raw_sys::general::{
    __kernel_old_timespec, AT_FDCWD, F_GETFD, F_SETFD, FD_CLOEXEC, O_CLOEXEC, O_DIRECTORY, RLIMIT_NOFILE, SIG_SETMASK,
    itimerval, kernel_sigaction, linux_dirent64, pollfd, rlimit64, statfs,
};
use syscalls::{Sysno, raw_syscall};

/// A descriptor's number, 0 to 2,147,483,647: a C `int`, as the kernel takes it.
pub type Descriptor = i32;

/// Why a system call failed; see errno(3). Never 0, so that `Result<(), Errno>` is one register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(NonZeroU32);

impl Errno {
    /// From a number as `linux_raw_sys::errno` has it. No error has the number 0; it becomes EPERM, 1.
    pub const fn new(number: u32) -> Self {
        match NonZeroU32::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// The number, 1 to 4095.
    pub const fn number(self) -> NonZeroU32 {
        self.0
    }

    /// Whether it is `number`, one of `linux_raw_sys::errno`.
    pub const fn is(self, number: u32) -> bool {
        self.0.get() == number
    }
}

/// What a system call returned: the kernel tells errors by the values from -4095 to -1.
fn returned(value: usize) -> Result<usize, Errno> {
    if value > -4096_isize as usize { Err(Errno::new(value.wrapping_neg() as u32)) } else { Ok(value) }
}

/// The same for a call that returns 0 where it does not fail.
fn succeeded(value: usize) -> Result<(), Errno> {
    match NonZeroU32::new((value as u32).wrapping_neg()) {
        Some(number) => Err(Errno(number)),
        None => Ok(()),
    }
}

/// The size of the kernel's signal set in bytes: 64 signals on every architecture that relay supports.
const SIGNAL_SET_SIZE: usize = size_of::<u64>();

/// `CLOSE_RANGE_CLOEXEC` of linux/close_range.h, which `linux-raw-sys` leaves out. Since Linux 5.11.
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// No structure, no mask, no timeout.
const NULL: usize = 0;

/// A NULL-terminated vector of pointers to NUL-terminated strings, as `execve` takes it: `argv` or `envp`.
#[derive(Clone, Copy)]
pub struct Strings<'a> {
    first: *const *const c_char,
    strings: PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// Takes a vector that somebody else laid out.
    ///
    /// # Safety
    ///
    /// `first` must point to pointers to NUL-terminated strings, the last of the pointers being NULL, and none of this
    /// may change or go away during `'a`.
    pub const unsafe fn new(first: *const *const c_char) -> Self {
        Self { first, strings: PhantomData }
    }

    /// The first string, where there is one.
    pub fn first(self) -> Option<&'a CStr> {
        // SAFETY: a vector has at least its NULL.
        let first = unsafe { *self.first };
        // SAFETY: what is not the NULL points to a string that lasts for 'a; see `new`.
        (!first.is_null()).then(|| unsafe { CStr::from_ptr(first) })
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        let first = self.first()?;
        // SAFETY: there is a string, so the NULL stands further on: what begins there is a vector too.
        self.first = unsafe { self.first.add(1) };
        Some(first)
    }
}

/// Replaces this process's program by the one that the first of `arguments` names; see execve(2). Returns only where
/// that failed, with the reason.
pub fn execve(arguments: Strings, environment: Strings) -> Errno {
    // SAFETY: the vectors end with a NULL and their strings with a NUL; see `Strings`. Where there is no first argument
    // the kernel finds NULL for the path, which is EFAULT.
    let value = unsafe { raw_syscall!(Sysno::execve, *arguments.first, arguments.first, environment.first) };
    Errno::new((value as u32).wrapping_neg())
}

/// Ends this process with `status`; see exit_group(2).
pub fn exit(status: u8) -> ! {
    loop {
        // SAFETY: ends the process and with it every borrow. The loop is for a sandbox that refuses even this.
        unsafe { raw_syscall!(Sysno::exit_group, status) };
    }
}

/// Writes what it can of `bytes` and returns how many that were; see write(2).
pub fn write(descriptor: Descriptor, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads no further than the slice.
    returned(unsafe { raw_syscall!(Sysno::write, descriptor, bytes.as_ptr(), bytes.len()) })
}

/// Waits until one of `events` holds for `descriptor`, or an error or hang-up; see ppoll(2).
pub fn wait_for(descriptor: Descriptor, events: u32) -> Result<(), Errno> {
    let mut entry = pollfd { fd: descriptor, events: events as i16, revents: 0 };
    // SAFETY: one entry, writable; no timeout and no mask are NULL.
    returned(unsafe { raw_syscall!(Sysno::ppoll, &raw mut entry, 1, NULL, NULL, SIGNAL_SET_SIZE) }).map(drop)
}

/// Whether `descriptor` is open: EBADF where it is not. Sees descriptors opened with O_PATH too.
pub fn is_open(descriptor: Descriptor) -> Result<(), Errno> {
    // SAFETY: touches no memory.
    returned(unsafe { raw_syscall!(Sysno::fcntl, descriptor, F_GETFD) }).map(drop)
}

/// Marks `descriptor` close-on-exec; EBADF where it is not open; see fcntl(2).
pub fn mark_close_on_exec(descriptor: Descriptor) -> Result<(), Errno> {
    // SAFETY: touches no memory.
    succeeded(unsafe { raw_syscall!(Sysno::fcntl, descriptor, F_SETFD, FD_CLOEXEC) })
}

/// Marks every open descriptor from `first` to `last` close-on-exec; see close_range(2). Since Linux 5.11.
///
/// `last` is 32 bits wide: some sandboxes refuse more (runc#4596).
pub fn mark_range_close_on_exec(first: u32, last: u32) -> Result<(), Errno> {
    // SAFETY: touches no memory.
    succeeded(unsafe { raw_syscall!(Sysno::close_range, first, last, CLOSE_RANGE_CLOEXEC) })
}

/// Closes `descriptor`, which is closed then even where close(2) fails.
pub fn close(descriptor: Descriptor) {
    // SAFETY: touches no memory.
    unsafe { raw_syscall!(Sysno::close, descriptor) };
}

/// Opens a directory for reading, close-on-exec; see open(2).
pub fn open_directory(path: &CStr) -> Result<Descriptor, Errno> {
    // SAFETY: the path ends with a NUL.
    let opened = returned(unsafe { raw_syscall!(Sysno::openat, AT_FDCWD, path.as_ptr(), O_DIRECTORY | O_CLOEXEC) })?;
    Ok(opened as Descriptor)
}

/// Whether `descriptor` lies on a file system of the kind `magic`; see fstatfs(2).
pub fn lies_on(descriptor: Descriptor, magic: u32) -> bool {
    let mut found = MaybeUninit::<statfs>::uninit();
    // SAFETY: the kernel writes the structure of this architecture, no more, and all of it where it does not fail.
    unsafe {
        succeeded(raw_syscall!(Sysno::fstatfs, descriptor, found.as_mut_ptr())).is_ok()
            && found.assume_init().f_type as u32 == magic
    }
}

/// Visits the names in an open directory until `visit` fails; see getdents64(2).
pub fn try_for_each_entry(
    directory: Descriptor,
    mut visit: impl FnMut(&CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    /// Aligned as `struct linux_dirent64` wants to be.
    #[repr(align(8))]
    #[expect(dead_code, reason = "the kernel writes it")]
    struct Buffer([MaybeUninit<u8>; 2048]);
    let mut buffer = Buffer([MaybeUninit::uninit(); _]);
    loop {
        // SAFETY: the kernel writes no further than the buffer.
        let filled = unsafe { raw_syscall!(Sysno::getdents64, directory, &raw mut buffer, size_of::<Buffer>()) };
        let filled = returned(filled)?;
        if filled == 0 {
            return Ok(());
        }
        let mut next = 0;
        while next < filled {
            // SAFETY: the kernel has filled the buffer, up to `filled`, with whole entries, each as long as it says and
            // with a name that ends with a NUL.
            let name = unsafe {
                let entry = (&raw const buffer).byte_add(next).cast::<linux_dirent64>();
                next += usize::from((*entry).d_reclen);
                CStr::from_ptr((&raw const (*entry).d_name).cast())
            };
            visit(name)?;
        }
    }
}

/// Which of the descriptors in `wanted`, a bit each, have something to read right now; see select(2).
///
/// Returns their number and leaves their bits set. EBADF where one of them is closed, but a bit beyond the end of the
/// process's descriptor table is passed over: neither looked at nor cleared (select(2), BUGS).
pub fn readable_now<const WORDS: usize>(wanted: &mut [usize; WORDS]) -> Result<usize, Errno> {
    let count = WORDS * usize::BITS as usize;
    let at_once = __kernel_old_timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel reads and writes one bit for each of `count`, which is the array; NULL sets and mask are let be.
    returned(unsafe { raw_syscall!(Sysno::pselect6, count, wanted.as_mut_ptr(), NULL, NULL, &raw const at_once, NULL) })
}

/// RLIMIT_NOFILE; see prlimit(2).
pub fn descriptor_limit() -> Result<rlimit64, Errno> {
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads nothing (NULL) and writes one structure.
    succeeded(unsafe { raw_syscall!(Sysno::prlimit64, 0, RLIMIT_NOFILE, NULL, &raw mut limit) })?;
    Ok(limit)
}

/// Disarms one of the three interval timers; see setitimer(2).
pub fn disarm_timer(timer: u32) -> Result<(), Errno> {
    // SAFETY: the structure is plain numbers, for which zero is a value.
    let disarmed: itimerval = unsafe { zeroed() };
    // SAFETY: reads one structure and writes nothing (NULL).
    succeeded(unsafe { raw_syscall!(Sysno::setitimer, timer, &raw const disarmed, NULL) })
}

/// Sets one signal's disposition to the default, by the raw call; see rt_sigaction(2).
pub fn reset_disposition(signal: u32) -> Result<(), Errno> {
    // SAFETY: the structure is numbers and optional pointers; zero is SIG_DFL with no flags and an empty mask.
    let default: kernel_sigaction = unsafe { zeroed() };
    // SAFETY: reads one structure and writes nothing (NULL).
    succeeded(unsafe { raw_syscall!(Sysno::rt_sigaction, signal, &raw const default, NULL, SIGNAL_SET_SIZE) })
}

/// Sets the blocked mask, bit n-1 for signal n; see rt_sigprocmask(2).
pub fn set_blocked(mask: u64) -> Result<(), Errno> {
    // SAFETY: reads one mask and writes nothing (NULL).
    succeeded(unsafe { raw_syscall!(Sysno::rt_sigprocmask, SIG_SETMASK, &raw const mask, NULL, SIGNAL_SET_SIZE) })
}
