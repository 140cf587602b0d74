//! Whether a launch that met a fault kept its word: the program ran as it does without one, or it did not run and the report
//! names the step with that errno. Nothing else.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;

use exec_relay::errno::{self, Errno};
use exec_relay::options::Name;
use exec_relay::status::{Failure, Record, Step, attendant_record, exit_status};
use serde_json::Value;

use crate::host::Outcome;
use crate::scenario::{Form, STATUS, Scenario};
use crate::tracer::{Fault, When};

/// A fault at a place.
#[derive(Clone, Copy)]
pub struct Cell<'s> {
    pub scenario: &'s Scenario,
    /// What came of the scenario without a fault.
    pub without: &'s Baseline,
    pub call: i64,
    pub when: When,
    pub fault: Fault,
}

/// What a scenario comes to without a fault.
#[derive(Debug)]
pub struct Baseline {
    pub calls: Vec<i64>,
    pub came: Came,
}

/// What came of a launch, without what differs from process to process.
#[derive(Debug, PartialEq)]
pub struct Came {
    status: i32,
    records: Vec<u8>,
    stderr: String,
    /// What stands before the slate.
    before: Vec<u8>,
    slate: Option<Value>,
}

impl Came {
    pub fn of(outcome: &Outcome, pid: u32) -> Self {
        let begin = outcome.stdout.iter().position(|&byte| byte == b'{');
        let slate = begin.and_then(|begin| serde_json::from_slice(&outcome.stdout[begin..]).ok());
        let before = if slate.is_some() { &outcome.stdout[..begin.unwrap_or_default()] } else { &outcome.stdout };
        let stderr = outcome.stderr.clone();
        let (status, records) = (outcome.status.into_raw(), outcome.records.clone());
        let slate = slate.map(|slate| without_process(slate, pid));
        Self { status, records, stderr, before: without_own_number(before, pid), slate }
    }

    fn has_begun(&self) -> bool {
        self.slate.is_some()
    }

    /// What came of it, and in what it differs from another one.
    fn beside(&self, other: &Self) -> String {
        let Self { status, records, stderr, .. } = self;
        let mut text = format!("  wait status {status}, stderr {stderr:?}, records {records:?}\n");
        let lines =
            |came: &Self| String::from_utf8_lossy(&came.before).lines().map(str::to_owned).collect::<BTreeSet<_>>();
        for (sign, one, other) in [("+", self, other), ("-", other, self)] {
            let fields = one.slate.as_ref().and_then(Value::as_object).into_iter().flatten();
            let of_other = |field: &str| other.slate.as_ref().and_then(|slate| slate.get(field));
            for (field, value) in fields.filter(|(field, value)| other.has_begun() && of_other(field) != Some(value)) {
                text.push_str(&format!("  {sign} {field}: {value}\n"));
            }
            lines(one).difference(&lines(other)).for_each(|line| text.push_str(&format!("  {sign} {line:?}\n")));
        }
        text
    }
}

/// A report without the number of its process, the targets of pipes and what else is another one each time.
fn without_own_number(printed: &[u8], pid: u32) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(printed) else { return printed.to_owned() };
    let pid = pid.to_string();
    let word = |word: &str| match word {
        word if word == pid => "PID".to_owned(),
        word if word.starts_with("pipe:[") => "pipe".to_owned(),
        word => word.to_owned(),
    };
    text.split_inclusive('\n')
        .map(|line| {
            line.split(' ')
                .map(|part| {
                    let end = if part.ends_with('\n') { "\n" } else { "" };
                    word(part.trim_end_matches('\n')) + end
                })
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect::<String>()
        .into_bytes()
}

/// A slate without the number of its process, and without which file its 0, 1 and 2 are.
fn without_process(mut slate: Value, pid: u32) -> Value {
    let own = Value::from(pid);
    for field in ["pid", "group", "session"] {
        if slate[field] == own {
            slate[field] = "own".into();
        }
    }
    for descriptor in slate["descriptors"].as_array_mut().into_iter().flatten() {
        if descriptor["number"].as_u64() < Some(3) {
            descriptor["inode"] = 0.into();
        }
    }
    for variable in slate["environment"].as_array_mut().into_iter().flatten() {
        if variable.as_str() == Some(&format!("LISTEN_PID={pid}")) {
            *variable = "LISTEN_PID=own".into();
        }
    }
    // Every session keyring has a number of its own.
    slate["keyring"] = (slate["keyring"].as_i64() == Some(own_keyring())).into();
    // The kernel tells a level where there is no class.
    if slate["io_priority"].as_u64().is_some_and(|priority| priority >> 13 == 0) {
        slate["io_priority"] = 0.into();
    }
    slate
}

#[allow(unsafe_code)]
fn own_keyring() -> i64 {
    // SAFETY: touches no memory: KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING, without making one.
    unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 0) }
}

/// The steps that make a call. A call that is not here may be at no step that fails.
fn steps_of(call: &str) -> &'static [Step] {
    match call {
        "fcntl" => &[Step::Value, Step::Pulse, Step::Listening, Step::Descriptors, Step::Rename, Step::Slate],
        "close_range" | "pselect6" => &[Step::Descriptors, Step::Slate],
        "openat" | "fstatfs" => &[Step::Cgroup, Step::OomScore, Step::Reset],
        "getdents64" => &[Step::Slate],
        "close" => &[Step::Descriptors, Step::Rename],
        "dup3" => &[Step::Rename],
        "write" => &[Step::Write, Step::Cgroup, Step::OomScore, Step::Reset],
        "setitimer" => &[Step::Timers],
        "rt_sigaction" => &[Step::Dispositions, Step::Slate],
        "rt_sigprocmask" => &[Step::Mask, Step::Slate],
        "rt_sigpending" => &[Step::Slate],
        "execve" | "execveat" => &[Step::Exec, Step::Interpreter],
        "umask" => &[Step::Umask],
        "setsid" => &[Step::Session],
        "ioctl" => &[Step::Terminal],
        "setpgid" => &[Step::ProcessGroup],
        "setgroups" | "getgroups" => &[Step::Groups],
        "setresgid" | "getresgid" => &[Step::Group],
        "setresuid" | "getresuid" => &[Step::User],
        "capget" | "capset" => &[Step::Capabilities],
        "prctl" => &[
            Step::BoundingSet,
            Step::Capability,
            Step::Capabilities,
            Step::NewPrivileges,
            Step::Parent,
            Step::TimerSlack,
            Step::Reset,
        ],
        "keyctl" => &[Step::Keyring],
        "getppid" => &[Step::Parent],
        "getpid" => &[Step::Listening],
        "prlimit64" => &[Step::Nofile, Step::Limit],
        "setpriority" => &[Step::Nice],
        "sched_setscheduler" => &[Step::Scheduling],
        "sched_setaffinity" => &[Step::Processors],
        "ioprio_set" => &[Step::IoClass],
        "set_mempolicy" | "personality" => &[Step::Reset],
        "chdir" => &[Step::Directory],
        _ => &[],
    }
}

/// Why an outcome that is neither a good start nor a told failure is right all the same: the errno is an answer. The one
/// place for these.
fn is_answer(cell: &Cell, call: &str, errno: i32) -> Option<&'static str> {
    let asks = |option: &str| cell.scenario.options.iter().any(|given| given.starts_with(option));
    match (call, errno) {
        ("fcntl" | "close", libc::EBADF) => {
            Some("EBADF says that the descriptor is closed, and then there is nothing to do")
        }
        ("prctl" | "set_mempolicy" | "personality" | "ioprio_set", libc::ENOSYS | libc::EINVAL)
            if asks("--reset=all") =>
        {
            Some("a kernel that does not have an attribute has it at its default")
        }
        ("ioprio_set", libc::ENOSYS) if asks("--ionice=none") => Some("a kernel without classes has none set"),
        ("prctl", libc::EINVAL) if asks("--caps") => Some("EINVAL says that the kernel knows no more capabilities"),
        _ => None,
    }
}

/// What failed before, where this call is a second look at why, or at whether it matters.
fn second_look(cell: &Cell, call: &str) -> Option<(Step, i32)> {
    let is_io_flusher = cell.scenario.options.iter().any(|given| given == "--reset=all")
        && ["openat", "fstatfs", "read"].contains(&call);
    is_io_flusher.then_some((Step::Reset, libc::EPERM))
}

/// The errno that a report may have for this fault.
fn errno_told(call: &str, errno: i32) -> i32 {
    match (call, errno) {
        // dup(2): the target is above the limit.
        ("dup3", libc::EBADF) => libc::EMFILE,
        // The table is said to reach further and further.
        ("pselect6", libc::EBADF) => libc::ERANGE,
        _ => errno,
    }
}

/// What came of it, in a few words; or what was wrong.
pub fn judge(cell: &Cell, came: &Came) -> Result<&'static str, String> {
    let call = crate::name(cell.call);
    let without = &cell.without.came;
    let wrong = |what: &str| Err(format!("{what}:\n{}", came.beside(without)));
    match cell.fault {
        Fault::Stop | Fault::Signal if came == without => Ok("ran the same"),
        Fault::Stop | Fault::Signal => wrong("a signal that is harmless changed something"),
        Fault::Kill => match killed(cell, came) {
            Ok(()) => Ok("killed, no false report"),
            Err(what) => wrong(what),
        },
        Fault::Errno(_) if came == without => Ok("ran the same"),
        Fault::Errno(errno) => {
            if is_answer(cell, &call, errno).is_some() && (came.has_begun() || without.slate.is_none()) {
                return Ok("believed the answer");
            }
            if came.has_begun() {
                return wrong("it ran, but not as without the fault");
            }
            if is_report(cell) && is_report_without(&call, without, came) {
                return Ok("reported as unknown");
            }
            match told(cell, came, &call, errno_told(&call, errno)) {
                Ok(class) => Ok(class),
                Err(what) => wrong(what),
            }
        }
    }
}

/// A process that was killed has not begun a program, nor said so.
fn killed(cell: &Cell, came: &Came) -> Result<(), &'static str> {
    let without = &cell.without.came;
    if came.status != libc::SIGKILL {
        return Err("not ended by the signal");
    }
    if came.has_begun() {
        return Err("a program has begun");
    }
    if !without.records.starts_with(&came.records) || !came.stderr.is_empty() && came.stderr != without.stderr {
        return Err("it told something else than without the fault");
    }
    // Only exec may follow on READY.
    let may_be_ready = cell.scenario.form != Form::Records
        || came.records.is_empty()
        || ["execve", "execveat", "exit_group", "faccessat", "openat", "rt_sigaction", "write"]
            .contains(&&*crate::name(cell.call));
    if may_be_ready { Ok(()) } else { Err("READY before all was done") }
}

fn is_report(cell: &Cell) -> bool {
    cell.scenario.name.contains("--report")
}

/// Whether each line is as without the fault, or has `unknown`, or one thing less.
fn is_report_without(call: &str, without: &Came, came: &Came) -> bool {
    let lines = |came: &Came| String::from_utf8_lossy(&came.before).lines().map(str::to_owned).collect::<Vec<_>>();
    let (without_lines, mut lines) = (lines(without), lines(came));
    if call == "close" {
        // What relay cannot close is open, and is told.
        lines.retain(|line| without_lines.contains(line) || !line.contains(": close-on-exec"));
    }
    let name = |line: &str| line.split_once(':').map(|(name, _)| name.to_owned());
    came.status == without.status
        && came.stderr.is_empty()
        && lines.iter().map(|line| name(line)).eq(without_lines.iter().map(|line| name(line)))
        && lines.iter().zip(&without_lines).all(|(line, without)| {
            let words: BTreeSet<_> = without.split_whitespace().collect();
            line.split_whitespace().all(|word| word == "unknown" || words.contains(word))
        })
}

/// The report of a failure has a step that makes this call, and its errno, and nothing was started.
fn told(cell: &Cell, came: &Came, call: &str, errno: i32) -> Result<&'static str, &'static str> {
    // Or as without the fault, where that failed anyway.
    let failures = steps_of(call).iter().map(|&step| (step, errno)).chain(cell.scenario.failure);
    // What is asked for after an errno changes nothing in that.
    let failures = failures.chain(second_look(cell, call));
    let errno_of = |errno: i32| Errno::new(errno as u32);
    let code = |form: Form, (step, errno): (Step, i32), recorded: bool| {
        let report = match form {
            Form::Message => exec_relay::status::Report::Message(2),
            Form::Records => exec_relay::status::Report::Records(STATUS),
            Form::Attendant => exec_relay::status::Report::Attendant(STATUS),
        };
        i32::from(exit_status::of(report, Failure::new(step, errno_of(errno), 0), recorded)) << 8
    };
    let handshake = if cell.scenario.form == Form::Attendant { 4 } else { 0 };
    // One that cannot write can tell nobody, but for its exit status.
    if call == "write" && came.stderr.is_empty() {
        let is_status = [125, 126, 127].map(|status| status << 8).contains(&came.status);
        // A report that has told a good start is taken back by a signal.
        if is_status || [libc::SIGKILL, libc::SIGSEGV].contains(&came.status) {
            return Ok("did not run, exit status alone");
        }
    }
    for (step, errno) in failures {
        let failure = Failure::new(step, errno_of(errno), 0);
        let by_message = is_message(&came.stderr, step, errno);
        if by_message {
            // READY was told already, so it is taken back by a signal.
            if call == "write" && came.status == libc::SIGKILL {
                return Ok("did not run, message and a signal");
            }
            let forms = [Form::Message, cell.scenario.form];
            if forms.iter().any(|&form| came.status == code(form, (step, errno), false)) {
                return Ok("did not run, message");
            }
        }
        if !came.stderr.is_empty() {
            continue;
        }
        match cell.scenario.form {
            Form::Message => {}
            Form::Records => {
                let all = came.records.as_chunks::<{ Record::SIZE }>();
                let records: Vec<_> = all.0.iter().filter_map(Record::decode).collect();
                let is_after_ready = matches!(step, Step::Exec | Step::Interpreter);
                let failed = match records.as_slice() {
                    [failed] if !is_after_ready => failed,
                    [Record::READY, failed] if is_after_ready => failed,
                    _ => continue,
                };
                let is_it = (failed.step, failed.errno) == (u32::from(step.number()), errno as u32);
                if all.1.is_empty() && is_it && came.status == code(cell.scenario.form, (step, errno), true) {
                    return Ok("did not run, record");
                }
            }
            Form::Attendant => {
                let record = attendant_record(failure);
                if came.records.get(handshake..) == Some(record.as_flattened()) && came.status == 1 << 8 {
                    return Ok("did not run, record");
                }
            }
        }
    }
    Err("neither ran nor told the step with its errno")
}

/// Whether this is the one line that tells of the step and the errno.
fn is_message(stderr: &str, step: Step, errno: i32) -> bool {
    let text = |text: exec_relay::text::Text| text.as_c_str().to_string_lossy().into_owned();
    let words = errno::words(errno as u32).map_or_else(|| format!("errno {errno}"), text);
    let step_text = text(step.text());
    let begin = step_text.split(['@', '#']).next().unwrap_or_default();
    // A bad value is told by how its option is used.
    let is_usage =
        step == Step::Value && Name::all().any(|name| stderr.contains(&format!("use --{}", text(name.text()))));
    stderr.lines().count() == 1
        && stderr.starts_with(&format!("relay: {begin}"))
        && (is_usage || stderr.contains(&format!(": {words}")))
}
