//! One file a step. [`make_slate`] has their order.

mod bounding_set;
mod capabilities;
mod cgroup;
mod descriptors;
mod directory;
mod dispositions;
pub mod exec;
mod groups;
mod io_class;
mod keyring;
mod leaks;
mod limits;
mod mask;
mod new_privileges;
mod nice;
mod nofile;
mod oom_score;
mod parent;
mod process_group;
mod processors;
mod rename;
mod reset;
mod scheduling;
mod session;
mod terminal;
mod timer_slack;
mod timers;
mod umask;
mod user;

pub use cgroup::enter as enter_cgroup;
pub use descriptors::unmark;
pub use rename::give_numbers;
pub use reset::is_io_flusher;

use crate::settings::Settings;
use crate::slate::Slate;
use crate::status::Failure;
use crate::sys::DescriptorTable;

/// The steps that make the slate, in order: all but telling that the program is about to be started, and exec.
///
/// The one list of them, for relay and for launchers that take them in a child of their own. A new step is a file beside
/// this one and a line here.
///
/// The cgroup comes first, so that it is charged for all that follows. Limits come last of what may need a descriptor: a
/// child of a launcher still has all that the host has, and could open nothing below a limit that was lowered. What needs
/// privileges comes before user and capabilities, and after these what a change of user would undo (the parent-death
/// signal) or what is to be the new user's (the keyring).
#[deny(unused_variables)]
#[inline(never)]
pub fn make_slate(slate: &mut Slate, table: &mut DescriptorTable) -> Result<(), Failure> {
    cgroup::enter(slate.cgroup)?;
    descriptors::mark(slate, table)?;
    rename::give_numbers(slate, table)?;
    session::begin(slate.settings.session || slate.settings.terminal.is_some())?;
    terminal::take(slate.settings.terminal)?;
    leaks::close(slate, table)?;
    // All of them, so that the compiler finds a setting that no step takes.
    let Settings {
        keep_inherited: _,
        ignored,
        blocked,
        keep_ignored,
        keep_timers,
        umask,
        session: _,
        terminal: _,
        process_group,
        user,
        capabilities,
        no_new_privileges,
        new_keyring,
        die_with_parent,
        nofile,
        limits,
        nice,
        scheduling,
        processors,
        io_class,
        timer_slack,
        oom_score,
        reset,
    } = &slate.settings;
    process_group::join(*process_group)?;
    directory::change(slate.directory)?;
    umask::set(*umask)?;
    nice::set(*nice, *reset)?;
    scheduling::set(*scheduling, *reset)?;
    timer_slack::set(*timer_slack, *reset)?;
    processors::set(*processors, *reset)?;
    io_class::set(*io_class, *reset)?;
    oom_score::write(*oom_score, *reset)?;
    reset::to_defaults(*reset)?;
    nofile::set_limit(*nofile)?;
    limits::set(limits)?;
    groups::replace(*user)?;
    bounding_set::shrink(*capabilities)?;
    user::become_user(*user, *capabilities)?;
    capabilities::give(*capabilities)?;
    keyring::begin(*new_keyring)?;
    parent::die_with(*die_with_parent)?;
    new_privileges::give_up(*no_new_privileges)?;
    timers::disarm(slate.may_have_timers && !*keep_timers)?;
    dispositions::reset(*ignored, keep_ignored.0)?;
    mask::set(*blocked)
}
