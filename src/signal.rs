//! Signal numbers.

use core::ops::Range;

use linux_raw_sys::general::{SIGKILL, SIGSTOP};

/// Every signal number, signal(7). The C library's own two, 32 and 33, are among them.
pub const ALL: Range<u32> = 1..65;

/// Whether the kernel lets a process change the signal's disposition and block it: all but KILL and STOP.
pub const fn can_be_changed(signal: u32) -> bool {
    signal != SIGKILL && signal != SIGSTOP
}
