//! Signal numbers, names and sets.

use core::fmt;
use core::ops::Range;

use linux_raw_sys::general::{SIGIO, SIGKILL, SIGSTOP};

use crate::text::{Text, count_texts, text_at};
use crate::value::{Arity, Kind, Mistake, Value, require};

/// Every signal number, signal(7). The C library's own two, 32 and 33, are among them.
pub const ALL: Range<u32> = 1..65;

/// The names of signals 1 to 31 without SIG, each ended by a NUL: the same numbers on every architecture that relay has.
const NAMES: &str = "HUP\0INT\0QUIT\0ILL\0TRAP\0ABRT\0BUS\0FPE\0KILL\0USR1\0SEGV\0USR2\0PIPE\0ALRM\0TERM\0STKFLT\0\
    CHLD\0CONT\0STOP\0TSTP\0TTIN\0TTOU\0URG\0XCPU\0XFSZ\0VTALRM\0PROF\0WINCH\0IO\0PWR\0SYS\0";

const _: () = assert!(count_texts(NAMES) == 31);

/// The first signal of real time: C libraries keep 32 and 33 for themselves.
const RTMIN: u32 = 34;
const RTMAX: u32 = 64;

/// The name of `signal`, one of [`ALL`], without SIG; empty for those of real time.
pub fn name(signal: u32) -> Text<'static> {
    text_at(NAMES, signal as usize - 1)
}

/// Whether the kernel lets a process change the signal's disposition and block it: all but KILL and STOP.
pub const fn can_be_changed(signal: u32) -> bool {
    signal != SIGKILL && signal != SIGSTOP
}

/// A set of signals: bit n-1 for signal n, as the kernel has it.
///
/// As text it is a list, `TERM,SIGINT,RTMIN+2,15`.
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

    /// Adds `signal`, one of [`ALL`].
    pub const fn add(&mut self, signal: u32) {
        self.0 |= 1_u64.wrapping_shl(signal.wrapping_sub(1));
    }

    /// Those that are in it.
    pub fn signals(self) -> impl Iterator<Item = u32> {
        ALL.filter(move |&signal| self.has(signal))
    }
}

impl Kind<'_> for SignalSet {
    const ARITY: Arity = Arity::Required;

    #[inline(never)]
    fn read(&mut self, value: &mut Value) -> Result<(), Mistake> {
        loop {
            let signal = take_signal(value)?;
            if !can_be_changed(signal) {
                return Err(Mistake::FixedSignal);
            }
            self.add(signal);
            if !value.take(b',') {
                return Ok(());
            }
        }
    }

    fn write(&self, option: &str, add: &mut dyn FnMut(fmt::Arguments)) {
        if *self != Self::default() {
            add(format_args!("{option}={self}"));
        }
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        let mut set = Self::default();
        // A few, and each as often as another.
        for _ in 0..next() % 4 {
            let signal = ALL.start + next() % (ALL.end - ALL.start);
            if can_be_changed(signal) {
                set.add(signal);
            }
        }
        set
    }
}

impl fmt::Display for SignalSet {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let mut separator = "";
        for signal in self.signals() {
            write!(out, "{separator}{signal}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// A set that is a list as text, or all signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SomeOrAll(pub SignalSet);

impl Kind<'_> for SomeOrAll {
    const ARITY: Arity = Arity::Required;

    fn read(&mut self, value: &mut Value) -> Result<(), Mistake> {
        if value.take_text(b"all") {
            self.0 = SignalSet::FULL;
            return Ok(());
        }
        self.0.read(value)
    }

    fn write(&self, option: &str, add: &mut dyn FnMut(fmt::Arguments)) {
        if self.0 == SignalSet::FULL {
            return add(format_args!("{option}=all"));
        }
        self.0.write(option, add);
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        Self(if next().is_multiple_of(4) { SignalSet::FULL } else { SignalSet::any(next) })
    }
}

/// Takes a signal by its name, with or without SIG, or by its number, as kill(1) has them. 29 is IO to some and POLL to
/// others.
fn take_signal(list: &mut Value) -> Result<u32, Mistake> {
    list.take_text(b"SIG");
    if list.take_text(b"RTMIN") {
        return Ok(RTMIN + offset(list, b'+')?);
    }
    if list.take_text(b"RTMAX") {
        return Ok(RTMAX - offset(list, b'-')?);
    }
    if list.take_text(b"POLL") {
        return Ok(SIGIO);
    }
    if let Some(place) = list.take_word(NAMES, b',') {
        return Ok(place as u32 + 1);
    }
    let signal = list.number(10, RTMAX)?;
    require(signal != 0)?;
    Ok(signal)
}

/// Takes `sign` and how far from an end of the real-time signals one is.
fn offset(list: &mut Value, sign: u8) -> Result<u32, Mistake> {
    if list.take(sign) { list.number(10, RTMAX - RTMIN) } else { Ok(0) }
}
