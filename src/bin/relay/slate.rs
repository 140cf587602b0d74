//! `--report`: the slate that relay itself was started on, a fact a line.

use core::mem::MaybeUninit;

use exec_relay::signal::{self, SignalSet};
use exec_relay::status::{Failure, Step};
use exec_relay::steps::descriptors;
use exec_relay::sys::{self, Descriptor, Text};
use exec_relay::words;
use linux_raw_sys::errno::EBADF;
use linux_raw_sys::general::rlimit64;

use crate::line::Line;
use crate::texts;

/// The facts in the order in which they are printed, each ended by a NUL.
pub const FACTS: &str = "descriptor #: open\0descriptor #: close-on-exec\0ignored:\0blocked:\0pending:\0\
    nofile soft: #\0nofile hard: #\0process: #\0parent: #\0group: #\0session: #\0\
    /proc/self/fd/#\0";

const DESCRIPTOR: usize = texts::FACTS;
const SIGNALS: usize = DESCRIPTOR + 2;
const NUMBERS: usize = SIGNALS + 3;
/// Not a fact, but where one is found.
const PATH: usize = NUMBERS + 6;

/// Prints it, or fails where a part of it cannot be found out: nothing is left out as if it were not there.
#[inline(never)]
pub fn print() -> Result<(), Failure> {
    let failed = |errno| Failure::new(Step::SLATE, errno, 0);
    let mut printed = Ok(());
    let mut visit = |descriptor| match sys::descriptor_flags(descriptor) {
        Ok(flags) => {
            printed = printed.and_then(|()| print_descriptor(descriptor, flags));
            Ok(())
        }
        Err(errno) if errno.is(EBADF) => Ok(()),
        Err(errno) => Err(errno),
    };
    let visited = match descriptors::end_of_numbers() {
        Ok(end) => (0..end).try_for_each(visit),
        // Only /proc can tell then.
        Err(_) => descriptors::try_for_each_listed(&mut visit),
    };
    visited.map_err(failed)?;
    printed?;

    let mut ignored = SignalSet::default();
    for signal in signal::ALL {
        if sys::is_ignored(signal).map_err(failed)? {
            ignored.add(signal);
        }
    }
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    sys::descriptor_limit(&mut limit).map_err(failed)?;
    let facts = [
        ignored.0,
        sys::blocked().map_err(failed)?.0,
        sys::pending().map_err(failed)?.0,
        limit.rlim_cur,
        limit.rlim_max,
        sys::process().into(),
        sys::parent().into(),
        sys::process_group().into(),
        sys::session().into(),
    ];
    (SIGNALS..).zip(facts).try_for_each(|(place, fact)| print_fact(place, fact))
}

/// Prints the text at `place` with its number, or with its set of signals where it is one of those.
#[inline(never)]
pub fn print_fact(place: usize, fact: u64) -> Result<(), Failure> {
    let mut line = Line::about(fact as u32, Text::default());
    line.add(place);
    for signal in signal::ALL.filter(|&signal| place < NUMBERS && SignalSet(fact).has(signal)) {
        line.add_byte(b' ');
        let name = words::text_at(signal::NAMES.as_bytes(), signal as usize - 1);
        if name.first() == 0 {
            line.add_number(signal);
        }
        line.add_foreign(name);
    }
    line.tell(1)
}

/// Says what it is too, where /proc is there.
fn print_descriptor(descriptor: Descriptor, flags: u32) -> Result<(), Failure> {
    let mut line = Line::about(descriptor as u32, Text::default());
    line.add(PATH);
    let mut buffer = [MaybeUninit::uninit(); _];
    let target = sys::read_link(line.as_text(), &mut buffer);

    line.clear();
    line.add(DESCRIPTOR + flags as usize);
    if target.first() != 0 {
        line.add_byte(b' ');
    }
    line.add_foreign(target);
    line.tell(1)
}
