//! `--reset`: what the kernel keeps across execve gets back what a program has that the first process started.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use exec_relay::status::Step;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::host::{Host, assert_root, output, probe, relay, relay_line};
use crate::process::host;
use crate::refusal::{assert_all_misused, assert_refuses, clean};
use crate::sandbox;

/// Every word, by its public number, with what the probe sees of it.
const WORDS: [(&str, &[&str]); 17] = [
    ("nice", &["nice"]),
    ("sched", &["policy"]),
    ("cpus", &["processors"]),
    ("ionice", &["io_priority"]),
    ("timer-slack", &["timer_slack"]),
    ("oom-score-adj", &["oom_score"]),
    ("parent-death", &["parent_death_signal"]),
    ("mempolicy", &["memory_policy"]),
    ("coredump-filter", &["coredump_filter"]),
    ("personality", &["personality"]),
    ("speculation", &["speculation"]),
    ("thp", &["no_huge_pages"]),
    ("ksm", &["merges_memory"]),
    ("tsc", &["time_stamp_counter"]),
    ("mce-kill", &["machine_check"]),
    ("subreaper", &["subreaper"]),
    ("io-flusher", &["io_flusher"]),
];

// linux/prctl.h and others, as far as the crate libc leaves them out.
const SET_MEMORY_MERGE: usize = 67;
const SET_IO_FLUSHER: usize = 57;
const SET_SPECULATION: usize = 53;
const SPECULATION_DISABLE: usize = 4;
const ADDR_NO_RANDOMIZE: usize = 0x004_0000;
const PREFERRED: usize = 1;
const INTERLEAVE: usize = 3;

/// Sets an attribute that not every kernel or machine has.
fn attribute(host: Host, option: usize, values: [usize; 2]) -> Host {
    host.call_if_possible(libc::SYS_prctl, [option, values[0], values[1], 0, 0])
}

/// A host that is dirty in everything that has a default, but for its policy. Not to be confined first: what makes it dirty
/// may be refused then. Nothing may come after it that reads the time: not being able to is one of these things.
fn dirty(host: Host) -> Host {
    static FIRST_NODE: usize = 1;
    const WHO_PROCESS: usize = 1;
    let first = host_processors()[0] as usize;
    let host = host.processors(&[first]).call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, 7]);
    let host = host.call(libc::SYS_ioprio_set, [WHO_PROCESS, 0, 2 << 13 | 6]);
    let host = host.attribute(libc::PR_SET_TIMERSLACK, 1_234_567).written("/proc/self/oom_score_adj", "500");
    let host = host.written("/proc/self/coredump_filter", "0x7f").call(libc::SYS_personality, [ADDR_NO_RANDOMIZE]);
    let host = host.attribute(libc::PR_SET_PDEATHSIG, libc::SIGTERM as usize);
    let host = host.attribute(libc::PR_SET_CHILD_SUBREAPER, 1);
    let node = &raw const FIRST_NODE as usize;
    let host = host.call_if_possible(libc::SYS_set_mempolicy, [PREFERRED, node, usize::BITS as usize]);
    let host = attribute(host, libc::PR_SET_THP_DISABLE as usize, [1, 0]);
    let host = attribute(host, SET_MEMORY_MERGE, [1, 0]);
    let early = [libc::PR_MCE_KILL_SET as usize, libc::PR_MCE_KILL_EARLY as usize];
    let host = attribute(host, libc::PR_MCE_KILL as usize, early);
    let host = attribute(host, SET_IO_FLUSHER, [1, 0]);
    let host = (0..2).fold(host, |host, feature| attribute(host, SET_SPECULATION, [feature, SPECULATION_DISABLE]));
    attribute(host, libc::PR_SET_TSC as usize, [libc::PR_TSC_SIGSEGV as usize, 0])
}

/// All processors that there are for these tests.
pub fn host_processors() -> Vec<u32> {
    host(&["--cpus=all"]).run().slate().processors
}

/// Of a policy, too, that can be had without privileges, and under which the timer slack can be set.
pub fn dirty_batch(host: Host) -> Host {
    dirty(host.scheduling(libc::SCHED_BATCH | libc::SCHED_RESET_ON_FORK, 0))
}

/// Of one of real time.
fn dirty_fifo(host: Host) -> Host {
    dirty(host).scheduling(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 5)
}

/// All that the probe sees, but for what is another one with each process.
fn seen(host: Host) -> Map<String, Value> {
    let outcome = host.run();
    let parsed = serde_json::from_slice(&outcome.stdout);
    let Ok(Value::Object(mut all)) = parsed else { panic!("no slate: {outcome:?}") };
    ["arguments", "descriptors", "pid"].into_iter().for_each(|key| _ = all.remove(key));
    // A class of none has no level, whatever is told.
    let io_priority = all.get_mut("io_priority").expect("the I/O priority");
    if io_priority.as_u64().is_some_and(|priority| priority >> 13 == 0) {
        *io_priority = 0.into();
    }
    all
}

/// What the two do not have in common.
fn differences(one: &Map<String, Value>, other: &Map<String, Value>) -> Vec<String> {
    assert!(one.keys().eq(other.keys()));
    one.keys().filter(|&key| one[key] != other[key]).cloned().collect()
}

/// What the probe sees of a host itself, without a relay between.
fn before(dirty: fn(Host) -> Host) -> Map<String, Value> {
    seen(dirty(Host::new(["probe"]).program(probe().to_str().expect("UTF-8"))))
}

/// What has a default, and is not at it, in a host that is dirty in everything that this machine has.
fn is_dirty(key: &str, dirty: &Map<String, Value>, clean: &Map<String, Value>) -> bool {
    dirty[key] != clean[key]
}

#[test]
fn the_host_is_as_dirty_as_it_should_be() {
    assert_root();
    let (dirty, clean) = (before(dirty_batch), before(clean));
    let always =
        ["nice", "policy", "io_priority", "timer_slack", "oom_score", "parent_death_signal", "coredump_filter"];
    for key in always.into_iter().chain(["personality", "subreaper", "no_huge_pages"]) {
        assert!(is_dirty(key, &dirty, &clean), "{key}: {}", dirty[key]);
    }
    assert!(host_processors().len() == 1 || is_dirty("processors", &dirty, &clean));
    let known: Vec<_> = WORDS.iter().flat_map(|(_, keys)| *keys).copied().collect();
    assert!(differences(&dirty, &clean).iter().all(|key| known.contains(&&**key)), "nothing else is");
}

/// Field by field what a clean host's program has; and where a number is the default, that number.
#[test]
fn all_of_them() {
    assert_root();
    // As the first process starts one: whoever runs these tests may not be clean.
    let clean = seen(host(&["--reset=all"]));
    for dirty in [dirty_batch, dirty_fifo] {
        for options in [&["--reset=all"][..], &["--reset", "all"], &["--reset=nice", "--reset=all"]] {
            let slate = seen(dirty(host(options)));
            assert_eq!(differences(&slate, &clean), [""; 0], "{options:?}");
        }
        let slate = dirty(host(&["--reset=all"])).run().slate();
        assert_eq!((slate.nice, slate.policy, slate.priority, slate.io_priority >> 13), (0, 0, 0, 0));
        assert_eq!((slate.processors, slate.timer_slack), (host_processors(), 50_000));
        assert_eq!((slate.oom_score, slate.coredump_filter), (Some(0), Some(0x33)));
        assert_eq!((slate.parent_death_signal, slate.personality, slate.subreaper), (0, 0, 0));
        // A negative errno where the kernel or this machine has no such thing.
        for (value, default) in [
            (slate.memory_policy, 0),
            (slate.no_huge_pages, 0),
            (slate.merges_memory, 0),
            (slate.time_stamp_counter, 1),
            (slate.machine_check, libc::PR_MCE_KILL_DEFAULT.into()),
            (slate.io_flusher, 0),
        ] {
            assert!(value == default || [-libc::EPERM, -libc::EINVAL, -libc::ENOSYS].map(i64::from).contains(&value));
        }
        // Not choosable, or choosable and at what it is from the boot on: 2 is on, 4 is off.
        for (state, default) in slate.speculation.into_iter().zip([2, 2, 4]) {
            assert!(state < 0 || state & 1 == 0 || state & default != 0, "{:?}", slate.speculation);
        }
        assert_eq!(slate.securebits, 0);
    }
}

/// What was at its default stays there: nothing is taken from a host that is clean.
#[test]
fn of_a_clean_host() {
    assert_root();
    let plain = seen(host(&["--nice=0", "--sched=other", "--cpus=all", "--ionice=none", "--timer-slack=50000"]));
    let slate = seen(host(&["--reset=all"]));
    let others = differences(&plain, &slate);
    assert!(others.iter().all(|key| ["oom_score", "parent_death_signal"].contains(&&**key)), "{others:?}");
}

/// A word resets its own attribute and nothing else.
#[test]
fn each_of_them_alone() {
    assert_root();
    let (dirty, clean) = (before(dirty_batch), seen(host(&["--reset=all"])));
    for (word, keys) in WORDS {
        let slate = seen(dirty_batch(host(&[&format!("--reset={word}")])));
        let expected: Vec<_> = keys.iter().copied().filter(|key| is_dirty(key, &dirty, &clean)).collect();
        assert_eq!(differences(&slate, &dirty), expected, "{word}");
        keys.iter().for_each(|&key| assert_eq!(slate[key], clean[key], "{word}"));
    }
    // Lists add up.
    let slate = seen(dirty_batch(host(&["--reset=nice,thp", "--reset", "personality"])));
    assert_eq!(differences(&slate, &dirty), ["nice", "no_huge_pages", "personality"]);
    assert_eq!(differences(&seen(dirty_batch(host(&[]))), &dirty), [""; 0], "what is not asked for is handed on");
}

#[test]
fn memory_of_another_node() {
    static FIRST_NODE: usize = 1;
    for mode in [PREFERRED, INTERLEAVE] {
        let spread = |host: Host| {
            host.call_if_possible(libc::SYS_set_mempolicy, [mode, &raw const FIRST_NODE as usize, usize::BITS as usize])
        };
        let before = spread(host(&[])).run().slate().memory_policy;
        assert!(before == mode as i64 || before <= 0, "{before}");
        let after = spread(host(&["--reset=mempolicy"])).run().slate().memory_policy;
        assert_eq!(after, before.min(0), "0 where the kernel has policies");
    }
}

/// What is asked for counts more than a default, whichever comes first.
#[test]
fn an_option_of_its_own_counts_more() {
    assert_root();
    let first = host_processors()[0];
    let cpus = format!("--cpus={first}");
    let mut options = [
        "--reset=all",
        "--nice=3",
        "--sched=batch",
        &cpus,
        "--ionice=best-effort:1",
        "--timer-slack=77",
        "--oom-score-adj=600",
        "--die-with-parent",
    ];
    for _ in 0..2 {
        let slate = dirty_fifo(host(&options)).run().slate();
        assert_eq!((slate.nice, slate.policy, slate.io_priority), (3, libc::SCHED_BATCH as u32, 2 << 13 | 1));
        assert_eq!((slate.processors.as_slice(), slate.timer_slack, slate.oom_score), (&[first][..], 77, Some(600)));
        assert_eq!((slate.parent_death_signal, slate.personality), (libc::SIGKILL, 0));
        options.reverse();
    }
    // And the change of user comes after it.
    let slate = dirty_fifo(host(&["--user=1000:1000", "--caps=none", "--reset=all"])).run().slate();
    assert_eq!((slate.user, slate.nice, slate.policy, slate.personality), ([1000; 3], 0, 0, 0));
}

fn refuse(calls: &'static [i64], errno: i32) -> impl Fn(Host) -> Host {
    move |host| host.filter(sandbox::refuse(calls, errno))
}

/// What is there and may not be reset is told by its word.
#[test]
fn what_a_sandbox_refuses() {
    let by_prctl = ["parent-death", "speculation", "thp", "ksm", "tsc", "mce-kill", "subreaper"];
    let others = [("mempolicy", libc::SYS_set_mempolicy), ("personality", libc::SYS_personality)];
    let number = |word: &str| WORDS.iter().position(|(known, _)| *known == word).expect("a word") as u32;
    for (word, call) in by_prctl.map(|word| (word, libc::SYS_prctl)).into_iter().chain(others) {
        let option = format!("--reset={word}");
        let refused = |errno| move |host: Host| host.filter(sandbox::refuse(&[call], errno));
        let message = format!("cannot reset {word}: not permitted (EPERM)");
        assert_refuses(&[&option], refused(libc::EPERM), &message, (Step::Reset, libc::EPERM, number(word)));
        let message = format!("cannot reset {word}: errno 117");
        assert_refuses(&[&option], refused(libc::EUCLEAN), &message, (Step::Reset, libc::EUCLEAN, number(word)));
        // A kernel that does not know it has it at its default.
        for errno in [libc::EINVAL, libc::ENOSYS] {
            assert!(refused(errno)(host(&[&option])).run().status.success(), "{word}, {errno}");
        }
    }
    // The first one that fails is told.
    let message = "cannot reset thp: not permitted (EPERM)";
    let refused = refuse(&[libc::SYS_prctl], libc::EPERM);
    assert_refuses(&["--reset=ksm,thp,tsc"], refused, message, (Step::Reset, libc::EPERM, number("thp")));
}

/// Those that have an option of their own fail as that does.
#[test]
fn what_has_a_step_of_its_own() {
    for (word, call, words, step) in [
        ("nice", libc::SYS_setpriority, "cannot set the nice value", Step::Nice),
        ("sched", libc::SYS_sched_setscheduler, "cannot set the scheduling policy", Step::Scheduling),
        ("cpus", libc::SYS_sched_setaffinity, "cannot set the processors", Step::Processors),
        ("ionice", libc::SYS_ioprio_set, "cannot set the I/O class", Step::IoClass),
        ("timer-slack", libc::SYS_prctl, "cannot set the timer slack", Step::TimerSlack),
    ] {
        let refused = |host: Host| host.filter(sandbox::refuse(&[call], libc::EUCLEAN));
        let option = format!("--reset={word}");
        assert_refuses(&[&option], refused, &format!("{words}: errno 117"), (step, libc::EUCLEAN, 0));
    }
}

/// Without a real /proc its files cannot be written, and so nobody knows that they are at their defaults.
#[test]
fn without_proc() {
    let (bare, with_false) = (sandbox::bare_root(), sandbox::root_with_false_proc());
    fs::write(with_false.path().join("proc/self/coredump_filter"), "0").expect("a file");
    fs::write(with_false.path().join("proc/self/oom_score_adj"), "0").expect("a file");
    for (root, reason, errno) in
        [(&bare, "no such file (ENOENT)", libc::ENOENT), (&with_false, "no procfs (ENODEV)", libc::ENODEV)]
    {
        let within = |host: Host| host.relay_at("/relay").root(root.path());
        let message = format!("cannot set the out-of-memory score by /proc: {reason}");
        assert_refuses(&["--reset=oom-score-adj"], within, &message, (Step::OomScore, errno, 0));
        let message = format!("cannot reset coredump-filter: {reason}");
        assert_refuses(&["--reset=coredump-filter"], within, &message, (Step::Reset, errno, 8));
    }
    // The others need none, but for the last one where it may not even be asked for.
    let words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
    let words = words.into_iter().filter(|word| !["oom-score-adj", "coredump-filter", "io-flusher"].contains(word));
    let option = format!("--reset={}", words.collect::<Vec<_>>().join(","));
    let outcome = Host::new([&option, "/probe"]).relay_at("/relay").root(bare.path()).run();
    outcome.slate().assert_clean([0, 1, 2]);
}

/// Whether the kernel takes a process for an I/O flusher, by its flags in /proc/PID/stat.
fn is_io_flusher(host: Host) -> bool {
    const MEMALLOC_NOIO: u32 = 0x8_0000;
    let outcome = host.run();
    let stat = String::from_utf8_lossy(&outcome.stdout);
    // State, parent, group, session, terminal, its group, flags.
    let after_name = stat.rsplit_once(") ").unwrap_or_else(|| panic!("{outcome:?}")).1;
    let flags: u32 = after_name.split(' ').nth(6).and_then(|flags| flags.parse().ok()).expect("the flags");
    flags & MEMALLOC_NOIO != 0
}

fn cat_stat(options: &[&str]) -> Host {
    Host::new(options.iter().chain(&["/bin/cat", "/proc/self/stat"]))
}

fn flusher(host: Host) -> Host {
    attribute(host, SET_IO_FLUSHER, [1, 0])
}

#[test]
fn an_io_flusher() {
    assert!(!is_io_flusher(cat_stat(&["--reset=io-flusher"])));
    // Not where these tests lack the privilege for it, or the kernel is older than 5.6.
    println!("an I/O flusher can be had: {}", is_io_flusher(flusher(cat_stat(&[]))));
    assert!(!is_io_flusher(flusher(cat_stat(&["--reset=io-flusher"]))));
}

/// To ask for it is a privilege, which even root may not have. But that it is off anyone can see, where there is a /proc.
#[test]
fn an_io_flusher_that_nobody_may_ask_for() {
    let refused = || sandbox::refuse(&[libc::SYS_prctl], libc::EPERM);
    let message = "cannot reset io-flusher: not permitted (EPERM)";
    assert!(!is_io_flusher(cat_stat(&["--reset=io-flusher"]).filter(refused())));
    let root = sandbox::bare_root();
    let hidden = |host: Host| host.relay_at("/relay").root(root.path()).filter(refused());
    assert_refuses(&["--reset=io-flusher"], hidden, message, (Step::Reset, libc::EPERM, 16));
    if is_io_flusher(flusher(cat_stat(&[]))) {
        let refused = |host: Host| flusher(host).filter(refused());
        assert_refuses(&["--reset=io-flusher"], refused, message, (Step::Reset, libc::EPERM, 16));
    }
    // The name of a process stands before its flags, and can look like any of what follows it.
    let directory = TempDir::new().expect("a directory");
    for name in [") R 1 1 1 1 1 99", "a) (b", "))))", "((((", ") ) ) ) ) ) )", "1 (x) S"] {
        let path = directory.path().join(name);
        std::os::unix::fs::symlink(relay(), &path).expect("a link");
        let host = host(&["--reset=io-flusher"]).relay_at(path.to_str().expect("UTF-8"));
        let outcome = host.filter(refused()).run();
        assert!(outcome.status.success(), "{name}: {outcome:?}");
    }
}

/// What strace has the kernel answer to each question, and what relay asks for then.
#[test]
fn speculation() {
    const CHOOSABLE: u32 = 1;
    for (state, expected) in [
        // Both that are off are switched on; the third one is off as it should be.
        (CHOOSABLE | 4, "GET 0, SET 0 2, GET 1, SET 1 2, GET 2"),
        // On: the first two are as they should be.
        (CHOOSABLE | 2, "GET 0, GET 1, GET 2, SET 2 4"),
        // Whoever may not choose, and a machine that is not affected.
        (4, "GET 0, GET 1, GET 2"),
        (0, "GET 0, GET 1, GET 2"),
    ] {
        let directory = TempDir::new().expect("a directory");
        let log = directory.path().join("log");
        let mut command = Command::new("strace");
        command.args(["-qq", "-X", "raw", "-e", "trace=prctl", "-o"]).arg(&log);
        command.arg(format!("--inject=prctl:retval={state}")).args(relay_line());
        let outcome = output(command.args(["--reset=speculation", "/bin/true"]));
        assert!(outcome.status.success(), "{outcome:?}");
        let log = fs::read_to_string(log).expect("strace's log");
        // PR_GET_SPECULATION_CTRL is 52.
        let names = BTreeMap::from([(52, "GET"), (SET_SPECULATION as u64, "SET")]);
        let calls = log.lines().filter_map(|line| {
            let arguments = line.strip_prefix("prctl(")?.split_once(')')?.0;
            let numbers = arguments.split(", ").map(|number| {
                let hexadecimal = number.strip_prefix("0x");
                hexadecimal.map_or_else(|| number.parse(), |digits| u64::from_str_radix(digits, 16)).expect("a number")
            });
            let numbers: Vec<u64> = numbers.collect();
            let name = names.get(numbers.first()?)?;
            Some(if *name == "GET" {
                format!("{name} {}", numbers[1])
            } else {
                format!("{name} {} {}", numbers[1], numbers[2])
            })
        });
        assert_eq!(calls.collect::<Vec<_>>().join(", "), expected, "{state}: {log}");
    }
}

/// What is told of the file is nothing that is told of the kernel.
#[test]
fn a_filter_that_cannot_be_written() {
    for (errno, words) in [(libc::EINVAL, "invalid (EINVAL)"), (libc::ENOSYS, "no such system call (ENOSYS)")] {
        let refused = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_openat], errno));
        let message = format!("cannot reset coredump-filter: {words}");
        assert_refuses(&["--reset=coredump-filter"], refused, &message, (Step::Reset, errno, 8));
    }
}

#[test]
fn what_is_no_word() {
    let words = ["", "NICE", "nices", "nic", "thp,", ",thp", "thp,,ksm", "thp ksm", "thp, ksm", "none", "0", "umask"];
    assert_all_misused("--reset", &words);
    assert_all_misused("--reset", &["all,thp", "thp,all", "ALL", "allx", "thp=1", "thp:off", "oom_score_adj", "-"]);
}

/// personality(2) returns what it was, in all 32 bits: that is no error.
#[test]
fn a_personality_with_the_highest_bit() {
    let dirty = |host: Host| host.call(libc::SYS_personality, [0x8000_0000]);
    assert_eq!(dirty(host(&[])).run().slate().personality, 0x8000_0000);
    assert_eq!(dirty(host(&["--reset=personality"])).run().slate().personality, 0);
}
