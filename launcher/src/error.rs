//! What went wrong, so that it can be matched, and told to a user.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use exec_relay::status;
use exec_relay::words;

/// Why a program was not launched. Nothing is left behind: no process, no zombie, no open descriptor.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request contradicts itself or cannot be expressed; nothing was tried.
    Request {
        /// What is wrong with it.
        mistake: String,
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
    /// The new process ended before the program began: it was killed, or its helper died without a word.
    Killed {
        /// The program that was to be started.
        program: PathBuf,
        /// How it ended; nothing where this process ignores SIGCHLD, so that nobody can tell.
        status: Option<ExitStatus>,
    },
    /// The launch took too long. The new process was killed.
    Timeout {
        /// The program that was to be started.
        program: PathBuf,
        /// How long was waited.
        after: Duration,
    },
    /// The relay does not speak this library's protocol: it is something else, or of another version.
    Protocol {
        /// Where the relay is, or nothing for the embedded one.
        relay: Option<PathBuf>,
    },
}

/// What the new process was at. The order is that in which the steps are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Marking all other descriptors close-on-exec.
    Descriptors,
    /// Giving a descriptor its number.
    Rename,
    /// Setting RLIMIT_NOFILE.
    Nofile,
    /// Beginning a session.
    Session,
    /// Taking a controlling terminal.
    Terminal,
    /// Changing the directory.
    Directory,
    /// Asking to die with the parent.
    Parent,
    /// Giving up new privileges.
    NewPrivileges,
    /// Setting the out-of-memory score.
    OomScore,
    /// Disarming the interval timers.
    Timers,
    /// Setting a signal's disposition.
    Dispositions,
    /// Setting the mask of blocked signals.
    Mask,
    /// Becoming the program.
    Exec,
    /// Becoming the program, which is there, while the interpreter that it names is not.
    Interpreter,
    /// Another step of relay's, by its public number: one that this library does not ask for.
    Other(u32),
}

/// Step, relay's step, and the words for a failure.
const STEPS: [(Step, status::Step, &str); 14] = [
    (Step::Descriptors, status::Step::DESCRIPTORS, "marking descriptors close-on-exec failed"),
    (Step::Rename, status::Step::RENAME, "giving a descriptor its number failed"),
    (Step::Nofile, status::Step::NOFILE, "setting the limit of descriptors failed"),
    (Step::Session, status::Step::SESSION, "beginning a session failed"),
    (Step::Terminal, status::Step::TERMINAL, "taking a controlling terminal failed"),
    (Step::Directory, status::Step::DIRECTORY, "changing the directory failed"),
    (Step::Parent, status::Step::PARENT, "asking to die with the parent failed"),
    (Step::NewPrivileges, status::Step::NEW_PRIVILEGES, "giving up new privileges failed"),
    (Step::OomScore, status::Step::OOM_SCORE, "setting the out-of-memory score failed"),
    (Step::Timers, status::Step::TIMERS, "disarming timers failed"),
    (Step::Dispositions, status::Step::DISPOSITIONS, "setting a signal's disposition failed"),
    (Step::Mask, status::Step::MASK, "setting the signal mask failed"),
    (Step::Exec, status::Step::EXEC, ""),
    (Step::Interpreter, status::Step::INTERPRETER, ""),
];

impl Step {
    /// The step with this public number of relay's.
    pub fn from_number(number: u32) -> Self {
        let found = STEPS.iter().find(|(_, step, _)| u32::from(step.number()) == number);
        found.map_or(Self::Other(number), |&(step, ..)| step)
    }

    /// Its public number, as relay's records have it.
    pub fn number(self) -> u32 {
        match self {
            Self::Other(number) => number,
            _ => self.row().map_or(0, |(_, step, _)| step.number().into()),
        }
    }

    fn row(self) -> Option<&'static (Self, status::Step, &'static str)> {
        STEPS.iter().find(|(step, ..)| *step == self)
    }
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
    /// The directory to change to.
    Directory(PathBuf),
    /// A descriptor, by the number that it has in the program.
    Descriptor(i32),
    /// A signal.
    Signal(u32),
    /// A process: the parent.
    Process(u32),
    /// Whatever the relay's record says.
    Detail(u32),
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

    fn cause(&self) -> Option<&io::Error> {
        match self {
            Self::Host { cause, .. }
            | Self::Process { cause, .. }
            | Self::Relay { cause, .. }
            | Self::Step { cause, .. } => Some(cause),
            _ => None,
        }
    }

    /// A step's failure, from the numbers of relay's record.
    pub(crate) fn of_step(program: &Path, directory: Option<PathBuf>, step: u32, errno: u32, detail: u32) -> Self {
        let step = Step::from_number(step);
        let concern = match step {
            Step::Exec => Concern::Program,
            Step::Interpreter => Concern::Interpreter(interpreter(program)),
            Step::Directory => Concern::Directory(directory.unwrap_or_default()),
            Step::Rename | Step::Terminal => Concern::Descriptor(detail as i32),
            Step::Dispositions => Concern::Signal(detail),
            Step::Parent => Concern::Process(detail),
            Step::Other(_) => Concern::Detail(detail),
            _ => Concern::Nothing,
        };
        Self::Step { program: program.to_owned(), step, cause: io::Error::from_raw_os_error(errno as i32), concern }
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
                        return write!(out, "the interpreter {} it names is missing", path.display());
                    }
                    (Step::Interpreter, _) => return write!(out, "the interpreter it names is missing"),
                    (Step::Exec, _) => {}
                    (Step::Other(number), _) => write!(out, "step {number} of relay failed")?,
                    _ => write!(out, "{}", step.row().map_or("", |row| row.2))?,
                }
                match concern {
                    Concern::Directory(path) => write!(out, " ({})", path.display())?,
                    Concern::Descriptor(number) => write!(out, " (descriptor {number})")?,
                    Concern::Signal(number) => write!(out, " (signal {number})")?,
                    Concern::Process(number) => write!(out, " (process {number})")?,
                    Concern::Detail(number) => write!(out, " ({number})")?,
                    _ => {}
                }
                let separator = if *step == Step::Exec { "" } else { ": " };
                write!(out, "{separator}{}", reason(cause))
            }
            Self::Killed { program, status } => {
                write!(out, "cannot start {}: its process was gone before the program began", program.display())?;
                status.map_or(Ok(()), |status| write!(out, " ({status})"))
            }
            Self::Timeout { program, after } => {
                write!(out, "cannot start {}: it has not begun after {} ms", program.display(), after.as_millis())
            }
            Self::Protocol { relay: path } => {
                write!(out, "{} answers in another protocol: it is of another version, or no relay", relay(path))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|cause| cause as _)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Request { .. } => io::ErrorKind::InvalidInput,
            Error::Timeout { .. } => io::ErrorKind::TimedOut,
            Error::Protocol { .. } => io::ErrorKind::InvalidData,
            _ => error.cause().map_or(io::ErrorKind::Other, io::Error::kind),
        };
        Self::new(kind, error)
    }
}

/// An errno in words and by its name, as relay's own messages have it.
fn reason(cause: &io::Error) -> String {
    let errno = cause.raw_os_error().unwrap_or(0) as u32;
    match words::errno_place(errno) {
        Some(place) => words::text_at(words::ERRNOS.as_bytes(), place).as_c_str().to_string_lossy().into_owned(),
        None => cause.to_string(),
    }
}

/// The interpreter that a script or an ELF file names; see execve(2), elf(5).
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut file = File::open(program).ok()?;
    let mut start = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut start).ok()?;
    let name = if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|&byte| byte == b'\n').next()?.trim_ascii();
        line.split(u8::is_ascii_whitespace).next()?.to_vec()
    } else {
        let segment = elf_interpreter(&start)?;
        file.seek(SeekFrom::Start(segment.0)).ok()?;
        let mut name = Vec::new();
        file.take(segment.1.min(4096)).read_to_end(&mut name).ok()?;
        name.split(|&byte| byte == 0).next()?.to_vec()
    };
    Some(PathBuf::from(OsString::from_vec(name)))
}

/// Offset and size of the name of an ELF file's interpreter, in the byte order of this machine, whose files it runs.
fn elf_interpreter(start: &[u8]) -> Option<(u64, u64)> {
    const INTERPRETER_SEGMENT: u32 = 3;
    let wide = match start.get(..5)? {
        b"\x7fELF\x02" => true,
        b"\x7fELF\x01" => false,
        _ => return None,
    };
    let half = |at: usize| Some(u16::from_ne_bytes(start.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_ne_bytes(start.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_ne_bytes(start.get(at..at + 8)?.try_into().ok()?));
    let address = |narrow: usize, at: usize| if wide { long(at) } else { word(narrow).map(u64::from) };
    let table = usize::try_from(address(28, 32)?).ok()?;
    let (size, count) = if wide { (half(54)?, half(56)?) } else { (half(42)?, half(44)?) };
    for index in 0..usize::from(count) {
        let segment = table.checked_add(index * usize::from(size))?;
        if word(segment)? == INTERPRETER_SEGMENT {
            return Some((address(segment + 4, segment + 8)?, address(segment + 16, segment + 32)?));
        }
    }
    None
}
