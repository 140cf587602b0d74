//! The bounding set: what the program can ever have.

use linux_raw_sys::errno::{EINVAL, ENOSYS};
use linux_raw_sys::general::CAP_MAC_ADMIN;
use linux_raw_sys::prctl::{PR_CAPBSET_DROP, PR_CAPBSET_READ};

use crate::capability::{CapabilitySet, HIGHEST};
use crate::errno::Errno;
use crate::status::{Failure, Step};
use crate::sys;

/// Drops all other capabilities from it. Before the user is changed, since this needs one, CAP_SETPCAP.
pub fn shrink(capabilities: Option<CapabilitySet>) -> Result<(), Failure> {
    let Some(capabilities) = capabilities else { return Ok(()) };
    for capability in 0..=HIGHEST {
        let dropped = match sys::attribute(PR_CAPBSET_READ, capability) {
            // One that the kernel does not have.
            Err(errno) if errno.is(EINVAL) && capability > CAP_MAC_ADMIN => break,
            Ok(is_there) if is_there == 0 || capabilities.has(capability) => Ok(()),
            found => found.and_then(|_| drop_from_it(capability)),
        };
        dropped.map_err(|errno| Failure::new(Step::BoundingSet, errno, capability))?;
    }
    Ok(())
}

/// Drops a capability that is in the set. For root this set is all that bounds it, so it is looked at again.
fn drop_from_it(capability: u32) -> Result<(), Errno> {
    sys::set_attribute(PR_CAPBSET_DROP, capability)?;
    if sys::attribute(PR_CAPBSET_READ, capability)? == 0 { Ok(()) } else { Err(Errno::new(ENOSYS)) }
}
