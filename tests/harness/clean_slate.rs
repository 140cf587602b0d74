//! The clean slate: descriptors, dispositions, mask and timers, in both forms, in every sandbox.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::Command;

use seccompiler::BpfProgram;
use tempfile::TempDir;

use crate::host::{
    Host, MOST_DESCRIPTORS, int, line_for, output, path_only, probe, probe_beside_relay, reaches_relay, relay,
    relay_line,
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

#[test]
fn where_the_end_of_the_table_cannot_be_found_either() {
    let filters = [refuse_close_range(libc::EPERM), sandbox::refuse(&[libc::SYS_pselect6], libc::EPERM)];
    cleans_in(Some(sandbox::bare_root()), filters);
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
    let host = || Host::new([probe()]).nofile(321, 4321);
    let before = host().program(probe().to_str().expect("UTF-8")).run().slate();
    let after = host().run().slate();
    assert_eq!(after.nofile, [321, 4321]);
    assert_eq!(after.umask, before.umask);
    assert_eq!(after.directory, before.directory);
    assert_eq!(after.session, before.session);
    assert_eq!(after.group, before.group);
    assert_eq!(after.parent, before.parent);
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
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null"]);
    command.args(injections.iter().map(|injection| format!("--inject={injection}")));
    command.args(relay_line()).args(arguments);
    output(&mut command)
}

const NO_CLOSE_RANGE: &str = "close_range:error=ENOSYS";
const NO_PROC: &str = "openat:error=ENOENT";
const NO_TABLE_END: &str = "pselect6:error=EPERM";

/// Above the usual ceiling of numbers the slate may be dirty: relay refuses rather than try a billion of them.
#[test]
fn a_hard_limit_too_high_to_sweep() {
    // struct rlimit64: soft 1024, hard 2^30.
    let limit = "prlimit64:poke_exit=@arg4=00040000000000000000004000000000";
    let outcome = strace(&[NO_CLOSE_RANGE, NO_PROC, NO_TABLE_END, limit], &["/bin/true"]);
    assert_eq!(outcome.status.code(), Some(125));
    let message = String::from_utf8_lossy(&outcome.stderr);
    assert_eq!(message, "relay: cannot mark descriptors close-on-exec: limit too high (ERANGE)\n");
}

/// The errno is that of the last way tried, and the program is not started.
#[test]
fn a_slate_that_cannot_be_cleaned() {
    for (last, errno) in
        [("prlimit64:error=EPERM", "not permitted (EPERM)"), ("fcntl:error=EACCES", "permission denied (EACCES)")]
    {
        let outcome = strace(&[NO_CLOSE_RANGE, NO_PROC, NO_TABLE_END, last], &["/bin/echo", "started"]);
        assert_eq!(outcome.status.code(), Some(125));
        assert_eq!(outcome.stdout, b"");
        let message = String::from_utf8_lossy(&outcome.stderr);
        assert_eq!(message, format!("relay: cannot mark descriptors close-on-exec: {errno}\n"));
    }
}

#[test]
fn an_unreadable_proc_is_not_believed() {
    for failure in ["getdents64:error=EACCES", "getdents64:retval=0", "fstatfs:error=EPERM", "fcntl:error=EPERM:when=1"]
    {
        let outcome = strace(&[NO_CLOSE_RANGE, failure], &["/bin/echo", "started"]);
        assert_eq!(outcome.stdout, b"started\n", "{failure}: the next way is taken");
    }
}
