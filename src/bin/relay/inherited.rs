//! `--report`: the slate that relay itself was started on, a fact a line.

use core::mem::MaybeUninit;

use exec_relay::errno::Errno;
use exec_relay::signal::{self, SignalSet};
use exec_relay::status::{Failure, Step};
use exec_relay::sweep::{self, Listed};
use exec_relay::sys::{self, Descriptor, EntryBuffer, OwnedFile};
use exec_relay::text::Text;
use linux_raw_sys::errno::EBADF;
use linux_raw_sys::general::rlimit64;

use crate::line::Line;
use crate::texts::Phrase;

/// Prints it, or fails where a part of it cannot be found out: nothing is left out as if it were not there.
#[inline(never)]
pub fn print() -> Result<(), Failure> {
    match sweep::open_own_directory() {
        Ok(directory) => print_listed(&directory)?,
        Err(_) => (0..sweep::end_of_numbers().map_err(failed)?).try_for_each(print_descriptor)?,
    }

    let mut ignored = SignalSet::default();
    for signal in signal::ALL {
        if sys::is_ignored(signal).map_err(failed)? {
            ignored.add(signal);
        }
    }
    let mut limit = rlimit64 { rlim_cur: 0, rlim_max: 0 };
    sys::descriptor_limit(&mut limit).map_err(failed)?;
    print_signals(Phrase::Ignored, ignored)?;
    print_signals(Phrase::Blocked, sys::blocked().map_err(failed)?)?;
    print_signals(Phrase::Pending, sys::pending().map_err(failed)?)?;
    print_number(Phrase::NofileSoft, limit.rlim_cur as u32)?;
    print_number(Phrase::NofileHard, limit.rlim_max as u32)?;
    print_identity(Phrase::Process, sys::process())?;
    print_identity(Phrase::Parent, sys::parent())?;
    print_identity(Phrase::Group, sys::process_group())?;
    print_identity(Phrase::Session, sys::session())
}

#[inline(never)]
fn print_identity(fact: Phrase, identity: Result<u32, Errno>) -> Result<(), Failure> {
    print_number(fact, identity.map_err(failed)?)
}

#[inline(never)]
fn print_number(fact: Phrase, number: u32) -> Result<(), Failure> {
    let mut line = Line::about(number, Text::default());
    line.add(fact.text());
    line.tell(1)
}

#[inline(never)]
fn print_signals(fact: Phrase, signals: SignalSet) -> Result<(), Failure> {
    let mut line = Line::about(0, Text::default());
    line.add(fact.text());
    for signal in signals.signals() {
        line.add_byte(b' ');
        let name = signal::name(signal);
        if name.first() == 0 {
            line.add_number(signal);
        }
        line.add_foreign(name);
    }
    line.tell(1)
}

/// Those that /proc/self/fd lists.
#[inline(never)]
fn print_listed(directory: &OwnedFile) -> Result<(), Failure> {
    let mut buffer = EntryBuffer::new();
    let mut listed = Listed::new(directory, &mut buffer);
    while let Some(descriptor) = listed.next_descriptor().map_err(failed)? {
        print_descriptor(descriptor)?;
    }
    Ok(())
}

/// Prints a descriptor that is open, and what it is too, where /proc is there.
#[inline(never)]
fn print_descriptor(descriptor: Descriptor) -> Result<(), Failure> {
    let flags = match sys::descriptor_flags(descriptor) {
        Err(errno) if errno.is(EBADF) => return Ok(()),
        flags => flags.map_err(failed)?,
    };
    let mut path = Line::about(descriptor as u32, Text::default());
    path.add_string(Phrase::DescriptorPath);
    let mut buffer = [MaybeUninit::uninit(); _];
    let target = sys::read_link(path.text_from(0), &mut buffer);

    let mut line = Line::about(descriptor as u32, Text::default());
    line.add(if flags == 0 { Phrase::DescriptorOpen } else { Phrase::DescriptorCloseOnExec }.text());
    if target.first() != 0 {
        line.add_byte(b' ');
    }
    line.add_foreign(target);
    line.tell(1)
}

fn failed(errno: Errno) -> Failure {
    Failure::new(Step::Slate, errno, 0)
}
