//! Descriptors by their numbers, as a host that has a process to itself can handle them.

#![allow(unsafe_code)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;

use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

/// Device, in two parts, and inode.
pub type Identity = (u64, u64, u64);

/// Makes `number` a copy of `file`, to stay open for as long as the process lives.
pub fn place(file: impl Into<OwnedFd>, number: RawFd, close_on_exec: bool) {
    let file = file.into();
    if file.as_raw_fd() == number {
        std::mem::forget(file);
        return set_close_on_exec(number, close_on_exec);
    }
    let flags = if close_on_exec { libc::O_CLOEXEC } else { 0 };
    // SAFETY: touches no memory; what had this number is the host's, which gives it up.
    let placed = unsafe { libc::dup3(file.as_raw_fd(), number, flags) };
    assert_eq!(placed, number, "{}", io::Error::last_os_error());
}

/// A copy with a number from `least` up that `is_taken` does not say of, close-on-exec.
pub fn aside(file: OwnedFd, least: RawFd, is_taken: impl Fn(RawFd) -> bool) -> io::Result<OwnedFd> {
    let mut least = least;
    loop {
        // SAFETY: touches no memory.
        let copy = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) };
        if copy < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is new, and nobody else's.
        let copy = unsafe { OwnedFd::from_raw_fd(copy) };
        if !is_taken(copy.as_raw_fd()) {
            return Ok(copy);
        }
        least = copy.as_raw_fd() + 1;
    }
}

pub fn close(number: RawFd) {
    // SAFETY: touches no memory; the host gives it up, and it may be closed already.
    unsafe { libc::close(number) };
}

/// Closes all from `first` up, where the kernel has a call for that.
pub fn close_from(first: RawFd) {
    // SAFETY: touches no memory; nothing that this program has opened lies there yet.
    unsafe { libc::close_range(first as u32, u32::MAX, 0) };
}

/// Whether it is marked close-on-exec; nothing where it is closed.
pub fn close_on_exec(number: RawFd) -> Option<bool> {
    // SAFETY: touches no memory.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    (flags >= 0).then_some(flags & libc::FD_CLOEXEC != 0)
}

pub fn set_close_on_exec(number: RawFd, close_on_exec: bool) {
    let flags = if close_on_exec { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: touches no memory.
    assert_eq!(unsafe { libc::fcntl(number, libc::F_SETFD, flags) }, 0, "{}", io::Error::last_os_error());
}

/// Which file is open under this number.
pub fn identity(number: RawFd) -> Option<Identity> {
    close_on_exec(number)?;
    let status = rustix::fs::fstat(lend(number)).ok()?;
    Some(parts(status.st_dev, status.st_ino))
}

/// Which file a path leads to.
pub fn identity_of(path: &str) -> Option<Identity> {
    let status = std::fs::metadata(path).ok()?;
    Some(parts(status.dev(), status.ino()))
}

fn parts(device: u64, inode: u64) -> Identity {
    (libc::major(device).into(), libc::minor(device).into(), inode)
}

/// All that is open. The directory's own descriptor is among them, under the same number as long as that is free.
pub fn all_open() -> BTreeSet<RawFd> {
    let entries = fs::read_dir("/proc/self/fd").expect("/proc");
    entries.filter_map(|entry| entry.expect("an entry").file_name().to_str()?.parse().ok()).collect()
}

/// Lends a descriptor of the host's, which stays open for as long as the process lives; or one that is closed, which is
/// what some requests are about: the launcher only passes the number on to the kernel.
pub fn lend(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: see above. It is not -1.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Both sides of a new terminal, close-on-exec.
pub fn terminal() -> (OwnedFd, OwnedFd) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
    unlockpt(&person).expect("its other side");
    let name = ptsname(&person, Vec::new()).expect("its name").into_string().expect("UTF-8");
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let program = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).expect("its other side");
    (person, program)
}

/// What stands for a path alone.
pub fn path_only(path: &str) -> OwnedFd {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty()).expect("a directory")
}

pub fn open(path: &str) -> OwnedFd {
    File::open(path).unwrap_or_else(|error| panic!("{path}: {error}")).into()
}
