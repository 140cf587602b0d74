//! What would be a way out of the new directory.

use crate::fd_plan::FdPlan;
use crate::slate::Path;
use crate::status::{Failure, Report};
use crate::sweep::{self, Act};
use crate::sys::DescriptorTable;

/// Where the directory is to be changed, closes now what would be closed at exec, but for the one that the caller is told
/// on.
///
/// /proc/self/fd has a way to each directory that is open, and one that leaked from a host would be a way out of a
/// container (CVE-2024-21626). To be called when descriptors have their numbers.
pub fn close(
    directory: Option<Path>,
    plan: &mut FdPlan,
    report: Report,
    table: &mut DescriptorTable,
) -> Result<(), Failure> {
    if directory.is_none() {
        return Ok(());
    }
    if let Report::Records(told_on) | Report::Message(told_on) = report {
        // It stays marked.
        plan.keep_report(told_on);
    }
    sweep::all_but(plan, Act::Close, table)
}
