//! Texts, numbers and errnos.
//!
//! A slice of `&str` holds pointers, which a position-independent file must relocate before it can use them. The tables
//! here hold none: their texts stand one after the other, each ended by a NUL.

use linux_raw_sys::errno;

use crate::sys::Text;

/// Takes one of the words in `words`, each ended by a NUL, where `text` begins with it and goes on with `end` or not at
/// all. Returns its place.
#[inline(never)]
pub fn take_listed(words: &'static str, text: &mut Text, end: u8) -> Option<usize> {
    let mut place = 0;
    let mut rest = Some(*text);
    for &byte in words.as_bytes() {
        if byte != 0 {
            rest = rest.filter(|rest| rest.first() == byte).map(after_first);
            continue;
        }
        match rest {
            Some(rest) if rest.first() == 0 || rest.first() == end => {
                *text = rest;
                return Some(place);
            }
            _ => rest = Some(*text),
        }
        place += 1;
    }
    None
}

fn after_first(mut text: Text) -> Text {
    text.next();
    text
}

/// The text at `place` in `texts`, where each ends with a NUL; nothing beyond the last one.
#[inline(never)]
pub fn text_at(mut texts: &[u8], mut place: usize) -> Text<'_> {
    while place > 0
        && let Some((&byte, rest)) = texts.split_first()
    {
        place -= usize::from(byte == 0);
        texts = rest;
    }
    Text::within(texts)
}

/// Hands a number's decimal digits to `add`, the highest first.
pub fn each_digit(number: u32, add: &mut impl FnMut(u8)) {
    if number >= 10 {
        each_digit(number / 10, add);
    }
    add(b'0' + (number % 10) as u8);
}

macro_rules! errnos {
    ($($name:ident $meaning:literal;)*) => {
        const NUMBERS: &[u8] = &[$(errno::$name as u8),*];
        /// The errnos that relay knows, in words, each ended by a NUL.
        pub const ERRNOS: &str = concat!($($meaning, " (", stringify!($name), ")\0"),*);
    };
}

// Those that the system calls of relay give.
errnos! {
    EPERM "not permitted";
    ENOENT "no such file";
    ESRCH "no such process";
    EIO "I/O error";
    E2BIG "arguments and environment too long";
    ENOEXEC "not a format that runs here";
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

/// The place of an errno in [`ERRNOS`].
pub fn errno_place(errno: u32) -> Option<usize> {
    NUMBERS.iter().position(|&number| u32::from(number) == errno)
}
