//! Who the program is: user, groups, session keyring, process group.

use exec_relay::status::Step;

use crate::capabilities::{CHOWN, SETGID, SETPCAP, SETUID};
use crate::host::{Host, Running, assert_root, probe};
use crate::process::{assert_refused, host};
use crate::records::{assert_failed, records};
use crate::refusal::{assert_all_misused, assert_refuses, clean};
use crate::sandbox;

/// Groups that a host has beforehand, as that of a distribution's root or of a person has.
const BEFORE: [u32; 2] = [4, 20];

fn with_groups(host: Host) -> Host {
    host.groups(&BEFORE)
}

#[test]
fn user_and_groups() {
    assert_root();
    let inherited = with_groups(host(&[])).run().slate();
    assert_eq!((inherited.user, inherited.groups.as_slice()), ([0; 3], &BEFORE[..]), "the host is as it should be");
    for (options, user, group, groups) in [
        (&["--user", "1000:1001"][..], 1000, 1001, &[][..]),
        (&["--user=1000:1001,4"], 1000, 1001, &[4]),
        (&["--user=0:0"], 0, 0, &[]),
        (&["--user=0:0,20,4"], 0, 0, &[4, 20]),
        (&["--user=0:5,5,7"], 0, 5, &[5, 7]),
        (&["--user=65536:65537,70000,65535"], 65536, 65537, &[65535, 70000]),
        (&["--user=4294967294:4294967293,4294967292"], 4_294_967_294, 4_294_967_293, &[4_294_967_292]),
        (&["--user=1:2,3", "--user", "0005:006"], 5, 6, &[]),
    ] {
        let slate = with_groups(host(options)).run().slate();
        assert_eq!((slate.user, slate.group_ids), ([user; 3], [group; 3]), "{options:?}");
        assert_eq!(slate.groups, groups, "{options:?}");
    }
}

/// As many as there is room for, and none of those before.
#[test]
fn two_hundred_and_fifty_six_groups() {
    assert_root();
    let groups: Vec<u32> = (0..257).map(|number| 100_000 + number).collect();
    let list = |count: usize| groups[..count].iter().map(|group| format!(",{group}")).collect::<String>();
    let slate = with_groups(host(&[&format!("--user=7:8{}", list(256))])).run().slate();
    assert_eq!(slate.groups, groups[..256]);
    let option = format!("--user=7:8{}", list(257));
    host(&[&option]).run().assert_misused(&option);
}

#[test]
fn what_is_no_user() {
    let users = ["", "0", ":", "0:", ":0", "root:root", "0.0", "-1:0", "0:-1", "4294967295:0", "0:4294967295", "0 :0"];
    let groups = ["0:0,", "0:0,,1", "0:0,x", "0:0,4294967295", "0:0:0", "0:0,1:2", "0:0 ", "0:0,1 ", "0:0,-1", "+1:0"];
    assert_all_misused("--user", &users);
    assert_all_misused("--user", &groups);
}

/// A host that starts a probe which tries to become root again.
fn trying_root(options: &[&str]) -> Host {
    let probe = probe();
    Host::new(options.iter().copied().chain([probe.to_str().expect("UTF-8"), "probe:root"]))
}

/// Root that was given up is gone, unless a capability was asked for by which it can be had again.
#[test]
fn root_is_given_up_for_good() {
    assert_root();
    for (options, regains) in [
        (&["--user=1000:1000"][..], false),
        (&["--user=1000:1000", "--caps=none"], false),
        (&["--user=1000:1000", "--caps=NET_RAW"], false),
        (&["--user=1000:1000", "--caps=SETUID"], true),
        (&["--user=1000:1000", "--caps=SETGID"], true),
        (&["--user=0:0", "--caps=none"], true),
    ] {
        let slate = with_groups(trying_root(options)).run().slate();
        assert_eq!(slate.regains_root, Some(regains), "{options:?}");
    }
}

/// Who is not root and yet may become any user keeps that when becoming another one, which nobody would expect.
#[test]
fn a_user_who_could_become_root() {
    assert_root();
    let set = SETUID | SETGID;
    let other = |host: Host| host.user_with_capabilities(1000, set);
    let slate = other(host(&[])).run().slate();
    assert_eq!((slate.user, slate.capabilities.effective), ([1000; 3], set), "the host is as it should be");
    let message = "root can be had again: give --caps too";
    for option in ["--user=1001:1001", "--user=1000:1000"] {
        // There is no errno for it.
        assert_refuses(&[option], other, message, (Step::RootKept, libc::EINVAL, 0));
    }
    // Root itself is no surprise.
    assert_eq!(other(host(&["--user=0:0"])).run().slate().user, [0; 3]);

    let other = |host: Host| host.user_with_capabilities(1000, set | SETPCAP);
    for (caps, regains) in [("--caps=none", false), ("--caps=SETUID", true)] {
        let slate = other(trying_root(&["--user=1001:1002,3", caps])).run().slate();
        assert_eq!((slate.user, slate.group_ids, slate.groups.as_slice()), ([1001; 3], [1002; 3], &[3][..]));
        assert_eq!(slate.regains_root, Some(regains), "{caps}");
    }
}

/// Others than root can ask for what they are already.
#[test]
fn without_privileges() {
    assert_root();
    let user = |host: Host| host.groups(&[]).user(1000, 1001);
    let slate = user(host(&["--user=1000:1001"])).run().slate();
    assert_eq!((slate.user, slate.group_ids, slate.groups.len()), ([1000; 3], [1001; 3], 0));
    for (option, message, step, detail) in [
        ("--user=1000:1002", "cannot become group 1002: not permitted (EPERM)", Step::Group, 1002),
        ("--user=1002:1001", "cannot become user 1002: not permitted (EPERM)", Step::User, 1002),
        ("--user=0:1001", "cannot become user 0: not permitted (EPERM)", Step::User, 0),
        ("--user=1000:1001,4", "cannot set the supplementary groups: not permitted (EPERM)", Step::Groups, 0),
        ("--user=4294967294:1001", "cannot become user 4294967294: not permitted (EPERM)", Step::User, u32::MAX - 1),
    ] {
        assert_refuses(&[option], user, message, (step, libc::EPERM, detail));
    }
}

/// Groups that cannot be dropped are told, and not handed on in silence: neither more nor others than were asked for.
#[test]
fn groups_that_cannot_be_set() {
    assert_root();
    let message = "cannot set the supplementary groups: not permitted (EPERM)";
    let refused = |host: Host| with_groups(host).filter(sandbox::refuse(&[libc::SYS_setgroups], libc::EPERM));
    for option in ["--user=0:0", "--user=0:0,4", "--user=0:0,4,20,21", "--user=0:0,4,21", "--user=0:0,4,4"] {
        assert_refuses(&[option], refused, message, (Step::Groups, libc::EPERM, 0));
    }
    for option in ["--user=0:0,4,20", "--user=0:0,20,4"] {
        assert_eq!(refused(host(&[option])).run().slate().groups, BEFORE, "the right ones already: {option}");
    }
}

#[test]
fn a_user_namespace_in_which_groups_cannot_be_set() {
    assert_root();
    let message = "cannot set the supplementary groups: not permitted (EPERM)";
    let without = |host: Host| host.groups(&[]).user_namespace();
    let slate = without(host(&["--user=0:0"])).run().slate();
    assert_eq!((slate.user, slate.group_ids, slate.groups.len()), ([0; 3], [0; 3], 0), "nothing is to be dropped");
    // Those that the namespace has no number for are seen as 65534.
    let with = |host: Host| with_groups(host).user_namespace();
    assert_eq!(with(host(&[])).run().slate().groups, [65534; 2], "the host is as it should be");
    for (options, dirty) in [("--user=0:0", &with as &dyn Fn(Host) -> Host), ("--user=0:0,0", &without)] {
        assert_refuses(&[options], dirty, message, (Step::Groups, libc::EPERM, 0));
    }
    let with_root_s = |host: Host| host.groups(&[0]).user_namespace();
    assert_eq!(with_root_s(host(&["--user=0:0,0"])).run().slate().groups, [0], "they are the right ones");
    // A user that the namespace does not have.
    let message = "cannot become group 1: invalid (EINVAL)";
    assert_refuses(&["--user=0:1"], without, message, (Step::Group, libc::EINVAL, 1));
    let message = "cannot become user 1: invalid (EINVAL)";
    assert_refuses(&["--user=1:0"], without, message, (Step::User, libc::EINVAL, 1));
}

/// A sandbox that says it has done what it has not.
#[test]
fn a_change_that_was_not_made() {
    assert_root();
    for (call, step, detail, message) in [
        (libc::SYS_setgroups, Step::Groups, 0, "cannot set the supplementary groups: no such system call (ENOSYS)"),
        (libc::SYS_setresgid, Step::Group, 1001, "cannot become group 1001: no such system call (ENOSYS)"),
        (libc::SYS_setresuid, Step::User, 1000, "cannot become user 1000: no such system call (ENOSYS)"),
    ] {
        let lying = |host: Host| with_groups(host).filter(sandbox::refuse(&[call], 0));
        assert_refuses(&["--user=1000:1001"], lying, message, (step, libc::ENOSYS, detail));
    }
    // Nor is a change believed that nobody can look up.
    for (call, step, detail, message) in [
        (libc::SYS_getgroups, Step::Groups, 0, "cannot set the supplementary groups: errno 117"),
        (libc::SYS_getresgid, Step::Group, 1001, "cannot become group 1001: errno 117"),
        (libc::SYS_getresuid, Step::User, 1000, "cannot become user 1000: errno 117"),
    ] {
        let hiding = |host: Host| host.filter(sandbox::refuse(&[call], libc::EUCLEAN));
        assert_refuses(&["--user=1000:1001"], hiding, message, (step, libc::EUCLEAN, detail));
    }
}

/// What needs privileges comes before they are given up, and what a change of user undoes comes after it.
#[test]
fn a_user_and_what_needs_root() {
    assert_root();
    let parent = format!("--die-with-parent={}", std::process::id());
    let options = [
        &["--caps=CHOWN"][..],
        &["--nice=-5"],
        &["--sched=fifo:3"],
        &["--ionice=realtime:2"],
        &["--chdir=/"],
        &["--no-new-privs"],
        &["--limit=core=0"],
        &[&parent],
    ];
    let mut options: Vec<&str> = [&["--user=1000:1001,7"][..]].into_iter().chain(options).flatten().copied().collect();
    for _ in 0..2 {
        let slate = with_groups(host(&options)).run().slate();
        assert_eq!((slate.user, slate.group_ids, slate.groups.as_slice()), ([1000; 3], [1001; 3], &[7][..]));
        assert_eq!((slate.capabilities.effective, slate.capabilities.bounding), (CHOWN, CHOWN));
        assert_eq!((slate.nice, slate.policy, slate.priority, slate.io_priority), (-5, 1, 3, 1 << 13 | 2));
        assert_eq!((slate.directory.as_str(), slate.no_new_privileges), ("/", true));
        assert_eq!(slate.parent_death_signal, libc::SIGKILL, "still armed");
        assert_eq!(slate.limits[libc::RLIMIT_CORE as usize], [0, 0]);
        options.reverse();
    }
    assert_eq!(host(&["--die-with-parent", "--user=9:9"]).run().slate().parent_death_signal, libc::SIGKILL);
}

/// The keyring is one that nobody else has, not even the next program.
#[test]
fn a_session_keyring_of_its_own() {
    let dirty = |options: &[&str]| host(options).run().slate().keyring;
    let before = dirty(&[]);
    assert!(before > 0, "this test needs a kernel with keyrings: {before}");
    let (first, second) = (dirty(&["--new-keyring"]), dirty(&["--new-keyring"]));
    assert!(first > 0 && second > 0 && first != before && second != before && first != second);
    assert_eq!(dirty(&[]), before, "that of the tests is untouched");
}

/// It is the new user's: root's would be of no use to the program, and one's own may be of use to others.
#[test]
fn a_session_keyring_of_the_user() {
    assert_root();
    for (user, group) in [("0", "0"), ("1234", "77")] {
        let option = format!("--user={user}:{group}");
        let outcome = Host::new([&*option, "--new-keyring", "/bin/cat", "/proc/keys"]).run();
        // Number, flags, uses, expiry, permissions, user, group, kind, name.
        let keys = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let found = keys.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found: Vec<_> = found.filter(|key| key.len() > 8 && key[8].starts_with("_ses")).collect();
        assert!(found.iter().any(|key| (key[5], key[6]) == (user, group)), "{option}: {outcome:?}");
    }
}

#[test]
fn a_process_group_of_its_own() {
    let plain = host(&[]).run().slate();
    assert_ne!(plain.group, plain.pid as u32);
    let leaders: [fn(Host) -> Host; 3] = [clean, Host::leader_of_group, Host::leader_of_session];
    for leader in leaders {
        for options in [&["--process-group"][..], &["--process-group=0"], &["--process-group=1", "--process-group"]] {
            let slate = leader(host(options)).run().slate();
            assert_eq!(slate.group, slate.pid as u32, "{options:?}");
        }
    }
    assert_eq!(host(&["--process-group"]).run().slate().session, plain.session);
    for options in [["--process-group", "--setsid"], ["--setsid", "--process-group"]] {
        let slate = host(&options).run().slate();
        assert_eq!((slate.group, slate.session), (slate.pid as u32, slate.pid as u32), "{options:?}");
    }
}

/// A process that is ended when this goes.
pub struct Other(pub Running);

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.child.kill();
        let _ = self.0.child.wait();
    }
}

#[test]
fn the_process_group_of_another() {
    let other = Other(Host::new(["1000"]).program("/bin/sleep").leader_of_group().spawn());
    let id = other.0.child.id();
    let option = format!("--process-group={id}");
    let slate = host(&[&option]).run().slate();
    assert_eq!((slate.group, slate.pid == id as i32), (id, false));
    // That of another session cannot be joined, nor one that is not there.
    let message = format!("cannot join process group {id}: not permitted (EPERM)");
    assert_refuses(&[&option, "--setsid"], clean, &message, (Step::ProcessGroup, libc::EPERM, id));
    let message = "cannot join process group 2147483647: not permitted (EPERM)";
    let refused = (Step::ProcessGroup, libc::EPERM, i32::MAX as u32);
    assert_refuses(&["--process-group=2147483647"], clean, message, refused);
}

#[test]
fn what_is_no_process_group() {
    assert_all_misused("--process-group", &["", "-1", "x", "1 ", "2147483648", "0x1"]);
    // One that may be left out is only taken after `=`.
    let outcome = host(&["--process-group", "5"]).run();
    assert_eq!(outcome.status.code(), Some(127));
    assert_eq!(outcome.stderr, "relay: bad value 5, use --process-group[=PGID]\n");
}

#[test]
fn what_a_sandbox_refuses() {
    let refused = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_keyctl], libc::EPERM));
    let message = "cannot begin a session keyring: not permitted (EPERM)";
    assert_refuses(&["--new-keyring"], refused, message, (Step::Keyring, libc::EPERM, 0));
    let refused = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_setpgid], libc::EUCLEAN));
    let message = "cannot join process group 0: errno 117";
    assert_refuses(&["--process-group=0"], refused, message, (Step::ProcessGroup, libc::EUCLEAN, 0));
    // Where it does not tell who leads the group, one is begun.
    for errno in [libc::EPERM, 0] {
        let silent = sandbox::refuse(&[libc::SYS_getpgid], errno);
        let outcome = Host::new(["--process-group=0", "/bin/cat", "/proc/self/stat"]).filter(silent).run();
        // The process; its name in brackets; its state, parent and group.
        let seen = String::from_utf8_lossy(&outcome.stdout);
        let (process, rest) = seen.split_once(" (").expect("a name");
        let group = rest.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(2));
        assert_eq!(group, Some(process), "{outcome:?}");
    }
}

/// A program that cannot be executed by its new user is told by the same words as any other.
#[test]
fn a_program_that_the_user_may_not_start() {
    assert_root();
    let directory = tempfile::TempDir::new().expect("a directory");
    let program = sandbox::script(directory.path(), "program", "#!/bin/sh\n", 0o700);
    let outcome = Host::new(["--status=9", "--user=1000:1000", &program]).status(9).run();
    assert_eq!(records(&outcome)[1..], [(Step::Exec.number(), libc::EACCES, 3)]);
    assert_eq!(outcome.status.code(), Some(126));
    // Nor is the directory: it was entered as root before, as a shell would say it.
    let outcome = host(&["--user=1000:1000", &format!("--chdir={}", directory.path().display())]).run();
    assert_eq!(outcome.slate().user, [1000; 3], "{outcome:?}");
    let missing = Host::new(["--status=9", "--user=1:x", &program]).status(9).run();
    assert_failed(&missing, Step::Value, libc::EINVAL, 2);
    assert_refused(
        &host(&["--user=0:0", "--chdir=/no/such"]).run(),
        "cannot change to directory /no/such: no such file (ENOENT)",
    );
}
