//! What would be a way out of the new directory.

use crate::slate::Slate;
use crate::status::{Failure, Report};
use crate::sweep::{self, Act};
use crate::sys::DescriptorTable;

/// Where the directory is to be changed, closes now what would be closed at exec, but for what is needed until then.
///
/// /proc/self/fd has a way to each directory that is open, and one that leaked from a host would be a way out of a
/// container (CVE-2024-21626). To be called when descriptors have their numbers. Where what is inherited is kept, that was
/// asked for.
pub fn close(slate: &mut Slate, table: &mut DescriptorTable) -> Result<(), Failure> {
    if slate.directory.is_none() || slate.settings.keep_inherited {
        return Ok(());
    }
    // They stay marked.
    if let Report::Records(told_on) | Report::Message(told_on) = slate.report {
        slate.descriptors.keep_until_exec(told_on);
    }
    if let Some(program) = slate.program {
        slate.descriptors.keep_until_exec(program);
    }
    sweep::all_but(&slate.descriptors, Act::Close, table)
}
