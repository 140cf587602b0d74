//! The out-of-memory score.

use linux_raw_sys::errno::{EIO, ENODEV};
use linux_raw_sys::general::{O_NOFOLLOW, O_NONBLOCK, O_WRONLY, PROC_SUPER_MAGIC};

use crate::errno::Errno;
use crate::status::{Failure, Step};
use crate::sys;
use crate::text::Digits;
use crate::value::Number;

/// Writes it to /proc/self/oom_score_adj.
pub fn write(score: Option<Number<-1000, 1000>>) -> Result<(), Failure> {
    let Some(score) = score else { return Ok(()) };
    write_number(score.get()).map_err(|errno| Failure::new(Step::OomScore, errno, 0))
}

fn write_number(score: i32) -> Result<(), Errno> {
    let mut digits = Digits::default();
    let number = digits.of(score.unsigned_abs(), score < 0).as_c_str().to_bytes();
    // Not what a false /proc has in its place: a link to another file, or a pipe that nobody reads.
    let file = sys::open(c"/proc/self/oom_score_adj", O_WRONLY | O_NOFOLLOW | O_NONBLOCK)?;
    if sys::file_system(&file)?.kind != PROC_SUPER_MAGIC {
        return Err(Errno::new(ENODEV));
    }
    // The kernel takes each write for a number of its own, so what a short one has left out cannot follow.
    let written = sys::write(file.descriptor(), number)?;
    if written == number.len() { Ok(()) } else { Err(Errno::new(EIO)) }
}
