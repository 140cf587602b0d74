//! Launches random requests from random hosts, each by every vehicle and by relay's own command line, and compares:
//! the program must find the same slate, or the caller must get the same error.
//!
//! ```text
//! cargo test -p exec-relay-launcher --test differential
//! DIFFERENTIAL_CASES=5000 cargo test -p exec-relay-launcher --test differential
//! DIFFERENTIAL_SEED=123 DIFFERENTIAL_CASES=1 cargo test -p exec-relay-launcher --test differential
//! ```
//!
//! Every run has new seeds, unless DIFFERENTIAL_SEED names the first one. A case is made of its seed alone. The cases with
//! seeds in one block of 16 have the same host, a process of its own: this program, started again. A difference that is
//! known and has a reason stands in [`judge::allowed`], and nowhere else.

// The harness's own, and the other tests' support, which use all that is in them.
#[allow(dead_code)]
#[path = "../../../tests/harness/slate.rs"]
mod slate;
#[allow(dead_code)]
#[path = "../launcher/support.rs"]
mod support;

mod descriptors;
mod host;
mod judge;
mod line;
mod process;
mod request;
mod ways;

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::support::{probe, relay};

/// The variable that makes a host of this program.
const HOST: &str = "DIFFERENTIAL_HOST";

/// How many seeds have the same host.
const BATCH: u64 = 16;

/// How long a host may take: many times what it needs.
const HOST_TIMEOUT: Duration = Duration::from_secs(300);

/// How many kinds of differences are printed in full.
const MOST_PRINTED: usize = 20;

/// What a host is to do.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Task {
    first: u64,
    count: u64,
    /// The host's own directory, where it reports too.
    directory: PathBuf,
    /// The directory of the programs that all hosts share.
    programs: PathBuf,
    /// The directory in which there is a file for each kind of difference that is told in full already.
    classes: PathBuf,
    probe: PathBuf,
    relay: PathBuf,
}

/// What a host reports, one a line.
#[derive(Debug, Deserialize, Serialize)]
enum Report {
    /// The case with this seed has begun.
    Begun(u64),
    /// Ways differ.
    Found(Found),
    /// All cases are done.
    Done(Counts),
}

/// What the cases came to by the first way, in a few words, and how often.
type Counts = BTreeMap<String, usize>;

/// A difference.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Found {
    seed: u64,
    /// What kind of difference it is.
    class: String,
    /// All about it, of the first one of each kind.
    text: Option<String>,
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn every_way_gives_the_same() {
    if let Ok(task) = env::var(HOST) {
        host::run(serde_json::from_str(&task).expect("a task"));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    let first =
        number("DIFFERENTIAL_SEED").unwrap_or_else(|| fastrand::Rng::with_seed(now.as_nanos() as u64).u64(..1 << 40));
    let count = number("DIFFERENTIAL_CASES").unwrap_or(320);
    println!("{count} cases from seed {first}");

    let directory = TempDir::new().expect("a directory");
    // For hosts that are another user.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("a mode");
    let programs = directory.path().join("programs");
    request::make_programs(&programs, &probe());
    let classes = directory.path().join("classes");
    make_directory(&classes);
    let mut batches = Vec::new();
    let mut seed = first;
    while seed < first + count {
        let next = ((seed / BATCH + 1) * BATCH).min(first + count);
        batches.push(Task {
            first: seed,
            count: next - seed,
            directory: directory.path().join(format!("host-{seed}")),
            programs: programs.clone(),
            classes: classes.clone(),
            probe: probe(),
            relay: relay(),
        });
        seed = next;
    }
    batches.reverse();
    let batches = Mutex::new(batches);
    let results = Mutex::new((Vec::new(), Counts::default()));
    thread::scope(|threads| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                loop {
                    let Some(task) = batches.lock().expect("no panic").pop() else { break };
                    let (found, counts) = run_host(&task);
                    let mut results = results.lock().expect("no panic");
                    results.0.extend(found);
                    counts.into_iter().for_each(|(outcome, count)| *results.1.entry(outcome).or_default() += count);
                }
            });
        }
    });
    let (found, counts) = results.into_inner().expect("no panic");
    counts.iter().for_each(|(outcome, count)| println!("{count:6} x {outcome}"));
    assert!(found.is_empty(), "{}", told(&found));
    // Otherwise nothing much was compared.
    let ran = counts.get(ways::RAN).copied().unwrap_or(0);
    assert!(count < 100 || ran as u64 > count / 4, "most programs do not run");
}

/// A directory that hosts write to, whoever they are.
fn make_directory(path: &Path) {
    fs::create_dir(path).expect("a directory");
    fs::set_permissions(path, Permissions::from_mode(0o777)).expect("a mode");
}

/// Runs a host to its end and reads what it found.
fn run_host(task: &Task) -> (Vec<Found>, Counts) {
    make_directory(&task.directory);
    let output = File::create(task.directory.join("output")).expect("a file");
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args(["every_way_gives_the_same", "--exact", "--nocapture"]);
    command.env(HOST, serde_json::to_string(task).expect("a task")).stdin(Stdio::null());
    command.stdout(output.try_clone().expect("a copy")).stderr(output).process_group(0);
    let mut host = command.spawn().expect("this program");
    let ended = is_over(&host);
    if !ended {
        // Its children too.
        let _ = kill_process_group(Pid::from_child(&host), Signal::KILL);
    }
    let status = host.wait().expect("a status");
    release(&host::fifo(&task.directory));

    let reports = fs::read_to_string(task.directory.join("report")).unwrap_or_default();
    let (mut found, mut last, mut done) = (Vec::new(), task.first, None);
    for report in reports.lines() {
        match serde_json::from_str(report).expect("a report") {
            Report::Begun(seed) => last = seed,
            Report::Found(difference) => found.push(difference),
            Report::Done(counts) => done = Some(counts),
        }
    }
    if done.is_none() {
        let output = fs::read(task.directory.join("output")).unwrap_or_default();
        let text = format!("{status}\n{}", String::from_utf8_lossy(&output));
        let class = if ended { "the host ended too early" } else { "the host hangs" };
        found.push(Found { seed: last, class: class.to_owned(), text: Some(text) });
    }
    (found, done.unwrap_or_default())
}

/// Waits for the end of a host. False where it takes too long.
fn is_over(host: &Child) -> bool {
    let pidfd = pidfd_open(Pid::from_child(host), PidfdFlags::empty()).expect("a pidfd");
    let timeout = Timespec::try_from(HOST_TIMEOUT).expect("a short time");
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)).expect("poll") > 0
}

/// Lets a program go on that waits for a reader, where a host has left one: it ends when it writes.
fn release(fifo: &Path) {
    let _ = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(fifo);
}

/// What to print: each kind of difference once.
fn told(found: &[Found]) -> String {
    let mut classes = BTreeMap::<&str, Vec<&Found>>::new();
    for difference in found {
        classes.entry(&difference.class).or_default().push(difference);
    }
    let mut classes: Vec<_> = classes.into_iter().collect();
    classes.sort_by_key(|(_, found)| usize::MAX - found.len());
    let mut text = format!("the ways differ, in {} kinds\n", classes.len());
    for (class, found) in &classes {
        text += &format!("{:6} x {class}, first with seed {}\n", found.len(), found[0].seed);
    }
    for (class, found) in classes.iter().take(MOST_PRINTED) {
        let Some((seed, all)) = found.iter().find_map(|found| Some((found.seed, found.text.as_ref()?))) else {
            continue;
        };
        text += &format!("\n=== {class}\n{all}");
        text += &format!("to see it again: {}\n", command(seed, 1));
        if !seed.is_multiple_of(BATCH) {
            let first = seed - seed % BATCH;
            text += &format!("and after what its host did before: {}\n", command(first, seed - first + 1));
        }
    }
    if classes.len() > MOST_PRINTED {
        text += &format!("\nand {} more kinds\n", classes.len() - MOST_PRINTED);
    }
    text
}

fn command(seed: u64, count: u64) -> String {
    let test = "cargo test -p exec-relay-launcher --test differential";
    format!("DIFFERENTIAL_SEED={seed} DIFFERENTIAL_CASES={count} {test}")
}
