//! Cgroups for tests.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// A cgroup of a test's own below that of these tests, which is removed when this goes.
pub struct Cgroup {
    pub directory: PathBuf,
    /// As /proc/PID/cgroup has it.
    pub name: String,
}

impl Cgroup {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let mount = mount_point().expect("this test needs a mounted cgroup2");
        let own = fs::read_to_string("/proc/self/cgroup").expect("the cgroups of these tests");
        let own = own.lines().find_map(|line| line.strip_prefix("0::")).expect("one of cgroup2").trim_end_matches('/');
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{own}/relay-test-{}-{number}", std::process::id());
        let directory = mount.join(name.trim_start_matches('/'));
        fs::create_dir(&directory).unwrap_or_else(|error| panic!("{error}: this test needs to make {directory:?}"));
        Self { directory, name }
    }

    pub fn path(&self) -> &str {
        self.directory.to_str().expect("UTF-8")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Who was in it has been waited for, but the kernel may still be busy with that.
        for _ in 0..1000 {
            let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
            entries.for_each(|entry| _ = fs::remove_dir(entry.path()));
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        eprintln!("{:?} cannot be removed", self.directory);
    }
}

/// Where cgroup2 is mounted, all of it.
fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
    // Number, parent, device, root, mount point, options, more fields up to a dash; then type, source, options.
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let fields: Vec<_> = mount.split(' ').collect();
        (system.starts_with("cgroup2 ") && fields.get(3) == Some(&"/")).then(|| fields.get(4).map(PathBuf::from))?
    })
}
