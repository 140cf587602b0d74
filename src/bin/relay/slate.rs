//! `--report`: the slate that relay itself was started on, a fact a line.

use exec_relay::signal::{self, SignalSet};
use exec_relay::status::{Failure, Step};
use exec_relay::steps::{descriptors, report};
use exec_relay::sys::{self, Descriptor, Text};
use exec_relay::words;

use crate::line::{Line, numbered};
use crate::texts;

/// The facts in the order in which they are printed, each ended by a NUL.
pub const FACTS: &str = "descriptor #: open\0descriptor #: close-on-exec\0ignored:\0blocked:\0pending:\0\
    nofile soft: #\0nofile hard: #\0process: #\0parent: #\0group: #\0session: #\0";

const DESCRIPTOR: usize = texts::FACTS;
const SIGNALS: usize = DESCRIPTOR + 2;
const NUMBERS: usize = SIGNALS + 3;

/// Prints it.
#[inline(never)]
pub fn print() -> Result<(), Failure> {
    let end = descriptors::end_of_numbers().map_err(|errno| Failure::new(Step::DESCRIPTORS, errno, 0))?;
    let limit = sys::descriptor_limit().map_err(|errno| Failure::new(Step::NOFILE, errno, 0))?;
    for descriptor in 0..end {
        if let Ok(flags) = sys::descriptor_flags(descriptor) {
            print_descriptor(descriptor, flags)?;
        }
    }
    let mut ignored = SignalSet::default();
    for signal in signal::ALL {
        if sys::is_ignored(signal) {
            ignored.add(signal);
        }
    }
    for (place, set) in (SIGNALS..).zip([ignored, sys::blocked(), sys::pending()]) {
        print_fact(place, 0, set)?;
    }
    let (soft, hard) = (limit.rlim_cur as u32, limit.rlim_max as u32);
    let numbers = [soft, hard, sys::process(), sys::parent(), sys::process_group(), sys::session()];
    for (place, number) in (NUMBERS..).zip(numbers) {
        print_fact(place, number, SignalSet::default())?;
    }
    Ok(())
}

/// Prints the fact at `place` with its number and signals.
#[inline(never)]
fn print_fact(place: usize, number: u32, signals: SignalSet) -> Result<(), Failure> {
    let mut line = Line::new();
    line.add(place, number, None);
    for signal in signal::ALL.filter(|&signal| signals.has(signal)) {
        line.add_byte(b' ');
        match words::text_at(signal::NAMES, signal as usize - 1) {
            b"" => line.add_number(signal),
            name => line.add_foreign(name.iter().copied()),
        }
    }
    report::tell(1, line.end())
}

/// Says what it is too, where /proc is there.
#[inline(never)]
fn print_descriptor(descriptor: Descriptor, flags: u32) -> Result<(), Failure> {
    let mut line = Line::new();
    line.add(DESCRIPTOR + flags as usize, descriptor as u32, None);
    let path = numbered(b"/proc/self/fd/", descriptor as u32);
    let mut target = heapless::Vec::<u8, 4096>::new();
    sys::read_link(Text::within(&path), &mut target);
    if !target.is_empty() {
        line.add_byte(b' ');
        line.add_foreign(target.iter().copied());
    }
    report::tell(1, line.end())
}
