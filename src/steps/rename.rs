//! The numbers that descriptors have in the program.

use linux_raw_sys::errno::{EBADF, EMFILE};

use crate::errno::Errno;
use crate::fd_plan::{FdPlan, Move};
use crate::slate::Slate;
use crate::status::{Failure, Report, Step};
use crate::sys::{Descriptor, DescriptorTable};

/// Gives every descriptor its number in the program. The one that the caller is told on and the one that the program is
/// open on get other numbers where they are in the way.
#[inline(never)]
pub fn give_numbers(slate: &mut Slate, table: &mut DescriptorTable) -> Result<(), Failure> {
    let plan = &mut slate.descriptors;
    match &mut slate.report {
        Report::Records(status) if plan.is_target(*status) => {
            let aside = set_aside(plan, *status, table);
            *status = aside.map_err(|errno| Failure::new(Step::Rename, errno, *status as u32))?;
        }
        // Where there is none, or no free number, messages go to the program's own.
        Report::Message(stderr) if plan.is_renamed(*stderr) => {
            *stderr = set_aside(plan, *stderr, table).unwrap_or(*stderr);
        }
        _ => {}
    }
    if let Some(program) = slate.program.as_mut().filter(|program| plan.is_renamed(**program)) {
        let aside = set_aside(plan, *program, table);
        *program = aside.map_err(|errno| Failure::new(Step::Rename, errno, *program as u32))?;
    }
    while let Some(next) = plan.next_move() {
        let (concerned, moved) = match next {
            Move::Copy { target, source } => (target, copy_to(source, target, table).map(|()| plan.copied(target))),
            Move::SetAside(source) => {
                (source, set_aside(plan, source, table).map(|aside| plan.set_aside(source, aside)))
            }
        };
        moved.map_err(|errno| Failure::new(Step::Rename, errno, concerned as u32))?;
    }
    Ok(())
}

/// Makes `target` a copy of `source`, which is open: where the kernel says EBADF, it means that the target is above the
/// limit (dup(2)), which is EMFILE elsewhere.
fn copy_to(source: Descriptor, target: Descriptor, table: &mut DescriptorTable) -> Result<(), Errno> {
    table.copy_to(source, target).map_err(|errno| if errno.is(EBADF) { Errno::new(EMFILE) } else { errno })
}

/// Copies `descriptor` to a number that is not asked for.
fn set_aside(plan: &FdPlan, descriptor: Descriptor, table: &mut DescriptorTable) -> Result<Descriptor, Errno> {
    let mut least = 3;
    loop {
        let aside = table.copy_above(descriptor, least)?;
        if !plan.is_target(aside) {
            return Ok(aside);
        }
        table.close(aside)?;
        least = aside + 1;
    }
}
