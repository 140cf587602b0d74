//! One file a step, in the order in which the program takes them.

mod descriptors;
mod rename;

mod nofile;

mod session;
mod terminal;

mod directory;
mod leaks;
mod umask;

mod new_privileges;
mod oom_score;
mod parent;

mod timers;

mod dispositions;
mod mask;

pub mod exec;

pub use descriptors::unmark;
pub use rename::give_numbers;

use crate::settings::Settings;
use crate::slate::Slate;
use crate::status::Failure;
use crate::sys::DescriptorTable;

/// The steps that make the slate, in order: all but telling that the program is about to be started, and exec.
///
/// The one list of them, for relay and for launchers that take them in a child of their own. A new step is a file beside
/// this one and a line here.
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
    nofile::set_limit(*nofile)?;
    session::begin(*session || terminal.is_some())?;
    terminal::take(*terminal)?;
    leaks::close(slate.directory, &mut slate.descriptors, slate.report, table)?;
    directory::change(slate.directory)?;
    umask::set(*umask)?;
    parent::die_with(*die_with_parent)?;
    new_privileges::give_up(*no_new_privileges)?;
    oom_score::write(*oom_score)?;
    timers::disarm(slate.may_have_timers)?;
    dispositions::reset(*ignored, keep_ignored.0)?;
    mask::set(*blocked)
}
