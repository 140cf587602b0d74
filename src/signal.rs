//! Signal numbers, names and sets.

use core::ops::Range;

use linux_raw_sys::errno::EOPNOTSUPP;
use linux_raw_sys::general::{SIGIO, SIGKILL, SIGSTOP};

use crate::options::Value;
use crate::sys::Errno;
use crate::words;

/// Every signal number, signal(7). The C library's own two, 32 and 33, are among them.
pub const ALL: Range<u32> = 1..65;

/// The names of signals 1 to 31 without SIG, each ended by a NUL: the same numbers on every architecture that relay has.
pub const NAMES: &str = "HUP\0INT\0QUIT\0ILL\0TRAP\0ABRT\0BUS\0FPE\0KILL\0USR1\0SEGV\0USR2\0PIPE\0ALRM\0TERM\0STKFLT\0\
    CHLD\0CONT\0STOP\0TSTP\0TTIN\0TTOU\0URG\0XCPU\0XFSZ\0VTALRM\0PROF\0WINCH\0IO\0PWR\0SYS\0";

/// A set of signals: bit n-1 for signal n, as the kernel has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(pub u64);

// The kernel has an array of unsigned longs. On 32 bits with the highest byte first its halves would be the other way
// round.
const _: () = assert!(cfg!(any(target_pointer_width = "64", target_endian = "little")));

impl SignalSet {
    /// All signals.
    pub const FULL: Self = Self(u64::MAX);

    /// Whether `signal`, one of [`ALL`], is in the set.
    pub const fn has(self, signal: u32) -> bool {
        self.0.wrapping_shr(signal.wrapping_sub(1)) & 1 != 0
    }

    /// Adds the signals of a list, `TERM,SIGINT,RTMIN+2,15`. EOPNOTSUPP for KILL and STOP, which nobody can ignore or
    /// block.
    #[inline(never)]
    pub fn add_list(&mut self, list: &mut Value) {
        loop {
            let signal = number(list);
            list.require(ALL.contains(&signal));
            if !can_be_changed(signal) {
                list.check(Err(Errno::new(EOPNOTSUPP)));
            }
            self.add(signal);
            if !list.take(b',') {
                return;
            }
        }
    }

    /// Adds `signal`, one of [`ALL`].
    pub const fn add(&mut self, signal: u32) {
        self.0 |= 1_u64.wrapping_shl(signal.wrapping_sub(1));
    }
}

/// Whether the kernel lets a process change the signal's disposition and block it: all but KILL and STOP.
pub const fn can_be_changed(signal: u32) -> bool {
    signal != SIGKILL && signal != SIGSTOP
}

/// Takes a signal by its name, with or without SIG, or by its number, as kill(1) has them; 0 where it is none. 29 is
/// IO to some and POLL to others. RTMIN is 34, since C libraries keep 32 and 33 for themselves.
fn number(list: &mut Value) -> u32 {
    list.take_text(b"SIG");
    if list.take_text(b"RTMIN") {
        return 34 + offset(list, b'+');
    }
    if list.take_text(b"RTMAX") {
        return 64 - offset(list, b'-');
    }
    if list.take_text(b"POLL") {
        return SIGIO;
    }
    match words::take_listed(NAMES, &mut list.rest, b',') {
        Some(place) => place as u32 + 1,
        None => list.decimal() as u32,
    }
}

/// Takes `sign` and how far from an end of the real-time signals one is, 30 at the most.
fn offset(list: &mut Value, sign: u8) -> u32 {
    if list.take(sign) { list.number(10, 30) as u32 } else { 0 }
}
