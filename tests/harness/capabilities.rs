//! `--caps`: exactly these, in all five sets, for root and for others.

use exec_relay::status::Step;

use crate::host::{Host, Outcome, assert_root, output, probe, relay_line};
use crate::process::host;
use crate::refusal::{assert_all_misused, assert_refuses};
use crate::sandbox;
use crate::slate::Capabilities;

/// As capabilities(7) has them, by their numbers.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

pub const CHOWN: u64 = 1 << 0;
pub const SETGID: u64 = 1 << 6;
pub const SETUID: u64 = 1 << 7;
pub const SETPCAP: u64 = 1 << 8;
pub const NET_RAW: u64 = 1 << 13;

/// What the probe has where this set is all that it was given.
fn only(set: u64) -> Capabilities {
    Capabilities { effective: set, permitted: set, inheritable: set, bounding: set, ambient: set }
}

/// Those that these tests run with.
fn given() -> u64 {
    host(&[]).program(probe().to_str().expect("UTF-8")).run().slate().capabilities.permitted
}

#[track_caller]
fn assert_only(outcome: &Outcome, set: u64) {
    assert_eq!(outcome.slate().capabilities, only(set), "{set:x}");
}

#[test]
fn in_all_five_sets() {
    assert_root();
    for (options, set) in [
        (&["--caps", "CHOWN,SETUID"][..], CHOWN | SETUID),
        (&["--caps=CAP_NET_RAW,cap_chown,Cap_SetPCap"], NET_RAW | CHOWN | SETPCAP),
        (&["--caps=13,0,13,NET_RAW"], NET_RAW | CHOWN),
        (&["--caps=none"], 0),
        (&["--caps=CHOWN", "--caps", "SETGID"], SETGID),
        (&["--caps=CHOWN", "--caps=none"], 0),
        (&["--caps=none", "--caps=net_raw"], NET_RAW),
    ] {
        assert_only(&host(options).run(), set);
        for user in [0, 1000] {
            let user = format!("--user={user}:7");
            let before = [&[&*user], options].concat();
            let after = [options, &[&*user]].concat();
            assert_only(&host(&before).run(), set);
            assert_only(&host(&after).run(), set);
        }
    }
}

/// What is not asked for is as execve(2) leaves it.
#[test]
fn none_asked_for() {
    assert_root();
    let given = given();
    let slate = host(&[]).run().slate();
    assert_eq!((slate.capabilities.permitted, slate.capabilities.bounding), (given, given));
    let slate = host(&["--user=1000:1000"]).run().slate();
    assert_eq!(slate.capabilities, Capabilities { bounding: given, ..only(0) });
}

/// Each that there is, by name in both cases, with CAP_ and without it, and by number.
#[test]
fn each_of_them() {
    assert_root();
    let given = given();
    for (number, name) in NAMES.into_iter().enumerate() {
        let bare = name.strip_prefix("CAP_").expect("a name");
        for word in [name, &bare.to_lowercase(), &number.to_string()] {
            let option = format!("--caps={word}");
            let outcome = host(&[&option]).run();
            if given & 1 << number == 0 {
                let message = format!("relay: cannot give capability {bare}: not permitted (EPERM)\n");
                assert_eq!((outcome.status.code(), outcome.stderr), (Some(125), message));
            } else {
                assert_only(&outcome, 1 << number);
            }
        }
    }
}

/// All that there are at once, which is what root had, but now in the other sets too.
#[test]
fn all_of_them() {
    assert_root();
    let given = given();
    let numbers: Vec<_> = (0..64).filter(|number| given & 1 << number != 0).map(|number| number.to_string()).collect();
    let list = numbers.join(",");
    for options in [vec!["--caps", &list], vec!["--user=1000:1000", "--caps", &list]] {
        assert_only(&host(&options).run(), given);
    }
}

/// One that was given up before cannot be had again, nor one that no kernel has.
#[test]
fn one_that_is_not_there() {
    assert_root();
    let set = given() & !NET_RAW;
    let fewer = |host: Host| host.attribute(libc::PR_CAPBSET_DROP, 13).capabilities(set);
    assert_eq!(fewer(host(&[])).run().slate().capabilities.permitted, set, "the host is as it should be");
    let message = "cannot give capability NET_RAW: not permitted (EPERM)";
    for option in ["--caps=NET_RAW", "--caps=CHOWN,13", "--caps=63,net_raw"] {
        assert_refuses(&[option], fewer, message, (Step::Capability, libc::EPERM, 13));
    }
    assert_only(&fewer(host(&["--caps=CHOWN"])).run(), CHOWN);
    assert_only(&fewer(host(&["--caps=none"])).run(), 0);
    // One without a name is told by its number alone.
    let message = "cannot give capability 63: not permitted (EPERM)";
    assert_refuses(&["--caps=63"], fewer, message, (Step::Capability, libc::EPERM, 63));
}

/// Permitted, but no longer in the bounding set, to which nothing can be added. The program has it all the same.
#[test]
fn one_that_is_permitted_alone() {
    assert_root();
    let set = given();
    let bounded = |host: Host| host.user_with_capabilities(1000, set).attribute(libc::PR_CAPBSET_DROP, 13);
    let inherited = bounded(host(&[])).run().slate().capabilities;
    assert_eq!(
        (inherited.permitted & NET_RAW, inherited.bounding & NET_RAW),
        (NET_RAW, 0),
        "the host is as it should be"
    );
    let slate = bounded(host(&["--caps=NET_RAW"])).run().slate();
    assert_eq!(slate.capabilities, Capabilities { bounding: 0, ..only(NET_RAW) });
}

/// Without the privilege for it nothing can be taken from the bounding set, and so nobody is left with less than was asked
/// for.
#[test]
fn without_privileges() {
    let message = "cannot drop capability CHOWN: not permitted (EPERM)";
    let refused = (Step::BoundingSet, libc::EPERM, 0);
    let nobody = |host: Host| host.call_if_possible(libc::SYS_setresuid, [1000; 3]).capabilities(0);
    for option in ["--caps=none", "--caps=SETUID"] {
        assert_refuses(&[option], nobody, message, refused);
    }
}

/// Who is not root and has capabilities can hand on some of them.
#[test]
fn of_a_user_who_has_some() {
    assert_root();
    let some = |host: Host| host.user_with_capabilities(1000, CHOWN | NET_RAW | SETPCAP);
    let before = some(host(&[])).run().slate();
    assert_eq!((before.user, before.capabilities.ambient), ([1000; 3], CHOWN | NET_RAW | SETPCAP));
    for (option, set) in [("--caps=NET_RAW", NET_RAW), ("--caps=none", 0), ("--caps=SETPCAP,CHOWN", SETPCAP | CHOWN)] {
        let slate = some(host(&[option])).run().slate();
        assert_eq!((slate.user, slate.capabilities), ([1000; 3], only(set)));
    }
    let message = "cannot give capability SETUID: not permitted (EPERM)";
    assert_refuses(&["--caps=SETUID"], some, message, (Step::Capability, libc::EPERM, 7));
}

/// Where the ambient set may not be raised (securebits), others than root could not be given any.
#[test]
fn where_the_ambient_set_is_locked() {
    assert_root();
    const NO_CAP_AMBIENT_RAISE: usize = 0x40;
    let locked = |host: Host| host.attribute(libc::PR_SET_SECUREBITS, NO_CAP_AMBIENT_RAISE);
    let message = "cannot give capability SETGID: not permitted (EPERM)";
    assert_refuses(&["--caps=SETGID,SETUID"], locked, message, (Step::Capability, libc::EPERM, 6));
    assert_only(&locked(host(&["--caps=none"])).run(), 0);
}

#[test]
fn in_a_sandbox() {
    for (call, errno, words) in
        [(libc::SYS_capget, libc::EPERM, "not permitted (EPERM)"), (libc::SYS_capset, libc::EUCLEAN, "errno 117")]
    {
        let refused = |host: Host| host.filter(sandbox::refuse(&[call], errno));
        // Where nothing is to be taken from the bounding set, that is not what fails.
        let list: Vec<_> =
            (0..64).filter(|number| given() & 1 << number != 0).map(|number| number.to_string()).collect();
        let option = format!("--caps={}", if list.is_empty() { "none".to_owned() } else { list.join(",") });
        if !list.is_empty() {
            let message = format!("cannot set capabilities: {words}");
            assert_refuses(&[&option], refused, &message, (Step::Capabilities, errno, 0));
        }
    }
}

/// A sandbox that says it has set them, and has not.
#[test]
fn sets_that_were_not_set() {
    assert_root();
    let lying = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_capset], 0));
    let outcome = lying(host(&["--caps=CHOWN"])).run();
    assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(125), &b""[..]), "{outcome:?}");
    // execve itself takes all that is not in the bounding set, and from others than root all.
    for options in [&["--caps=none"][..], &["--caps=none", "--user=1000:1000"]] {
        let outcome = lying(host(options)).run();
        assert!(outcome.status.code() == Some(125) || outcome.slate().capabilities == only(0), "{outcome:?}");
    }
}

#[test]
fn what_is_no_list_of_capabilities() {
    let lists = ["", ",", "CHOWN,", ",CHOWN", "CHOWN,,KILL", "CHOWN KILL", "CHOWN, KILL", "CHOWN:KILL", "CHOWN+ep"];
    let words = ["NONE", "none,CHOWN", "CHOWN,none", "all", "CAP_", "CAP", "CHOWNX", "CHOW", "CAP_CAP_CHOWN", "nonex"];
    let numbers = ["64", "-1", "0x1", "99999999999999999999", "1-2", "1.", "*"];
    [&lists[..], &words, &numbers].into_iter().for_each(|values| assert_all_misused("--caps", values));
}

/// For root the bounding set is all that bounds it: what cannot be looked at, or is not dropped though a sandbox says so, is
/// no success.
#[test]
fn a_bounding_set_that_is_hidden() {
    assert_root();
    for (errno, reason) in [(libc::EPERM, "not permitted (EPERM)"), (libc::EINVAL, "invalid (EINVAL)")] {
        let hidden = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_prctl], errno));
        let message = format!("cannot drop capability CHOWN: {reason}");
        assert_refuses(&["--caps=none"], hidden, &message, (Step::BoundingSet, errno, 0));
    }
    let mut command = std::process::Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "--inject=prctl:retval=1"]).args(relay_line());
    let outcome = output(command.args(["--caps=none", "/bin/echo", "started"]));
    let message = "relay: cannot drop capability CHOWN: no such system call (ENOSYS)\n";
    assert_eq!((outcome.stdout.as_slice(), String::from_utf8_lossy(&outcome.stderr).as_ref()), (&b""[..], message));
}
