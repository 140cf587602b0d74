//! The relay program that the library carries, as a file in memory.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, Stat, fcntl_add_seals, fstat, memfd_create};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::descriptors::above_standard;
use crate::spawn::Blocked;
use crate::sys::without_file_size_signal;

/// relay as it ships.
static PROGRAM: &[u8] = include_bytes!(env!("EXEC_RELAY_EMBEDDED"));

/// A file with the program, sealed, close-on-exec, of which there is one in the process, and what identifies it.
static FILE: OnceLock<(OwnedFd, u64, u64)> = OnceLock::new();

/// A descriptor of our own of the file with the program.
///
/// The file is made once, and stays as long as the process. A host that closes descriptors it does not know, as daemons do,
/// closes this one too, and its number may be another file's by now: then it is made anew, for this launch.
pub fn open() -> io::Result<OwnedFd> {
    let kept = match FILE.get() {
        Some(kept) => kept,
        None => {
            let file = create()?;
            let Stat { st_dev, st_ino, .. } = fstat(&file)?;
            FILE.get_or_init(|| (file, st_dev, st_ino))
        }
    };
    if let Ok(copy) = fcntl_dupfd_cloexec(&kept.0, 3)
        && fstat(&copy).is_ok_and(|found| (found.st_dev, found.st_ino) == (kept.1, kept.2))
    {
        return Ok(copy);
    }
    create()
}

fn create() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create(c"relay", flags | MemfdFlags::EXEC) {
        // Linux before 6.3 has not got that flag.
        Err(Errno::INVAL) => memfd_create(c"relay", flags),
        other => other,
    };
    let mut file = File::from(above_standard(file?)?);
    // A limit of file size below that of the program would end this process by a signal.
    let blocked = Blocked::new()?;
    without_file_size_signal(|| file.write_all(PROGRAM))?;
    drop(blocked);
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(file.into())
}
