//! The bounding set: what the program can ever have.

use linux_raw_sys::prctl::{PR_CAPBSET_DROP, PR_CAPBSET_READ};

use crate::capability::CapabilitySet;
use crate::status::{Failure, Step};
use crate::sys;

/// Drops all other capabilities from it. Before the user is changed, since this needs one, CAP_SETPCAP.
pub fn shrink(capabilities: Option<CapabilitySet>) -> Result<(), Failure> {
    let Some(capabilities) = capabilities else { return Ok(()) };
    // Until one that the kernel does not have.
    for capability in 0.. {
        let Ok(is_there) = sys::attribute(PR_CAPBSET_READ, capability) else { break };
        if is_there != 0 && !capabilities.has(capability) {
            let dropped = sys::set_attribute(PR_CAPBSET_DROP, capability);
            dropped.map_err(|errno| Failure::new(Step::BoundingSet, errno, capability))?;
        }
    }
    Ok(())
}
