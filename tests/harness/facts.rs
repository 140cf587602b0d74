//! `--report`: each fact beside descriptors and signals, as it is and not as somebody would have it.

use std::fs;

use crate::capabilities::{CHOWN, NAMES as CAPABILITIES, NET_RAW, SETPCAP};
use crate::host::{Host, assert_root, full_pipe, probe, pseudo_terminal, relay_line};
use crate::limits::RESOURCES;
use crate::process::host;
use crate::report::facts;
use crate::reset::{dirty_batch, host_processors};
use crate::sandbox;

/// The names of all facts in their order, but for those of descriptors, which come first.
const NAMES: [&str; 81] = [
    "non-blocking",
    "ignored",
    "blocked",
    "pending",
    "timers",
    "nofile soft",
    "nofile hard",
    "process",
    "parent",
    "group",
    "session",
    "terminal",
    "umask",
    "keyring",
    "no-new-privs",
    "securebits",
    "seccomp",
    "landlock",
    "mdwe",
    "core-cookie",
    "parent-death",
    "subreaper",
    "timer-slack",
    "mempolicy",
    "personality",
    "thp",
    "ksm",
    "tsc",
    "mce-kill",
    "io-flusher",
    "speculation 0",
    "speculation 1",
    "speculation 2",
    "nice",
    "reset-on-fork",
    "sched",
    "ionice",
    "cpus",
    "limit cpu",
    "limit fsize",
    "limit data",
    "limit stack",
    "limit core",
    "limit rss",
    "limit nproc",
    "limit nofile",
    "limit memlock",
    "limit as",
    "limit locks",
    "limit sigpending",
    "limit msgqueue",
    "limit nice",
    "limit rtprio",
    "limit rttime",
    "uid",
    "gid",
    "groups",
    "caps effective",
    "caps permitted",
    "caps inheritable",
    "caps bounding",
    "caps ambient",
    "oom-score-adj",
    "coredump-filter",
    "cgroup",
    "attr current",
    "loginuid",
    "root",
    "ns cgroup",
    "ns ipc",
    "ns mnt",
    "ns net",
    "ns pid",
    "ns pid-for-children",
    "ns time",
    "ns time-for-children",
    "ns user",
    "ns uts",
    "directory",
    "environment",
    "argv0",
];

/// What a file or a link of /proc tells.
const BY_PROC: [&str; 16] = [
    "oom-score-adj",
    "coredump-filter",
    "cgroup",
    "attr current",
    "loginuid",
    "root",
    "ns cgroup",
    "ns ipc",
    "ns mnt",
    "ns net",
    "ns pid",
    "ns pid-for-children",
    "ns time",
    "ns time-for-children",
    "ns user",
    "ns uts",
];

fn report() -> Host {
    Host::new(["--report"])
}

/// The lines of a report, each with its name and its value, without those of descriptors.
#[track_caller]
fn lines(host: Host) -> Vec<(String, String)> {
    let outcome = host.run();
    assert!(outcome.status.success(), "{outcome:?}");
    let text = String::from_utf8(outcome.stdout).expect("UTF-8");
    let lines = text.lines().filter(|line| !line.starts_with("descriptor "));
    let parts = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("name: value in {line:?}"));
        assert!(value.is_empty() || value.starts_with(' ') && !value.ends_with(' '), "{line:?}");
        (name.to_owned(), value.trim_start().to_owned())
    };
    lines.map(parts).collect()
}

#[track_caller]
fn assert_all_there(lines: &[(String, String)]) {
    let names: Vec<_> = lines.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, NAMES);
}

/// The value of one fact.
#[track_caller]
fn fact(host: Host, name: &str) -> String {
    facts(&host.run().stdout).remove(name).unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_line_for_each() {
    assert_all_there(&lines(report()));
    assert_all_there(&lines(report().open(5).ignored([1]).all_blocked()));
}

/// Where there is no /proc, or a false one, what it would have told is unknown, and not at its default.
#[test]
fn without_proc() {
    for root in [sandbox::bare_root(), sandbox::root_with_false_proc()] {
        let lines = lines(report().relay_at("/relay").root(root.path()));
        assert_all_there(&lines);
        for (name, value) in lines {
            assert!(!BY_PROC.contains(&&*name) || value == "unknown", "{name}: {value}");
        }
    }
}

/// What is refused is unknown. Nothing empty stands for it, which would look like a clean slate.
#[test]
fn in_a_sandbox_that_tells_nothing() {
    let refused = [
        libc::SYS_prlimit64,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_getpgid,
        libc::SYS_getsid,
        libc::SYS_umask,
        libc::SYS_keyctl,
        libc::SYS_prctl,
        libc::SYS_get_mempolicy,
        libc::SYS_personality,
        libc::SYS_getpriority,
        libc::SYS_sched_getscheduler,
        libc::SYS_sched_getparam,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_setaffinity,
        libc::SYS_ioprio_get,
        libc::SYS_getresuid,
        libc::SYS_getresgid,
        libc::SYS_getgroups,
        libc::SYS_capget,
        libc::SYS_getcwd,
        libc::SYS_openat,
        libc::SYS_readlinkat,
        libc::SYS_getitimer,
    ];
    let lines = lines(report().environment(["A=b"]).filter(sandbox::refuse(&refused, libc::EPERM)));
    assert_all_there(&lines);
    let told = ["non-blocking", "ignored", "blocked", "pending", "environment", "argv0"];
    let known: Vec<_> = lines.iter().filter(|(name, value)| value != "unknown" && !told.contains(&&**name)).collect();
    assert!(known.is_empty(), "{known:?}");
    // Each alone leaves the others as they are.
    for (call, name) in [
        (libc::SYS_getpid, "process"),
        (libc::SYS_getppid, "parent"),
        (libc::SYS_getpgid, "group"),
        (libc::SYS_getsid, "session"),
        (libc::SYS_getpriority, "nice"),
        (libc::SYS_capget, "caps effective"),
        (libc::SYS_getitimer, "timers"),
        (libc::SYS_getgroups, "groups"),
    ] {
        let outcome = report().filter(sandbox::refuse(&[call], libc::EPERM)).run();
        let facts = facts(&outcome.stdout);
        assert_eq!(facts[name], "unknown");
        assert_eq!((facts["sched"].as_str(), outcome.status.code()), ("other", Some(0)));
    }
}

/// A value, and behind one that a fresh process has not, what it has.
fn marked(value: Option<i64>, default: i64) -> String {
    match value {
        None => "unknown".to_owned(),
        Some(value) if value == default => value.to_string(),
        Some(value) => format!("{value} (default {default})"),
    }
}

/// What the probe was told, if that is no negative errno.
fn told(value: i64) -> Option<i64> {
    (value >= 0).then_some(value)
}

/// By name and number, for a host that is dirty in everything.
#[test]
fn marks_of_what_is_not_at_its_default() {
    assert_root();
    let facts = facts(&dirty_batch(report()).run().stdout);
    for (name, value) in [
        ("nice", "7 (default 0)"),
        ("reset-on-fork", "1 (default 0)"),
        ("sched", "batch (default other)"),
        ("ionice", "best-effort:6 (default none)"),
        ("timer-slack", "1234567 (default 50000)"),
        ("oom-score-adj", "500 (default 0)"),
        ("coredump-filter", "0000007f (default 00000033)"),
        ("parent-death", "15 (default 0)"),
        ("personality", "262144 (default 0)"),
        ("subreaper", "1 (default 0)"),
        ("thp", "1 (default 0)"),
    ] {
        assert_eq!(facts[name], value, "{name}");
    }
    let all = host_processors();
    let first = all[0];
    if all.len() > 1 {
        let value = &facts["cpus"];
        assert!(value.starts_with(&format!("{first} (of {first}")) && value.ends_with(')'), "{value}");
    }
    if all == [0, 1] {
        assert_eq!(facts["cpus"], "0 (of 0-1)");
    }
    // What not every kernel and machine has: as the probe sees it of the same host.
    let seen = dirty_batch(host(&[])).run().slate();
    for (name, value, default) in [
        ("mempolicy", seen.memory_policy, 0),
        ("thp", seen.no_huge_pages, 0),
        ("ksm", seen.merges_memory, 0),
        ("tsc", seen.time_stamp_counter, 1),
        ("mce-kill", seen.machine_check, libc::PR_MCE_KILL_DEFAULT.into()),
    ] {
        assert_eq!(facts[name], marked(told(value), default), "{name}");
    }
    let of_real_time = |level| report().scheduling(libc::SCHED_RR, level);
    assert_eq!(fact(of_real_time(17), "sched"), "rr:17 (default other)");
    const WHO_PROCESS: usize = 1;
    for (class, value) in [(1 << 13 | 7, "realtime:7 (default none)"), (3 << 13, "idle (default none)")] {
        assert_eq!(fact(report().call(libc::SYS_ioprio_set, [WHO_PROCESS, 0, class]), "ionice"), value);
    }
    assert_eq!(fact(report().attribute(libc::PR_SET_SECUREBITS, 0x40), "securebits"), "64 (default 0)");
    const SET_MDWE: usize = 65;
    let denied = fact(report().call_if_possible(libc::SYS_prctl, [SET_MDWE, 1, 0, 0, 0]), "mdwe");
    assert_eq!(denied, if fact(report(), "mdwe") == "unknown" { "unknown" } else { "1 (default 0)" });
}

fn facts_of(host: Host) -> std::collections::BTreeMap<String, String> {
    facts(&host.run().stdout)
}

/// A filter is told of, and what it takes.
#[test]
fn a_sandbox() {
    let confined = facts_of(report().filter(sandbox::refuse(&[], libc::EPERM)));
    assert_eq!((confined["seccomp"].as_str(), confined["no-new-privs"].as_str()), ("2 (default 0)", "1 (default 0)"));
}

/// A list of processors, with a dash for neighbours.
fn ranges(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    ranges.into_iter().map(text).collect::<Vec<_>>().join(",")
}

/// Each fact is what the probe sees of the same host, which is clean but for what these tests were started with.
#[test]
fn as_the_probe_sees_it() {
    let facts = facts_of(report().limit(libc::RLIMIT_LOCKS, 5, 7).nofile(321, 4321));
    let seen = host(&[]).program(probe().to_str().expect("UTF-8")).limit(libc::RLIMIT_LOCKS, 5, 7);
    let seen = seen.nofile(321, 4321).run().slate();
    let default = [
        ("nice", Some(seen.nice.into()), 0),
        ("parent-death", Some(seen.parent_death_signal.into()), 0),
        ("subreaper", told(seen.subreaper), 0),
        ("mempolicy", told(seen.memory_policy), 0),
        ("personality", Some(seen.personality.into()), 0),
        ("timer-slack", Some(seen.timer_slack as i64), 50_000),
        ("tsc", told(seen.time_stamp_counter), 1),
        ("no-new-privs", Some(seen.no_new_privileges.into()), 0),
        ("securebits", Some(seen.securebits.into()), 0),
        ("oom-score-adj", Some(seen.oom_score.expect("/proc").into()), 0),
    ];
    default.iter().for_each(|&(name, value, default)| assert_eq!(facts[name], marked(value, default), "{name}"));
    for (name, value) in [
        ("group", seen.group.to_string()),
        ("session", seen.session.to_string()),
        ("parent", seen.parent.to_string()),
        ("umask", format!("{:o}", seen.umask)),
        ("directory", seen.directory.clone()),
        ("keyring", if seen.keyring < 0 { "unknown".to_owned() } else { seen.keyring.to_string() }),
        ("cgroup", seen.cgroup.as_deref().expect("/proc").trim_end().replace('\n', " ")),
        ("root", "/".to_owned()),
        ("uid", seen.user.map(|id| id.to_string()).join(" ")),
        ("gid", seen.group_ids.map(|id| id.to_string()).join(" ")),
        ("groups", seen.groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    ] {
        assert_eq!(facts[name], value, "{name}");
    }
    for (feature, state) in seen.speculation.into_iter().enumerate() {
        let expected = if state < 0 { "unknown".to_owned() } else { state.to_string() };
        assert_eq!(facts[&format!("speculation {feature}")], expected);
    }
    let cpus = ranges(&seen.processors);
    assert!(facts["cpus"] == cpus || facts["cpus"].starts_with(&format!("{cpus} (of ")), "{cpus}: {}", facts["cpus"]);
    let limit = |limit: u64| if limit == u64::MAX { "unlimited".to_owned() } else { limit.to_string() };
    for (name, resource, _) in RESOURCES {
        let [soft, hard] = seen.limits[resource as usize];
        assert_eq!(facts[&format!("limit {name}")], format!("{}:{}", limit(soft), limit(hard)));
    }
    assert_eq!((facts["limit locks"].as_str(), facts["nofile hard"].as_str()), ("5:7", "4321"));
    let sets = seen.capabilities;
    for (name, set) in [
        ("effective", sets.effective),
        ("permitted", sets.permitted),
        ("inheritable", sets.inheritable),
        ("bounding", sets.bounding),
        ("ambient", sets.ambient),
    ] {
        assert_eq!(facts[&format!("caps {name}")], names_of(set), "{name}");
    }
}

fn names_of(set: u64) -> String {
    let name = |number: usize| CAPABILITIES.get(number).map_or(number.to_string(), |name| name[4..].to_owned());
    (0..64).filter(|number| set & 1 << number != 0).map(name).collect::<Vec<_>>().join(" ")
}

/// Each number is asked for by itself, so that none stands for another.
#[test]
fn who_it_is() {
    assert_root();
    let facts = facts_of(report().groups(&[20, 4]).user_with_capabilities(4_294_967_294, CHOWN | NET_RAW | SETPCAP));
    assert_eq!(facts["uid"], ["4294967294"; 3].join(" "));
    assert_eq!((facts["gid"].as_str(), facts["groups"].as_str()), ("4294967294 4294967294 4294967294", "4 20"));
    for set in ["effective", "permitted", "inheritable", "ambient"] {
        assert_eq!(facts[&format!("caps {set}")], "CHOWN SETPCAP NET_RAW", "{set}");
    }
    assert_ne!(facts["caps bounding"], "CHOWN SETPCAP NET_RAW");
    let host = report().call(libc::SYS_setresgid, [1, 2, 3]).call(libc::SYS_setresuid, [4, 5, 6]);
    // execve(2) makes the saved ones the effective ones.
    let facts = facts_of(host);
    assert_eq!((facts["uid"].as_str(), facts["gid"].as_str()), ("4 5 5", "1 2 2"));
}

#[test]
fn what_a_launcher_leaves() {
    let (_reader, writer, _) = full_pipe();
    let dirty = |host: Host| host.timers().call(libc::SYS_umask, [0o27]).environment(["A=b", "C=d"]);
    let facts = facts_of(dirty(report()).descriptor(0, writer));
    assert_eq!((facts["non-blocking"].as_str(), facts["timers"].as_str()), ("0", "real virtual prof"));
    assert_eq!((facts["umask"].as_str(), facts["environment"].as_str()), ("27", "2"));
    assert_eq!(facts["argv0"], "relay");
    let facts = facts_of(report());
    assert_eq!((facts["timers"].as_str(), facts["environment"].as_str()), ("", "0"));
    assert_eq!(facts_of(report().call(libc::SYS_umask, [0]))["umask"], "0");
    let (process, group) = (facts_of(report().leader_of_group()), "group");
    assert_eq!(process[group], process["process"]);
}

/// Whether there is a terminal to be had by /dev/tty.
#[test]
fn a_terminal() {
    for (options, expected) in [(&["--setsid"][..], "0"), (&["--fd=0=7", "--ctty=0"], "1")] {
        let line = relay_line().map(|word| word.to_str().expect("UTF-8").to_owned());
        let arguments = options.iter().map(ToString::to_string).chain(line).chain(["--report".to_owned()]);
        let (_person, program) = pseudo_terminal();
        assert_eq!(fact(Host::new(arguments).descriptor(7, program), "terminal"), expected, "{options:?}");
    }
}

/// The namespaces, and what else /proc tells in a word, are those of these tests.
#[test]
fn namespaces() {
    let facts = facts_of(report());
    for name in BY_PROC.into_iter().filter_map(|name| name.strip_prefix("ns ")) {
        let link = fs::read_link(format!("/proc/self/ns/{}", name.replace('-', "_")));
        let expected = link.map_or("unknown".to_owned(), |link| link.to_str().expect("UTF-8").to_owned());
        assert_eq!(facts[&format!("ns {name}")], expected);
    }
    for (name, file) in [("attr current", "attr/current"), ("loginuid", "loginuid")] {
        let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let expected = text.trim_end_matches(['\n', '\0']);
        assert_eq!(facts[name], if expected.is_empty() { "unknown" } else { expected }, "{name}");
    }
    // A namespace of the host's own is told apart.
    let own = fact(report().call(libc::SYS_unshare, [libc::CLONE_NEWUSER as usize]), "ns user");
    assert!(own.starts_with("user:[") && own != facts["ns user"], "{own}");
}

/// A number of more than 32 bits.
#[test]
fn a_long_timer_slack() {
    let long = |slack| fact(report().attribute(libc::PR_SET_TIMERSLACK, slack), "timer-slack");
    assert_eq!(long(3_000_000_000), "3000000000 (default 50000)");
    assert_eq!(long(5_000_000_000), "5000000000 (default 50000)");
}
