//! Programs, slates, processes, and tests that need a process to themselves.

#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use exec_relay_launcher::{Launch, Stdio, Vehicle};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::slate::Slate;

// The harness's own.
#[path = "../../../tests/harness/needs.rs"]
mod needs;

/// The variable that names the folder of both programs, where there is no cargo.
pub const FOLDER: &str = "LAUNCHER_TEST_PROGRAMS";

/// The folder of both programs, built as the package at the root builds them, or the one that [`FOLDER`] names.
pub fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        needs::executable_files();
        if let Some(given) = env::var_os(FOLDER) {
            return given.into();
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        // Below a directory that cargo has for tests, but not locked while they run.
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "exec-relay", "--features", "probe", "--bins", "--manifest-path"]);
        cargo.arg(root.join("Cargo.toml")).arg("--target-dir").arg(&target);
        for name in ["RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        assert!(cargo.status().expect("cargo").success(), "the probe cannot be built");
        target.join("debug")
    })
}

pub fn probe() -> PathBuf {
    programs().join("probe")
}

pub fn relay() -> PathBuf {
    programs().join("relay")
}

/// Every way to launch.
pub fn vehicles() -> [Vehicle; 3] {
    [Vehicle::InPlace, Vehicle::Relay, Vehicle::RelayAt(relay())]
}

impl Slate {
    #[track_caller]
    pub fn inode(&self, number: RawFd) -> u64 {
        let found = self.descriptors.iter().find(|descriptor| descriptor.number == number);
        found.unwrap_or_else(|| panic!("descriptor {number} is closed: {self:?}")).inode
    }
}

/// Launches the probe by this vehicle, or the one that is taken where none is chosen, and returns what it saw.
#[track_caller]
pub fn slate_by<'l>(vehicle: impl Into<Option<Vehicle>>, set: impl FnOnce(&mut Launch<'l>)) -> Slate {
    let vehicle = vehicle.into();
    let mut launch = Launch::new(probe());
    launch.stdin(Stdio::Null).stdout(Stdio::Piped);
    vehicle.iter().for_each(|vehicle| _ = launch.vehicle(vehicle.clone()));
    set(&mut launch);
    let mut child = launch.launch().unwrap_or_else(|error| panic!("{vehicle:?}: {error}"));
    let mut printed = Vec::new();
    child.stdout.take().expect("it is piped").read_to_end(&mut printed).expect("the probe's output");
    assert!(child.wait().expect("its status").success());
    let slate: Slate = serde_json::from_slice(&printed).unwrap_or_else(|error| panic!("{error}: {printed:?}"));
    assert_eq!(slate.pid as u32, child.id());
    slate
}

/// The same by each vehicle, for `check`.
#[track_caller]
pub fn each(mut set: impl FnMut(&mut Launch<'_>), mut check: impl FnMut(&Slate)) {
    for vehicle in vehicles() {
        println!("{vehicle:?}");
        check(&slate_by(vehicle, &mut set));
    }
}

/// Runs `body` in a process of its own: this test alone, by its path in this program.
pub fn alone(name: &str, body: impl FnOnce()) {
    alone_as(name, "alone", body);
}

/// The same for a test that has several such bodies: `part` is the name of this one.
pub fn alone_as(name: &str, part: &str, body: impl FnOnce()) {
    alone_by(&[], name, part, body);
}

/// The same, where another program starts that process: `starter` is its command line.
pub fn alone_by(starter: &[&str], name: &str, part: &str, body: impl FnOnce()) {
    const ALONE: &str = "LAUNCHER_TEST_ALONE";
    match env::var(ALONE) {
        Ok(asked) if asked == part => return body(),
        Ok(_) => return,
        Err(_) => {}
    }
    // Built here rather than by each of those processes.
    programs();
    let this = env::current_exe().expect("this program");
    let mut line = starter.iter().map(OsStr::new).chain([this.as_os_str()]);
    let mut test = Command::new(line.next().expect("a program"));
    let output = test.args(line).args([name, "--exact", "--nocapture"]).env(ALONE, part).output();
    let output = output.unwrap_or_else(|error| panic!("{error}: {test:?}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", output.status);
}

pub fn assert_root() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root, and the capabilities that root has");
}

/// The open descriptors of this process, for a test that has it to itself.
pub fn open_descriptors() -> BTreeSet<RawFd> {
    let numbers = (0..4096).filter(|&descriptor| flags(descriptor).is_some());
    numbers.collect()
}

/// Those that a program would inherit.
pub fn inherited_descriptors() -> BTreeSet<RawFd> {
    (0..4096).filter(|&descriptor| flags(descriptor) == Some(0)).collect()
}

fn flags(descriptor: RawFd) -> Option<i32> {
    // SAFETY: touches no memory.
    let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
    (flags >= 0).then_some(flags)
}

/// A copy of a descriptor that nobody owns.
pub fn copy(number: RawFd) -> OwnedFd {
    // SAFETY: touches no memory, and the copy is nobody else's.
    unsafe {
        let copy = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3);
        assert!(copy >= 0, "{}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(copy)
    }
}

/// The children of this process, dead ones included, for a test that has it to itself.
pub fn children() -> Vec<String> {
    // Built into most kernels (CONFIG_PROC_CHILDREN); without it this would find none.
    assert!(Path::new("/proc/thread-self/children").exists(), "/proc/PID/task/TID/children is needed");
    let tasks = fs::read_dir("/proc/self/task").expect("/proc");
    tasks
        .flat_map(|task| {
            let children = fs::read_to_string(task.expect("a task").path().join("children")).unwrap_or_default();
            children.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

pub fn set_disposition(signal: i32, disposition: libc::sighandler_t) {
    // SAFETY: SIG_IGN, SIG_DFL, or a handler that does nothing.
    assert_ne!(unsafe { libc::signal(signal, disposition) }, libc::SIG_ERR);
}

pub fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    if resource == libc::RLIMIT_NOFILE {
        needs::descriptors(hard);
    }
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: reads one structure.
    if unsafe { libc::setrlimit(resource, &limit) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A script that is removed with its directory.
pub fn script(directory: &Path, name: &str, text: &str, mode: u32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    fs::write(&path, text).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    path
}

/// Arguments of a system call, by their places.
pub type Arguments = [(u8, u64)];

/// A filter for this process that answers `errno` to a call, where its arguments have these values.
pub fn refuse(call: i64, arguments: &Arguments, errno: i32) {
    let condition = |&(index, value)| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).expect("a condition")
    };
    let conditions: Vec<_> = arguments.iter().map(condition).collect();
    let rules = if conditions.is_empty() { vec![] } else { vec![SeccompRule::new(conditions).expect("a rule")] };
    let architecture = env::consts::ARCH.try_into().expect("an architecture");
    let refusal = SeccompAction::Errno(errno as u32);
    let filter = SeccompFilter::new(BTreeMap::from([(call, rules)]), SeccompAction::Allow, refusal, architecture);
    let filter: BpfProgram = filter.expect("a filter").try_into().expect("a filter");
    seccompiler::apply_filter_all_threads(&filter).expect("a filter");
}
