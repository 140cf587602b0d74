//! The capabilities that the program has.

use linux_raw_sys::errno::{EINVAL, EPERM};
use linux_raw_sys::prctl::{PR_CAP_AMBIENT_CLEAR_ALL, PR_CAP_AMBIENT_RAISE};

use crate::capability::CapabilitySet;
use crate::errno::Errno;
use crate::status::{Failure, Step};
use crate::sys;

/// Gives it exactly these, in the permitted, effective, inheritable and ambient sets. execve(2) leaves them so: root has
/// what is in the inheritable and the bounding set, other users what is in the ambient one.
pub fn give(capabilities: Option<CapabilitySet>) -> Result<(), Failure> {
    let Some(capabilities) = capabilities else { return Ok(()) };
    let [_, permitted, _] = sys::capabilities().map_err(failed)?;
    let missing = capabilities.0 & !permitted.0;
    if missing != 0 {
        return Err(Failure::new(Step::Capability, Errno::new(EPERM), missing.trailing_zeros()));
    }
    sys::set_capabilities(capabilities).map_err(failed)?;
    match sys::ambient_set(PR_CAP_AMBIENT_CLEAR_ALL, 0) {
        // Linux before 4.3 has none.
        Err(errno) if !errno.is(EINVAL) => return Err(failed(errno)),
        _ => {}
    }
    for capability in capabilities.capabilities() {
        let raised = sys::ambient_set(PR_CAP_AMBIENT_RAISE, capability);
        raised.map_err(|errno| Failure::new(Step::Capability, errno, capability))?;
    }
    Ok(())
}

fn failed(errno: Errno) -> Failure {
    Failure::new(Step::Capabilities, errno, 0)
}
