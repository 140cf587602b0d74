//! Descriptors: every one that the plan does not keep closes at the moment the program starts.
//!
//! They are marked close-on-exec rather than closed, so that the end of file on the status pipe proves that the program
//! runs.

use linux_raw_sys::errno::EBADF;

use crate::slate::Slate;
use crate::status::{Failure, Step};
use crate::sweep::{self, Act};
use crate::sys::{Descriptor, DescriptorTable};

/// Marks every descriptor close-on-exec that the program does not have.
pub fn mark(slate: &Slate, table: &mut DescriptorTable) -> Result<(), Failure> {
    sweep::all_but(&slate.descriptors, Act::MarkCloseOnExec, table)
}

/// Has `kept` descriptors stay open at exec even where they are marked close-on-exec. One that is closed stays closed.
///
/// Only a launcher that takes the steps in a child of its own needs it: relay's own exec has closed what was marked.
pub fn unmark(kept: &[Descriptor], table: &mut DescriptorTable) -> Result<(), Failure> {
    kept.iter().try_for_each(|&descriptor| match table.unmark_close_on_exec(descriptor) {
        Err(errno) if !errno.is(EBADF) => Err(Failure::new(Step::Descriptors, errno, 0)),
        _ => Ok(()),
    })
}
