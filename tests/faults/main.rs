//! Each system call of a launch fails, by each errno, at its first, at every and at its nth time; or the process is killed,
//! stopped or signalled there. The program then runs as it does without, or it does not run and the report says why.
//!
//! ```text
//! cargo test --test faults -- --nocapture
//! FAULTS_CELLS=all cargo test --test faults -- --nocapture
//! FAULTS_SEED=123 FAULTS_CELLS=5000 cargo test --test faults
//! FAULTS_ONLY='--caps=none: prctl' cargo test --test faults
//! ```
//!
//! A cell is a launch, one of its calls, and a fault. Every run draws other cells and prints its seed, unless FAULTS_CELLS
//! says `all`; FAULTS_ONLY takes those cells that have this text in their names. Which calls there are, the launches tell
//! themselves: each is traced first. x86-64 alone, whose registers the tracer knows.

#![cfg(target_arch = "x86_64")]

// The harness's own, which uses all that is in them.
#[allow(dead_code)]
#[path = "../harness/host.rs"]
mod host;
#[allow(dead_code)]
#[path = "../harness/own_cgroup.rs"]
mod own_cgroup;
#[allow(dead_code)]
#[path = "../harness/sandbox.rs"]
mod sandbox;
#[allow(dead_code)]
#[path = "../harness/slate.rs"]
mod slate;

mod judge;
mod scenario;
mod tracer;
mod watchdog;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Instant, SystemTime};

use syscalls::Sysno;

use crate::judge::{Baseline, Came, Cell, judge};
use crate::scenario::Scenario;
use crate::tracer::{Fault, When};
use crate::watchdog::Watchdog;

/// The errnos that calls fail with, and their names.
const ERRNOS: [(i32, &str); 17] = [
    (libc::EPERM, "EPERM"),
    (libc::ENOSYS, "ENOSYS"),
    (libc::EINVAL, "EINVAL"),
    (libc::EBADF, "EBADF"),
    (libc::EINTR, "EINTR"),
    (libc::EAGAIN, "EAGAIN"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EMFILE, "EMFILE"),
    (libc::ENFILE, "ENFILE"),
    (libc::EIO, "EIO"),
    (libc::EFAULT, "EFAULT"),
    (libc::ELOOP, "ELOOP"),
    (libc::E2BIG, "E2BIG"),
    (libc::ENOSPC, "ENOSPC"),
    (libc::EPIPE, "EPIPE"),
    (libc::EACCES, "EACCES"),
    (libc::ENOENT, "ENOENT"),
];

/// How many cells a run has by default.
const CELLS: usize = 2_000;

/// How many of one number's calls meet faults one by one. Of more, the first ones, some, and the last.
const MOST_PLACES: usize = 128;

/// How many launches, the first ones, meet faults at each of their calls: the forms without options. In another one, a call
/// that it makes as often as the first does meets them at its first, its last and every time.
const FORMS: usize = 3;

/// How many cells that are wrong are printed in full.
const MOST_PRINTED: usize = 12;

/// The name of a system call.
fn name(call: i64) -> String {
    Sysno::new(call as usize).map_or_else(|| call.to_string(), |call| call.name().to_owned())
}

impl Cell<'_> {
    fn name(&self) -> String {
        let fault = match self.fault {
            Fault::Errno(errno) => ERRNOS.iter().find(|(number, _)| *number == errno).map_or("?", |(_, name)| name),
            Fault::Kill => "kill",
            Fault::Stop => "stop",
            Fault::Signal => "signal",
        };
        let when = match self.when {
            When::Nth(nth) => nth.to_string(),
            When::Every => "every".to_owned(),
        };
        format!("{}: {} {when} {fault}", self.scenario.name, name(self.call))
    }
}

/// What comes of a scenario, by a run in which `meet` happens to its process.
fn run<T>(scenario: &Scenario, watchdog: &Watchdog, meet: impl FnOnce(u32) -> T) -> (T, host::Outcome, u32, bool) {
    let prepared = (scenario.make)();
    let running = prepared.host.traced().spawn();
    let pid = running.child.id();
    let watched = watchdog.watch(pid);
    let met = meet(pid);
    let outcome = running.finish();
    (met, outcome, pid, watched.is_late())
}

/// Runs a scenario without a fault, and looks whether it does what it should.
fn baseline(scenario: &Scenario, watchdog: &Watchdog) -> Baseline {
    let (calls, outcome, pid, _) = run(scenario, watchdog, tracer::calls);
    if scenario.starts {
        let begin = outcome.stdout.iter().position(|&byte| byte == b'{');
        let begin = begin.unwrap_or_else(|| panic!("{}: no slate: {outcome:?}", scenario.name));
        let slate = outcome.slate_after(&outcome.stdout[..begin]);
        // What was asked for is no dirt.
        let mut clean = slate.clone();
        if scenario.name.contains("--ignore") || scenario.name.contains("--keep-ignored") {
            assert!(!std::mem::take(&mut clean.not_default).is_empty(), "{}", scenario.name);
        }
        if scenario.name.contains("--block") {
            assert!(!std::mem::take(&mut clean.blocked).is_empty(), "{}", scenario.name);
        }
        if scenario.name.contains("--keep-timers") {
            assert_eq!(std::mem::take(&mut clean.timers), [true; 3]);
        }
        clean.assert_clean(scenario.open.iter().copied());
        assert!((scenario.asked)(&slate), "{}: {slate:?}", scenario.name);
    }
    assert!(!calls.is_empty(), "{}", scenario.name);
    Baseline { calls, came: Came::of(&outcome, pid) }
}

/// How often each call is made.
fn counts(baseline: &Baseline) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    baseline.calls.iter().for_each(|&call| *counts.entry(call).or_default() += 1);
    counts
}

/// All cells of a scenario. `plain` says how often the calls are made whose places have faults of their own elsewhere.
fn cells<'s>(scenario: &'s Scenario, without: &'s Baseline, plain: &BTreeMap<i64, usize>) -> Vec<Cell<'s>> {
    let mut cells = Vec::new();
    for (call, count) in counts(without) {
        let is_chosen = |nth: usize| {
            nth == 1
                || nth == count
                || plain.get(&call) != Some(&count) && (count <= MOST_PLACES || nth <= 16 || nth.is_power_of_two())
        };
        let places = (1..=count).filter(|&nth| is_chosen(nth)).map(When::Nth);
        for when in places.clone().chain([When::Every]) {
            cells.extend(ERRNOS.iter().map(|&(errno, _)| Cell {
                scenario,
                without,
                call,
                when,
                fault: Fault::Errno(errno),
            }));
        }
        for when in places {
            let faults = [Fault::Kill, Fault::Stop, Fault::Signal];
            cells.extend(faults.map(|fault| Cell { scenario, without, call, when, fault }));
        }
    }
    cells
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// What the cells came to, by call and outcome.
#[derive(Default)]
struct Results {
    counts: BTreeMap<String, BTreeMap<&'static str, usize>>,
    wrong: Vec<(String, String)>,
}

#[test]
fn each_call_and_each_fault() {
    host::assert_root();
    let seed = number("FAULTS_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
        fastrand::Rng::with_seed(now.as_nanos() as u64).u64(..1 << 40)
    });
    let watchdog = Watchdog::new();
    let scenarios = scenario::all();
    let names: BTreeSet<_> = scenarios.iter().map(|scenario| &scenario.name).collect();
    assert_eq!(names.len(), scenarios.len(), "each has a name of its own");
    let baselines: Vec<_> = scenarios.iter().map(|scenario| baseline(scenario, &watchdog)).collect();
    let (none, plain) = (BTreeMap::new(), counts(&baselines[0]));
    let cells_of = |(place, scenario)| cells(scenario, &baselines[place], if place < FORMS { &none } else { &plain });
    let mut chosen: Vec<_> = scenarios.iter().enumerate().flat_map(cells_of).collect();
    let all = chosen.len();
    fastrand::Rng::with_seed(seed).shuffle(&mut chosen);
    if let Ok(only) = env::var("FAULTS_ONLY") {
        chosen.retain(|cell| cell.name().contains(&only));
    } else if env::var("FAULTS_CELLS").as_deref() != Ok("all") {
        chosen.truncate(number("FAULTS_CELLS").map_or(CELLS, |count| count as usize));
    }
    println!("{} of {all} cells of {} launches, seed {seed}", chosen.len(), scenarios.len());

    let begun = Instant::now();
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Results::default()));
    thread::scope(|threads| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                while let Some(cell) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (met, outcome, pid, is_late) =
                        run(cell.scenario, &watchdog, |pid| tracer::inject(pid, cell.call, cell.when, cell.fault));
                    let judged = match (met, is_late) {
                        (_, true) => Err(format!("not done in time: {outcome:?}")),
                        (false, _) => Err(format!("the call was not made this time: {outcome:?}")),
                        (true, false) => judge(cell, &Came::of(&outcome, pid)),
                    };
                    let mut results = results.lock().expect("no panic");
                    let class = judged.unwrap_or_else(|what| {
                        results.wrong.push((cell.name(), what));
                        "WRONG"
                    });
                    *results.counts.entry(name(cell.call)).or_default().entry(class).or_default() += 1;
                }
            });
        }
    });
    let Results { counts, mut wrong } = results.into_inner().expect("no panic");
    println!("{}{:?}", table(&counts), begun.elapsed());
    wrong.sort();
    if !wrong.is_empty() {
        let names: String = wrong.iter().map(|(name, _)| format!("  {name}\n")).collect();
        let first: Vec<_> = wrong.iter().take(MOST_PRINTED).map(|(name, what)| format!("{name}\n{what}")).collect();
        panic!("{}\n{} cells are wrong, with seed {seed}:\n{names}", first.join("\n\n"), wrong.len());
    }
}

/// The results as a table of Markdown.
fn table(counts: &BTreeMap<String, BTreeMap<&'static str, usize>>) -> String {
    let classes: BTreeSet<_> = counts.values().flat_map(BTreeMap::keys).copied().collect();
    let mut text = String::from("| call |");
    classes.iter().for_each(|class| _ = write!(text, " {class} |"));
    text.push_str("\n|---|");
    classes.iter().for_each(|_| text.push_str("---|"));
    let mut total = BTreeMap::new();
    for of_call in counts.values() {
        of_call.iter().for_each(|(class, count)| *total.entry(*class).or_default() += count);
    }
    let all = ("all".to_owned(), total);
    for (call, of_call) in counts.iter().chain([(&all.0, &all.1)]) {
        let _ = write!(text, "\n| {call} |");
        classes.iter().for_each(|class| _ = write!(text, " {} |", of_call.get(class).copied().unwrap_or_default()));
    }
    text.push('\n');
    text
}
