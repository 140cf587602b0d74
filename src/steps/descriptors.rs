//! Descriptors: every one that the plan does not keep closes at the moment the program starts; or, where what is inherited
//! is kept too, those that are not for the program.
//!
//! They are marked close-on-exec rather than closed, so that the end of file on the status pipe proves that the program
//! runs.

use linux_raw_sys::errno::EBADF;

use crate::errno::Errno;
use crate::slate::Slate;
use crate::status::{Failure, Report, Step};
use crate::sweep::{self, Act};
use crate::sys::{Descriptor, DescriptorTable};

/// Marks every descriptor close-on-exec that the program does not have.
pub fn mark(slate: &Slate, table: &mut DescriptorTable) -> Result<(), Failure> {
    let plan = &slate.descriptors;
    if !slate.settings.keep_inherited {
        return sweep::all_but(plan, Act::MarkCloseOnExec, table);
    }
    let told_on = match slate.report {
        Report::Records(status) | Report::Attendant(status) => Some(status),
        Report::Message(_) | Report::Returned => None,
    };
    let not_for_program =
        plan.closed().chain(told_on).chain(slate.program).filter(|&descriptor| !plan.keeps(descriptor));
    each_open(not_for_program, |descriptor| table.mark_close_on_exec(descriptor))
}

/// Has `kept` descriptors stay open at exec even where they are marked close-on-exec. One that is closed stays closed.
///
/// Only a launcher that takes the steps in a child of its own needs it: relay's own exec has closed what was marked.
pub fn unmark(kept: &[Descriptor], table: &mut DescriptorTable) -> Result<(), Failure> {
    each_open(kept.iter().copied(), |descriptor| table.unmark_close_on_exec(descriptor))
}

fn each_open(
    mut descriptors: impl Iterator<Item = Descriptor>,
    mut act: impl FnMut(Descriptor) -> Result<(), Errno>,
) -> Result<(), Failure> {
    descriptors.try_for_each(|descriptor| match act(descriptor) {
        Err(errno) if !errno.is(EBADF) => Err(Failure::new(Step::Descriptors, errno, 0)),
        _ => Ok(()),
    })
}
