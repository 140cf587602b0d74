//! One typed function for each system call used. Nothing here decides anything.
//!
//! Constants and layouts come from `linux-raw-sys`, which is generated from the kernel's headers for each architecture.
//! On 32 bits the calls are those with 32-bit times and sizes: they are on every kernel, and nothing here is that large.

#![allow(unsafe_code)]

use core::ffi::CStr;
use core::mem::{ManuallyDrop, MaybeUninit, offset_of, transmute, zeroed};
use core::ptr::null_mut;
use core::slice;

use linux_raw_sys::errno::{EBADF, EIO, EMFILE, ENOSYS};
pub use linux_raw_sys::general::rlimit64;
use linux_raw_sys::general::{
    __kernel_old_timespec, __kernel_sighandler_t, __user_cap_data_struct, __user_cap_header_struct,
    _LINUX_CAPABILITY_VERSION_3, AT_EMPTY_PATH, AT_FDCWD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_OK, F_SETFD, FD_CLOEXEC,
    MS_NOEXEC, O_CLOEXEC, O_DIRECTORY, O_PATH, PRIO_PROCESS, SIG_SETMASK, SIGKILL, itimerval, kernel_sigaction,
    linux_dirent64, pollfd, statfs,
};
use linux_raw_sys::ioctl::TIOCSCTTY;
use linux_raw_sys::prctl::{
    PR_CAP_AMBIENT, PR_GET_SPECULATION_CTRL, PR_SCHED_CORE, PR_SCHED_CORE_GET, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG,
    PR_SET_SPECULATION_CTRL,
};
use syscalls::Sysno;

use crate::call::raw_syscall;
use crate::capability::CapabilitySet;
use crate::errno::Errno;
use crate::identity::MOST_GROUPS;
use crate::scheduling::ProcessorMask;
use crate::signal::SignalSet;
use crate::text::{Strings, Text};

/// A descriptor's number, 0 to 2,147,483,647: a C `int`, as the kernel takes it.
pub type Descriptor = i32;

/// What a system call returned, which is an `int` for all but those below: the kernel tells errors by negative values.
fn returned(value: usize) -> Result<usize, Errno> {
    let value = value as i32;
    if value < 0 { Err(Errno::new(value.unsigned_abs())) } else { Ok(value as usize) }
}

/// The same for a call that returns a `long`, or all 32 bits of an `unsigned int`: errors are the highest 4,095 values.
fn returned_long(value: usize) -> Result<usize, Errno> {
    const HIGHEST_ERRNO: usize = 4095;
    if value > usize::MAX - HIGHEST_ERRNO { Err(Errno::new((value as u32).wrapping_neg())) } else { Ok(value) }
}

/// The same for a call whose value says no more than that it did not fail.
#[inline(never)]
fn succeeded(value: usize) -> Result<(), Errno> {
    returned(value).map(drop)
}

/// Whether a call that says it did not fail has done something. A sandbox can answer a call with any value and not make
/// it: then it is as if the kernel did not have the call.
fn require_done(done: bool) -> Result<(), Errno> {
    if done { Ok(()) } else { Err(Errno::new(ENOSYS)) }
}

/// The size of the kernel's signal set in bytes: 64 signals on every architecture that relay supports.
const SIGNAL_SET_SIZE: usize = size_of::<u64>();

/// `CLOSE_RANGE_CLOEXEC` of linux/close_range.h, which `linux-raw-sys` leaves out. Since Linux 5.11.
const CLOSE_RANGE_CLOEXEC: u32 = 4;

/// `CLOSE_RANGE_UNSHARE` of the same. Since Linux 5.9.
const CLOSE_RANGE_UNSHARE: u32 = 2;

/// Of linux/socket.h, which the kernel does not export: the same on every architecture.
const MSG_CTRUNC: u32 = 8;
const MSG_DONTWAIT: u32 = 0x40;
const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;

/// How many descriptors [`DescriptorTable::receive`] takes at the most.
pub const MOST_RECEIVED: usize = 32;

/// `struct user_msghdr` of the same.
#[repr(C)]
struct Message {
    _name: usize,
    _name_length: i32,
    _parts: usize,
    _part_count: usize,
    _control: *mut Control,
    _control_length: usize,
    flags: u32,
}

/// `struct cmsghdr` of the same, with descriptors.
#[repr(C)]
struct Control {
    length: usize,
    _level: i32,
    _kind: i32,
    descriptors: [Descriptor; MOST_RECEIVED],
}

/// The disposition that ignores a signal; see sigaction(2).
const SIG_IGN: usize = 1;

/// No structure, no mask, no timeout.
const NULL: usize = 0;

/// Replaces this process's program; see execve(2). Returns only where that failed, with the reason.
#[inline(never)]
pub fn execve(program: &CStr, arguments: Strings, environment: Strings) -> Errno {
    // SAFETY: the vectors end with a NULL and their strings with a NUL; see `Strings`.
    let value = unsafe { raw_syscall!(Sysno::execve, program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    Errno::new((value as u32).wrapping_neg())
}

/// The same by the file that `program` is open on; see execveat(2). Since Linux 3.19.
pub fn execve_file(program: Descriptor, arguments: Strings, environment: Strings) -> Errno {
    let path = c"".as_ptr();
    // SAFETY: the path ends with a NUL, and the vectors as above.
    let value = unsafe {
        raw_syscall!(Sysno::execveat, program, path, arguments.as_ptr(), environment.as_ptr(), AT_EMPTY_PATH)
    };
    Errno::new((value as u32).wrapping_neg())
}

/// Ends this process with `status`; see exit_group(2). Where a sandbox refuses that, it ends all the same, by exit(2) or
/// by a signal.
pub fn exit(status: u8) -> ! {
    // SAFETY: each ends this process, and with it every borrow that it has.
    unsafe {
        raw_syscall!(Sysno::exit_group, status);
        raw_syscall!(Sysno::exit, status);
    }
    die()
}

/// Ends this process by a signal: SIGKILL, or where that is refused, or is dropped because this is process 1 of a
/// container, SIGSEGV. No disposition, mask or sandbox stands in the way of the latter: it is a fault.
#[inline(never)]
pub fn die() -> ! {
    // Never 0 or a negative number, by which kill(2) would reach other processes.
    if let Ok(process @ 1..) = process() {
        // SAFETY: touches no memory, and where it succeeds, ends every borrow.
        unsafe { raw_syscall!(Sysno::kill, process, SIGKILL) };
    }
    loop {
        // SAFETY: nothing is mapped at address 0, and no Rust value lies there, so this volatile access changes none.
        unsafe { null_mut::<u8>().write_volatile(0) };
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
    succeeded(unsafe { raw_syscall!(Sysno::ppoll, &raw mut entry, 1, NULL, NULL, SIGNAL_SET_SIZE) })
}

/// The flags of `descriptor`, 0 or FD_CLOEXEC; EBADF where it is not open. Sees descriptors opened with O_PATH too.
pub fn descriptor_flags(descriptor: Descriptor) -> Result<u32, Errno> {
    // SAFETY: touches no memory.
    Ok(returned(unsafe { raw_syscall!(Sysno::fcntl, descriptor, F_GETFD) })? as u32)
}

/// Whether `descriptor` is open: EBADF where it is not.
pub fn is_open(descriptor: Descriptor) -> Result<(), Errno> {
    descriptor_flags(descriptor).map(drop)
}

/// The right to close, renumber and mark any descriptor of this process, whoever opened it.
///
/// A value of this is asked for by every function that takes a descriptor from whoever may own it, and by all that lead
/// there. So the argument that nobody does own it is made once, where the value is made.
pub struct DescriptorTable {
    _right: (),
}

impl DescriptorTable {
    /// Takes the right.
    ///
    /// # Safety
    ///
    /// 1. No code that still runs in this process uses a descriptor that it has not got from here.
    /// 2. The process shares its descriptor table with no other (CLONE_FILES, clone(2)).
    pub const unsafe fn seize() -> Self {
        Self { _right: () }
    }

    /// Gives this process, which shares its table with another one, a table of its own that holds only what lies below
    /// `first`, and takes the right to that; see close_range(2), CLOSE_RANGE_UNSHARE. Since Linux 5.9.
    ///
    /// On any error the table is still the shared one, and nothing was done to it.
    ///
    /// # Safety
    ///
    /// 1. No code that still runs in this process uses a descriptor that it has not got from here.
    pub unsafe fn unshare(first: u32) -> Result<Self, Errno> {
        // A sandbox could answer 0 and do nothing, and this process would go on in the table of another one. The kernel
        // refuses a range that ends before it begins.
        // SAFETY: touches no memory, and no descriptor is in such a range.
        let refused = succeeded(unsafe { raw_syscall!(Sysno::close_range, 1, 0, CLOSE_RANGE_UNSHARE) });
        require_done(refused.is_err())?;
        // SAFETY: touches no memory.
        succeeded(unsafe { raw_syscall!(Sysno::close_range, first, u32::MAX, CLOSE_RANGE_UNSHARE) })?;
        Ok(Self { _right: () })
    }

    /// A descriptor of this process for the one that has the number `descriptor` in the process that `pidfd` is open on; see
    /// pidfd_getfd(2). Since Linux 5.6. Close-on-exec, the lowest free number.
    pub fn fetch(&mut self, pidfd: &OwnedFile, descriptor: Descriptor) -> Result<Descriptor, Errno> {
        // SAFETY: touches no memory.
        Ok(returned(unsafe { raw_syscall!(Sysno::pidfd_getfd, pidfd.0, descriptor, 0) })? as Descriptor)
    }

    /// Takes the next message of `socket`, a UNIX socket of datagrams, and the descriptors that were sent in it: as many as
    /// `received` is long, [`MOST_RECEIVED`] at the most; see SCM_RIGHTS in unix(7). They are close-on-exec and have the
    /// lowest free numbers. Does not wait: EAGAIN where there is no message.
    ///
    /// EMFILE where not all of them could be opened. Some may be open then.
    pub fn receive(&mut self, socket: Descriptor, received: &mut [Descriptor]) -> Result<(), Errno> {
        let mut control = Control { length: 0, _level: 0, _kind: 0, descriptors: [0; MOST_RECEIVED] };
        let wanted = offset_of!(Control, descriptors) + size_of_val(received);
        let mut message = Message {
            _name: NULL,
            _name_length: 0,
            _parts: NULL,
            _part_count: 0,
            _control: &raw mut control,
            _control_length: wanted.min(size_of::<Control>()),
            flags: 0,
        };
        let flags = MSG_CMSG_CLOEXEC | MSG_DONTWAIT;
        // SAFETY: one structure, which says how much room there is for what comes beside the message, and that there is none
        // for the message itself.
        succeeded(unsafe { raw_syscall!(Sysno::recvmsg, socket, &raw mut message, flags) })?;
        if message.flags & MSG_CTRUNC != 0 {
            return Err(Errno::new(EMFILE));
        }
        // Nothing else comes on a socket that was not asked for more.
        require_done(control.length == wanted)?;
        received.iter_mut().zip(control.descriptors).for_each(|(received, descriptor)| *received = descriptor);
        Ok(())
    }

    /// Marks `descriptor` close-on-exec; EBADF where it is not open; see fcntl(2).
    pub fn mark_close_on_exec(&mut self, descriptor: Descriptor) -> Result<(), Errno> {
        // SAFETY: touches no memory.
        succeeded(unsafe { raw_syscall!(Sysno::fcntl, descriptor, F_SETFD, FD_CLOEXEC) })
    }

    /// Clears the close-on-exec mark of `descriptor`; EBADF where it is not open; see fcntl(2).
    pub fn unmark_close_on_exec(&mut self, descriptor: Descriptor) -> Result<(), Errno> {
        // SAFETY: touches no memory.
        succeeded(unsafe { raw_syscall!(Sysno::fcntl, descriptor, F_SETFD, 0) })
    }

    /// Marks every open descriptor from `first` to `last` close-on-exec; see close_range(2). Since Linux 5.11.
    ///
    /// `last` is 32 bits wide: some sandboxes refuse more (runc#4596).
    pub fn mark_range_close_on_exec(&mut self, first: u32, last: u32) -> Result<(), Errno> {
        // SAFETY: touches no memory.
        succeeded(unsafe { raw_syscall!(Sysno::close_range, first, last, CLOSE_RANGE_CLOEXEC) })
    }

    /// Closes every open descriptor from `first` to `last`; see close_range(2). Since Linux 5.9.
    pub fn close_range(&mut self, first: u32, last: u32) -> Result<(), Errno> {
        // SAFETY: touches no memory.
        succeeded(unsafe { raw_syscall!(Sysno::close_range, first, last, 0) })
    }

    /// Closes `descriptor`; EBADF where it is not open. On any other error it is still open.
    pub fn close(&mut self, descriptor: Descriptor) -> Result<(), Errno> {
        close(descriptor)
    }

    /// Makes `target` a copy of `source`, not close-on-exec; see dup(2).
    pub fn copy_to(&mut self, source: Descriptor, target: Descriptor) -> Result<(), Errno> {
        // SAFETY: touches no memory.
        let copy = returned(unsafe { raw_syscall!(Sysno::dup3, source, target, 0) })?;
        require_done(copy == target as usize)
    }

    /// Copies `source` to the lowest free number from `least` up, close-on-exec; see fcntl(2).
    pub fn copy_above(&mut self, source: Descriptor, least: Descriptor) -> Result<Descriptor, Errno> {
        copy_above(source, least)
    }
}

/// Copies `source` to the lowest free number from `least` up, close-on-exec; see fcntl(2).
#[inline(never)]
fn copy_above(source: Descriptor, least: Descriptor) -> Result<Descriptor, Errno> {
    // SAFETY: touches no memory.
    let copy = returned(unsafe { raw_syscall!(Sysno::fcntl, source, F_DUPFD_CLOEXEC, least) })? as Descriptor;
    require_done(copy >= least && copy != source)?;
    Ok(copy)
}

fn close(descriptor: Descriptor) -> Result<(), Errno> {
    // SAFETY: touches no memory.
    match succeeded(unsafe { raw_syscall!(Sysno::close, descriptor) }) {
        // The kernel has closed it whatever else it says, but a sandbox has not.
        Err(errno) if errno.is(EBADF) || is_open(descriptor).is_ok() => Err(errno),
        _ => Ok(()),
    }
}

/// A file that was opened here, and is closed when this goes.
pub struct OwnedFile(Descriptor);

impl OwnedFile {
    /// Its descriptor.
    pub const fn descriptor(&self) -> Descriptor {
        self.0
    }

    /// Its descriptor, which stays open.
    pub fn leave_open(self) -> Descriptor {
        ManuallyDrop::new(self).0
    }

    /// One more descriptor for it, the lowest free number above this one, close-on-exec; see fcntl(2).
    pub fn copy(&self) -> Result<Self, Errno> {
        copy_above(self.0, self.0).map(Self)
    }
}

impl Drop for OwnedFile {
    fn drop(&mut self) {
        // What else it could say, that the kernel was interrupted or the disk is full, concerns nothing that relay does.
        let _ = close(self.0);
    }
}

/// Opens a process by its number; see pidfd_open(2). Since Linux 5.3.
pub fn open_process(process: u32) -> Result<OwnedFile, Errno> {
    // SAFETY: touches no memory.
    Ok(OwnedFile(returned(unsafe { raw_syscall!(Sysno::pidfd_open, process, 0) })? as Descriptor))
}

/// What is to be known of the file system that a file lies on.
pub struct FileSystem {
    /// Its kind, one of the magic numbers.
    pub kind: u32,
    /// Whether no program on it can be executed; see mount(2).
    pub is_noexec: bool,
}

/// The file system that a file lies on; see fstatfs(2). On 32 bits one too large for the structure is EOVERFLOW.
#[inline(never)]
pub fn file_system(file: &OwnedFile) -> Result<FileSystem, Errno> {
    let mut found = MaybeUninit::<statfs>::uninit();
    // SAFETY: the kernel writes the structure of this architecture, no more, and all of it where it does not fail.
    let found = unsafe {
        succeeded(raw_syscall!(Sysno::fstatfs, file.0, found.as_mut_ptr()))?;
        found.assume_init()
    };
    Ok(FileSystem { kind: found.f_type as u32, is_noexec: found.f_flags as u32 & MS_NOEXEC != 0 })
}

/// Room for entries of a directory, aligned as `struct linux_dirent64` wants to be.
#[repr(align(8))]
pub struct EntryBuffer([MaybeUninit<u8>; Self::SIZE]);

impl EntryBuffer {
    const SIZE: usize = 2048;

    /// Room that is free.
    pub const fn new() -> Self {
        Self([MaybeUninit::uninit(); Self::SIZE])
    }
}

impl Default for EntryBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// The names in an open directory, one by one; see getdents64(2).
pub struct Entries<'a> {
    directory: &'a OwnedFile,
    buffer: &'a mut EntryBuffer,
    /// Where the next entry in the buffer is, and where the last one ends.
    next: usize,
    filled: usize,
}

impl<'a> Entries<'a> {
    /// Those of a directory that nobody has read from yet.
    pub const fn new(directory: &'a OwnedFile, buffer: &'a mut EntryBuffer) -> Self {
        Self { directory, buffer, next: 0, filled: 0 }
    }

    /// The next one; nothing at the end.
    pub fn next_name(&mut self) -> Result<Option<Text<'_>>, Errno> {
        let buffer = self.buffer.0.as_mut_ptr();
        if self.next >= self.filled {
            // SAFETY: the kernel writes no further than the buffer.
            let filled = unsafe { raw_syscall!(Sysno::getdents64, self.directory.0, buffer, size_of::<EntryBuffer>()) };
            (self.next, self.filled) = (0, returned(filled)?.min(size_of::<EntryBuffer>()));
            if self.filled == 0 {
                return Ok(None);
            }
        }
        // SAFETY: the kernel has filled the buffer from `next` up to `filled`, which is no more than its size.
        let bytes = unsafe { slice::from_raw_parts(buffer.byte_add(self.next).cast(), self.filled - self.next) };
        let (name, length) = first_entry(bytes).ok_or(Errno::new(EIO))?;
        self.next += length;
        Ok(Some(name))
    }
}

/// The name of the directory entry that `bytes` begin with, a `struct linux_dirent64`, and how long the entry is, which is
/// more than nothing; see getdents64(2). Nothing where it is no whole one: a sandbox can answer a call that it did not make.
pub fn first_entry(bytes: &[u8]) -> Option<(Text<'_>, usize)> {
    let length = bytes.get(offset_of!(linux_dirent64, d_reclen)..)?.first_chunk()?;
    let length = usize::from(u16::from_ne_bytes(*length));
    let name = bytes.get(..length)?.get(offset_of!(linux_dirent64, d_name)..)?;
    let end = name.iter().position(|&byte| byte == 0)?;
    Some((Text::within(name.get(..=end)?), length))
}

/// Which of the descriptors in `wanted`, a bit each, have something to read right now; see select(2).
///
/// Returns their number and leaves their bits set. EBADF where one of them is closed, but a bit beyond the end of the
/// process's descriptor table is passed over: neither looked at nor cleared (select(2), BUGS).
pub fn readable_now(wanted: &mut [usize]) -> Result<usize, Errno> {
    let count = wanted.len() * usize::BITS as usize;
    let at_once = __kernel_old_timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel reads and writes one bit for each of `count`, which is the slice; NULL sets and mask are let be.
    returned(unsafe { raw_syscall!(Sysno::pselect6, count, wanted.as_mut_ptr(), NULL, NULL, &raw const at_once, NULL) })
}

/// The limits of a resource; see prlimit(2).
#[inline(never)]
pub fn limit(resource: u32) -> Result<rlimit64, Errno> {
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads nothing (NULL) and writes one structure.
    succeeded(unsafe { raw_syscall!(Sysno::prlimit64, 0, resource, NULL, &raw mut limit) })?;
    Ok(limit)
}

/// Sets the limits of a resource; see prlimit(2).
#[inline(never)]
pub fn set_limit(resource: u32, limit: &rlimit64) -> Result<(), Errno> {
    // SAFETY: reads one structure and writes nothing (NULL).
    succeeded(unsafe { raw_syscall!(Sysno::prlimit64, 0, resource, &raw const *limit, NULL) })
}

/// Whether there is a file at `path`, whatever it is; see faccessat(2).
///
/// Where a sandbox refuses that call, it is found by opening it, which needs no permission either (O_PATH, open(2)).
pub fn exists(path: &CStr) -> bool {
    access(path, F_OK).or_else(|_| open(path, O_PATH).map(drop)).is_ok()
}

/// Whether this process may access the file at `path` in this way; see faccessat(2).
pub fn access(path: &CStr, mode: u32) -> Result<(), Errno> {
    // SAFETY: the path ends with a NUL.
    succeeded(unsafe { raw_syscall!(Sysno::faccessat, AT_FDCWD, path.as_ptr(), mode) })
}

/// Opens an existing file, close-on-exec, with the access mode `access`; see open(2).
#[inline(never)]
pub fn open(path: &CStr, access: u32) -> Result<OwnedFile, Errno> {
    open_at(AT_FDCWD, path, access)
}

/// The same for a path that begins at a directory which is open.
#[inline(never)]
pub fn open_at(directory: Descriptor, path: &CStr, access: u32) -> Result<OwnedFile, Errno> {
    // SAFETY: the path ends with a NUL.
    let opened = returned(unsafe { raw_syscall!(Sysno::openat, directory, path.as_ptr(), access | O_CLOEXEC) })?;
    Ok(OwnedFile(opened as Descriptor))
}

/// Opens a directory for paths that begin there; see open(2), O_PATH.
pub fn open_directory(path: &CStr) -> Result<OwnedFile, Errno> {
    open(path, O_PATH | O_DIRECTORY)
}

/// Reads the beginning of a file up to its first NUL, or as much as the buffer has room for beside a NUL; the empty text
/// where that fails; see read(2).
pub fn read_text<'a>(file: &OwnedFile, buffer: &'a mut [MaybeUninit<u8>]) -> Text<'a> {
    let Some(room) = buffer.len().checked_sub(1) else { return Text::default() };
    let buffer = buffer.as_mut_ptr().cast::<u8>();
    // SAFETY: the kernel writes no further than the buffer but for its last byte, and has written as many bytes as it
    // returns. So there is a NUL (1), and what was written stays there for 'a (2).
    unsafe {
        let length = raw_syscall!(Sysno::read, file.0, buffer, room);
        buffer.add(returned(length).unwrap_or(0).min(room)).write(0);
        Text::new(buffer.cast())
    }
}

/// Where [`read_link`] puts what it reads, and a NUL.
pub type LinkBuffer = [MaybeUninit<u8>; 4096 + 1];

/// Such room that is free.
pub const FREE_LINK: LinkBuffer = [MaybeUninit::uninit(); 4096 + 1];

/// Reads a symbolic link; the empty text where that fails; see readlink(2).
pub fn read_link<'a>(path: Text, buffer: &'a mut LinkBuffer) -> Text<'a> {
    let (buffer, room) = (buffer.as_mut_ptr().cast::<u8>(), size_of::<LinkBuffer>() - 1);
    // SAFETY: the path ends with a NUL. The kernel writes no further than the buffer but for its last byte, and has
    // written as many bytes as it returns; what it wrote stays there for 'a.
    unsafe {
        let length = raw_syscall!(Sysno::readlinkat, AT_FDCWD, path.as_ptr(), buffer, room);
        buffer.add(returned(length).unwrap_or(0).min(room)).write(0);
        Text::new(buffer.cast())
    }
}

/// Whether there is a symbolic link of this name in `directory`; see readlink(2).
pub fn has_link(directory: &OwnedFile, name: Text) -> bool {
    let mut first = MaybeUninit::<u8>::uninit();
    // SAFETY: the name ends with a NUL, and the kernel writes one byte at the most.
    succeeded(unsafe { raw_syscall!(Sysno::readlinkat, directory.0, name.as_ptr(), first.as_mut_ptr(), 1) }).is_ok()
}

/// Changes the current directory; see chdir(2).
pub fn change_directory(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path ends with a NUL.
    succeeded(unsafe { raw_syscall!(Sysno::chdir, path.as_ptr()) })
}

/// Sets the mask of the permissions of new files, and returns what it was; see umask(2). The kernel never refuses it, but a
/// sandbox can.
pub fn set_umask(mask: u32) -> Result<u32, Errno> {
    // SAFETY: touches no memory.
    Ok(returned(unsafe { raw_syscall!(Sysno::umask, mask) })? as u32)
}

/// The current directory; see getcwd(2).
pub fn directory(buffer: &mut LinkBuffer) -> Result<Text<'_>, Errno> {
    // SAFETY: the kernel writes no further than the buffer, and a NUL at the end (1), which stays there (2).
    unsafe {
        succeeded(raw_syscall!(Sysno::getcwd, buffer.as_mut_ptr(), size_of::<LinkBuffer>()))?;
        Ok(Text::new(buffer.as_ptr().cast()))
    }
}

/// The status flags of the file that `descriptor` is open on; see fcntl(2), F_GETFL.
pub fn status_flags(descriptor: Descriptor) -> Result<u32, Errno> {
    // SAFETY: touches no memory.
    Ok(returned(unsafe { raw_syscall!(Sysno::fcntl, descriptor, F_GETFL) })? as u32)
}

/// Begins a session; see setsid(2).
pub fn new_session() -> Result<(), Errno> {
    // SAFETY: touches no memory.
    let session = returned(unsafe { raw_syscall!(Sysno::setsid) })?;
    // It has this process's number.
    require_done(session != 0)
}

/// Makes `terminal` the controlling terminal of this process's session; see ioctl_tty(2).
pub fn set_controlling_terminal(terminal: Descriptor) -> Result<(), Errno> {
    // SAFETY: touches no memory; 0 is not to steal it from another session.
    succeeded(unsafe { raw_syscall!(Sysno::ioctl, terminal, TIOCSCTTY, 0) })
}

/// Joins a process group; 0 is one of this process's own; see setpgid(2).
pub fn set_process_group(group: u32) -> Result<(), Errno> {
    // SAFETY: touches no memory; 0 is this process.
    succeeded(unsafe { raw_syscall!(Sysno::setpgid, 0, group) })
}

/// Sets the nice value; see setpriority(2).
pub fn set_nice(nice: i32) -> Result<(), Errno> {
    // SAFETY: touches no memory; 0 is this process.
    succeeded(unsafe { raw_syscall!(Sysno::setpriority, PRIO_PROCESS, 0, nice) })
}

/// Sets scheduling policy and priority; see sched_setscheduler(2).
pub fn set_scheduling(policy: u32, priority: u32) -> Result<(), Errno> {
    // SAFETY: reads one int, the only member of the structure; 0 is this process.
    succeeded(unsafe { raw_syscall!(Sysno::sched_setscheduler, 0, policy, &raw const priority) })
}

/// Sets the processors that this process may run on; see sched_setaffinity(2).
pub fn set_processors(mask: &ProcessorMask) -> Result<(), Errno> {
    // SAFETY: reads no further than the mask; 0 is this process.
    succeeded(unsafe { raw_syscall!(Sysno::sched_setaffinity, 0, size_of::<ProcessorMask>(), &raw const *mask) })
}

/// IOPRIO_WHO_PROCESS of linux/ioprio.h, which `linux-raw-sys` leaves out.
const IOPRIO_WHO_PROCESS: u32 = 1;

/// Sets the I/O class and level; see ioprio_set(2). Since Linux 2.6.13.
pub fn set_io_priority(priority: u32) -> Result<(), Errno> {
    // SAFETY: touches no memory; 0 is this process.
    succeeded(unsafe { raw_syscall!(Sysno::ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) })
}

/// Sets the default memory policy; see set_mempolicy(2).
pub fn set_default_memory_policy() -> Result<(), Errno> {
    // SAFETY: MPOL_DEFAULT, 0, has no nodes (NULL).
    succeeded(unsafe { raw_syscall!(Sysno::set_mempolicy, 0, NULL, 0) })
}

/// The mode of the memory policy; see get_mempolicy(2).
pub fn memory_policy() -> Result<u32, Errno> {
    let mut mode = 0_u32;
    // SAFETY: writes one int; no nodes and no address are NULL.
    succeeded(unsafe { raw_syscall!(Sysno::get_mempolicy, &raw mut mode, NULL, 0, NULL, 0) })?;
    Ok(mode)
}

/// Sets the personality, and returns what it was; see personality(2).
pub fn set_personality(personality: u32) -> Result<u32, Errno> {
    // SAFETY: touches no memory.
    Ok(returned_long(unsafe { raw_syscall!(Sysno::personality, personality) })? as u32)
}

/// The serial number of the session keyring, or where there is none, of the user's; see
/// KEYCTL_GET_KEYRING_ID(2const).
pub fn session_keyring() -> Result<u32, Errno> {
    const KEYCTL_GET_KEYRING_ID: u32 = 0;
    const KEY_SPEC_SESSION_KEYRING: i32 = -3;
    // SAFETY: touches no memory; 0 is not to make one.
    Ok(returned(unsafe { raw_syscall!(Sysno::keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) })? as u32)
}

/// The nice value; see getpriority(2).
pub fn nice() -> Result<i32, Errno> {
    // SAFETY: touches no memory; 0 is this process.
    let value = returned(unsafe { raw_syscall!(Sysno::getpriority, PRIO_PROCESS, 0) })?;
    // The kernel's own call tells no negative number.
    Ok(20 - value as i32)
}

/// The scheduling policy, and with it [`linux_raw_sys::general::SCHED_RESET_ON_FORK`]; see sched_getscheduler(2).
pub fn policy() -> Result<u32, Errno> {
    identity(Sysno::sched_getscheduler)
}

/// The scheduling priority; see sched_getparam(2).
pub fn priority() -> Result<u32, Errno> {
    let mut priority = 0_u32;
    // SAFETY: writes one int, the only member of the structure; 0 is this process.
    succeeded(unsafe { raw_syscall!(Sysno::sched_getparam, 0, &raw mut priority) })?;
    Ok(priority)
}

/// Adds the processors that this process may run on to an empty mask; see sched_getaffinity(2).
pub fn processors(mask: &mut ProcessorMask) -> Result<(), Errno> {
    // SAFETY: writes no further than the mask; 0 is this process.
    succeeded(unsafe { raw_syscall!(Sysno::sched_getaffinity, 0, size_of::<ProcessorMask>(), &raw mut *mask) })
}

/// The I/O class and level; see ioprio_get(2).
pub fn io_priority() -> Result<u32, Errno> {
    // SAFETY: touches no memory; 0 is this process.
    Ok(returned(unsafe { raw_syscall!(Sysno::ioprio_get, IOPRIO_WHO_PROCESS, 0) })? as u32)
}

/// Joins a new session keyring without a name; see KEYCTL_JOIN_SESSION_KEYRING(2const).
pub fn new_session_keyring() -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: u32 = 1;
    // SAFETY: no name is NULL.
    let keyring = returned(unsafe { raw_syscall!(Sysno::keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) })?;
    // It has a serial number.
    require_done(keyring != 0)
}

/// Has this process killed when the thread that started it ends; see PR_SET_PDEATHSIG(2const).
pub fn die_with_parent() -> Result<(), Errno> {
    set_attribute(PR_SET_PDEATHSIG, SIGKILL)
}

/// Has execve(2) grant no privileges from now on; see PR_SET_NO_NEW_PRIVS(2const).
pub fn no_new_privileges() -> Result<(), Errno> {
    set_attribute(PR_SET_NO_NEW_PRIVS, 1)
}

/// Sets an attribute of this process to a number; see prctl(2).
#[inline(never)]
pub fn set_attribute(attribute: u32, number: u32) -> Result<(), Errno> {
    self::attribute(attribute, number).map(drop)
}

/// Asks for an attribute of this process, of those that are returned; see prctl(2). `detail` is 0 for most.
#[inline(never)]
pub fn attribute(attribute: u32, detail: u32) -> Result<usize, Errno> {
    // SAFETY: touches no memory.
    returned_long(unsafe { raw_syscall!(Sysno::prctl, attribute, detail, 0, 0, 0) })
}

/// Asks for an attribute of this process, of those that are written; see prctl(2).
#[inline(never)]
pub fn written_attribute(attribute: u32) -> Result<u32, Errno> {
    let mut number = 0_u32;
    // SAFETY: the calls that this is used for write one int.
    succeeded(unsafe { raw_syscall!(Sysno::prctl, attribute, &raw mut number, 0, 0, 0) })?;
    Ok(number)
}

/// The core-scheduling cookie of this process; see PR_SCHED_CORE_GET(2const). Since Linux 5.14.
pub fn core_cookie() -> Result<u64, Errno> {
    let mut cookie = 0_u64;
    // SAFETY: writes one number; 0 is this process, and PIDTYPE_PID.
    succeeded(unsafe { raw_syscall!(Sysno::prctl, PR_SCHED_CORE, PR_SCHED_CORE_GET, 0, 0, &raw mut cookie) })?;
    Ok(cookie)
}

/// The state of a speculation feature; see PR_GET_SPECULATION_CTRL(2const). Since Linux 4.17.
pub fn speculation(feature: u32) -> Result<u32, Errno> {
    attribute(PR_GET_SPECULATION_CTRL, feature).map(|state| state as u32)
}

/// Sets the state of a speculation feature; see PR_SET_SPECULATION_CTRL(2const).
pub fn set_speculation(feature: u32, state: u32) -> Result<(), Errno> {
    // SAFETY: touches no memory.
    succeeded(unsafe { raw_syscall!(Sysno::prctl, PR_SET_SPECULATION_CTRL, feature, state, 0, 0) })
}

/// Changes the ambient set of capabilities, or tells of one; see PR_CAP_AMBIENT(2const). Since Linux 4.3.
#[inline(never)]
pub fn ambient_set(operation: u32, capability: u32) -> Result<u32, Errno> {
    // SAFETY: touches no memory.
    Ok(returned(unsafe { raw_syscall!(Sysno::prctl, PR_CAP_AMBIENT, operation, capability, 0, 0) })? as u32)
}

/// The layout of what capset(2) takes: two structures, the first for the lower 32 capabilities.
type CapabilityData = [__user_cap_data_struct; 2];

/// This process, and the layout above, _LINUX_CAPABILITY_VERSION_3. Since Linux 2.6.26.
const CAPABILITY_HEADER: __user_cap_header_struct =
    __user_cap_header_struct { version: _LINUX_CAPABILITY_VERSION_3, pid: 0 };

/// The effective, permitted and inheritable capabilities; see capget(2).
#[inline(never)]
pub fn capabilities() -> Result<[CapabilitySet; 3], Errno> {
    let none = __user_cap_data_struct { effective: 0, permitted: 0, inheritable: 0 };
    let mut data: CapabilityData = [none; 2];
    // The kernel writes its own version where it does not know this one.
    let mut header = CAPABILITY_HEADER;
    // SAFETY: reads and writes one header and two structures.
    succeeded(unsafe { raw_syscall!(Sysno::capget, &raw mut header, &raw mut data) })?;
    let [lower, upper] = data;
    let set = |upper: u32, lower: u32| CapabilitySet(u64::from(upper) << 32 | u64::from(lower));
    Ok([
        set(upper.effective, lower.effective),
        set(upper.permitted, lower.permitted),
        set(upper.inheritable, lower.inheritable),
    ])
}

/// Sets the effective, permitted and inheritable capabilities; see capset(2).
pub fn set_capabilities(capabilities: CapabilitySet) -> Result<(), Errno> {
    let all = |set: u32| __user_cap_data_struct { effective: set, permitted: set, inheritable: set };
    let data: CapabilityData = [all(capabilities.0 as u32), all((capabilities.0 >> 32) as u32)];
    let mut header = CAPABILITY_HEADER;
    // SAFETY: reads one header, which it may write to, and two structures.
    succeeded(unsafe { raw_syscall!(Sysno::capset, &raw mut header, &raw const data) })
}

// On 32 bits the first calls of these names take identities of 16 bits.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use syscalls::Sysno::{
    getgroups as GETGROUPS, getresgid as GETRESGID, getresuid as GETRESUID, setgroups as SETGROUPS,
    setresgid as SETRESGID, setresuid as SETRESUID,
};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use syscalls::Sysno::{
    getgroups32 as GETGROUPS, getresgid32 as GETRESGID, getresuid32 as GETRESUID, setgroups32 as SETGROUPS,
    setresgid32 as SETRESGID, setresuid32 as SETRESUID,
};

/// Sets the supplementary groups; see setgroups(2).
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: reads no further than the slice.
    succeeded(unsafe { raw_syscall!(SETGROUPS, groups.len(), groups.as_ptr()) })
}

/// Room for supplementary groups.
pub struct GroupBuffer([MaybeUninit<u32>; MOST_GROUPS]);

impl GroupBuffer {
    /// Room that is free.
    pub const fn new() -> Self {
        Self([MaybeUninit::uninit(); MOST_GROUPS])
    }
}

impl Default for GroupBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// The supplementary groups; see getgroups(2). EINVAL where there is no room for all.
pub fn groups(buffer: &mut GroupBuffer) -> Result<&[u32], Errno> {
    let buffer = buffer.0.as_mut_ptr().cast::<u32>();
    // SAFETY: the kernel writes no further than the buffer.
    let count = returned(unsafe { raw_syscall!(GETGROUPS, MOST_GROUPS, buffer) })?;
    require_done(count <= MOST_GROUPS)?;
    // SAFETY: there is room for so many, and the kernel has written them; they stay there as long as the buffer is borrowed.
    Ok(unsafe { slice::from_raw_parts(buffer, count) })
}

/// Sets the real, effective and saved group, of this thread alone; see setresgid(2).
pub fn set_group_ids(group: u32) -> Result<(), Errno> {
    // SAFETY: touches no memory.
    succeeded(unsafe { raw_syscall!(SETRESGID, group, group, group) })
}

/// Sets the real, effective and saved user, of this thread alone; see setresuid(2).
pub fn set_user_ids(user: u32) -> Result<(), Errno> {
    // SAFETY: touches no memory.
    succeeded(unsafe { raw_syscall!(SETRESUID, user, user, user) })
}

/// The real, effective and saved group; see getresgid(2).
pub fn group_ids() -> Result<[u32; 3], Errno> {
    three_identities(GETRESGID)
}

/// The real, effective and saved user; see getresuid(2).
pub fn user_ids() -> Result<[u32; 3], Errno> {
    three_identities(GETRESUID)
}

/// What getresuid(2) or getresgid(2) writes. All ones, which no identity is, where a sandbox says that it was written.
#[inline(never)]
fn three_identities(call: Sysno) -> Result<[u32; 3], Errno> {
    let mut found = [u32::MAX; 3];
    let [real, effective, saved] = &mut found;
    // SAFETY: writes three numbers.
    succeeded(unsafe { raw_syscall!(call, &raw mut *real, &raw mut *effective, &raw mut *saved) })?;
    Ok(found)
}

/// An identity of this process: `getpid`, `getppid`, ... without arguments. The kernel never refuses it, but a sandbox can.
#[inline(never)]
fn identity(call: Sysno) -> Result<u32, Errno> {
    // SAFETY: touches no memory; a second and further argument is not looked at.
    Ok(returned(unsafe { raw_syscall!(call, 0) })? as u32)
}

/// This process; see getpid(2).
pub fn process() -> Result<u32, Errno> {
    identity(Sysno::getpid)
}

/// The process that started this one, 0 where it is in another PID namespace; see getppid(2).
pub fn parent() -> Result<u32, Errno> {
    identity(Sysno::getppid)
}

/// This process's group; see getpgid(2).
pub fn process_group() -> Result<u32, Errno> {
    identity(Sysno::getpgid)
}

/// This process's session; see getsid(2).
pub fn session() -> Result<u32, Errno> {
    identity(Sysno::getsid)
}

/// Does nothing for some milliseconds, less than a thousand; see nanosleep(2).
pub fn pause(milliseconds: u32) {
    let time = __kernel_old_timespec { tv_sec: 0, tv_nsec: (milliseconds * 1_000_000) as _ };
    // SAFETY: reads one structure and writes nothing (NULL).
    unsafe { raw_syscall!(Sysno::nanosleep, &raw const time, NULL) };
}

/// Disarms one of the three interval timers; see setitimer(2).
pub fn disarm_timer(timer: u32) -> Result<(), Errno> {
    // SAFETY: the structure is plain numbers, for which zero is a value.
    let disarmed: itimerval = unsafe { zeroed() };
    // SAFETY: reads one structure and writes nothing (NULL).
    succeeded(unsafe { raw_syscall!(Sysno::setitimer, timer, &raw const disarmed, NULL) })
}

/// Sets one signal's disposition to be ignored, or to the default, by the raw call; see rt_sigaction(2).
pub fn set_disposition(signal: u32, ignored: bool) -> Result<(), Errno> {
    // SAFETY: the structure is numbers and optional pointers; zero is SIG_DFL with no flags and an empty mask.
    let mut action: kernel_sigaction = unsafe { zeroed() };
    if ignored {
        // SAFETY: SIG_IGN is the number 1 in the place of a handler, which nobody calls.
        action.sa_handler_kernel = unsafe { transmute::<usize, __kernel_sighandler_t>(SIG_IGN) };
    }
    // SAFETY: reads one structure and writes nothing (NULL).
    succeeded(unsafe { raw_syscall!(Sysno::rt_sigaction, signal, &raw const action, NULL, SIGNAL_SET_SIZE) })
}

/// Whether one of the three interval timers is armed; see getitimer(2).
pub fn is_armed(timer: u32) -> Result<bool, Errno> {
    let mut found = MaybeUninit::<itimerval>::uninit();
    // SAFETY: writes one structure.
    let found = unsafe {
        succeeded(raw_syscall!(Sysno::getitimer, timer, found.as_mut_ptr()))?;
        found.assume_init()
    };
    Ok(found.it_value.tv_sec != 0 || found.it_value.tv_usec != 0)
}

/// Whether a signal is ignored; see rt_sigaction(2).
pub fn is_ignored(signal: u32) -> Result<bool, Errno> {
    let mut action = MaybeUninit::<kernel_sigaction>::uninit();
    // SAFETY: reads nothing (NULL) and writes one structure, whose first word is SIG_IGN or the handler's address.
    unsafe {
        succeeded(raw_syscall!(Sysno::rt_sigaction, signal, NULL, action.as_mut_ptr(), SIGNAL_SET_SIZE))?;
        Ok(action.as_ptr().cast::<usize>().read() == SIG_IGN)
    }
}

/// Sets the blocked mask; see rt_sigprocmask(2).
#[inline(never)]
pub fn set_blocked(mask: SignalSet) -> Result<(), Errno> {
    // SAFETY: reads one mask and writes nothing (NULL).
    succeeded(unsafe { raw_syscall!(Sysno::rt_sigprocmask, SIG_SETMASK, &raw const mask.0, NULL, SIGNAL_SET_SIZE) })
}

/// The blocked mask; see rt_sigprocmask(2).
pub fn blocked() -> Result<SignalSet, Errno> {
    let mut mask = SignalSet::default();
    // SAFETY: reads nothing (NULL) and writes one mask.
    succeeded(unsafe { raw_syscall!(Sysno::rt_sigprocmask, SIG_SETMASK, NULL, &raw mut mask.0, SIGNAL_SET_SIZE) })?;
    Ok(mask)
}

/// The signals that wait to be delivered to this process; see rt_sigpending(2).
pub fn pending() -> Result<SignalSet, Errno> {
    let mut set = SignalSet::default();
    // SAFETY: writes one set.
    succeeded(unsafe { raw_syscall!(Sysno::rt_sigpending, &raw mut set.0, SIGNAL_SET_SIZE) })?;
    Ok(set)
}
