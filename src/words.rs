//! Errno names and phrases.
//!
//! A slice of `&str` holds pointers, which a position-independent file must relocate before it can use them. These
//! tables hold none: the texts stand one after the other, each ended by a NUL, beside the numbers they belong to.

use linux_raw_sys::errno;

macro_rules! errnos {
    ($($name:ident)*) => {
        const NUMBERS: &[u8] = &[$(errno::$name as u8),*];
        const NAMES: &str = concat!($(stringify!($name), "\0"),*);
    };
}

// Those that the system calls of relay give, with the less likely ones that execve passes on from file systems.
errnos! {
    EPERM ENOENT EIO E2BIG ENOEXEC EBADF EAGAIN ENOMEM EACCES ENODEV ENOTDIR EISDIR EINVAL EMFILE ETXTBSY EPIPE ERANGE
    ENAMETOOLONG ENOSYS ELOOP
}

/// The names of errnos that relay knows, each ended by a NUL.
pub const ERRNO_NAMES: &str = NAMES;

/// The place of an errno's name in [`ERRNO_NAMES`].
pub fn errno_place(errno: u32) -> Option<usize> {
    NUMBERS.iter().position(|&number| u32::from(number) == errno)
}
