//! Why a system call failed, and the words for it.

use core::num::NonZeroU32;

use linux_raw_sys::errno;

use crate::text::{Text, count_texts, text_at};

/// Why a system call failed; see errno(3). Never 0, so that `Result<(), Errno>` is one register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(NonZeroU32);

impl Errno {
    /// From a number as `linux_raw_sys::errno` has it, 1 to 4095. 0, which no error has, becomes EPERM, 1.
    pub const fn new(number: u32) -> Self {
        match NonZeroU32::new(number) {
            Some(number) => Self(number),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// The number, 1 to 4095.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// Whether it is `number`, one of `linux_raw_sys::errno`.
    pub const fn is(self, number: u32) -> bool {
        self.number() == number
    }
}

/// What an errno means and its name, `no such file (ENOENT)`, where it is one that the system calls of relay give.
pub fn words(number: u32) -> Option<Text<'static>> {
    let place = NUMBERS.iter().position(|&known| u32::from(known) == number)?;
    Some(text_at(WORDS, place))
}

// A NUL in the words would move all after it.
const _: () = assert!(count_texts(WORDS) == NUMBERS.len());

macro_rules! errnos {
    ($($name:ident $meaning:literal;)*) => {
        const NUMBERS: &[u8] = &[$(errno::$name as u8),*];
        /// Each ended by a NUL.
        const WORDS: &str = concat!($($meaning, " (", stringify!($name), ")\0"),*);
    };
}

errnos! {
    EPERM "not permitted";
    ENOENT "no such file";
    ESRCH "no such process";
    EIO "I/O error";
    E2BIG "arguments and environment too long";
    EINTR "interrupted";
    EFAULT "bad address";
    EBUSY "busy";
    ENFILE "too many open files";
    ENOEXEC "not for this machine, and without an interpreter line";
    EBADF "not open for this";
    EAGAIN "a limit is reached";
    ENOMEM "out of memory";
    EACCES "permission denied";
    EEXIST "asked for twice";
    ENODEV "no procfs";
    ENOTDIR "not a directory";
    EINVAL "invalid";
    EMFILE "too many or too high descriptors";
    ENOTTY "not a terminal";
    ETXTBSY "open for writing";
    ENOSPC "no space left";
    EPIPE "no reader";
    ERANGE "limit too high";
    ENAMETOOLONG "path too long";
    ENOSYS "no such system call";
    ELOOP "too many links or interpreters";
}
