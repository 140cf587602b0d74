//! `--cgroup`: the program is in it from its first instruction on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use exec_relay::status::Step;
use tempfile::TempDir;

use crate::host::{Host, assert_root, probe};
use crate::process::{assert_refused, host};
use crate::records::assert_failed;

/// A cgroup of a test's own below that of these tests, which is removed when this goes.
struct Cgroup {
    directory: PathBuf,
    /// As /proc/PID/cgroup has it.
    name: String,
}

impl Cgroup {
    fn new() -> Self {
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

    fn path(&self) -> &str {
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

/// The one of cgroup2 that the probe is in.
fn of_the_probe(host: Host) -> String {
    let cgroups = host.run().slate().cgroup.expect("/proc/self/cgroup");
    cgroups.lines().find_map(|line| line.strip_prefix("0::")).expect("one of cgroup2").to_owned()
}

#[test]
fn the_program_is_in_it() {
    assert_root();
    let (first, second) = (Cgroup::new(), Cgroup::new());
    let option = format!("--cgroup={}", first.path());
    assert_eq!(of_the_probe(host(&[&option])), first.name);
    assert_eq!(of_the_probe(host(&["--cgroup", first.path()])), first.name);
    assert_eq!(of_the_probe(host(&[&option, "--cgroup", second.path()])), second.name, "the last one counts");
    let plain = of_the_probe(host(&[]));
    assert!(![&first.name, &second.name].contains(&&plain), "{plain}");
    // It is entered as whoever relay is, not as whom the program will be; and by the directory that relay was started in.
    assert_eq!(of_the_probe(host(&["--user=1000:1000", "--caps=none", &option, "--chdir=/"])), first.name);
    // Nothing is left open, and limits do not matter.
    let slate = host(&[&option, "--limit=nofile=3"]).run().slate();
    slate.assert_clean([0, 1, 2]);
}

#[test]
fn in_a_full_table() {
    assert_root();
    let cgroup = Cgroup::new();
    let outcome = host(&["--cgroup", cgroup.path()]).nofile(300, 300).full_table().run();
    let path = cgroup.path();
    assert_refused(&outcome, &format!("cannot enter cgroup {path}: too many or too high descriptors (EMFILE)"));
}

#[test]
fn without_privileges() {
    assert_root();
    let cgroup = Cgroup::new();
    let outcome = host(&["--cgroup", cgroup.path()]).user(1000, 1000).run();
    assert_refused(&outcome, &format!("cannot enter cgroup {}: permission denied (EACCES)", cgroup.path()));
}

/// One beside a threaded cgroup takes no processes; see cgroups(7).
#[test]
fn one_that_takes_none() {
    assert_root();
    let cgroup = Cgroup::new();
    let below = ["threaded", "invalid"].map(|name| cgroup.directory.join(name));
    below.iter().for_each(|directory| fs::create_dir(directory).expect("a cgroup"));
    fs::write(below[0].join("cgroup.type"), "threaded").expect("cgroup2 of Linux 4.14");
    let path = below[1].to_str().expect("UTF-8");
    assert_refused(&host(&["--cgroup", path]).run(), &format!("cannot enter cgroup {path}: errno 95"));
}

/// Fails with a message that names `directory`, and with a record that has the index of its argument.
#[track_caller]
fn assert_no_cgroup(directory: &Path, words: &str, errno: i32) {
    let path = directory.to_str().expect("UTF-8");
    let option = format!("--cgroup={path}");
    let message = format!("cannot enter cgroup {path}: {words}");
    assert_refused(&host(&[&option]).run(), &message);
    assert_refused(&host(&["--cgroup", path]).run(), &message);
    let probe = probe();
    let probe = probe.to_str().expect("UTF-8");
    for (arguments, detail) in [
        (&["--status=9", &option, probe][..], 2),
        (&["--status=9", "--cgroup", path, probe], 3),
        (&["--status=9", "--umask=0", &option, "--setsid", probe], 3),
    ] {
        assert_failed(&Host::new(arguments).status(9).run(), Step::Cgroup, errno, detail);
    }
}

#[test]
fn what_is_no_cgroup() {
    let directory = TempDir::new().expect("a directory");
    assert_no_cgroup(&directory.path().join("missing"), "no such file (ENOENT)", libc::ENOENT);
    assert_no_cgroup(directory.path(), "no such file (ENOENT)", libc::ENOENT);
    let file = directory.path().join("file");
    fs::write(&file, "").expect("a file");
    assert_no_cgroup(&file, "not a directory (ENOTDIR)", libc::ENOTDIR);
    assert_no_cgroup(Path::new(""), "no such file (ENOENT)", libc::ENOENT);
    // What stands in the file's place is not followed to where it leads.
    let link = directory.path().join("cgroup.procs");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert_no_cgroup(directory.path(), "too many links or interpreters (ELOOP)", libc::ELOOP);
    assert_eq!(fs::read(&file).expect("the file"), b"");
}

/// Any directory can have a file of that name.
#[test]
fn a_file_of_that_name() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let file = directory.path().join("cgroup.procs");
    fs::write(&file, "important").expect("a file");
    assert_no_cgroup(directory.path(), "invalid (EINVAL)", libc::EINVAL);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "important");
}
