//! The clean slate: descriptors, dispositions, mask and timers, in both forms, in every sandbox.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use seccompiler::BpfProgram;
use tempfile::TempDir;

use crate::fuse::{Fuse, Node};
use crate::host::{
    Host, MOST_DESCRIPTORS, Running, full_pipe, int, line_for, output, path_only, probe, probe_beside_relay,
    reaches_relay, relay, relay_line,
};
use crate::sandbox;

/// Low ones, those around the size of a word, one above the usual limit, and the highest that there can be.
const LEAKS: [i32; 6] = [3, 4, 63, 64, 1000, MOST_DESCRIPTORS as i32 - 1];

const IGNORED: [usize; 8] = [1, 13, 17, 32, 33, 34, 63, 64];

fn ignored() -> impl Iterator<Item = usize> {
    IGNORED.into_iter().filter(|&signal| reaches_relay(signal))
}

/// Leaves open, ignored, blocked and armed what a bad host does.
fn dirty(host: Host) -> Host {
    let host = LEAKS.into_iter().fold(host, Host::open);
    host.descriptor(65, path_only("/")).ignored(ignored()).all_blocked().timers()
}

/// Where a host runs relay.
struct Place {
    root: Option<TempDir>,
    filters: Vec<BpfProgram>,
}

impl Place {
    fn relay(&self) -> String {
        if self.root.is_some() { "/relay".into() } else { relay().to_str().expect("UTF-8").into() }
    }

    fn probe(&self) -> String {
        if self.root.is_some() { "/probe".into() } else { probe().to_str().expect("UTF-8").into() }
    }

    /// Confines a host. Last, since what makes it dirty may be refused afterwards.
    fn confine(&self, host: Host) -> Host {
        let host = host.relay_at(&self.relay());
        let host = self.root.iter().fold(host, |host, root| host.root(root.path()));
        self.filters.iter().fold(host, |host, filter| host.filter(filter.clone()))
    }
}

/// The option form cleans up whatever a bad host leaves, in this place.
#[track_caller]
fn cleans_in(root: Option<TempDir>, filters: impl Into<Vec<BpfProgram>>) {
    let place = Place { root, filters: filters.into() };
    let outcome = place.confine(dirty(Host::new([place.probe()]))).run();
    outcome.slate().assert_clean([0, 1, 2]);

    let pulse = dirty(Host::new(["5", "66", &place.probe()]).status(5).open(66));
    let outcome = place.confine(pulse).run();
    assert_eq!(outcome.records, int(5), "{outcome:?}");
    outcome.slate_after(&int(5)).assert_clean([0, 1, 2, 66]);
}

fn refuse_close_range(errno: i32) -> BpfProgram {
    sandbox::refuse(&[libc::SYS_close_range], errno)
}

#[test]
fn the_host_is_as_dirty_as_it_should_be() {
    let slate = dirty(Host::new([""]).program(probe().to_str().expect("UTF-8"))).run().slate();
    let expected = [0, 1, 2, 65].into_iter().chain(LEAKS);
    assert_eq!(slate.numbers(), expected.collect());
    assert!(slate.not_default.iter().map(|&signal| signal as usize).eq(ignored()), "{:?}", slate.not_default);
    assert_eq!(slate.blocked.len(), 62, "all but KILL and STOP: {:?}", slate.blocked);
    assert_eq!(slate.timers, [true; 3]);
}

#[test]
fn with_close_range() {
    cleans_in(None, []);
}

#[test]
fn before_linux_5_9() {
    cleans_in(None, [refuse_close_range(libc::ENOSYS)]);
}

#[test]
fn on_linux_5_9_and_5_10() {
    cleans_in(None, [sandbox::refuse_close_range_flags()]);
}

#[test]
fn in_a_sandbox_that_answers_eperm() {
    cleans_in(None, [refuse_close_range(libc::EPERM)]);
}

#[test]
fn in_a_sandbox_that_answers_eacces() {
    cleans_in(None, [refuse_close_range(libc::EACCES)]);
}

#[test]
fn without_proc() {
    cleans_in(Some(sandbox::bare_root()), []);
}

#[test]
fn with_a_false_proc() {
    cleans_in(Some(sandbox::root_with_false_proc()), []);
}

#[test]
fn without_close_range_and_without_proc() {
    cleans_in(Some(sandbox::bare_root()), [refuse_close_range(libc::ENOSYS)]);
}

#[test]
fn without_close_range_and_with_a_false_proc() {
    cleans_in(Some(sandbox::root_with_false_proc()), [refuse_close_range(libc::EPERM)]);
}

/// A slate that may be dirty is refused: a descriptor can be above every number that would be tried.
#[test]
fn where_the_end_of_the_table_cannot_be_found_either() {
    let root = sandbox::bare_root();
    let host =
        dirty(Host::new(["/probe"]).relay_at("/relay")).root(root.path()).filter(refuse_close_range(libc::EPERM));
    let outcome = host.filter(sandbox::refuse(&[libc::SYS_pselect6], libc::EACCES)).run();
    assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(125), &b""[..]));
    assert_eq!(outcome.stderr, "relay: cannot mark descriptors close-on-exec: permission denied (EACCES)\n");
}

/// A link in a false root leads to the descriptors of a process that has the same low numbers.
#[test]
fn with_the_proc_of_another_process() {
    let root = sandbox::bare_root();
    for directory in ["procfs", "proc"] {
        fs::create_dir(root.path().join(directory)).expect("a directory");
    }
    // It has one descriptor more than the three: the number that relay's own directory has there.
    let other = Host::new(["1000"]).program("/bin/sleep").open(3).spawn();
    let leads = |to: String| {
        let link = root.path().join("proc/self");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(to, link).expect("a link");
        let host = Host::new(["/probe"]).relay_at("/relay").proc_at(&root.path().join("procfs"));
        let host = LEAKS.into_iter().filter(|&leak| leak > 20).fold(host, Host::open);
        host.root(root.path()).filter(refuse_close_range(libc::EPERM))
    };
    // One that is not sleeping yet is a copy of this process.
    let other = Other(other);
    other.wait_until_asleep();
    leads(format!("/procfs/{}", other.0.child.id())).run_in_time().slate().assert_clean([0, 1, 2]);
    leads("/procfs/self".to_owned()).run_in_time().slate().assert_clean([0, 1, 2]);
    leads("/procfs/4194305".to_owned()).run_in_time().slate().assert_clean([0, 1, 2]);
}

/// A process that is ended when this goes.
struct Other(Running);

impl Other {
    fn wait_until_asleep(&self) {
        let directory = format!("/proc/{}", self.0.child.id());
        for _ in 0..1000 {
            if fs::read_to_string(format!("{directory}/comm")).is_ok_and(|name| name == "sleep\n") {
                return assert!(Path::new(&directory).join("fd/3").exists());
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("sleep has not begun");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.child.kill();
        let _ = self.0.child.wait();
    }
}

/// It would list without end.
#[test]
fn with_an_endless_false_proc() {
    let root = sandbox::bare_root();
    fs::create_dir(root.path().join("proc")).expect("a directory");
    let system = Fuse::mount_at(&root.path().join("proc"), &[("self/fd", Node::Endless)]);
    let host = dirty(Host::new(["/probe"]).relay_at("/relay")).root(&system.seen(root.path()));
    host.filter(refuse_close_range(libc::EPERM)).run_in_time().slate().assert_clean([0, 1, 2]);
    let host = dirty(Host::new(["--report"]).relay_at("/relay")).root(&system.seen(root.path()));
    assert!(host.run_in_time().status.success());
}

/// A small table ends before 512: its end is found, and the numbers after it are not tried.
#[test]
fn the_last_way_sees_descriptors_opened_by_path_in_a_small_table() {
    for descriptor in [3, 63, 64, 255, 256, 511, 512] {
        let host = Host::new(["/probe"]).relay_at("/relay").descriptor(descriptor, path_only("/"));
        let root = sandbox::bare_root();
        let outcome = host.root(root.path()).filter(refuse_close_range(libc::ENOSYS)).run();
        outcome.slate().assert_clean([0, 1, 2]);
    }
}

#[test]
fn thousands_of_descriptors() {
    for filters in [vec![], vec![refuse_close_range(libc::ENOSYS)]] {
        let host = (3..4000).fold(Host::new([probe()]), |host, descriptor| host.copy(2, descriptor));
        let outcome = filters.into_iter().fold(host, Host::filter).run();
        outcome.slate().assert_clean([0, 1, 2]);
    }
}

/// Neither limit bounds the numbers of descriptors that were open when it was lowered.
#[test]
fn limits_lowered_below_open_descriptors() {
    cleans_under_limits([(64, MOST_DESCRIPTORS), (64, 64)]);
}

#[test]
fn limits_so_low_that_no_descriptor_is_free() {
    cleans_under_limits([(3, 3), (0, 0)]);
}

#[track_caller]
fn cleans_under_limits(limits: [(u64, u64); 2]) {
    for (soft, hard) in limits {
        for errno in [None, Some(libc::EPERM)] {
            let root = sandbox::bare_root();
            let host = LEAKS.into_iter().fold(Host::new(["/probe"]).relay_at("/relay"), Host::open);
            let host = host.descriptor(65, path_only("/")).nofile(soft, hard).root(root.path());
            let slate =
                errno.into_iter().fold(host, |host, errno| host.filter(refuse_close_range(errno))).run().slate();
            slate.assert_clean([0, 1, 2]);
            assert_eq!(slate.nofile, [soft, hard], "the limit passes through untouched");
        }
    }
}

#[test]
fn a_full_descriptor_table() {
    for filters in [vec![], vec![refuse_close_range(libc::ENOSYS)]] {
        let host = Host::new([probe()]).nofile(600, 600).full_table();
        filters.into_iter().fold(host, Host::filter).run().slate().assert_clean([0, 1, 2]);
    }
}

/// Each subset of 0, 1 and 2 closed: what is closed stays closed, and nothing of relay's own takes its place.
#[test]
fn standard_descriptors_closed() {
    let directory = TempDir::new().expect("a directory");
    for subset in 0..8_i32 {
        for errno in [None, Some(libc::ENOSYS)] {
            let open: BTreeSet<_> = (0..3).filter(|descriptor| subset & 1 << descriptor == 0).collect();
            let path = directory.path().join(format!("{subset} {errno:?}"));
            let to = format!("probe:to={}", path.display());
            let host = Host::new([probe().to_str().expect("UTF-8"), &to]).open(7);
            let host = (0..3).filter(|descriptor| !open.contains(descriptor)).fold(host, Host::closed);
            let outcome = errno.into_iter().fold(host, |host, errno| host.filter(refuse_close_range(errno))).run();
            assert!(outcome.status.success(), "{outcome:?}");
            let printed = std::fs::read(&path).expect("what the probe printed");
            let slate: crate::slate::Slate = serde_json::from_slice(&printed).expect("a slate");
            slate.assert_clean(open);
        }
    }
}

/// What the program keeps is the very file that it was, not another one under its number.
#[test]
fn kept_descriptors_are_the_same_files() {
    let host = || Host::new(["9", "70", probe().to_str().expect("UTF-8")]);
    let file = tempfile::tempfile().expect("a file");
    let before = host().program(probe().to_str().expect("UTF-8")).descriptor(70, file.try_clone().expect("a copy"));
    let before = before.run().slate();
    let after = host().status(9).open(69).descriptor(70, file).open(71).run().slate_after(&int(9));
    let identity = |slate: &crate::slate::Slate| {
        let kept = slate.descriptors.iter().find(|descriptor| descriptor.number == 70).expect("the pulse");
        assert!(!kept.close_on_exec);
        (kept.device, kept.inode)
    };
    assert_eq!(identity(&before), identity(&after));
    after.assert_clean([0, 1, 2, 70]);
}

/// The probe of relay's own architecture, which sees what relay and the programs beside it see: with qemu-user, not quite
/// what the kernel does, and so it is asked for no more than that.
#[test]
fn a_program_of_the_same_architecture() {
    let line: Vec<_> = line_for(probe_beside_relay()).collect();
    let arguments = line.iter().map(|word| word.as_os_str()).chain([OsStr::new("an argument"), OsStr::new("")]);
    let outcome = Host::new(arguments).open(5).timers().nofile(321, 4321).environment(["A=b"]).run();
    let slate = outcome.slate();
    slate.assert_clean([0, 1, 2]);
    assert_eq!(slate.arguments[0], probe_beside_relay().to_str().expect("UTF-8"));
    assert_eq!(slate.arguments[1..], ["an argument", ""]);
    assert_eq!((slate.environment.as_slice(), slate.nofile), (&["A=b".to_owned()][..], [321, 4321]));
}

/// relay becomes the program: it is still the process that the launcher started.
#[test]
fn the_process_stays_the_same() {
    let running = Host::new([probe()]).spawn();
    let pid = running.child.id() as i32;
    assert_eq!(running.finish().slate().pid, pid);
}

/// Everything that no option asks for passes through untouched.
#[test]
fn the_rest_passes_through() {
    let host = || {
        let host = Host::new([probe()]).nofile(321, 4321).limit(libc::RLIMIT_LOCKS, 5, 7);
        host.descriptor(0, full_pipe().1)
    };
    let before = host().program(probe().to_str().expect("UTF-8")).run().slate();
    let after = host().run().slate();
    assert_eq!(after.nofile, [321, 4321]);
    assert_eq!((after.limits, after.limits[libc::RLIMIT_LOCKS as usize]), (before.limits, [5, 7]));
    assert_eq!(after.umask, before.umask);
    assert_eq!(after.directory, before.directory);
    assert_eq!(after.session, before.session);
    assert_eq!(after.group, before.group);
    assert_eq!(after.parent, before.parent);
    assert_eq!((after.user, after.group_ids, &after.groups), (before.user, before.group_ids, &before.groups));
    assert_eq!((after.capabilities, after.securebits), (before.capabilities, before.securebits));
    assert_eq!((after.keyring, &after.cgroup), (before.keyring, &before.cgroup));
    assert_eq!((after.nonblocking, before.nonblocking), (vec![0], vec![0]));
}

/// No environment variable changes what relay does, nor does relay change one.
#[test]
fn the_environment_passes_through() {
    let variables = ["PATH=/nowhere", "LD_PRELOAD=/nowhere.so", "RELAY=1", "no equals sign", "", "A=\u{fc}\n"];
    let outcome = Host::new([probe()]).environment(variables).run();
    let bytes = |text: &str| text.bytes().map(char::from).collect::<String>();
    assert_eq!(outcome.slate().environment, variables.map(bytes));
}

/// strace stands for kernels and sandboxes that cannot be had: it answers in their place.
fn strace(injections: &[&str], arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "20", "strace", "-qq", "-o", "/dev/null"]);
    command.args(injections.iter().map(|injection| format!("--inject={injection}")));
    command.args(relay_line()).args(arguments);
    output(&mut command)
}

const NO_CLOSE_RANGE: &str = "close_range:error=ENOSYS";
const NO_PROC: &str = "openat:error=ENOENT:when=1";
/// Where the table reaches beyond the usual ceiling of numbers the slate may be dirty: relay refuses rather than try a
/// billion of them. What makes it reach so far is an answer of strace's: the limits of this machine may be lower.
#[test]
fn a_table_too_large_to_sweep() {
    let outcome = strace(&[NO_CLOSE_RANGE, NO_PROC, "pselect6:error=EBADF"], &["/bin/echo", "started"]);
    assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(125), &b""[..]));
    let message = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(message, "relay: cannot mark descriptors close-on-exec: limit too high (ERANGE)\n");
    // Up to that ceiling all is tried: 2^8, 2^9 and so on to 2^16 places.
    let outcome = strace(&[NO_CLOSE_RANGE, NO_PROC, "pselect6:error=EBADF:when=1..3"], &["/bin/echo", "started"]);
    assert_eq!(outcome.stdout, b"started\n");
}

/// A limit is no bound, so it does not matter how high it is.
#[test]
fn a_hard_limit_of_a_billion() {
    // struct rlimit64: soft 1024, hard 2^30.
    let limit = "prlimit64:poke_exit=@arg4=00040000000000000000004000000000";
    let outcome = strace(&[NO_CLOSE_RANGE, NO_PROC, limit], &["/bin/echo", "started"]);
    assert_eq!(outcome.stdout, b"started\n");
}

/// The errno is that of the last way tried, and the program is not started.
#[test]
fn a_slate_that_cannot_be_cleaned() {
    for (last, errno) in
        [("pselect6:error=EPERM", "not permitted (EPERM)"), ("fcntl:error=EACCES", "permission denied (EACCES)")]
    {
        let outcome = strace(&[NO_CLOSE_RANGE, NO_PROC, last], &["/bin/echo", "started"]);
        assert_eq!(outcome.status.code(), Some(125));
        assert_eq!(outcome.stdout, b"");
        let message = String::from_utf8_lossy(&outcome.stderr);
        assert_eq!(message, format!("relay: cannot mark descriptors close-on-exec: {errno}\n"));
    }
}

#[test]
fn an_unreadable_proc_is_not_believed() {
    for failure in [
        "getdents64:error=EACCES",
        "getdents64:retval=0",
        // An entry of no length: nobody would come to the end of it.
        "getdents64:poke_exit=@arg2=0000000000000000000000000000000000000000",
        "fstatfs:error=EPERM",
        "readlinkat:error=EPERM",
        "fcntl:error=EPERM:when=1",
        // It says that it has copied, and has not.
        "fcntl:retval=5:when=1",
        "fcntl:retval=0:when=1",
    ] {
        let outcome = strace(&[NO_CLOSE_RANGE, failure], &["/bin/echo", "started"]);
        assert_eq!(outcome.stdout, b"started\n", "{failure}: the next way is taken");
    }
}
