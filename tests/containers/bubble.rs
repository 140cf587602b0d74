//! Under bubblewrap, in a root that holds only relay and the probe, by root and by a user without rights.

use crate::host::{Outcome, path_only};
use crate::sandbox;
use crate::slate::Slate;
use crate::tools::{LEAKS, as_nobody, command_host, dirty, open_to_all, text};

/// bwrap passes on every descriptor, those above all usual limits too.
const HIGH_LEAKS: [i32; 2] = [1000, 19_999];

const PROCS: [&[&str]; 2] = [&[], &["--proc", "/proc"]];

/// Runs a program with these options of bwrap, from a dirty host.
fn run(before: &[&str], options: &[&str], program: &[&str]) -> Outcome {
    let root = sandbox::bare_root();
    open_to_all(&root);
    let [relay, probe] = ["relay", "probe"].map(|name| root.path().join(name));
    // The root is a new tmpfs.
    let base = ["bwrap", "--ro-bind", text(&relay), "/relay", "--ro-bind", text(&probe), "/probe", "--chdir", "/"];
    let host = dirty(command_host(&[before, &base, options, program].concat(), &[]));
    HIGH_LEAKS.into_iter().fold(host, |host, leak| host.descriptor(leak, path_only("/"))).run()
}

#[track_caller]
fn clean(before: &[&str], options: &[&str]) -> Slate {
    let slate = run(before, options, &["/relay", "/probe"]).slate();
    slate.assert_clean([0, 1, 2]);
    assert!(slate.no_new_privileges, "bwrap gives them up");
    slate
}

#[test]
fn what_leaks_is_passed_on() {
    for proc in PROCS {
        let slate = run(&[], proc, &["/probe"]).slate();
        for leak in LEAKS.into_iter().chain(HIGH_LEAKS) {
            assert!(slate.numbers().contains(&leak), "{leak}: {:?}", slate.numbers());
        }
        assert_eq!(slate.not_default, [13, 32, 33, 34, 64]);
        assert!(slate.blocked.contains(&15), "{:?}", slate.blocked);
    }
}

#[test]
fn clean_with_and_without_proc() {
    for proc in PROCS {
        clean(&[], proc);
    }
}

/// As process 1, in namespaces of its own.
#[test]
fn clean_as_process_1() {
    for proc in PROCS {
        let options = [&["--unshare-all", "--as-pid-1"], proc].concat();
        assert_eq!(clean(&[], &options).pid, 1);
    }
}

/// With bwrap as process 1, which reaps.
#[test]
fn clean_behind_a_process_1_that_reaps() {
    for proc in PROCS {
        let options = [&["--unshare-all"], proc].concat();
        let slate = clean(&[], &options);
        assert_eq!((slate.pid, slate.parent), (2, 1));
    }
}

#[test]
fn clean_in_a_user_namespace() {
    for proc in PROCS {
        let options = [&["--unshare-all", "--as-pid-1", "--uid", "0"], proc].concat();
        assert_eq!(clean(&as_nobody(), &options).pid, 1);
    }
}

/// bwrap's user namespaces do not let their user set groups. Those that cannot be taken off are a failure.
#[test]
fn groups_that_stay_in_a_user_namespace() {
    let options = ["--unshare-all", "--as-pid-1", "--uid", "0", "--gid", "0"];
    let program = ["/relay", "--user", "0:0", "/probe"];
    let slate = run(&as_nobody(), &options, &program).slate();
    slate.assert_clean([0, 1, 2]);
    assert_eq!((slate.user, slate.group_ids, slate.groups.len()), ([0; 3], [0; 3], 0));

    let in_a_group = ["setpriv", "--reuid=65534", "--regid=65534", "--groups=4"];
    let outcome = run(&in_a_group, &options, &program);
    assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
    assert_eq!(outcome.stderr, "relay: cannot set the supplementary groups: not permitted (EPERM)\n");
}
