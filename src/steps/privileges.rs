//! What the process may do, and when it is to die.

use linux_raw_sys::errno::{ENODEV, ESRCH};
use linux_raw_sys::general::{O_NOFOLLOW, O_NONBLOCK, O_WRONLY, PROC_SUPER_MAGIC};

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
        // Not what a false /proc has in its place: a link to another file, or a pipe that nobody reads.
        let score_file = sys::open(c"/proc/self/oom_score_adj", O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
        let written = score_file.and_then(|file| {
            let is_real = sys::lies_on(file, PROC_SUPER_MAGIC);
            let written = if is_real { write_whole(file, score.to_bytes()) } else { Err(Errno::new(ENODEV)) };
            sys::close(file).and(written)
        });
        written.map_err(|errno| Failure::new(Step::OOM_SCORE, errno, 0))?;
    }
    Ok(())
}
