//! Attributes that have a default and no option of their own.

use core::mem::MaybeUninit;

use linux_raw_sys::errno::{EINVAL, ENODEV, ENOSYS, EPERM};
use linux_raw_sys::prctl::{
    PR_MCE_KILL, PR_SET_CHILD_SUBREAPER, PR_SET_IO_FLUSHER, PR_SET_MEMORY_MERGE, PR_SET_PDEATHSIG, PR_SET_THP_DISABLE,
    PR_SET_TSC, PR_SPEC_DISABLE, PR_SPEC_ENABLE, PR_SPEC_PRCTL,
};

use crate::attribute::{Attribute, AttributeSet};
use crate::errno::Errno;
use crate::own_file;
use crate::status::{Failure, Step};
use crate::sys;
use crate::value::Value;

/// The filter of core dumps that the kernel begins with: private and shared memory that is no file's, ELF headers, huge
/// pages; see core(5).
const COREDUMP_FILTER: i32 = 0x33;

/// Gives them their defaults back. What the kernel does not know is at its default.
pub fn to_defaults(reset: AttributeSet) -> Result<(), Failure> {
    if reset == AttributeSet::default() {
        return Ok(());
    }
    for attribute in reset.attributes() {
        match to_default(attribute) {
            // A file that cannot be written says nothing of the kernel.
            Err(errno) if attribute == Attribute::CoredumpFilter || !errno.is(EINVAL) && !errno.is(ENOSYS) => {
                return Err(Failure::new(Step::Reset, errno, attribute as u32));
            }
            _ => {}
        }
    }
    Ok(())
}

fn to_default(attribute: Attribute) -> Result<(), Errno> {
    let prctl = match attribute {
        // Their own steps do that.
        Attribute::Nice
        | Attribute::Scheduling
        | Attribute::Processors
        | Attribute::IoClass
        | Attribute::TimerSlack
        | Attribute::OomScore => return Ok(()),
        Attribute::MemoryPolicy => return sys::set_default_memory_policy(),
        Attribute::CoredumpFilter => {
            return own_file::write_number(c"/proc/self/coredump_filter", COREDUMP_FILTER);
        }
        Attribute::Personality => return sys::set_personality(0).map(drop),
        Attribute::Speculation => return allow_speculation(),
        Attribute::ParentDeath => PR_SET_PDEATHSIG,
        Attribute::HugePages => PR_SET_THP_DISABLE,
        Attribute::Merging => PR_SET_MEMORY_MERGE,
        Attribute::TimeStampCounter => PR_SET_TSC,
        Attribute::MachineCheck => PR_MCE_KILL,
        Attribute::Subreaper => PR_SET_CHILD_SUBREAPER,
        Attribute::IoFlusher => PR_SET_IO_FLUSHER,
    };
    // PR_TSC_ENABLE is 1; PR_MCE_KILL_CLEAR, and off, are 0.
    match sys::set_attribute(prctl, u32::from(prctl == PR_SET_TSC)) {
        // Even to ask is a privilege, CAP_SYS_RESOURCE. But whether it is off anyone can look up.
        Err(errno) if errno.is(EPERM) && prctl == PR_SET_IO_FLUSHER && is_io_flusher() == Some(false) => Ok(()),
        outcome => outcome,
    }
}

/// Whether this process is an I/O flusher, by its flags in /proc/self/stat; nothing where that cannot be told. The kernel
/// has not changed the flag's number since Linux 3.9.
pub fn is_io_flusher() -> Option<bool> {
    const PF_MEMALLOC_NOIO: u32 = 0x0008_0000;
    let file = own_file::open_to_read(c"/proc/self/stat").ok()?;
    let mut buffer = [MaybeUninit::uninit(); 256];
    // The process's name stands in brackets, and may hold some.
    let text = sys::read_text(&file, &mut buffer);
    let (mut rest, mut after_name) = (text, None);
    while let Some((byte, next)) = rest.split_first() {
        rest = next;
        if byte == b')' {
            after_name = Some(next);
        }
    }
    let mut fields = Value::new(after_name?);
    // State, parent, group, session, terminal, its group; a space before each, and before the flags.
    for _ in 0..7 {
        fields.take_until(b' ');
        fields.take(b' ');
    }
    Some(fields.number(10, u32::MAX).ok()? & PF_MEMALLOC_NOIO != 0)
}

/// Gives each speculation feature that a process may choose itself the state that it has from the boot on: the first two,
/// store bypass and indirect branches, are allowed, and the cache is not flushed; see PR_SET_SPECULATION_CTRL(2const).
fn allow_speculation() -> Result<(), Errno> {
    for (feature, default) in [PR_SPEC_ENABLE, PR_SPEC_ENABLE, PR_SPEC_DISABLE].into_iter().enumerate() {
        match sys::speculation(feature as u32) {
            Ok(state) if state & PR_SPEC_PRCTL != 0 && state & default == 0 => {
                sys::set_speculation(feature as u32, default)?;
            }
            Err(errno) if !errno.is(EINVAL) && !errno.is(ENODEV) => return Err(errno),
            _ => {}
        }
    }
    Ok(())
}
