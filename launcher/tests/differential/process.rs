//! What /proc tells of a program that waits for its reader: what the probe does not see.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

/// Lines of /proc/PID/status that differ from process to process, or from moment to moment.
const PASSING: [&str; 14] = [
    "State",
    "Tgid",
    "Ngid",
    "Pid",
    "NS",
    "FDSize",
    "Vm",
    "Rss",
    "Hugetlb",
    "SigQ",
    "SigPnd",
    "ShdPnd",
    "voluntary_",
    "nonvoluntary_",
];

/// Fields of /proc/PID/stat by their numbers in proc_pid_stat(5).
const FIELDS: [(usize, &str); 6] = [
    (7, "terminal"),
    (8, "foreground group"),
    (18, "priority"),
    (19, "nice"),
    (40, "real-time priority"),
    (41, "scheduling policy"),
];

/// Files that are told whole.
const FILES: [&str; 7] =
    ["limits", "oom_score_adj", "coredump_filter", "timerslack_ns", "personality", "cgroup", "loginuid"];

/// Whether the process has begun to wait. It is asked until it waits, has ended, or it is too late: nothing else tells.
pub fn is_waiting(id: i32, deadline: Instant) -> bool {
    while Instant::now() < deadline {
        match field(id, 3).as_deref() {
            Some("S") => return true,
            None | Some("Z" | "X") => return false,
            Some(_) => thread::yield_now(),
        }
    }
    false
}

fn field(id: i32, number: usize) -> Option<String> {
    let text = fs::read(format!("/proc/{id}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The second field is the name in parentheses, which may hold any.
    let (_, fields) = text.rsplit_once(") ")?;
    fields.split_whitespace().nth(number - 3).map(str::to_owned)
}

/// Facts by their names, of a process that waits.
pub fn facts(id: i32) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for (number, name) in FIELDS {
        let mut value = field(id, number).unwrap_or_default();
        if number == 7 && value != "0" {
            // Which one it is differs from launch to launch.
            value = "one".to_owned();
        }
        if value == id.to_string() {
            value = "its own".to_owned();
        }
        facts.insert(name.to_owned(), value);
    }
    let path = |name: &str| PathBuf::from(format!("/proc/{id}/{name}"));
    let told = |read: io::Result<String>| read.unwrap_or_else(|error| format!("cannot be read: {error}"));
    for name in FILES {
        facts.insert(name.to_owned(), told(fs::read_to_string(path(name))));
    }
    for name in ["cwd", "root", "exe"] {
        facts.insert(name.to_owned(), told(fs::read_link(path(name)).map(|path| path.display().to_string())));
    }
    // The name may be any bytes.
    let status = fs::read(path("status")).map(|status| String::from_utf8_lossy(&status).into_owned());
    for line in told(status).lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if !PASSING.iter().any(|passing| name.starts_with(passing)) {
            facts.insert(format!("status {name}"), value.trim().to_owned());
        }
    }
    facts
}
