//! What the relay is asked to do: arguments to a checked [`Request`].
//!
//! Arguments are an allegation until they are checked, and all of them are read and checked before anything is
//! changed. Only a request that was read without a mistake reaches the steps.

use core::ffi::CStr;

use linux_raw_sys::errno::{EINVAL, EOPNOTSUPP};

use crate::fd_plan::{self, FdPlan};
use crate::options::{self, Arguments, Given, Value, decimal};
use crate::signal::SignalSet;
use crate::status::{Failure, Report, Step};
use crate::sys::{Descriptor, Errno, Strings, Text};

/// A request to become a program, or to print something. It is read in place, since it is large.
#[derive(Clone)]
#[repr(C, align(8))]
pub struct Request<'a> {
    /// The program, an absolute path.
    pub program: &'a CStr,
    /// What is still to be read; once all is, the program and its arguments.
    pub arguments: Arguments<'a>,
    /// What to do.
    pub action: Action,
    /// Whether to begin a session.
    pub session: bool,
    /// Whether execve is to grant no privileges any more.
    pub no_new_privileges: bool,
    /// Where to report. Known even of a request that could not be read whole, so that this can be reported there.
    pub report: Report,
    /// Whether to disarm interval timers. A child has none before its first exec: it inherits none (setitimer(2)).
    pub timers: bool,
    /// The signals that the program starts with ignored.
    pub ignored: SignalSet,
    /// The signals that are left ignored where they are.
    pub keep_ignored: SignalSet,
    /// The signals that the program starts with blocked.
    pub blocked: SignalSet,
    /// How many listening sockets the program has, from descriptor 3 up.
    pub listening: u32,
    /// The soft limit of descriptors, or [`HARD_LIMIT`]; nothing to leave both limits as they are.
    pub soft_limit: Option<u32>,
    /// The hard limit of descriptors, or [`HARD_LIMIT`] or nothing to leave it as it is.
    pub hard_limit: Option<u32>,
    /// The mask of the permissions of new files.
    pub umask: Option<u32>,
    /// The session's controlling terminal.
    pub terminal: Option<Descriptor>,
    /// The parent to die with; 0 for whichever it is.
    pub die_with: Option<u32>,
    /// The index of the argument that names the directory.
    pub directory_index: u32,
    /// The current directory.
    pub directory: Option<&'a CStr>,
    /// The out-of-memory score, -1000 to 1000, in decimal.
    pub oom_score: Option<&'a CStr>,
    /// The program's `argv[0]`.
    pub argv0: Option<&'a CStr>,
    /// Which descriptor the program has from where. Last: it is large, and what is before it is near to get at.
    pub descriptors: FdPlan,
}

/// What the arguments ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Become the program.
    #[default]
    Start,
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
    /// Print the slate that relay itself found.
    Report,
}

impl<'a> Request<'a> {
    /// A request that is still to be read from `arguments`, those of relay.
    pub fn new(arguments: Strings<'a>) -> Self {
        Self {
            program: c"",
            arguments: Arguments::new(arguments),
            action: Action::Start,
            session: false,
            no_new_privileges: false,
            report: Report::Stderr,
            timers: true,
            ignored: SignalSet::default(),
            keep_ignored: SignalSet::default(),
            blocked: SignalSet::default(),
            listening: 0,
            soft_limit: None,
            hard_limit: None,
            umask: None,
            terminal: None,
            die_with: None,
            directory_index: 0,
            directory: None,
            oom_score: None,
            argv0: None,
            descriptors: FdPlan::default(),
        }
    }

    /// Reads the arguments. `is_open` says whether a descriptor is open, by [`crate::sys::is_open`].
    ///
    /// # Errors
    ///
    /// The first mistake, or the first descriptor that is not open. Only a request that was read without one may be
    /// carried out.
    #[inline(never)]
    pub fn read(&mut self, is_open: impl Fn(Descriptor) -> Result<(), Errno>) -> Result<(), Failure> {
        let first = self.arguments.rest.first().ok_or(Failure::without_errno(Step::NOTHING_GIVEN, 0))?;
        if matches!(first.first(), b'-' | b'/') {
            self.read_options(is_open)?;
        } else {
            self.read_attendant(is_open)?;
        }
        if self.action != Action::Start {
            return Ok(());
        }
        let program = self.arguments.rest.first().ok_or(Failure::without_errno(Step::PROGRAM_MISSING, 0))?;
        if program.first() != b'/' {
            return Err(Failure::without_errno(Step::PROGRAM_NOT_ABSOLUTE, self.arguments.index));
        }
        self.program = program.as_c_str();
        Ok(())
    }

    /// Reads STATUS_FD and PULSE_FD.
    fn read_attendant(&mut self, is_open: impl Fn(Descriptor) -> Result<(), Errno>) -> Result<(), Failure> {
        let status = self.arguments.take(Step::STATUS_NUMBER)?;
        let status = descriptor_from(3, status).ok_or(self.arguments.mistake(Step::STATUS_NUMBER))?;
        self.report = Report::Attendant(status);

        let pulse = self.arguments.take(Step::PULSE_MISSING)?;
        descriptor_from(1, pulse)
            .filter(|&pulse| pulse != status)
            .ok_or(Errno::new(EINVAL))
            .and_then(|pulse| is_open(pulse).and(self.descriptors.keep(pulse)))
            .map_err(|errno| Failure::new(Step::PULSE, errno, self.arguments.index - 1))
    }

    /// Reads the options.
    fn read_options(&mut self, is_open: impl Fn(Descriptor) -> Result<(), Errno>) -> Result<(), Failure> {
        while let Some(given) = self.arguments.take_option()? {
            self.set(given, &is_open).map_err(|errno| match errno.number().get() {
                EOPNOTSUPP => self.arguments.mistake(Step::SIGNAL_FIXED),
                _ => Failure::new(Step::VALUE, errno, self.arguments.index - 1),
            })?;
            // What prints something looks at nothing that follows, as in other programs.
            if self.action != Action::Start {
                return Ok(());
            }
        }
        for socket in 3..3 + self.listening as Descriptor {
            if !self.descriptors.is_renamed(socket) {
                let kept = is_open(socket).and_then(|()| self.descriptors.keep(socket));
                kept.map_err(|errno| Failure::new(Step::LISTENING, errno, socket as u32))?;
            }
        }
        match self.report {
            Report::Records(status) if self.descriptors.is_source(status) => {
                Err(Failure::without_errno(Step::STATUS_SHARED, status as u32))
            }
            _ => Ok(()),
        }
    }

    /// Notes one option.
    ///
    /// # Errors
    ///
    /// EINVAL for a malformed value, EOPNOTSUPP for KILL and STOP, EBADF for a descriptor that must be open, and those of
    /// [`FdPlan::rename`].
    fn set(&mut self, given: Given<'a>, is_open: impl Fn(Descriptor) -> Result<(), Errno>) -> Result<(), Errno> {
        let mut value = Value::new(given.value);
        match given.option {
            options::HELP => self.action = Action::Help,
            options::VERSION => self.action = Action::Version,
            options::REPORT => self.action = Action::Report,
            options::SETSID => self.session = true,
            options::NO_NEW_PRIVS => self.no_new_privileges = true,
            options::DIE_WITH_PARENT => self.die_with = Some(value.decimal() as u32),
            options::FD | options::PULSE => {
                let target = value.decimal();
                let mut source = target;
                if given.option == options::FD {
                    value.expect(b'=');
                    source = value.decimal();
                }
                value.check(is_open(source));
                value.check(self.descriptors.rename(target, source));
            }
            options::KEEP => loop {
                let first = value.decimal();
                let last = if value.take(b'-') { value.decimal() } else { first };
                value.require(first <= last);
                value.check(self.descriptors.keep_all(first, last));
                if !value.take(b',') {
                    break;
                }
            },
            options::CLOSE => {
                let descriptor = value.decimal();
                value.check(self.descriptors.close(descriptor));
            }
            options::LISTEN_FDS => {
                self.listening = value.number(10, fd_plan::MOST as u32) as u32;
                value.require(self.listening != 0);
            }
            options::IGNORE => self.ignored.add_list(&mut value),
            options::BLOCK => self.blocked.add_list(&mut value),
            options::KEEP_IGNORED if value.take_text(b"all") => self.keep_ignored = SignalSet::FULL,
            options::KEEP_IGNORED => self.keep_ignored.add_list(&mut value),
            options::NOFILE => {
                self.soft_limit = Some(limit(&mut value));
                self.hard_limit = if value.take(b':') { Some(limit(&mut value)) } else { None };
            }
            options::UMASK => self.umask = Some(value.number(8, 0o777) as u32),
            options::CHDIR => {
                self.directory = Some(given.value.as_c_str());
                self.directory_index = self.arguments.index - 1;
                value.take_until(0);
            }
            options::CTTY => {
                self.session = true;
                self.terminal = Some(value.decimal());
            }
            options::OOM_SCORE_ADJ => {
                value.take(b'-');
                value.number(10, 1000);
                self.oom_score = Some(given.value.as_c_str());
            }
            options::STATUS => {
                let status = value.decimal();
                value.require(status >= 3);
                value.check(is_open(status));
                if value.finish().is_ok() {
                    self.report = Report::Records(status);
                }
            }
            options::ARGV0 => {
                self.argv0 = Some(given.value.as_c_str());
                value.take_until(0);
            }
            // The environment is edited when all is read, by whoever has it.
            options::ENV | options::UNSET => {
                value.require(!matches!(value.rest.first(), 0 | b'='));
                value.take_until(b'=');
                if given.option == options::ENV {
                    value.expect(b'=');
                    value.take_until(0);
                }
            }
            _ => {}
        }
        value.finish()
    }
}

/// The value of [`Request::soft_limit`] and [`Request::hard_limit`] that stands for the hard limit as it is.
pub const HARD_LIMIT: u32 = u32::MAX;

/// Takes a limit, a number or `hard`.
fn limit(value: &mut Value) -> u32 {
    if value.take_text(b"hard") { HARD_LIMIT } else { value.decimal() as u32 }
}

/// A descriptor's number that is at least `least`.
fn descriptor_from(least: Descriptor, text: Text) -> Option<Descriptor> {
    decimal(text).filter(|&descriptor| descriptor >= least)
}
