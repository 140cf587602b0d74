//! Files of /proc/self, and others that the kernel makes of numbers.

use core::ffi::CStr;

use linux_raw_sys::errno::{EIO, ENODEV};
use linux_raw_sys::general::{O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY, PROC_SUPER_MAGIC};

use crate::errno::Errno;
use crate::sys::{self, OwnedFile};
use crate::text::Digits;

/// How such a file is opened to be written: not what may be in its place, a link to another file, or a pipe that nobody
/// reads.
pub const WRITE: u32 = O_WRONLY | O_NOFOLLOW | O_NONBLOCK;

/// Opens a file of /proc/self. ENODEV where that is no procfs.
fn open(path: &CStr, access: u32) -> Result<OwnedFile, Errno> {
    let file = sys::open(path, access)?;
    if sys::file_system(&file)?.kind == PROC_SUPER_MAGIC { Ok(file) } else { Err(Errno::new(ENODEV)) }
}

/// Opens a file of /proc/self to be read.
pub fn open_to_read(path: &CStr) -> Result<OwnedFile, Errno> {
    open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
}

/// Writes a number to a file of /proc/self.
#[inline(never)]
pub fn write_number(path: &CStr, number: i32) -> Result<(), Errno> {
    write_number_to(open(path, WRITE)?, number)
}

/// The same to a file that is open. The kernel takes each write for a number of its own, so what a short one has left out
/// cannot follow.
#[inline(never)]
pub fn write_number_to(file: OwnedFile, number: i32) -> Result<(), Errno> {
    let mut digits = Digits::default();
    let number = digits.of(number.unsigned_abs().into(), number < 0).as_c_str().to_bytes();
    let written = sys::write(file.descriptor(), number)?;
    if written == number.len() { Ok(()) } else { Err(Errno::new(EIO)) }
}
