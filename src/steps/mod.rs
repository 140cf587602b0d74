//! One file a step. [`make_slate`] has their order.

mod descriptors;
mod directory;
mod dispositions;
pub mod exec;
mod leaks;
mod mask;
mod new_privileges;
mod nofile;
mod oom_score;
mod parent;
mod rename;
mod session;
mod terminal;
mod timers;
mod umask;

pub use descriptors::unmark;
pub use rename::give_numbers;

use crate::settings::Settings;
use crate::slate::Slate;
use crate::status::Failure;
use crate::sys::DescriptorTable;

/// The steps that make the slate, in order: all but telling that the program is about to be started, and exec.
///
/// The one list of them, for relay and for launchers that take them in a child of their own. A new step is a file beside
/// this one and a line here. Limits come last of what may need a descriptor: a child of a launcher still has all that the
/// host has, and could open nothing below a limit that was lowered.
#[deny(unused_variables)]
#[inline(never)]
pub fn make_slate(slate: &mut Slate, table: &mut DescriptorTable) -> Result<(), Failure> {
    descriptors::mark(slate, table)?;
    rename::give_numbers(slate, table)?;
    // All of them, so that the compiler finds a setting that no step takes.
    let Settings {
        ignored,
        blocked,
        keep_ignored,
        nofile,
        umask,
        session,
        terminal,
        die_with_parent,
        no_new_privileges,
        oom_score,
    } = &slate.settings;
    session::begin(*session || terminal.is_some())?;
    terminal::take(*terminal)?;
    leaks::close(slate.directory, &mut slate.descriptors, slate.report, table)?;
    directory::change(slate.directory)?;
    umask::set(*umask)?;
    parent::die_with(*die_with_parent)?;
    new_privileges::give_up(*no_new_privileges)?;
    oom_score::write(*oom_score)?;
    nofile::set_limit(*nofile)?;
    timers::disarm(slate.may_have_timers)?;
    dispositions::reset(*ignored, keep_ignored.0)?;
    mask::set(*blocked)
}
