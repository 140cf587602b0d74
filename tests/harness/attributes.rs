//! How the program is scheduled: nice value, policy, processors, I/O class, timer slack.

use exec_relay::status::Step;

use crate::host::{Host, assert_root, probe};
use crate::process::host;
use crate::refusal::{assert_all_misused, assert_refuses, clean};
use crate::sandbox;
use crate::slate::Slate;

/// What is left behind by those who have others run on as they themselves do not.
const RESET_ON_FORK: i32 = libc::SCHED_RESET_ON_FORK;

/// Some user who is not root.
const USER: u32 = 1000;

fn user(host: Host) -> Host {
    host.user(USER, USER)
}

/// What the probe sees of the same host where no relay is between.
fn before(dirty: impl Fn(Host) -> Host) -> Slate {
    dirty(Host::new(["probe"]).program(probe().to_str().expect("UTF-8"))).run().slate()
}

/// Sets the nice value of a host.
fn nice(host: Host, nice: i32) -> Host {
    host.call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, nice as usize])
}

/// Sets the I/O class of a host.
fn io_class(host: Host, class: usize, level: usize) -> Host {
    const WHO_PROCESS: usize = 1;
    host.call(libc::SYS_ioprio_set, [WHO_PROCESS, 0, class << 13 | level])
}

#[test]
fn nicer() {
    for (options, expected) in [
        (&["--nice", "5"][..], 5),
        (&["--nice=19"], 19),
        (&["--nice=00012"], 12),
        (&["--nice=18", "--nice=6", "--nice", "7"], 7),
    ] {
        assert_eq!(host(options).run().slate().nice, expected, "{options:?}");
    }
    // What is not asked for is handed on.
    let dirty = |host| nice(host, 3);
    assert_eq!((before(dirty).nice, dirty(host(&[])).run().slate().nice), (3, 3));
}

/// To be less nice than before is a privilege.
#[test]
fn less_nice() {
    assert_root();
    for (option, expected) in [("--nice=-20", -20), ("--nice=-0", 0), ("--nice=4", 4)] {
        assert_eq!(nice(host(&[option]), 9).run().slate().nice, expected, "{option}");
    }
    let minus = host(&["--nice", "-11"]).run().slate();
    assert_eq!(minus.nice, -11, "a value may look like an option");
    let dirty = |host| user(nice(host, 9)).limit(libc::RLIMIT_NICE, 0, 0);
    assert_refuses(
        &["--nice=8"],
        dirty,
        "cannot set the nice value: permission denied (EACCES)",
        (Step::Nice, libc::EACCES, 0),
    );
    assert_eq!(dirty(host(&["--nice=9"])).run().slate().nice, 9);
}

#[test]
fn what_is_no_nice_value() {
    assert_all_misused("--nice", &["", "20", "-21", "x", "5 ", " 5", "+1", "--1", "1.5", "-", "99999999999", "5:5"]);
}

/// Batch and idle are anyone's.
#[test]
fn policies() {
    for (options, expected) in [
        (&["--sched", "batch"][..], libc::SCHED_BATCH),
        (&["--sched=idle"], libc::SCHED_IDLE),
        (&["--sched=other"], libc::SCHED_OTHER),
        (&["--sched=idle", "--sched", "batch"], libc::SCHED_BATCH),
    ] {
        let slate = host(options).run().slate();
        assert_eq!((slate.policy, slate.priority), (expected as u32, 0), "{options:?}");
    }
    let dirty = |host: Host| host.scheduling(libc::SCHED_BATCH | RESET_ON_FORK, 0);
    let inherited = (libc::SCHED_BATCH | RESET_ON_FORK) as u32;
    assert_eq!((before(dirty).policy, dirty(host(&[])).run().slate().policy), (inherited, inherited));
}

#[test]
fn policies_of_real_time() {
    assert_root();
    for (option, policy, priority) in [
        ("--sched=fifo:1", libc::SCHED_FIFO, 1),
        ("--sched=fifo:99", libc::SCHED_FIFO, 99),
        ("--sched=rr:1", libc::SCHED_RR, 1),
        ("--sched=rr:42", libc::SCHED_RR, 42),
        ("--sched=other", libc::SCHED_OTHER, 0),
        ("--sched=idle", libc::SCHED_IDLE, 0),
    ] {
        // What the program's children would lose goes too.
        for inherited in [libc::SCHED_OTHER, libc::SCHED_FIFO | RESET_ON_FORK] {
            let level = i32::from(inherited != libc::SCHED_OTHER) * 7;
            let slate = host(&[option]).scheduling(inherited, level).run().slate();
            assert_eq!((slate.policy, slate.priority), (policy as u32, priority), "{option} from {inherited}");
        }
    }
    let real_time = |host: Host| host.scheduling(libc::SCHED_FIFO | RESET_ON_FORK, 7);
    assert_eq!(before(real_time).policy, (libc::SCHED_FIFO | RESET_ON_FORK) as u32, "the host is as it should be");
    let message = "cannot set the scheduling policy: not permitted (EPERM)";
    let refused = (Step::Scheduling, libc::EPERM, 0);
    let limited = |host: Host| user(host.limit(libc::RLIMIT_RTPRIO, 0, 0));
    assert_refuses(&["--sched=rr:1"], limited, message, refused);
    // Nor may anyone else take reset-on-fork away.
    let marked = |host: Host| user(host.scheduling(libc::SCHED_BATCH | RESET_ON_FORK, 0));
    assert_refuses(&["--sched=batch"], marked, message, refused);
}

#[test]
fn what_is_no_policy() {
    let of_real_time = ["fifo", "rr", "fifo:", "fifo:0", "rr:100", "fifo:-1", "fifo:x", "rr:1 ", "fifo:1:1", "fifo=1"];
    let others =
        ["", "other:0", "batch:1", "idle:", "iso", "deadline", "ext", "Other", "othe", "others", "0", " other"];
    assert_all_misused("--sched", &of_real_time);
    assert_all_misused("--sched", &others);
}

/// A list of processors that are there.
fn list(processors: &[u32]) -> String {
    processors.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[test]
fn processors() {
    let all = host(&["--cpus=all"]).run().slate().processors;
    let (first, last) = (all[0], *all.last().expect("a processor"));
    let even: Vec<u32> = all.iter().copied().filter(|number| number % 2 == 0).collect();
    let every = |stride: u32| all.iter().copied().filter(|number| (number - first) % stride == 0).collect::<Vec<_>>();
    for (given, expected) in [
        (format!("{first}"), vec![first]),
        (format!("{last}"), vec![last]),
        (format!("{last},{first},{last}"), if first == last { vec![first] } else { vec![first, last] }),
        (format!("{first}-{last}"), all.clone()),
        (list(&all), all.clone()),
        (format!("{first}-{first},{first}-8191"), all.clone()),
        (format!("{first}-8191:2"), every(2)),
        (format!("{first}-8191:3"), every(3)),
        (format!("{first}-8191:8191"), every(8191)),
        (format!("{first}-{last}:1,8191"), all.clone()),
        (format!("000{first}"), vec![first]),
    ] {
        // From a host that has one alone, and maybe another one.
        for option in [&[&*format!("--cpus={given}")][..], &["--cpus", &given], &["--cpus=8191", "--cpus", &given]] {
            let slate = host(option).processors(&[last as usize]).run().slate();
            assert_eq!(slate.processors, expected, "{option:?} of {all:?}");
        }
    }
    assert!(even.is_empty() || host(&["--cpus=0-8191:2"]).run().slate().processors == even, "{even:?} of {all:?}");
}

#[test]
fn all_processors_of_a_pinned_host() {
    let all = host(&["--cpus=all"]).run().slate().processors;
    for &only in &all {
        let pinned = |host: Host| host.processors(&[only as usize]);
        assert_eq!(before(pinned).processors, [only], "the host is as it should be");
        assert_eq!(pinned(host(&[])).run().slate().processors, [only], "what is not asked for is handed on");
        assert_eq!(pinned(host(&["--cpus=all"])).run().slate().processors, all);
        assert_eq!(pinned(host(&["--cpus=8191", "--cpus", "all"])).run().slate().processors, all);
    }
}

/// The kernel takes away from a list what this machine does not have. Where nothing is left, it refuses.
#[test]
fn processors_that_are_not_there() {
    let all = host(&["--cpus=all"]).run().slate().processors;
    assert!(!all.contains(&8191) && !all.contains(&8190), "no machine that these tests know: {all:?}");
    for option in ["--cpus=8191", "--cpus=8190-8191", "--cpus=8190,8191"] {
        let message = "cannot set the processors: invalid (EINVAL)";
        assert_refuses(&[option], clean, message, (Step::Processors, libc::EINVAL, 0));
    }
}

#[test]
fn what_is_no_list_of_processors() {
    let lists =
        ["", "8192", "0-8192", "0,8192", "0,", ",0", "0,,1", "0 1", "0, 1", " 0", "0 ", "0;1", "0x1", "-1", "-"];
    let ranges = ["0-", "1-0", "0-1:", "0-1:0", "0-1:x", "0-1:1:1", "0:2", "0-1-2", "0-7:8192", "99999999999"];
    let words = ["ALL", "al", "all,0", "0,all", "allx", "all-1", "none", "x"];
    [&lists[..], &ranges, &words].into_iter().for_each(|values| assert_all_misused("--cpus", values));
}

/// Best effort and idle are anyone's.
#[test]
fn io_classes() {
    for (options, class, level) in [
        (&["--ionice", "best-effort"][..], 2, 4),
        (&["--ionice=best-effort:0"], 2, 0),
        (&["--ionice=best-effort:7"], 2, 7),
        (&["--ionice=idle", "--ionice", "best-effort:3"], 2, 3),
        (&["--ionice=idle"], 3, 0),
    ] {
        let slate = io_class(host(options), 2, 6).run().slate();
        assert_eq!(slate.io_priority >> 13, class, "{options:?}");
        // The kernel may tell that idle has the lowest level.
        assert!(class == 3 || slate.io_priority & 7 == level, "{options:?}: {}", slate.io_priority);
    }
    let inherited = io_class(host(&[]), 2, 6).run().slate().io_priority;
    assert_eq!((inherited, before(|host| io_class(host, 2, 6)).io_priority), (2 << 13 | 6, 2 << 13 | 6));
    assert_eq!(io_class(host(&["--ionice=none"]), 2, 6).run().slate().io_priority >> 13, 0);
}

#[test]
fn io_class_of_real_time() {
    assert_root();
    for (option, level) in [("--ionice=realtime", 4), ("--ionice=realtime:0", 0), ("--ionice=realtime:7", 7)] {
        assert_eq!(host(&[option]).run().slate().io_priority, 1 << 13 | level, "{option}");
    }
    let message = "cannot set the I/O class: not permitted (EPERM)";
    assert_refuses(&["--ionice=realtime"], user, message, (Step::IoClass, libc::EPERM, 0));
}

/// A kernel without I/O classes has none set, so that none of them is what it has; any other one it cannot give.
#[test]
fn a_kernel_without_io_classes() {
    let without = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_ioprio_set], libc::ENOSYS));
    without(host(&["--ionice=none"])).run().slate().assert_clean([0, 1, 2]);
    let message = "cannot set the I/O class: no such system call (ENOSYS)";
    assert_refuses(&["--ionice=idle"], without, message, (Step::IoClass, libc::ENOSYS, 0));
    let refused = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_ioprio_set], libc::EPERM));
    let message = "cannot set the I/O class: not permitted (EPERM)";
    assert_refuses(&["--ionice=none"], refused, message, (Step::IoClass, libc::EPERM, 0));
}

#[test]
fn what_is_no_io_class() {
    let values = ["", "be", "best-effort:", "best-effort:8", "best-effort:-1", "best-effort:x", "best-effort:1:1", "2"];
    assert_all_misused("--ionice", &values);
    assert_all_misused("--ionice", &["realtime:8", "none:0", "idle:7", "idle:", "None", "realtime,", " none", "real"]);
}

#[test]
fn timer_slack() {
    let dirty = |host: Host| host.attribute(libc::PR_SET_TIMERSLACK, 123_456);
    for (options, expected) in [
        (&["--timer-slack", "1"][..], 1),
        (&["--timer-slack=2147483647"], i32::MAX as u64),
        (&["--timer-slack=5", "--timer-slack=0070"], 70),
        (&[], 123_456),
    ] {
        assert_eq!(dirty(host(options)).run().slate().timer_slack, expected, "{options:?}");
    }
    assert_all_misused("--timer-slack", &["", "0", "-1", "2147483648", "x", "1ms", "1 ", " 1", "99999999999999999999"]);
}

/// A process of real time has a slack of 0, and newer kernels do not let it be set: the policy comes first.
#[test]
fn timer_slack_under_real_time() {
    assert_root();
    let dirty = |host: Host| host.scheduling(libc::SCHED_FIFO | RESET_ON_FORK, 9);
    for options in [["--timer-slack=777", "--sched=other"], ["--sched=other", "--timer-slack=777"]] {
        let slate = dirty(host(&options)).run().slate();
        assert_eq!((slate.policy, slate.priority, slate.timer_slack), (0, 0, 777), "{options:?}");
    }
}

/// Options of one kind do not get into each other's way, in whatever order.
#[test]
fn all_together() {
    let first = host(&["--cpus=all"]).run().slate().processors[0];
    let cpus = format!("--cpus={first}");
    let mut options =
        ["--nice=6", "--sched=batch", &cpus, "--ionice=best-effort:1", "--timer-slack=99", "--umask=0", "--nofile=99"];
    for _ in 0..2 {
        let slate = host(&options).run().slate();
        assert_eq!(
            (slate.nice, slate.policy, slate.processors.as_slice()),
            (6, libc::SCHED_BATCH as u32, &[first][..])
        );
        assert_eq!((slate.io_priority, slate.timer_slack, slate.umask, slate.nofile[0]), (2 << 13 | 1, 99, 0, 99));
        options.reverse();
    }
}

/// What a sandbox refuses is an error, whichever errno it has for it.
#[test]
fn scheduling_in_a_sandbox() {
    let refused = |call| move |host: Host| host.filter(sandbox::refuse(&[call], libc::EUCLEAN));
    for (option, call, words, step) in [
        ("--nice=1", libc::SYS_setpriority, "cannot set the nice value", Step::Nice),
        ("--sched=other", libc::SYS_sched_setscheduler, "cannot set the scheduling policy", Step::Scheduling),
        ("--cpus=all", libc::SYS_sched_setaffinity, "cannot set the processors", Step::Processors),
        ("--ionice=none", libc::SYS_ioprio_set, "cannot set the I/O class", Step::IoClass),
        ("--timer-slack=1", libc::SYS_prctl, "cannot set the timer slack", Step::TimerSlack),
    ] {
        assert_refuses(&[option], refused(call), &format!("{words}: errno 117"), (step, libc::EUCLEAN, 0));
    }
}
