//! The cgroup.

use crate::errno::Errno;
use crate::own_file;
use crate::slate::Cgroup;
use crate::status::{Failure, Step};
use crate::sys::{self, Descriptor};

/// Enters it, by writing to the file `cgroup.procs` in its directory; see cgroups(7).
#[inline(never)]
pub fn enter(cgroup: Option<Cgroup>) -> Result<(), Failure> {
    let Some(cgroup) = cgroup else { return Ok(()) };
    let (entered, detail) = match cgroup {
        Cgroup::Path(directory) => {
            (sys::open_directory(directory.path).and_then(|open| join(open.descriptor())), directory.argument)
        }
        Cgroup::Open(directory) => (join(directory), directory as u32),
    };
    entered.map_err(|errno| Failure::new(Step::Cgroup, errno, detail))
}

fn join(directory: Descriptor) -> Result<(), Errno> {
    // 0 is whoever writes it.
    own_file::write_number_to(sys::open_at(directory, c"cgroup.procs", own_file::WRITE)?, 0)
}
