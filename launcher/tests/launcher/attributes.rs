//! What a program inherits beyond descriptors and signals: user, capabilities, limits, scheduling, cgroup, the rest; and the
//! program itself by a descriptor.

#![allow(unsafe_code)]

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use exec_relay::attribute::Attribute;
use exec_relay_launcher::{Concern, Error, Launch, Limit, Stdio, Step, Vehicle};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{DumpableBehavior, dumpable_behavior, getegid, geteuid, set_dumpable_behavior};
use tempfile::TempDir;

use crate::errors::check;
use crate::fuse::{Fuse, Node};
use crate::hosts::where_refused;
use crate::own_cgroup::Cgroup;
use crate::slate::{Capabilities, Slate};
use crate::support::{alone, alone_as, alone_by, assert_root, each, probe, script, set_limit, slate_by, vehicles};

/// Somebody who is not root.
const USER: u32 = 1000;

fn exactly(set: u64) -> Capabilities {
    Capabilities { effective: set, permitted: set, inheritable: set, bounding: set, ambient: set }
}

#[test]
fn users() {
    assert_root();
    each(
        |launch| _ = launch.uid(USER).gid(USER + 1).groups([7, 8]).arg("probe:root"),
        |slate| {
            assert_eq!((slate.user, slate.group_ids), ([USER; 3], [USER + 1; 3]));
            assert_eq!(slate.groups, [7, 8]);
            assert_eq!(slate.regains_root, Some(false));
            assert_eq!(
                [slate.capabilities.effective, slate.capabilities.permitted, slate.capabilities.ambient],
                [0; 3]
            );
        },
    );
    // What is not named.
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    each(
        |launch| _ = launch.uid(USER),
        |slate| {
            assert_eq!((slate.user, slate.group_ids, slate.groups.as_slice()), ([USER; 3], [group; 3], &[][..]));
        },
    );
    each(
        |launch| _ = launch.gid(USER),
        |slate| {
            assert_eq!((slate.user, slate.group_ids, slate.groups.as_slice()), ([user; 3], [USER; 3], &[][..]));
        },
    );
    each(
        |launch| _ = launch.groups([5]).groups([4]),
        |slate| assert_eq!((slate.user, slate.group_ids, slate.groups.as_slice()), ([user; 3], [group; 3], &[4][..])),
    );
    // As many as there may be.
    each(|launch| _ = launch.groups(1..=256), |slate| assert_eq!(slate.groups.len(), 256));
}

#[test]
fn capabilities() {
    assert_root();
    let (bind, chown) = (1 << 10, 1);
    each(
        |launch| _ = launch.caps("NET_BIND_SERVICE,cap_chown"),
        |slate| assert_eq!(slate.capabilities, exactly(bind | chown)),
    );
    each(|launch| _ = launch.caps("none"), |slate| assert_eq!(slate.capabilities, exactly(0)));
    each(
        |launch| _ = launch.uid(USER).gid(USER).caps("10").arg("probe:root"),
        |slate| {
            assert_eq!((slate.user, slate.capabilities), ([USER; 3], exactly(bind)));
            assert_eq!(slate.regains_root, Some(false));
        },
    );
}

#[test]
fn limits() {
    let here = slate_by(Vehicle::InPlace, |_| {}).limits;
    let [core, stack, nproc] = [4, 3, 6];
    each(
        |launch| {
            launch.limit("core", 0, Limit::Kept).limit("stack", Limit::Hard, Limit::Kept);
            launch.limit("nproc", 20_000, 30_000).limit("nproc", 10_000, Limit::Kept);
        },
        |slate| {
            let mut expected = here;
            expected[core][0] = 0;
            expected[stack][0] = here[stack][1];
            expected[nproc][0] = 10_000;
            assert_eq!(slate.limits, expected);
        },
    );
    each(
        |launch| _ = launch.limit("core", 1_000, 1_000).limit("rss", Limit::Kept, Limit::Hard),
        |slate| assert_eq!(slate.limits[core], [1_000; 2]),
    );
    // RLIM_INFINITY of getrlimit(2).
    each(|launch| _ = launch.limit("rss", u64::MAX, Limit::Kept), |slate| assert_eq!(slate.limits[5][0], u64::MAX));
}

#[test]
fn scheduling() {
    assert_root();
    each(|launch| _ = launch.nice(-3), |slate| assert_eq!(slate.nice, -3));
    each(|launch| _ = launch.nice(7).sched("batch"), |slate| assert_eq!((slate.nice, slate.policy), (7, 3)));
    each(|launch| _ = launch.sched("fifo:7"), |slate| assert_eq!((slate.policy, slate.priority), (1, 7)));
    each(|launch| _ = launch.cpus([0, 8191]), |slate| assert_eq!(slate.processors, [0]));
    each(|launch| _ = launch.option("--ionice=idle"), |slate| assert_eq!(slate.io_priority, 3 << 13));
    each(|launch| _ = launch.option("--timer-slack=7"), |slate| assert_eq!(slate.timer_slack, 7));
}

#[test]
fn process_groups() {
    each(|launch| _ = launch.process_group(0), |slate| assert_eq!(slate.group, slate.pid as u32));
    each(|launch| _ = launch.session().process_group(0), |slate| assert_eq!(slate.group, slate.pid as u32));
    let here = slate_by(Vehicle::InPlace, |_| {}).group as i32;
    each(|launch| _ = launch.process_group(here), |slate| assert_eq!(slate.group, here as u32));
}

#[test]
fn keyrings() {
    let here = slate_by(Vehicle::InPlace, |_| {}).keyring;
    each(|launch| _ = launch.option("--new-keyring"), |slate| assert!(slate.keyring > 0 && slate.keyring != here));
}

/// Each refusal is the same error by every vehicle.
#[test]
fn what_takes_privileges() {
    assert_root();
    alone("attributes::what_takes_privileges", || {
        let vehicles = vehicles();
        // SAFETY: reads nothing; every thread of this process changes with it.
        unsafe {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!(libc::setresgid(USER, USER, USER), 0);
            assert_eq!(libc::setresuid(USER, USER, USER), 0);
        }
        set_limit(libc::RLIMIT_CORE, 0, 0).expect("a lower limit");
        for vehicle in vehicles {
            let fails = |set: &dyn Fn(&mut Launch<'_>), step, errno, concern, sentence: &str| {
                check(&vehicle, set, step, errno, concern, sentence);
            };
            let (denied, identity) = ("not permitted (EPERM)", Concern::Identity);
            fails(
                &|launch| _ = launch.uid(1),
                Step::User,
                libc::EPERM,
                identity(1),
                &format!("cannot become user 1: {denied}"),
            );
            fails(
                &|launch| _ = launch.gid(5),
                Step::Group,
                libc::EPERM,
                identity(5),
                &format!("cannot become group 5: {denied}"),
            );
            fails(
                &|launch| _ = launch.groups([5]),
                Step::Groups,
                libc::EPERM,
                Concern::Nothing,
                &format!("cannot set the supplementary groups: {denied}"),
            );
            fails(
                &|launch| _ = launch.caps("CHOWN"),
                Step::BoundingSet,
                libc::EPERM,
                Concern::Capability { number: 1, name: "DAC_OVERRIDE" },
                &format!("cannot drop capability DAC_OVERRIDE: {denied}"),
            );
            fails(
                &|launch| _ = launch.nice(-1),
                Step::Nice,
                libc::EACCES,
                Concern::Nothing,
                "cannot set the nice value: permission denied (EACCES)",
            );
            fails(
                &|launch| _ = launch.limit("core", Limit::Kept, 1),
                Step::Limit,
                libc::EPERM,
                Concern::Limit { resource: 4, name: "core" },
                &format!("cannot set limit core: {denied}"),
            );
            fails(
                &|launch| _ = launch.sched("fifo:1"),
                Step::Scheduling,
                libc::EPERM,
                Concern::Nothing,
                &format!("cannot set the scheduling policy: {denied}"),
            );
            fails(
                &|launch| _ = launch.process_group(1),
                Step::ProcessGroup,
                libc::EPERM,
                Concern::Process(1),
                &format!("cannot join process group 1: {denied}"),
            );
            // Who they are already they may stay.
            let slate = slate_by(vehicle.clone(), |launch| _ = launch.uid(USER).gid(USER).groups([]));
            assert_eq!((slate.user, slate.group_ids), ([USER; 3], [USER; 3]));
        }
    });
}

#[test]
fn what_cannot_be() {
    assert_root();
    for vehicle in vehicles() {
        check(
            &vehicle,
            |launch| _ = launch.caps("CHOWN,63"),
            Step::Capability,
            libc::EPERM,
            Concern::Capability { number: 63, name: "" },
            "cannot give capability 63: not permitted (EPERM)",
        );
        check(
            &vehicle,
            |launch| _ = launch.limit("sigpending", 2, 1),
            Step::Limit,
            libc::EINVAL,
            Concern::Limit { resource: 11, name: "sigpending" },
            "cannot set limit sigpending: invalid (EINVAL)",
        );
        check(
            &vehicle,
            |launch| _ = launch.cpus([8191]),
            Step::Processors,
            libc::EINVAL,
            Concern::Nothing,
            "cannot set the processors: invalid (EINVAL)",
        );
    }
}

/// A host that is not root, but has these capabilities, and hands them on.
fn become_nearly_root() {
    const VERSION: u32 = 0x2008_0522;
    const SETS: u32 = 1 << 6 | 1 << 7 | 1 << 8;
    let header = [VERSION, 0];
    // Effective, permitted and inheritable, of the lower 32 and of the higher ones.
    let sets = [[SETS; 3], [0; 3]];
    // SAFETY: the first call reads structures of this form, the others touch no memory. Only this thread keeps them, and
    // what it starts.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_KEEPCAPS, 1), 0);
        assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
        assert_eq!(libc::setresgid(USER, USER, USER), 0);
        assert_eq!(libc::setresuid(USER, USER, USER), 0);
        assert_eq!(
            libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()),
            0,
            "{}",
            io::Error::last_os_error()
        );
        for capability in 6..=8 {
            assert_eq!(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0, 0), 0);
        }
    }
    set_dumpable_behavior(DumpableBehavior::Dumpable).expect("nobody is refused this");
}

#[test]
fn root_that_can_be_had_again() {
    assert_root();
    alone("attributes::root_that_can_be_had_again", || {
        let vehicles = vehicles();
        become_nearly_root();
        for vehicle in vehicles {
            check(
                &vehicle,
                |launch| _ = launch.uid(USER + 1),
                Step::RootKept,
                libc::EINVAL,
                Concern::Nothing,
                "root can be had again: give --caps too",
            );
            let slate = slate_by(vehicle, |launch| _ = launch.uid(USER + 1).caps("none").arg("probe:root"));
            assert_eq!((slate.user, slate.capabilities, slate.regains_root), ([USER + 1; 3], exactly(0), Some(false)));
        }
    });
}

fn is_dumpable() -> bool {
    dumpable_behavior() == Ok(DumpableBehavior::Dumpable)
}

/// A child that changes its user in the host's memory makes that memory one that nobody may look into.
#[test]
fn the_host_stays_dumpable() {
    assert_root();
    alone("attributes::the_host_stays_dumpable", || {
        let vehicles = vehicles();
        become_nearly_root();
        let is_own = || fs::metadata("/proc/self/environ").expect("/proc").uid() == USER;
        assert!(is_dumpable() && is_own());
        for vehicle in vehicles {
            thread::scope(|threads| {
                for _ in 0..4 {
                    threads.spawn(|| {
                        for _ in 0..50 {
                            let mut launch = Launch::new("/bin/true");
                            launch.uid(USER + 1).caps("none").vehicle(vehicle.clone());
                            assert!(launch.launch().expect("true").wait().expect("a status").success());
                        }
                    });
                }
            });
            assert!(is_dumpable() && is_own(), "{vehicle:?}");
        }
        // One that fails after that.
        let mut launch = Launch::new("/no/such/program");
        launch.launch().map(|child| child.id()).expect_err("there is no such program");
        launch.uid(USER + 1).caps("none").launch().map(|child| child.id()).expect_err("there is no such program");
        assert!(is_dumpable() && is_own());
        // What the host has chosen for itself stays.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).expect("nobody is refused this");
        let mut launch = Launch::new("/bin/true");
        launch.uid(USER + 1).caps("none").launch().expect("true").wait().expect("a status");
        assert!(!is_dumpable());
    });
}

/// As long as a child with another user shares the memory, nobody may look into it, however many others come and go.
#[test]
fn memory_that_another_user_has() {
    alone("attributes::memory_that_another_user_has", || {
        // Root with another group, who has a way to that file system.
        let disk = Fuse::mount(&[("program", Node::Silent)]);
        let program = disk.path().join("program");
        assert!(is_dumpable());
        thread::scope(|threads| {
            let hangs = threads.spawn(|| Launch::new(&program).gid(USER).launch().map(|child| child.id()));
            while is_dumpable() {
                thread::sleep(Duration::from_millis(1));
            }
            let other = Launch::new("/bin/true").gid(USER).launch();
            assert!(other.expect("true").wait().expect("a status").success());
            assert!(!is_dumpable(), "a child that shares the memory is left");
            drop(disk);
            hangs.join().expect("a thread").expect_err("its disk is gone");
        });
        assert!(is_dumpable());
    });
}

/// What a host has that is not the default, as far as anyone may change it.
fn make_dirty() {
    const NO_HUGE_PAGES: i32 = 41;
    const MERGE: i32 = 67;
    // SAFETY: none of them touches memory. A kernel may have no merging of pages.
    unsafe {
        assert_eq!(libc::prctl(NO_HUGE_PAGES, 1, 0, 0, 0), 0);
        libc::prctl(MERGE, 1, 0, 0, 0);
        assert_eq!(libc::prctl(libc::PR_SET_TIMERSLACK, 7), 0);
        assert_eq!(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1), 0);
        assert_eq!(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGWINCH), 0);
        assert_eq!(libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong), 0);
        assert_eq!(libc::setpriority(libc::PRIO_PROCESS, 0, 5), 0);
    }
    fs::write("/proc/self/coredump_filter", "0x11").expect("/proc");
}

/// What tells of the memory, and what tells of the process.
fn attributes(slate: &Slate) -> ([i64; 3], [i64; 5]) {
    let filter = slate.coredump_filter.expect("/proc").into();
    (
        [filter, slate.no_huge_pages, slate.merges_memory],
        [
            slate.nice.into(),
            slate.timer_slack as i64,
            slate.personality.into(),
            slate.parent_death_signal.into(),
            slate.io_priority.into(),
        ],
    )
}

#[test]
fn attributes_at_their_defaults() {
    alone("attributes::attributes_at_their_defaults", || {
        make_dirty();
        // What a program finds where nothing is reset is what this thread has.
        let host = || attributes(&slate_by(Vehicle::InPlace, |_| {}));
        let (of_memory, of_process) = host();
        assert_eq!((of_memory[..2].to_vec(), of_process[..3].to_vec()), (vec![0x11, 1], vec![5, 7, 0x40000]));
        let default = [0, 50_000, 0, 0, 0];
        let is_reset = |slate: &Slate| {
            let (found, rest) = attributes(slate);
            assert!(found[..2] == [0x33, 0] && found[2] != 1 && rest == default, "{slate:?}");
        };

        is_reset(&slate_by(None, |launch| _ = launch.option("--reset=all")));
        is_reset(&slate_by(None, |launch| _ = launch.option("--reset=thp,ksm,coredump-filter").option("--reset=all")));
        for vehicle in &vehicles()[1..] {
            is_reset(&slate_by(vehicle.clone(), |launch| _ = launch.option("--reset=all")));
        }
        let rest = Attribute::ALL.iter().filter(|attribute| !attribute.is_of_memory());
        let rest: Vec<_> = rest.map(|attribute| attribute.text().to_string()).collect();
        let rest = format!("--reset={}", rest.join(","));
        for vehicle in vehicles() {
            let slate = slate_by(vehicle, |launch| _ = launch.option(&rest));
            assert_eq!(attributes(&slate), (of_memory, default));
        }
        assert_eq!(host(), (of_memory, of_process), "the host's own are as they were");
    });
}

/// In place they would be the host's.
#[test]
fn attributes_of_the_memory_in_place() {
    let mut launch = Launch::new("/bin/true");
    launch.option("--reset=nice,thp").option("--reset=coredump-filter").vehicle(Vehicle::InPlace);
    let error = launch.launch().map(|child| child.id()).expect_err("a mistake");
    assert!(matches!(error, Error::Request { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot launch: to reset coredump-filter,thp by Vehicle::InPlace would change this process, whose memory the child \
         shares: use Vehicle::Relay or Vehicle::RelayAt, or name the other attributes alone"
    );
}

/// Whether a program was in this cgroup.
fn has(cgroup: &Cgroup, slate: &Slate) -> bool {
    let cgroups = slate.cgroup.as_ref().expect("/proc/self/cgroup");
    cgroups.lines().any(|line| line.strip_prefix("0::") == Some(&cgroup.name))
}

fn path_only(path: &Path) -> OwnedFd {
    open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

#[test]
fn cgroups() {
    assert_root();
    let (first, second) = (Cgroup::new(), Cgroup::new());
    let by_path = |cgroup: &Cgroup| format!("--cgroup={}", cgroup.path());
    each(
        |launch| _ = launch.cgroup(path_only(&first.directory)),
        |slate| {
            slate.assert_clean([0, 1, 2]);
            assert!(has(&first, slate));
        },
    );
    // It is entered as whoever the host is. The last one counts.
    each(
        |launch| {
            launch.cgroup(path_only(&first.directory)).option(by_path(&second));
            launch.uid(USER).caps("none").current_dir("/").limit("nofile", 4, 4);
        },
        |slate| {
            slate.assert_clean([0, 1, 2]);
            assert!(has(&second, slate));
        },
    );
    // Its number is one that the program has otherwise.
    let directory = File::open(&first.directory).expect("a directory");
    let number = directory.as_raw_fd();
    each(
        |launch| {
            launch.fd(number, path_only(Path::new("/"))).cgroup(directory.try_clone().expect("a copy"));
            (3..20).filter(|&other| other != number).for_each(|other| _ = launch.fd(other, path_only(Path::new("/"))));
            launch.option(by_path(&first));
        },
        |slate| assert!(has(&first, slate)),
    );
    let here = slate_by(Vehicle::InPlace, |_| {});
    assert!(!has(&first, &here) && !has(&second, &here), "the host has not moved");
}

/// On x86-64 the child is born in its cgroup, and where clone3 is refused, as in many containers, it moves there.
#[test]
fn a_child_that_is_born_in_its_cgroup() {
    const NAME: &str = "attributes::a_child_that_is_born_in_its_cgroup";
    assert_root();
    let enter = |cgroup: &Cgroup| {
        each(|launch| _ = launch.cgroup(path_only(&cgroup.directory)), |slate| assert!(has(cgroup, slate)));
    };
    let directory = TempDir::new().expect("a directory");
    let log = directory.path().join("log");
    let starter = ["strace", "-f", "-qq", "-e", "trace=clone3,openat", "-o", log.to_str().expect("UTF-8")];
    alone_by(&starter, NAME, "born", || enter(&Cgroup::new()));
    if let Ok(log) = fs::read_to_string(log) {
        let born = log.lines().filter(|line| line.contains("CLONE_INTO_CGROUP") && !line.contains(" = -1 ")).count();
        let moved = log.contains("cgroup.procs");
        let expected = if cfg!(target_arch = "x86_64") { (3, false) } else { (0, true) };
        assert_eq!((born, moved), expected, "{log}");
    }
    // Built where nothing is refused.
    probe();
    alone_as(NAME, "moved", || where_refused(&[(libc::SYS_clone3, None)], || enter(&Cgroup::new())));
}

#[test]
fn cgroups_that_are_none() {
    for vehicle in vehicles() {
        for (path, errno, reason) in [
            ("/", libc::ENOENT, "no such file (ENOENT)"),
            ("/no/such", libc::ENOENT, "no such file (ENOENT)"),
            ("/dev/null", libc::ENOTDIR, "not a directory (ENOTDIR)"),
        ] {
            check(
                &vehicle,
                |launch| _ = launch.option(format!("--cgroup={path}")),
                Step::Cgroup,
                errno,
                Concern::Directory(path.into()),
                &format!("cannot enter cgroup {path}: {reason}"),
            );
        }
        let directory = path_only(Path::new("/"));
        let number = directory.as_raw_fd();
        check(
            &vehicle,
            |launch| _ = launch.cgroup(directory),
            Step::Cgroup,
            libc::ENOENT,
            Concern::Descriptor(number),
            &format!("cannot enter cgroup of descriptor {number}: no such file (ENOENT)"),
        );
    }
}

/// The probe, executed by this descriptor under another name.
fn slate_of(vehicle: &Vehicle, file: OwnedFd, set: impl FnOnce(&mut Launch<'_>)) -> Slate {
    let mut launch = Launch::new("any name");
    launch.exec_fd(file).stdin(Stdio::Null).stdout(Stdio::Piped).vehicle(vehicle.clone());
    set(&mut launch);
    let mut child = launch.launch().unwrap_or_else(|error| panic!("{vehicle:?}: {error}"));
    let printed = io::read_to_string(child.stdout.take().expect("it is piped")).expect("the probe's output");
    assert!(child.wait().expect("its status").success());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed:?}"))
}

#[test]
fn a_program_by_its_descriptor() {
    let directory = TempDir::new().expect("a directory");
    let path = script(directory.path(), "script", &format!("#!{} first\n", probe().display()), 0o755);
    for vehicle in vehicles() {
        let slate = slate_of(&vehicle, path_only(&probe()), |launch| _ = launch.arg("second").current_dir("/"));
        slate.assert_clean([0, 1, 2]);
        assert_eq!(slate.arguments, ["any name", "second"]);
        let slate = slate_of(&vehicle, path_only(&probe()), |launch| _ = launch.argv0("other"));
        assert_eq!(slate.arguments, ["other"]);
        // Its number is another file's in the program, and every one that the library could take for itself.
        let file = path_only(&probe());
        let slate = slate_of(&vehicle, file, |launch| {
            (3..200).for_each(|number| _ = launch.fd(number, path_only(Path::new("/"))));
        });
        slate.assert_clean(0..200);
        let root = fs::metadata("/").expect("the root").ino();
        assert!((3..200).all(|number| slate.inode(number) == root));

        // A script's interpreter opens it.
        let open_script = || OwnedFd::from(File::open(&path).expect("a script"));
        let mut number: RawFd = -1;
        let slate = slate_of(&vehicle, open_script(), |launch| {
            // Another one under a number that is known.
            let file = open_script();
            number = file.as_raw_fd();
            launch.exec_fd(file).keep(number);
        });
        slate.assert_clean([0, 1, 2, number]);
        assert_eq!(slate.arguments[1..], ["first".to_owned(), format!("/dev/fd/{number}")]);
        let mut launch = Launch::new("any name");
        let file = open_script();
        let number = file.as_raw_fd();
        let error = launch.exec_fd(file).vehicle(vehicle.clone()).launch().map(|child| child.id()).expect_err("no way");
        assert_eq!((error.step(), error.errno()), (Some(Step::Interpreter), Some(libc::ENOENT)), "{error:?}");
        let sentence = format!(
            "cannot start any name: its interpreter cannot open it: a script needs /proc, and descriptor {number} kept open \
             under this number: no such file (ENOENT)"
        );
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn descriptors_that_are_no_program() {
    let directory = TempDir::new().expect("a directory");
    let missing = script(directory.path(), "missing", "#!/no/such/interpreter\n", 0o755);
    for vehicle in vehicles() {
        for (path, step, errno, sentence) in [
            (Path::new("/"), Step::Exec, libc::EACCES, "permission denied (EACCES)"),
            (Path::new("/dev/null"), Step::Exec, libc::EACCES, "permission denied (EACCES)"),
            (&missing, Step::Interpreter, libc::ENOENT, "the interpreter /no/such/interpreter it names is missing"),
        ] {
            let file = path_only(path);
            let number = file.as_raw_fd();
            let mut launch = Launch::new("any name");
            launch.exec_fd(file).keep(number).vehicle(vehicle.clone());
            let error = launch.launch().map(|child| child.id()).expect_err("no program");
            assert_eq!((error.step(), error.errno()), (Some(step), Some(errno)), "{vehicle:?}: {error:?}");
            assert_eq!(error.to_string(), format!("cannot start any name: {sentence}"));
        }
    }
}

/// A program that is executed by its descriptor and dies at once by a signal has begun, and a relay can tell.
#[test]
fn a_program_that_dies_at_once() {
    for vehicle in vehicles() {
        for _ in 0..20 {
            let mut launch = Launch::new("sh");
            launch.exec_fd(path_only(Path::new("/bin/sh"))).args(["-c", "kill -KILL $$"]).vehicle(vehicle.clone());
            let status =
                launch.launch().unwrap_or_else(|error| panic!("{vehicle:?}: {error}")).wait().expect("a status");
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
        }
    }
}
