//! What the process may do, and when it is to die.

use linux_raw_sys::errno::ESRCH;
use linux_raw_sys::general::O_WRONLY;

use crate::request::Request;
use crate::status::{Failure, Step};
use crate::steps::report::write_whole;
use crate::sys::{self, Errno};

/// Asks to die with the parent, gives up new privileges, and sets the out-of-memory score.
pub fn set(request: &Request) -> Result<(), Failure> {
    if let Some(parent) = request.die_with {
        let asked = sys::die_with_parent().and_then(|()| {
            // One that ended before we asked will not end again.
            if parent == 0 || parent == sys::parent() { Ok(()) } else { Err(Errno::new(ESRCH)) }
        });
        asked.map_err(|errno| Failure::new(Step::PARENT, errno, parent))?;
    }
    if request.no_new_privileges {
        sys::no_new_privileges().map_err(|errno| Failure::new(Step::NEW_PRIVILEGES, errno, 0))?;
    }
    if let Some(score) = request.oom_score {
        let written = sys::open(c"/proc/self/oom_score_adj", O_WRONLY).and_then(|file| {
            let written = write_whole(file, score.to_bytes());
            sys::close(file);
            written
        });
        written.map_err(|errno| Failure::new(Step::OOM_SCORE, errno, 0))?;
    }
    Ok(())
}
