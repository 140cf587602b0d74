//! Bundles run by runc and crun.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bundle::{Bundle, PLACES, Proc, Runtime};
use crate::host::{Running, output};
use crate::profile;
use crate::slate::{Capabilities, Slate};
use crate::tools::{LEAKS, NOBODY, wait_for};

const RUNTIMES: [Runtime; 2] = [Runtime::Runc, Runtime::Crun];

/// Without relay the program has what leaked: so there was something to clean up in the other tests.
#[test]
fn what_leaks_is_passed_on() {
    for (runtime, proc) in PLACES {
        let slate = Bundle::new(runtime, proc).host(&["/probe"]).run().slate();
        assert_eq!(slate.numbers(), [0, 1, 2].into_iter().chain(LEAKS).collect(), "{runtime:?}, {proc:?}");
        assert!(slate.not_default.contains(&32), "{runtime:?} leaves signals ignored: {:?}", slate.not_default);
        // crun unblocks them.
        assert_eq!(slate.blocked.contains(&13), runtime == Runtime::Runc, "{runtime:?} {:?}", slate.blocked);
    }
}

#[test]
fn clean_with_and_without_proc() {
    for (runtime, proc) in PLACES {
        let slate = Bundle::new(runtime, proc).host(&["/relay", "/probe"]).run().slate();
        slate.assert_clean([0, 1, 2]);
        assert_eq!((slate.pid, slate.parent), (1, 0), "relay was process 1 and has become the program");
    }
}

#[test]
fn the_report_tells_what_is_passed_on() {
    for (runtime, proc) in PLACES {
        let outcome = Bundle::new(runtime, proc).host(&["/relay", "--report"]).run();
        assert!(outcome.status.success(), "{outcome:?}");
        let report = String::from_utf8(outcome.stdout).expect("UTF-8");
        let kind = if proc == Proc::Real { " /" } else { "" };
        assert!(report.contains(&format!("\ndescriptor 5: open{kind}\n")), "{runtime:?}, {proc:?}: {report}");
        assert!(report.contains("\nignored: 32 "), "{runtime:?}, {proc:?}: {report}");
        assert!(report.contains("\nprocess: 1\n"), "{runtime:?}, {proc:?}: {report}");
    }
}

/// An old engine's profile gives `answer` to close_range, and the slate is clean all the same.
#[track_caller]
fn clean_under_an_old_engine(runtime: Runtime, errno: i32, answer: &str) {
    let profile = profile::of_old_engine(errno);
    for proc in [Proc::Real, Proc::None] {
        let mut bundle = Bundle::new(runtime, proc).with_profile(&profile);
        bundle.host(&["/relay", "/probe"]).run().slate().assert_clean([0, 1, 2]);

        // With a program that makes fewer calls than the probe: strace stops at each.
        let traces = TempDir::new().expect("a directory");
        let outcome = bundle.traced_host(&traces, &["/relay", "/relay", "--version"]).run();
        assert!(outcome.status.success(), "{outcome:?}");
        let calls = fs::read_dir(&traces).expect("traces").map(|entry| fs::read_to_string(entry?.path()));
        let calls = calls.map(|calls| calls.expect("a trace")).find(|calls| calls.contains("execve(\"/relay\""));
        let calls = calls.expect("relay's calls");
        let mut calls = calls.lines().skip_while(|call| !call.starts_with("execve(\"/relay\""));
        let close_range = calls.find(|call| call.starts_with("close_range(")).unwrap_or_default();
        assert!(close_range.contains(answer), "{runtime:?}, {proc:?}: {close_range}");
        let listing = calls.find(|call| call.starts_with("openat(")).unwrap_or_default();
        assert!(listing.contains("\"/proc/self/fd\""), "{runtime:?}, {proc:?}: {listing}");
        assert_eq!(!listing.contains(" = -1 ENOENT"), proc == Proc::Real, "{runtime:?}, {proc:?}: {listing}");
    }
}

#[test]
fn clean_under_an_old_engine_that_answers_eperm_by_runc() {
    clean_under_an_old_engine(Runtime::Runc, libc::EPERM, " = -1 EPERM");
}

#[test]
fn clean_under_an_old_engine_that_answers_eperm_by_crun() {
    clean_under_an_old_engine(Runtime::Crun, libc::EPERM, " = -1 EPERM");
}

#[test]
fn clean_under_an_old_engine_that_answers_enosys_by_runc() {
    clean_under_an_old_engine(Runtime::Runc, libc::ENOSYS, " = -1 ENOSYS");
}

#[test]
fn clean_under_an_old_engine_that_answers_enosys_by_crun() {
    clean_under_an_old_engine(Runtime::Crun, libc::ENOSYS, " = -1 ENOSYS");
}

/// A user without rights, and relay as root in that user's namespace: the file that the probe writes is the user's.
#[test]
fn clean_in_a_user_namespace() {
    for runtime in RUNTIMES {
        let mut bundle = Bundle::new(runtime, Proc::Real).unprivileged();
        let outcome = bundle.host(&["/relay", "--umask", "077", "/probe", "probe:to=/slate"]).run();
        assert!(outcome.status.success(), "{runtime:?}: {outcome:?}");
        let path = bundle.root.path().join("slate");
        assert_eq!(fs::metadata(&path).expect("the slate").uid(), NOBODY);
        let slate: Slate = serde_json::from_slice(&fs::read(path).expect("a slate")).expect("a slate");
        slate.assert_clean([0, 1, 2]);
        assert_eq!((slate.pid, slate.umask), (1, 0o077));
    }
}

/// All other bundles here have a read-only root: the probe could not write its slate to a file.
#[test]
fn nothing_can_be_written_to_a_read_only_root() {
    for runtime in RUNTIMES {
        let mut bundle = Bundle::new(runtime, Proc::Real);
        let outcome = bundle.host(&["/relay", "/probe", "probe:to=/slate"]).run();
        outcome.slate().assert_clean([0, 1, 2]);
        assert!(!bundle.root.path().join("slate").exists());
    }
}

#[test]
fn new_privileges() {
    for runtime in RUNTIMES {
        for (by_runtime, option, given_up) in
            [(false, "--setsid", false), (true, "--setsid", true), (false, "--no-new-privs", true)]
        {
            let mut bundle = Bundle::new(runtime, Proc::None);
            bundle.config["process"]["noNewPrivileges"] = json!(by_runtime);
            let slate = bundle.host(&["/relay", option, "/probe"]).run().slate();
            slate.assert_clean([0, 1, 2]);
            assert_eq!(slate.no_new_privileges, given_up, "{runtime:?}, {by_runtime}, {option}");
        }
    }
}

/// Engines raise the limit of descriptors, and programs then loop over all of them.
#[test]
fn a_raised_limit() {
    for runtime in RUNTIMES {
        let limit = |options: &[&str]| {
            let mut bundle = Bundle::new(runtime, Proc::None).with_limit(18_000, 19_000);
            bundle.host(&[&["/relay"], options, &["/probe"]].concat()).run().slate().nofile
        };
        assert_eq!(limit(&[]), [18_000, 19_000], "{runtime:?}");
        assert_eq!(limit(&["--nofile", "1024"]), [1024, 19_000], "{runtime:?}");
        assert_eq!(limit(&["--nofile=hard"]), [19_000, 19_000], "{runtime:?}");
    }
}

/// What giving up root takes, and two more capabilities.
const ROOTS: [&str; 5] = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"];

/// A container of root with supplementary groups.
fn roots_bundle(runtime: Runtime, proc: Proc) -> Bundle {
    let mut bundle = Bundle::new(runtime, proc).with_capabilities(&ROOTS);
    bundle.config["process"]["user"]["additionalGids"] = json!([4, 27]);
    bundle
}

#[track_caller]
fn assert_all_sets_are(slate: &Slate, set: u64) {
    let wanted = Capabilities { effective: set, permitted: set, inheritable: set, bounding: set, ambient: set };
    assert_eq!(slate.capabilities, wanted);
}

/// Without relay there is something to give up.
#[test]
fn root_has_groups_and_capabilities() {
    for runtime in RUNTIMES {
        let slate = roots_bundle(runtime, Proc::Real).host(&["/probe", "probe:root"]).run().slate();
        assert_eq!((slate.user, slate.groups.as_slice()), ([0; 3], &[4, 27][..]), "{runtime:?}");
        assert_eq!((slate.capabilities.effective, slate.regains_root), (0x5c1, Some(true)), "{runtime:?}");
    }
}

#[test]
fn root_is_given_up() {
    let drop = ["/relay", "--user", "65532:65532", "--caps", "none", "--no-new-privs", "/probe", "probe:root"];
    for (runtime, proc) in PLACES {
        let slate = roots_bundle(runtime, proc).host(&drop).run().slate();
        slate.assert_clean([0, 1, 2]);
        assert_eq!((slate.user, slate.group_ids), ([65532; 3], [65532; 3]), "{runtime:?}, {proc:?}");
        assert_eq!(slate.groups, [0_u32; 0], "{runtime:?}, {proc:?}");
        assert_all_sets_are(&slate, 0);
        assert_eq!((slate.regains_root, slate.no_new_privileges), (Some(false), true), "{runtime:?}, {proc:?}");
        assert_eq!((slate.pid, slate.parent), (1, 0));
    }
}

/// What a program is left with that may listen below port 1024, in one group.
#[test]
fn root_is_given_up_but_for_one_capability() {
    let drop = ["/relay", "--user", "65532:65532,4", "--caps", "NET_BIND_SERVICE", "/probe", "probe:root"];
    for runtime in RUNTIMES {
        let slate = roots_bundle(runtime, Proc::None).host(&drop).run().slate();
        slate.assert_clean([0, 1, 2]);
        assert_eq!((slate.user, slate.groups.as_slice()), ([65532; 3], &[4][..]), "{runtime:?}");
        assert_all_sets_are(&slate, 1 << 10);
        assert_eq!(slate.regains_root, Some(false), "{runtime:?}");
    }
}

/// A container that may not do it is told so, and the program does not begin.
#[test]
fn giving_up_root_takes_capabilities() {
    let drop = ["/relay", "--user", "65532:65532", "--caps", "none", "/probe"];
    let cases = [
        (&["CAP_SETUID", "CAP_SETGID", "CAP_CHOWN"][..], "cannot drop capability CHOWN"),
        (&["CAP_SETUID", "CAP_SETPCAP"], "cannot set the supplementary groups"),
        (&["CAP_SETGID", "CAP_SETPCAP"], "cannot become user 65532"),
    ];
    for runtime in RUNTIMES {
        for (capabilities, message) in cases {
            let mut bundle = Bundle::new(runtime, Proc::Real).with_capabilities(capabilities);
            bundle.config["process"]["user"]["additionalGids"] = json!([4]);
            let outcome = bundle.host(&drop).run();
            assert_eq!(outcome.status.code(), Some(125), "{runtime:?}: {outcome:?}");
            assert_eq!(outcome.stderr, format!("relay: {message}: not permitted (EPERM)\n"), "{runtime:?}");
        }
    }
}

/// In a user namespace whose user may not set groups: those that are right already are no failure, others are.
#[test]
fn groups_in_a_user_namespace() {
    let user = |runtime, user: &str| {
        let mut bundle = Bundle::new(runtime, Proc::Real).unprivileged();
        bundle.host(&["/relay", "--user", user, "/probe"]).run()
    };
    for runtime in RUNTIMES {
        let slate = user(runtime, "0:0").slate();
        slate.assert_clean([0, 1, 2]);
        assert_eq!((slate.user, slate.group_ids, slate.groups.len()), ([0; 3], [0; 3], 0), "{runtime:?}");
        for (identity, message) in [
            ("0:0,4", "cannot set the supplementary groups: not permitted (EPERM)"),
            // It is nobody in there.
            ("65532:65532", "cannot become group 65532: invalid (EINVAL)"),
        ] {
            let outcome = user(runtime, identity);
            assert_eq!(outcome.status.code(), Some(125), "{runtime:?}: {outcome:?}");
            assert_eq!(outcome.stderr, format!("relay: {message}\n"), "{runtime:?}");
        }
    }
}

/// `--reset all` needs /proc for three of the attributes.
#[test]
fn reset_with_and_without_proc() {
    for (runtime, proc) in PLACES {
        let outcome = Bundle::new(runtime, proc).host(&["/relay", "--reset", "all", "/probe"]).run();
        if proc == Proc::Real {
            outcome.slate().assert_clean([0, 1, 2]);
        } else {
            assert_eq!(outcome.status.code(), Some(125), "{runtime:?}, {proc:?}: {outcome:?}");
            let message = "relay: cannot set the out-of-memory score by /proc: no such file (ENOENT)\n";
            assert_eq!(outcome.stderr, message, "{runtime:?}, {proc:?}");
        }
        let others = "nice,sched,cpus,ionice,timer-slack,parent-death,mempolicy,personality,speculation,thp,ksm,tsc,\
                      mce-kill,subreaper";
        let slate = Bundle::new(runtime, proc).host(&["/relay", "--reset", others, "/probe"]).run().slate();
        slate.assert_clean([0, 1, 2]);
    }
}

/// A container whose process 1 is the probe, waiting for a reader of what it writes.
fn waiting(runtime: Runtime) -> (Bundle, Running) {
    let mut bundle = Bundle::new(runtime, Proc::Real);
    let made = output(Command::new("mkfifo").arg(bundle.root.path().join("fifo")));
    assert!(made.status.success(), "{made:?}");
    let running = bundle.host(&["/relay", "/probe", "probe:to=/fifo"]).spawn();
    let started = wait_for(|| {
        let state = bundle.runtime_host(&[], &["state", bundle.name()]).run();
        let state: Value = serde_json::from_slice(&state.stdout).ok()?;
        let name = fs::read_to_string(format!("/proc/{}/comm", state["pid"])).ok()?;
        (name == "probe\n").then_some(())
    });
    assert!(started.is_some(), "the probe as process 1");
    (bundle, running)
}

fn send(bundle: &Bundle, signal: &str) {
    let sent = bundle.runtime_host(&[], &["kill", bundle.name(), signal]).run();
    assert!(sent.status.success(), "{sent:?}");
}

/// Process 1 is not killed by a signal at its default: the kernel drops it, as README.md says.
#[test]
fn process_1_and_term() {
    for runtime in RUNTIMES {
        let (bundle, running) = waiting(runtime);
        send(&bundle, "TERM");
        // It would wait for ever if the probe were gone.
        let printed = output(Command::new("timeout").arg("30").arg("cat").arg(bundle.root.path().join("fifo")));
        let slate: Slate = serde_json::from_slice(&printed.stdout).expect("a slate");
        slate.assert_clean([0, 1, 2]);
        assert_eq!(slate.pid, 1);
        let outcome = running.finish();
        assert!(outcome.status.success(), "{runtime:?}: {outcome:?}");
    }
}

#[test]
fn process_1_and_kill() {
    for runtime in RUNTIMES {
        let (bundle, running) = waiting(runtime);
        send(&bundle, "KILL");
        assert_eq!(running.finish().status.code(), Some(128 + libc::SIGKILL), "{runtime:?}");
    }
}

/// What relay says of its own failures in an image that holds nothing else, and with which status.
#[test]
fn failures_are_told() {
    for (runtime, proc) in PLACES {
        let outcome = Bundle::new(runtime, proc).host(&["/relay", "/missing"]).run();
        assert_eq!(outcome.status.code(), Some(127), "{outcome:?}");
        assert_eq!(outcome.stderr, "relay: cannot start /missing: no such file (ENOENT)\n");
    }
}
