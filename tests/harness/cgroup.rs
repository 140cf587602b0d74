//! `--cgroup`: the program is in it from its first instruction on.

use std::fs;
use std::path::Path;

use exec_relay::status::Step;
use tempfile::TempDir;

use crate::host::{Host, assert_root, probe};
use crate::own_cgroup::Cgroup;
use crate::process::{assert_refused, host};
use crate::records::assert_failed;

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
