//! What the steps make, each a part of it.

use core::ffi::CStr;

use linux_raw_sys::errno::EBADF;

use crate::errno::Errno;
use crate::fd_plan::FdPlan;
use crate::settings::Settings;
use crate::status::{Failure, Report, Step};
use crate::sys::Descriptor;

/// The slate that a program is to start on, and where to tell how far that got. In this order: what is large comes last, so
/// that the fields before it get short offsets, and so shorter code.
#[repr(C)]
pub struct Slate<'a> {
    /// Where to report. The step of renaming moves the descriptor out of the program's way.
    pub report: Report,
    /// Whether this process may have interval timers that somebody else armed. A child has none before its first exec:
    /// it inherits none (setitimer(2)).
    pub may_have_timers: bool,
    /// The current directory.
    pub directory: Option<Path<'a>>,
    /// The cgroup.
    pub cgroup: Option<Cgroup<'a>>,
    /// The descriptor that the program is open on, where it is executed by that. The step of renaming moves it out of the
    /// way.
    pub program: Option<Descriptor>,
    /// The settings that were asked for.
    pub settings: Settings<'a>,
    /// Which descriptor the program has from where.
    pub descriptors: FdPlan,
}

/// Fails where settings ask for what the program's descriptors do not give: the terminal must be one of them. To be called
/// before anything is changed.
pub fn check(settings: &Settings, descriptors: &FdPlan) -> Result<(), Failure> {
    match settings.terminal.map(|terminal| terminal.get()) {
        Some(terminal) if !descriptors.has(terminal) => {
            Err(Failure::new(Step::Terminal, Errno::new(EBADF), terminal as u32))
        }
        _ => Ok(()),
    }
}

/// The directory of a cgroup.
#[derive(Clone, Copy)]
pub enum Cgroup<'a> {
    /// By its path.
    Path(Path<'a>),
    /// As a descriptor of it.
    Open(Descriptor),
}

/// A path that a failure may concern.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    /// The path itself.
    pub path: &'a CStr,
    /// The index of the argument that names it; 0 where none does.
    pub argument: u32,
}
