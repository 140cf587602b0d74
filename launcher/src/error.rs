//! What went wrong, so that it can be matched, and told to a user.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use exec_relay::errno;
use exec_relay::status::{self, Step};
use exec_relay::text::Strings;
use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::interpreter::interpreter;
use crate::launch::{Cgroup, Launch};

/// Why a program was not launched. Nothing is left behind, no process, no zombie, no open descriptor, but for what
/// [`Error::Timeout`] and [`Error::Wait`] say.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request contradicts itself or cannot be expressed; nothing was tried.
    Request {
        /// What is wrong with it.
        mistake: String,
    },
    /// A descriptor that was lent for the program is closed here (EBADF); nothing was tried.
    Source {
        /// The descriptor.
        source: i32,
        /// The number that it was to have in the program.
        target: i32,
        /// Why: EBADF, or what a sandbox says to fcntl(2).
        cause: io::Error,
    },
    /// This process lacks what a launch needs: a pipe, a stack, a descriptor (EMFILE).
    Host {
        /// What could not be had.
        what: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// No process could be made: EAGAIN at RLIMIT_NPROC or a cgroup's limit, ENOMEM; see clone(2).
    Process {
        /// The program that was to be started.
        program: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The relay could not be started; its program was not even looked at.
    Relay {
        /// Where the relay is, or nothing for the embedded one.
        relay: Option<PathBuf>,
        /// Why: ENOENT where it is missing, EACCES where it is not executable, EPERM or EACCES where memory cannot be.
        cause: io::Error,
    },
    /// A step failed in the new process, which has ended.
    Step {
        /// The program that was to be started.
        program: PathBuf,
        /// Which one.
        step: Step,
        /// Why.
        cause: io::Error,
        /// What it concerns.
        concern: Concern,
    },
    /// A step failed that this library does not know: the relay is newer. The new process has ended.
    UnknownStep {
        /// The program that was to be started.
        program: PathBuf,
        /// The step's public number, which the README of that relay explains.
        number: u32,
        /// Why.
        cause: io::Error,
        /// What it concerns, as the relay's record has it.
        detail: u32,
    },
    /// The new process ended before the program began: it was killed, or its helper died without a word.
    Killed {
        /// The program that was to be started.
        program: PathBuf,
        /// How it ended; nothing where this process ignores SIGCHLD, so that nobody can tell.
        status: Option<ExitStatus>,
        /// Whether the program may have begun and ended at once: by a signal, or before Linux 6.15 in any way. A relay may
        /// have been killed right before it became the program; where somebody else reaps the dead process, nothing is left
        /// that tells the two apart.
        may_have_begun: bool,
    },
    /// This process shares no memory with a child that it makes, as clone(2) is asked for: it runs under an emulator.
    NotShared {
        /// The program that was to be started.
        program: PathBuf,
    },
    /// The launch took too long. The new process was killed.
    Timeout {
        /// The program that was to be started.
        program: PathBuf,
        /// How long was waited.
        after: Duration,
        /// Whether the process did not die of that within a second, since it is inside a call that the kernel does not
        /// give up, on a disk that hangs. It is left then; a later launch of this process reaps it.
        is_left: bool,
    },
    /// The program was launched, but its output could not be read, or its status is not known: ECHILD where somebody else has
    /// reaped it. Only of [`Launch::output`] and [`Launch::status`]. The program may still run.
    Wait {
        /// The program that was started.
        program: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The relay does not speak this library's protocol: it is something else, or of another version.
    Protocol {
        /// Where the relay is, or nothing for the embedded one.
        relay: Option<PathBuf>,
        /// How it ended, where it did so without a report.
        status: Option<ExitStatus>,
    },
}

/// What a failed step concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Concern {
    /// Nothing in particular.
    Nothing,
    /// The program itself.
    Program,
    /// The interpreter that the program names, where its file could be read.
    Interpreter(Option<PathBuf>),
    /// A directory: the one to change to, or that of a cgroup.
    Directory(PathBuf),
    /// A descriptor, by the number that it has in the program. One of a cgroup's directory, or that the program is executed
    /// by, has the number that it has here.
    Descriptor(i32),
    /// A signal.
    Signal(u32),
    /// A process: the parent. Or a process group; 0 is one of the program's own.
    Process(u32),
    /// A user or a group, by its number.
    Identity(u32),
    /// A resource that has limits.
    Limit {
        /// Its number; see getrlimit(2).
        resource: u32,
        /// Its name, as [`Launch::limit`] takes it; empty for one that this library does not know.
        name: &'static str,
    },
    /// A capability.
    Capability {
        /// Its number.
        number: u32,
        /// Its name without `CAP_`, as capabilities(7) has it; empty for one that this library does not know.
        name: &'static str,
    },
    /// An attribute that was to be reset.
    Attribute {
        /// Its public number: its place among the words of `--reset`.
        number: u32,
        /// Its word, `thp` for one; empty for one that this library does not know.
        name: &'static str,
    },
    /// One of relay's own arguments: an option that it does not know, or does not take so. It is of another version.
    Argument(String),
}

impl Concern {
    fn new(step: Step, detail: u32, launch: &Launch, arguments: Option<Strings>) -> Self {
        let executed = launch.exec_fd.as_ref().map(AsRawFd::as_raw_fd);
        let path = |path: &CString| PathBuf::from(OsStr::from_bytes(path.to_bytes()));
        match (step, executed) {
            (Step::Exec, None) => return Self::Program,
            (Step::Exec, Some(file)) => return Self::Descriptor(file),
            (Step::Interpreter, None) => return Self::Interpreter(interpreter(launch.program())),
            (Step::Interpreter, Some(file)) => {
                let interpreter = interpreter(Path::new(&format!("/proc/self/fd/{file}")));
                let is_there = interpreter.as_ref().is_some_and(|interpreter| interpreter.exists());
                return if is_there { Self::Descriptor(file) } else { Self::Interpreter(interpreter) };
            }
            (Step::Directory, _) => return Self::Directory(launch.directory.as_ref().map(path).unwrap_or_default()),
            (Step::Cgroup, _) => {
                return match &launch.cgroup {
                    Some(Cgroup::Path(directory)) => Self::Directory(path(directory)),
                    _ => Self::Descriptor(detail as i32),
                };
            }
            _ => {}
        }
        let name = || step.concern().name(detail).and_then(|name| name.as_c_str().to_str().ok()).unwrap_or_default();
        match step.concern() {
            status::Concern::Nothing => Self::Nothing,
            status::Concern::Argument => {
                let argument = arguments.and_then(|arguments| arguments.get(detail as usize));
                Self::Argument(argument.map_or_else(String::new, |argument| argument.to_string()))
            }
            status::Concern::Descriptor => Self::Descriptor(detail as i32),
            status::Concern::Signal => Self::Signal(detail),
            status::Concern::Process => Self::Process(detail),
            status::Concern::Identity => Self::Identity(detail),
            status::Concern::Resource => Self::Limit { resource: detail, name: name() },
            status::Concern::Capability => Self::Capability { number: detail, name: name() },
            status::Concern::Attribute => Self::Attribute { number: detail, name: name() },
        }
    }

    /// What stands for `#` in a step's message.
    fn number(&self) -> String {
        match self {
            Self::Descriptor(number) => number.to_string(),
            Self::Signal(number) | Self::Process(number) | Self::Identity(number) => number.to_string(),
            Self::Limit { resource: number, .. } | Self::Capability { number, .. } | Self::Attribute { number, .. } => {
                number.to_string()
            }
            Self::Nothing | Self::Program | Self::Interpreter(_) | Self::Directory(_) | Self::Argument(_) => {
                String::new()
            }
        }
    }

    /// What stands for `@` in a step's message.
    fn name(&self) -> String {
        match self {
            Self::Directory(path) => path.display().to_string(),
            Self::Argument(argument) => argument.clone(),
            // Of a cgroup, which is called by its directory otherwise.
            Self::Descriptor(number) => format!("of descriptor {number}"),
            Self::Limit { name, .. } | Self::Capability { name, .. } | Self::Attribute { name, .. } => {
                // What has no name is called by its number.
                if name.is_empty() { self.number() } else { (*name).to_owned() }
            }
            _ => String::new(),
        }
    }

    /// A step's message about this.
    fn message(&self, step: Step) -> String {
        let message = step.text().as_c_str().to_string_lossy();
        // In this order: what stands for `@` may be any text.
        message.replace('#', &self.number()).replace('@', &self.name())
    }
}

impl Error {
    /// The step that failed, where it was one of the new process.
    pub fn step(&self) -> Option<Step> {
        if let Self::Step { step, .. } = self { Some(*step) } else { None }
    }

    /// The errno, where one tells why.
    pub fn errno(&self) -> Option<i32> {
        self.cause()?.raw_os_error()
    }

    /// What kind of error it is for [`io::Error`]: by the errno where one tells why; else `InvalidInput` for a mistake in the
    /// request, `TimedOut`, `InvalidData` for something that is no relay, `Other`.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Request { .. } => io::ErrorKind::InvalidInput,
            Self::Timeout { .. } => io::ErrorKind::TimedOut,
            Self::Protocol { .. } => io::ErrorKind::InvalidData,
            _ => self.cause().map_or(io::ErrorKind::Other, io::Error::kind),
        }
    }

    /// What a launch needs could not be had.
    pub(crate) fn host(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Host { what, cause }
    }

    /// No child could be made.
    pub(crate) fn of_spawn(program: PathBuf, what: &'static str, cause: io::Error) -> Self {
        match cause.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOMEM) if what == PROCESS => Self::Process { program, cause },
            _ => Self::Host { what, cause },
        }
    }

    fn cause(&self) -> Option<&io::Error> {
        match self {
            Self::Source { cause, .. }
            | Self::Host { cause, .. }
            | Self::Process { cause, .. }
            | Self::Relay { cause, .. }
            | Self::Step { cause, .. }
            | Self::Wait { cause, .. }
            | Self::UnknownStep { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// A step's failure, from the numbers of the record of a relay that was started with `arguments`.
    pub(crate) fn of_record(launch: &Launch, arguments: Option<Strings>, [number, errno, detail]: [u32; 3]) -> Self {
        // No errno tells of a mistake; whoever looks for one is not to find that all went well.
        let errno = if errno == 0 { libc::EINVAL } else { errno as i32 };
        let cause = io::Error::from_raw_os_error(errno);
        let program = launch.program().to_owned();
        match Step::from_number(number) {
            Some(step) => {
                let concern = Concern::new(step, detail, launch, arguments);
                Self::Step { program, step, cause, concern }
            }
            None => Self::UnknownStep { program, number, cause, detail },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let relay = |relay: &Option<PathBuf>| match relay {
            Some(path) => format!("the relay {}", path.display()),
            None => "the embedded relay".to_owned(),
        };
        match self {
            Self::Request { mistake } => write!(out, "cannot launch: {mistake}"),
            Self::Source { source, target, cause } => {
                let reason = reason(cause);
                write!(
                    out,
                    "cannot launch: descriptor {source}, to be the program's {target}, is closed here: {reason}"
                )
            }
            Self::Host { what, cause } => write!(out, "cannot launch: {what} cannot be had: {}", reason(cause)),
            Self::Process { program, cause } => {
                write!(out, "cannot start {}: no new process: {}", program.display(), reason(cause))
            }
            Self::Relay { relay: path, cause } => {
                write!(out, "{} cannot be run: {}", relay(path), reason(cause))?;
                if path.is_none() {
                    write!(
                        out,
                        "; it needs /proc, and files in memory that can be executed (vm.memfd_noexec): where \
                        those cannot be had, use Vehicle::RelayAt with the path of a relay, or Vehicle::InPlace"
                    )?;
                }
                Ok(())
            }
            Self::Step { program, step, cause, concern } => {
                write!(out, "cannot start {}: ", program.display())?;
                match (step, concern) {
                    (Step::Interpreter, Concern::Interpreter(Some(path))) => {
                        write!(out, "the interpreter {} it names is missing", path.display())
                    }
                    (Step::Interpreter, Concern::Descriptor(number)) => {
                        write!(
                            out,
                            "its interpreter cannot open it: a script needs /proc, and descriptor {number} kept open under \
                             this number: {}",
                            reason(cause)
                        )
                    }
                    (Step::Interpreter, _) => write!(out, "the interpreter it names is missing"),
                    // One that is executed by its descriptor may not be what is at a path.
                    (Step::Exec, Concern::Descriptor(_)) => write!(out, "{}", reason(cause)),
                    (Step::Exec, _) => {
                        let denied = cause.raw_os_error() == Some(libc::EACCES);
                        let why = if denied { why_denied(program) } else { None };
                        write!(out, "{}", reason(cause))?;
                        why.map_or(Ok(()), |why| write!(out, ": {why}"))
                    }
                    (_, Concern::Argument(_)) => {
                        write!(out, "the relay is of another version: {}", concern.message(*step))
                    }
                    // No errno tells of it.
                    (Step::RootKept, _) => write!(out, "{}", concern.message(*step)),
                    _ => write!(out, "{}: {}", concern.message(*step), reason(cause)),
                }
            }
            Self::UnknownStep { program, number, cause, detail } => {
                let program = program.display();
                write!(out, "cannot start {program}: step {number} of relay failed ({detail}): {}", reason(cause))
            }
            Self::Killed { program, status, may_have_begun } => {
                let program = program.display();
                if *may_have_begun {
                    write!(out, "cannot tell whether {program} began: its process was gone at once")?;
                } else {
                    write!(out, "cannot start {program}: its process was gone before the program began")?;
                }
                status.map_or(Ok(()), |status| write!(out, " ({status})"))
            }
            Self::NotShared { program } => {
                write!(
                    out,
                    "cannot start {} in place: this process shares no memory with its children, as under valgrind or \
                     qemu-user: use Vehicle::Relay or Vehicle::RelayAt",
                    program.display()
                )
            }
            Self::Timeout { program, after, is_left } => {
                write!(out, "cannot start {}: it has not begun after {} ms", program.display(), after.as_millis())?;
                if *is_left { write!(out, ", and its process was killed but is not dead yet") } else { Ok(()) }
            }
            Self::Wait { program, cause } => {
                write!(
                    out,
                    "{} was started, but its output or end cannot be told: {}",
                    program.display(),
                    reason(cause)
                )
            }
            Self::Protocol { relay: path, status: Some(status) } => {
                write!(out, "{} ended without a report ({status}): it is no relay, or cannot report", relay(path))
            }
            Self::Protocol { relay: path, status: None } => {
                write!(out, "{} answers in another protocol: it is of another version, or no relay", relay(path))
            }
        }
    }
}

/// What is missing where clone(2) fails.
pub(crate) const PROCESS: &str = "a process";

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|cause| cause as _)
    }
}

/// With the errno where one tells why, and otherwise with the whole error. An [`io::Error`] carries either an errno or a text,
/// and what has an errno from [`std::process::Command`] is to have it from here too: `raw_os_error()` and `kind()` are right,
/// and the sentence, which names the step and the file, is lost. Who wants that tells it before, or keeps the error whole:
///
/// ```
/// # use exec_relay_launcher::Launch;
/// use std::io;
///
/// let error = Launch::new("/no/such/program").launch().expect_err("it is missing");
/// assert_eq!(error.kind(), io::ErrorKind::NotFound);
/// let with_text = io::Error::new(error.kind(), error);
/// assert_eq!(with_text.to_string(), "cannot start /no/such/program: no such file (ENOENT)");
///
/// let error = Launch::new("/no/such/program").launch().expect_err("it is missing");
/// let with_errno = io::Error::from(error);
/// assert_eq!(with_errno.raw_os_error(), Some(2));
/// ```
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error.errno() {
            Some(errno) => Self::from_raw_os_error(errno),
            None => Self::new(error.kind(), error),
        }
    }
}

/// Which of the things that EACCES stands for it is, where one more look tells; see execve(2).
fn why_denied(program: &Path) -> Option<&'static str> {
    let metadata = program.metadata().ok()?;
    if metadata.is_dir() {
        Some("a directory")
    } else if metadata.permissions().mode() & 0o111 == 0 {
        Some("not marked executable")
    } else if statvfs(program).ok()?.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        Some("mounted with noexec")
    } else {
        None
    }
}

/// An errno in words and by its name, as relay's own messages have it.
fn reason(cause: &io::Error) -> String {
    let errno = cause.raw_os_error().unwrap_or(0) as u32;
    match errno::words(errno) {
        Some(words) => words.as_c_str().to_string_lossy().into_owned(),
        None => cause.to_string(),
    }
}
