//! The ways to launch, and what comes of each.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use exec_relay::errno::Errno;
use exec_relay::status::{Concern, Failure, Record, Report, Step, exit_status};
use exec_relay_launcher::{self as launcher, Error, Vehicle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use crate::descriptors::{Identity, all_open, identity};
use crate::host::{Host, Kind, fifo};
use crate::judge::OUTCOME;
use crate::line::Line;
use crate::process;
use crate::request::Request;

/// How long a launch may take, and a program to tell what it sees.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A way to launch.
pub enum Way {
    Launcher(Vehicle),
    /// relay's own command line.
    Line,
}

/// All of them. The others are compared with the first.
pub fn all(host: &Host) -> [Way; 4] {
    let relay = Vehicle::RelayAt(host.task.relay.clone());
    [Way::Launcher(Vehicle::InPlace), Way::Launcher(Vehicle::Relay), Way::Launcher(relay), Way::Line]
}

/// What came of a launch.
#[derive(Clone, Debug)]
pub struct Launched {
    pub outcome: Outcome,
    /// What must never be, whatever else came of it.
    pub faults: Vec<String>,
}

/// How a launch ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The program ran.
    Ran(Seen),
    /// The request was called a mistake, before anything was tried.
    Refused(String),
    Failed {
        step: Option<Step>,
        errno: Option<i32>,
        /// The descriptor, signal, process, or whatever else has a number, that it concerns.
        number: Option<u32>,
        text: String,
    },
    /// In no way that can be: it hangs, or something talks nonsense.
    Wrong(String),
}

/// A program ran, in a few words.
pub const RAN: &str = "the program ran";

/// What a program saw.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Each part of the slate that the probe prints, by its name, in a form that can be compared.
    pub slate: BTreeMap<String, Value>,
    /// What /proc told of it.
    pub process: BTreeMap<String, String>,
    /// How it ended, where the host can know.
    pub status: Option<String>,
}

impl Way {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Launcher(Vehicle::InPlace) => "InPlace",
            Self::Launcher(Vehicle::Relay) => "Relay",
            Self::Launcher(_) => "RelayAt",
            Self::Line => "command line",
        }
    }

    pub fn is_line(&self) -> bool {
        matches!(self, Self::Line)
    }

    /// Launches. Nothing where the request cannot be said in this way.
    pub fn run(&self, host: &Host, request: &Request) -> Option<Launched> {
        let terminal = host.source(Kind::Terminal);
        if request.renames().iter().any(|(_, from)| *from == terminal) || request.kept().contains(&terminal) {
            host.renew_terminal();
        }
        let (before, mut faults) = (all_open(), Vec::new());
        let outcome = match self {
            Self::Launcher(vehicle) => Some(launch(host, request, vehicle.clone(), &mut faults)),
            Self::Line => start(host, request),
        };
        let after = all_open();
        if before != after {
            let changed: Vec<_> = after.symmetric_difference(&before).collect();
            faults.push(format!("descriptors were left open, or closed: {changed:?}"));
        }
        Some(Launched { outcome: outcome?, faults })
    }
}

/// By the launcher.
fn launch(host: &Host, request: &Request, vehicle: Vehicle, faults: &mut Vec<String>) -> Outcome {
    let launch = request.launch(host, vehicle);
    let (launched, has_strayed) = host.in_rain(|| launch.launch());
    if has_strayed {
        faults.push("a handler of the host's ran in the new process, on the host's memory".to_owned());
    }
    let mut child = match launched {
        Ok(child) => child,
        Err(error) => return failed(&error),
    };
    let ends = [
        (0, child.stdin.as_ref().map(AsRawFd::as_raw_fd)),
        (1, child.stdout.as_ref().map(AsRawFd::as_raw_fd)),
        (2, child.stderr.as_ref().map(AsRawFd::as_raw_fd)),
    ];
    let pulse = child.pulse().map(|pulse| pulse.as_raw_fd());
    let pipes = names_of_pipes(
        ends.into_iter().filter_map(|(number, end)| Some((Some(number), end?))).chain(pulse.map(|end| (None, end))),
    );
    let id = child.id() as i32;
    let stdout = child.stdout.take();
    let watched = watch(host, id, Some(child.pidfd()), stdout.as_ref().map(AsFd::as_fd));
    let Ok((printed, process)) = watched else {
        let _ = child.kill();
        let _ = child.wait();
        return Outcome::Wrong("the program hangs".to_owned());
    };
    let status = child.wait();
    ran(host, id, &printed, process, &pipes, status.ok())
}

/// By relay's command line.
fn start(host: &Host, request: &Request) -> Option<Outcome> {
    let mut line = Line::new(request, host).expect("descriptors for the command line")?;
    let id = line.start(host);
    // Where the host ignores its children one may be gone by now.
    let pidfd = pidfd_open(Pid::from_raw(id).expect("a number"), PidfdFlags::empty()).ok();
    let mut records = Vec::new();
    let mut status_pipe = File::from(line.status.try_clone().expect("a copy"));
    let outcome = match read_until(&mut status_pipe, None, &mut records) {
        Err(_) => Err(Outcome::Wrong("relay hangs".to_owned())),
        Ok(()) => recorded(&records),
    };
    drop(status_pipe);
    let pulse = |number: RawFd| (number > 2).then_some(());
    let pipes = names_of_pipes(
        line.pipes.iter().map(|(&number, end)| (pulse(number).map_or(Some(number), |()| None), end.as_raw_fd())),
    );
    let output = line.pipes.get(&1).filter(|_| line.has_output).map(AsFd::as_fd);
    let watched = outcome.and_then(|failure| match failure {
        Some(failure) => Ok(Err(failure)),
        None => match watch(host, id, pidfd.as_ref().map(AsFd::as_fd), output) {
            Ok(watched) => Ok(Ok(watched)),
            Err(_) => Err(Outcome::Wrong("the program hangs".to_owned())),
        },
    });
    if watched.is_err() {
        // SAFETY: touches no memory. The child is not reaped: it hangs.
        unsafe { libc::kill(id, libc::SIGKILL) };
    }
    let status = wait(id);
    Some(match watched {
        Err(wrong) => wrong,
        Ok(Ok((printed, process))) => ran(host, id, &printed, process, &pipes, status),
        Ok(Err(failure)) => {
            let expected = exit_status::of(Report::Records(0), failure, true);
            match status {
                Some(status) if !host.ignores_children() && status.code() != Some(expected.into()) => {
                    Outcome::Wrong(format!("{failure:?}, but {status}"))
                }
                _ => of_record(failure),
            }
        }
    })
}

/// Waits for a child; nothing where the kernel has reaped it.
fn wait(id: i32) -> Option<ExitStatus> {
    let mut status = 0;
    loop {
        // SAFETY: writes one int.
        match unsafe { libc::waitpid(id, &raw mut status, 0) } {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return None,
            _ => return Some(ExitStatus::from_raw(status)),
        }
    }
}

/// What relay's records say: the failure, where it is one.
fn recorded(bytes: &[u8]) -> Result<Option<Failure>, Outcome> {
    let wrong = || Outcome::Wrong(format!("relay's records are {bytes:?}"));
    let (records, []) = bytes.as_chunks::<{ Record::SIZE }>() else { return Err(wrong()) };
    let records: Option<Vec<_>> = records.iter().map(Record::decode).collect();
    let failure = match *records.ok_or_else(wrong)?.as_slice() {
        [Record::READY] => return Ok(None),
        [record] | [Record::READY, record] => record,
        _ => return Err(wrong()),
    };
    let step = Step::from_number(failure.step).ok_or_else(wrong)?;
    Ok(Some(match failure.errno {
        0 => Failure::without_errno(step, failure.detail),
        errno => Failure::new(step, Errno::new(errno), failure.detail),
    }))
}

fn of_record(failure: Failure) -> Outcome {
    let (step, errno) = (failure.step(), failure.errno());
    let number = match step.concern() {
        Concern::Descriptor
        | Concern::Signal
        | Concern::Process
        | Concern::Identity
        | Concern::Resource
        | Concern::Capability
        | Concern::Attribute => Some(failure.detail),
        Concern::Nothing | Concern::Argument => None,
    };
    let text = step.text().as_c_str().to_string_lossy().into_owned();
    match step {
        // The launcher says these in its own words.
        Step::UnknownOption
        | Step::ValueMissing
        | Step::ValueUnexpected
        | Step::Value
        | Step::SignalFixed
        | Step::ProgramMissing
        | Step::ProgramNotAbsolute
            if errno != libc::EBADF as u32 =>
        {
            Outcome::Refused(format!("{text} ({errno})"))
        }
        _ => Outcome::Failed { step: Some(step), errno: Some(errno as i32), number, text },
    }
}

fn failed(error: &Error) -> Outcome {
    if let Error::Request { mistake } = error {
        return Outcome::Refused(mistake.clone());
    }
    let number = match error {
        Error::Step { concern, .. } => match *concern {
            launcher::Concern::Descriptor(number) => Some(number as u32),
            launcher::Concern::Signal(number)
            | launcher::Concern::Process(number)
            | launcher::Concern::Identity(number)
            | launcher::Concern::Limit { resource: number, .. }
            | launcher::Concern::Capability { number, .. }
            | launcher::Concern::Attribute { number, .. } => Some(number),
            _ => None,
        },
        _ => None,
    };
    // A descriptor that is lent and closed: relay calls that a bad value, and has no step of its own for it.
    let is_source = !matches!(error, Error::Step { .. } | Error::Relay { .. }) && error.errno() == Some(libc::EBADF);
    let step = if is_source { Some(Step::Value) } else { error.step() };
    Outcome::Failed { step, errno: error.errno(), number, text: error.to_string() }
}

/// What the pipes are called, by what they are. Nothing in the place of the number is the pulse.
fn names_of_pipes(ends: impl Iterator<Item = (Option<RawFd>, RawFd)>) -> BTreeMap<Identity, String> {
    ends.filter_map(|(number, end)| {
        let name = number.map_or("the pulse".to_owned(), |number| format!("the pipe of {number}"));
        Some((identity(end)?, name))
    })
    .collect()
}

/// Lets the program tell what it sees, and waits for its end. What it printed, and what /proc told of it before.
fn watch(
    host: &Host,
    id: i32,
    pidfd: Option<BorrowedFd>,
    output: Option<BorrowedFd>,
) -> io::Result<(Vec<u8>, BTreeMap<String, String>)> {
    let (mut printed, mut process) = (Vec::new(), BTreeMap::new());
    if process::is_waiting(id, Instant::now() + PATIENCE) {
        process = process::facts(id);
    }
    let mut fifo = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(fifo(&host.task.directory))?;
    read_until(&mut fifo, pidfd, &mut printed)?;
    // A program that cannot open another descriptor says it there.
    if printed.is_empty()
        && let Some(output) = output
    {
        let mut output = File::from(output.try_clone_to_owned()?);
        read_until(&mut output, None, &mut printed)?;
    }
    Ok((printed, process))
}

/// Reads until the end: of the file, or with `pidfd` of that process.
fn read_until(file: &mut File, pidfd: Option<BorrowedFd>, to: &mut Vec<u8>) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let (mut is_at_end, mut is_over) = (false, pidfd.is_none());
    while !is_at_end || !is_over {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut entries = Vec::new();
        if !is_at_end {
            entries.push(PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN));
        }
        if let Some(pidfd) = pidfd.filter(|_| !is_over) {
            entries.push(PollFd::from_borrowed_fd(pidfd, PollFlags::IN));
        }
        match poll(&mut entries, Some(&Timespec::try_from(left).expect("a short time"))) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        let ready: Vec<_> = entries.iter().map(|entry| !entry.revents().is_empty()).collect();
        drop(entries);
        if !is_over && ready.last() == Some(&true) {
            // All that it wrote is there by now.
            (is_over, is_at_end) = (true, true);
            while let Some(1..) = read_some(file, to)? {}
        } else if !is_at_end && ready.first() == Some(&true) {
            is_at_end = read_some(file, to)? == Some(0);
        }
    }
    Ok(())
}

/// Reads what is there, and tells how much; nothing where it must be tried again.
fn read_some(file: &mut File, to: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let mut buffer = [0; 16_384];
    match file.read(&mut buffer) {
        Ok(length) => {
            to.extend_from_slice(&buffer[..length]);
            Ok(Some(length))
        }
        Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A program ran and has printed this.
fn ran(
    host: &Host,
    id: i32,
    printed: &[u8],
    process: BTreeMap<String, String>,
    pipes: &BTreeMap<Identity, String>,
    status: Option<ExitStatus>,
) -> Outcome {
    let slate = match printed {
        [] => BTreeMap::new(),
        _ => match serde_json::from_slice(printed) {
            Ok(slate) => slate,
            Err(error) => return Outcome::Wrong(format!("{error}: {}", String::from_utf8_lossy(printed))),
        },
    };
    let mut seen = Seen { slate, process, status: status.map(|status| status.to_string()) };
    if host.ignores_children() {
        seen.status = None;
    }
    if let Err(missing) = compare_by_nature(&mut seen.slate, host, id, pipes) {
        return Outcome::Wrong(format!("the slate has no {missing}"));
    }
    Outcome::Ran(seen)
}

/// Puts what differs from process to process into words that do not.
///
/// Nothing is left out. The program's own number is told as such, as its identifier, its session, its group and
/// LISTEN_PID. A file that the host knows is told by its name, and so are pipes and terminals, of which each launch has
/// new ones, and a session keyring that is not the host's. A signal that rains may be pending or not.
fn compare_by_nature(
    slate: &mut BTreeMap<String, Value>,
    host: &Host,
    id: i32,
    pipes: &BTreeMap<Identity, String>,
) -> Result<(), &'static str> {
    if slate.is_empty() {
        return Ok(());
    }
    for name in ["pid", "session", "group"] {
        let value = slate.get_mut(name).ok_or(name)?;
        if value.as_i64() == Some(id.into()) {
            *value = "its own".into();
        }
    }
    let keyring = slate.get_mut("keyring").ok_or("keyring")?;
    if keyring.as_i64().is_some_and(|serial| serial > 0 && serial != session_keyring()) {
        *keyring = "a new one".into();
    }
    let own = format!("LISTEN_PID={id}");
    for variable in slate.get_mut("environment").and_then(Value::as_array_mut).ok_or("environment")? {
        if variable.as_str() == Some(&own) {
            *variable = "LISTEN_PID=its own".into();
        }
    }
    if let Some(rain) = host.rain() {
        let pending = slate.get_mut("pending").and_then(Value::as_array_mut).ok_or("pending")?;
        pending.retain(|signal| signal.as_i64() != Some(rain.into()));
    }
    for descriptor in slate.get_mut("descriptors").and_then(Value::as_array_mut).ok_or("descriptors")? {
        let number = |value: &Value| value.as_u64();
        let parts = (number(&descriptor["device"][0]), number(&descriptor["device"][1]), number(&descriptor["inode"]));
        let (Some(major), Some(minor), Some(inode)) = parts else { return Err("device and inode") };
        let identity = (major, minor, inode);
        let name = pipes.get(&identity).cloned().unwrap_or_else(|| host.name_of(identity));
        let fields = descriptor.as_object_mut().ok_or("descriptor")?;
        fields.retain(|name, _| !["device", "inode"].contains(&name.as_str()));
        fields.insert("file".to_owned(), name.into());
    }
    Ok(())
}

/// The serial number of the host's own session keyring.
fn session_keyring() -> i64 {
    const SESSION: i32 = -3;
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_GET_KEYRING_ID, SESSION, 0) }
}

impl Outcome {
    /// What can be compared, by its name. relay's own command line tells an error in other words than the launcher.
    pub fn facts(&self, is_line: bool) -> BTreeMap<String, Value> {
        let mut facts = BTreeMap::from([(OUTCOME.to_owned(), self.short().into())]);
        let mut add = |name: &str, value: Value| _ = facts.insert(name.to_owned(), value);
        match self {
            Self::Ran(Seen { slate, process, status }) => {
                slate.iter().for_each(|(name, value)| add(name, value.clone()));
                process.iter().for_each(|(name, value)| add(&format!("/proc {name}"), value.clone().into()));
                add("exit status", status.clone().into());
            }
            Self::Refused(mistake) if !is_line => add("message", mistake.clone().into()),
            Self::Failed { number, text, .. } => {
                add("what the error concerns", (*number).into());
                if !is_line {
                    add("message", text.clone().into());
                }
            }
            Self::Refused(_) | Self::Wrong(_) => {}
        }
        facts
    }

    /// Whether the program was not started, and that was told.
    pub fn has_failed(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Failed { .. })
    }

    /// In a few words, the same for all of its kind.
    pub fn short(&self) -> String {
        match self {
            Self::Ran(seen) if seen.slate.is_empty() => "the program ran and said nothing".to_owned(),
            Self::Ran(_) => RAN.to_owned(),
            Self::Refused(_) => "a mistake in the request".to_owned(),
            Self::Failed { step: None, errno, text, .. } => {
                // Without paths and numbers.
                let is_plain =
                    |word: &&str| !word.contains(|letter: char| "/(".contains(letter) || letter.is_ascii_digit());
                let words: Vec<_> = text.split_whitespace().filter(is_plain).collect();
                format!("{} ({})", words.join(" "), errno.unwrap_or(0))
            }
            Self::Failed { step: Some(step), errno, .. } => format!("{step:?} failed ({})", errno.unwrap_or(0)),
            Self::Wrong(what) => what.chars().filter(|character| !character.is_ascii_digit()).take(100).collect(),
        }
    }
}

impl Launched {
    /// What can be compared, by its name.
    pub fn facts(&self, is_line: bool) -> BTreeMap<String, Value> {
        let mut facts = self.outcome.facts(is_line);
        facts.insert("faults".to_owned(), self.faults.clone().into());
        facts
    }

    /// Whether it must never be, even where all ways come to it.
    pub fn is_wrong(&self) -> bool {
        matches!(self.outcome, Outcome::Wrong(_)) || !self.faults.is_empty()
    }
}

impl fmt::Display for Launched {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.outcome.fmt(out)?;
        self.faults.iter().try_for_each(|fault| write!(out, "; {fault}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Ran(Seen { slate, status, .. }) => {
                write!(out, "the program ran ({})", status.as_deref().unwrap_or("its status is unknown"))?;
                slate.iter().try_for_each(|(name, value)| write!(out, "\n    {name}: {value}"))
            }
            Self::Refused(mistake) => write!(out, "a mistake in the request: {mistake}"),
            Self::Failed { step, errno, number, text } => {
                write!(out, "failed: step {step:?}, errno {errno:?}, concerns {number:?}: {text}")
            }
            Self::Wrong(what) => out.write_str(what),
        }
    }
}
