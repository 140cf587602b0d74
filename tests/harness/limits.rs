//! `--limit`: the limits of all resources.

use std::os::unix::process::ExitStatusExt;

use exec_relay::status::Step;

use crate::host::{Host, assert_root, probe};
use crate::identity::Other;
use crate::process::host;
use crate::records::{READY, records};
use crate::refusal::{assert_all_misused, assert_refuses};
use crate::sandbox;

const UNLIMITED: u64 = libc::RLIM_INFINITY;

/// Every resource by the name that prlimit(1) has for it, with a limit below the usual one, under which the probe can still
/// do its work. No two are alike.
pub const RESOURCES: [(&str, u32, u64); 16] = [
    ("cpu", libc::RLIMIT_CPU, 1000),
    ("fsize", libc::RLIMIT_FSIZE, 1 << 30),
    ("data", libc::RLIMIT_DATA, 1 << 31),
    ("stack", libc::RLIMIT_STACK, 1 << 20),
    ("core", libc::RLIMIT_CORE, 4097),
    ("rss", libc::RLIMIT_RSS, 1 << 33),
    ("nproc", libc::RLIMIT_NPROC, 399),
    ("nofile", libc::RLIMIT_NOFILE, 777),
    ("memlock", libc::RLIMIT_MEMLOCK, 40960),
    ("as", libc::RLIMIT_AS, 1 << 36),
    ("locks", libc::RLIMIT_LOCKS, 12),
    ("sigpending", libc::RLIMIT_SIGPENDING, 345),
    ("msgqueue", libc::RLIMIT_MSGQUEUE, 6789),
    ("nice", libc::RLIMIT_NICE, 3),
    ("rtprio", libc::RLIMIT_RTPRIO, 4),
    ("rttime", libc::RLIMIT_RTTIME, 5_000_000),
];

/// Someone who may not raise a hard limit.
fn unprivileged(host: Host) -> Host {
    host.call_if_possible(libc::SYS_setresuid, [1000; 3]).capabilities(0)
}

/// A host that has this soft and this hard limit of file locks, which no program since Linux 2.4 is bound by.
fn with_locks(soft: u64, hard: u64) -> impl Fn(Host) -> Host {
    move |host| host.limit(libc::RLIMIT_LOCKS, soft, hard)
}

#[test]
fn each_resource() {
    let plain = host(&[]).run().slate().limits;
    for (name, resource, limit) in RESOURCES {
        // No higher than it is: to raise it is a privilege. Some are 0 on most machines.
        let limit = limit.min(plain[resource as usize][1]);
        for option in [&[&*format!("--limit={name}={limit}")][..], &["--limit", &format!("{name}={limit}:{limit}")]] {
            let mut expected = plain;
            expected[resource as usize] = [limit, limit];
            assert_eq!(host(option).run().slate().limits, expected, "{option:?}");
        }
    }
    let all = RESOURCES.map(|(name, resource, limit)| (name, limit.min(plain[resource as usize][1])));
    let options = all.map(|(name, limit)| format!("--limit={name}={limit}"));
    let slate = host(&options.each_ref().map(|option| &**option)).run().slate();
    assert_eq!(slate.limits, all.map(|(_, limit)| [limit; 2]), "they add up");
}

#[test]
fn soft_and_hard() {
    for (value, expected) in [
        ("7", [7, 7]),
        ("7:", [7, 100]),
        (":50", [5, 50]),
        ("7:50", [7, 50]),
        ("0", [0, 0]),
        ("0:", [0, 100]),
        ("hard", [100, 100]),
        ("hard:", [100, 100]),
        ("hard:50", [50, 50]),
        ("7:hard", [7, 100]),
        (":hard", [5, 100]),
        ("hard:hard", [100, 100]),
        ("007:0050", [7, 50]),
    ] {
        let slate = with_locks(5, 100)(host(&[&format!("--limit=locks={value}")])).run().slate();
        assert_eq!(slate.limits[libc::RLIMIT_LOCKS as usize], expected, "{value}");
    }
    for (value, expected) in [
        ("unlimited", [UNLIMITED, UNLIMITED]),
        ("unlimited:", [UNLIMITED, UNLIMITED]),
        (":unlimited", [5, UNLIMITED]),
        ("7:unlimited", [7, UNLIMITED]),
        ("hard", [UNLIMITED, UNLIMITED]),
        ("18446744073709551612:", [u64::MAX - 3, UNLIMITED]),
        ("4294967297", [(1 << 32) + 1, (1 << 32) + 1]),
    ] {
        let slate = with_locks(5, UNLIMITED)(host(&[&format!("--limit=locks={value}")])).run().slate();
        assert_eq!(slate.limits[libc::RLIMIT_LOCKS as usize], expected, "{value}");
    }
}

/// Of those for one resource the last one counts, as a whole.
#[test]
fn the_last_one_of_a_resource_counts() {
    let options = ["--limit=locks=9:90", "--limit", "core=0", "--limit", "locks=7:", "--limit=core=:hard"];
    let slate = with_locks(5, 100)(host(&options)).limit(libc::RLIMIT_CORE, 1, 2).run().slate();
    assert_eq!(slate.limits[libc::RLIMIT_LOCKS as usize], [7, 100]);
    assert_eq!(slate.limits[libc::RLIMIT_CORE as usize], [1, 2]);
}

/// `--limit` is the more exact one.
#[test]
fn the_limit_of_descriptors() {
    for (options, expected) in [
        (["--nofile=64", "--limit=nofile=32"], [32, 32]),
        (["--nofile=64", "--limit=nofile=32:"], [32, 400]),
        (["--nofile=64:100", "--limit=nofile=:80"], [64, 80]),
        (["--nofile=64:100", "--limit=nofile=hard"], [100, 100]),
    ] {
        for options in [options, [options[1], options[0]]] {
            let slate = host(&options).nofile(300, 400).run().slate();
            assert_eq!(slate.nofile, expected, "{options:?}");
        }
    }
    // Unlike --nofile it does not cut a soft limit down.
    let message = "cannot set limit nofile: invalid (EINVAL)";
    let refused = (Step::Limit, libc::EINVAL, libc::RLIMIT_NOFILE);
    assert_refuses(&["--limit=nofile=401:"], |host| host.nofile(300, 400), message, refused);
    // Above fs.nr_open nobody may go.
    let message = "cannot set limit nofile: not permitted (EPERM)";
    let refused = (Step::Limit, libc::EPERM, libc::RLIMIT_NOFILE);
    assert_refuses(&["--limit=nofile=2147483647"], |host| host, message, refused);
}

#[test]
fn limits_that_cannot_be() {
    for value in ["51:50", ":4", "101:", "unlimited:50", "18446744073709551612:100"] {
        let option = format!("--limit=locks={value}");
        let message = "cannot set limit locks: invalid (EINVAL)";
        assert_refuses(&[&option], with_locks(5, 100), message, (Step::Limit, libc::EINVAL, libc::RLIMIT_LOCKS));
    }
    for value in [":101", "101", "7:101", "unlimited", "5:unlimited"] {
        let option = format!("--limit=locks={value}");
        let message = "cannot set limit locks: not permitted (EPERM)";
        let dirty = |host: Host| unprivileged(with_locks(5, 100)(host));
        assert_refuses(&[&option], dirty, message, (Step::Limit, libc::EPERM, libc::RLIMIT_LOCKS));
    }
}

/// The first one that fails is named, whichever it is.
#[test]
fn each_resource_by_its_name() {
    for (name, resource, _) in RESOURCES {
        // The kernel makes no difference between 0 and 1 seconds.
        let option = format!("--limit={name}=20:10");
        let message = format!("cannot set limit {name}: invalid (EINVAL)");
        assert_refuses(&["--limit=locks=0", &option], |host| host, &message, (Step::Limit, libc::EINVAL, resource));
    }
}

#[test]
fn a_limit_that_a_sandbox_refuses() {
    let refused = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_prlimit64], libc::EUCLEAN));
    let message = "cannot set limit rttime: errno 117";
    assert_refuses(&["--limit=rttime=hard"], refused, message, (Step::Limit, libc::EUCLEAN, libc::RLIMIT_RTTIME));
}

/// They bind the program and nothing before it: relay's own steps still have all that they need.
#[test]
fn limits_that_relay_itself_could_not_work_under() {
    let slate = host(&["--limit=nofile=0", "--limit=fsize=0", "--oom-score-adj=1000", "--limit=memlock=0"]);
    let slate = slate.open(7).run().slate();
    slate.assert_clean([0, 1, 2]);
    assert_eq!(slate.nofile, [0, 0]);
}

/// Where too many processes run as the new user already, it is execve that says so.
#[test]
fn so_few_processes_that_execve_fails() {
    assert_root();
    // Nobody else's: a number of this test's own.
    let user = 1_000_000_000 + std::process::id();
    let _other = Other(Host::new(["1000"]).program("/bin/sleep").user(user, user).spawn());
    let identity = format!("--user={user}:{user}");
    let outcome = host(&["--limit=nproc=0", &identity]).run();
    let message = format!("relay: cannot start {}: a limit is reached (EAGAIN)\n", probe().display());
    assert_eq!((outcome.status.code(), outcome.stderr), (Some(126), message));
    let outcome = Host::new(["--status=9", "--limit=nproc=0", &identity, "/bin/true"]).status(9).run();
    assert_eq!(records(&outcome), [READY, (Step::Exec.number(), libc::EAGAIN, 4)]);
}

#[test]
fn so_small_a_stack_that_the_arguments_do_not_fit() {
    let long = "x".repeat(100_000);
    let program = probe();
    let program = program.to_str().expect("UTF-8");
    let outcome = Host::new(["--limit=stack=262144", program, &long, &long]).run();
    let message = format!("relay: cannot start {program}: arguments and environment too long (E2BIG)\n");
    assert_eq!((outcome.status.code(), outcome.stderr), (Some(126), message));
}

/// Where execve has taken the old program away and cannot go on, the kernel kills the process: there is nobody left to
/// tell, and the launcher hears of a death by a signal, not of an exit status.
#[test]
fn so_little_memory_that_execve_dies() {
    let outcome = Host::new(["--status=9", "--limit=as=0", "/bin/true"]).status(9).run();
    assert_eq!(records(&outcome), [READY]);
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (None, ""), "{outcome:?}");
    assert!(matches!(outcome.status.signal(), Some(libc::SIGKILL | libc::SIGSEGV)), "{outcome:?}");
}

#[test]
fn what_is_no_limit() {
    let names =
        ["", "core", "=1", "Core=1", "RLIMIT_CORE=1", "cores=1", "cor=1", "4=1", "core:1", "core =1", " core=1"];
    let values = ["core=", "core=:", "core=1:2:3", "core=x", "core=-1", "core=1,", "core=1 ", "core= 1", "core=1:x"];
    let words = ["core=hardx", "core=unlimited1", "core=infinity", "core=soft", "core=HARD", "core=1k", "core=0x10"];
    let large = ["core=18446744073709551613", "core=18446744073709551615", "core=99999999999999999999", "core=1,cpu=1"];
    [&names[..], &values, &words, &large].into_iter().for_each(|values| assert_all_misused("--limit", values));
}

/// A limit of file size does not end relay by a signal where it tells of a failure in a file.
#[test]
fn a_message_beyond_the_limit_of_file_size() {
    let file = tempfile::tempfile().expect("a file");
    let outcome = Host::new(["--limit=fsize=0", "/no/such"]).descriptor(2, file).run();
    assert_eq!(outcome.status.code(), Some(127), "{outcome:?}");
}
