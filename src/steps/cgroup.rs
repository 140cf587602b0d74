//! The cgroup.

use linux_raw_sys::errno::EINVAL;
use linux_raw_sys::general::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC};

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
    let file = sys::open_at(directory, c"cgroup.procs", own_file::WRITE)?;
    // Any directory can have a file of that name.
    if ![CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC].contains(&sys::file_system(&file)?.kind) {
        return Err(Errno::new(EINVAL));
    }
    // 0 is whoever writes it.
    own_file::write_number_to(file, 0)
}
