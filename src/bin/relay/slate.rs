//! `--report`: the slate that relay itself was started on, a fact a line.

use exec_relay::signal::{self, SignalSet};
use exec_relay::status::{Failure, Step};
use exec_relay::steps::{descriptors, report};
use exec_relay::sys::{self, Descriptor};
use exec_relay::words;

use crate::line::Line;

/// Prints it.
pub fn print() -> Result<(), Failure> {
    let end = descriptors::end_of_numbers().map_err(|errno| Failure::new(Step::DESCRIPTORS, errno, 0))?;
    let limit = sys::descriptor_limit().map_err(|errno| Failure::new(Step::NOFILE, errno, 0))?;
    let mut facts = Facts { printed: Ok(()) };
    for descriptor in 0..end {
        if let Ok(flags) = sys::descriptor_flags(descriptor) {
            facts.descriptor(descriptor, flags);
        }
    }
    let mut ignored = SignalSet::default();
    for signal in signal::ALL {
        if sys::is_ignored(signal) {
            ignored.add(signal);
        }
    }
    facts.signals(b"ignored:", ignored);
    facts.signals(b"blocked:", sys::blocked());
    facts.signals(b"pending:", sys::pending());
    facts.number(b"nofile soft: ", limit.rlim_cur as u32);
    facts.number(b"nofile hard: ", limit.rlim_max as u32);
    facts.number(b"process: ", sys::process());
    facts.number(b"parent: ", sys::parent());
    facts.number(b"group: ", sys::process_group());
    facts.number(b"session: ", sys::session());
    facts.printed
}

/// What prints facts until one cannot be printed.
struct Facts {
    printed: Result<(), Failure>,
}

impl Facts {
    fn line(&mut self, mut line: Line) {
        self.printed = self.printed.and_then(|()| report::tell(1, line.end()));
    }

    fn number(&mut self, name: &[u8], number: u32) {
        let mut line = Line::new(name);
        line.add_number(number);
        self.line(line);
    }

    fn signals(&mut self, name: &[u8], set: SignalSet) {
        let mut line = Line::new(name);
        for signal in signal::ALL {
            if set.has(signal) {
                line.add(b' ');
                match words::text_at(signal::NAMES, signal as usize - 1) {
                    b"" => line.add_number(signal),
                    name => line.add_foreign(name),
                }
            }
        }
        self.line(line);
    }

    /// Says what it is too, where /proc is there.
    fn descriptor(&mut self, descriptor: Descriptor, flags: u32) {
        let mut path = Line::new(b"/proc/self/fd/");
        path.add_number(descriptor as u32);
        let mut target = heapless::Vec::<u8, 4096>::new();
        sys::read_link(path.as_c_string(), &mut target);

        let mut line = Line::new(b"descriptor ");
        line.add_number(descriptor as u32);
        line.add_foreign(if flags == 0 { b": open" } else { b": close-on-exec" });
        if !target.is_empty() {
            line.add(b' ');
            line.add_foreign(&target);
        }
        self.line(line);
    }
}
