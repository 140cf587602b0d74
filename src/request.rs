//! What the relay is asked to do: arguments to a checked [`Request`].
//!
//! Arguments are an allegation until they are checked, and all of them are read and checked before anything is
//! changed. Only a request that was read without a mistake reaches the steps.

use core::ffi::CStr;

use linux_raw_sys::errno::EINVAL;

use crate::errno::Errno;
use crate::fd_plan::{self, FdPlan};
use crate::options::{Arguments, Given, Name, Other};
use crate::settings::Settings;
use crate::slate::{self, Cgroup, Path, Slate};
use crate::status::{Failure, Report, Step};
use crate::sys::{self, Descriptor};
use crate::text::{Strings, Text};
use crate::value::{Arity, Mistake, Value, decimal, require};

/// A request to become a program, or to print something. It is read in place, since it is large.
pub struct Request<'s> {
    /// What to do.
    pub action: Action,
    /// The program, an absolute path; or where it is executed by its descriptor, its `argv[0]`.
    pub program: Path<'s>,
    /// The program's `argv[0]`, where it is not its path.
    pub argv0: Option<&'s CStr>,
    /// How many listening sockets the program is told of, from descriptor 3 up.
    pub listening: u32,
    /// Their names with colons between them; empty where there are none.
    pub listening_names: Text<'s>,
    /// The last option that was read.
    option: Option<Name>,
    /// The slate that the program is to start on. Its report is known even of a request that could not be read whole, so
    /// that this can be reported there.
    pub slate: Slate<'s>,
}

/// What the arguments ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Become the program.
    Start,
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
    /// Print the slate that relay itself found.
    Report,
}

impl<'s> Request<'s> {
    /// A request that is still to be read.
    pub fn new() -> Self {
        Self {
            action: Action::Start,
            program: Path { path: c"", argument: 0 },
            argv0: None,
            listening: 0,
            option: None,
            listening_names: Text::default(),
            slate: Slate {
                settings: Settings::default(),
                report: Report::Message(2),
                may_have_timers: true,
                directory: None,
                cgroup: None,
                program: None,
                descriptors: FdPlan::default(),
            },
        }
    }

    /// Reads the arguments, those of relay, its name included.
    ///
    /// # Errors
    ///
    /// The first mistake, or the first descriptor that is not open. Only a request that was read without one may be
    /// carried out.
    #[inline(never)]
    pub fn read(&mut self, arguments: Strings<'_, 's>) -> Result<(), Failure> {
        let mut arguments = Arguments::new(arguments);
        let first = arguments.first().ok_or(Failure::without_errno(Step::NothingGiven, 0))?;
        if first.first().is_ascii_digit() {
            self.read_attendant(&mut arguments)?;
        } else {
            self.read_options(&mut arguments)?;
        }
        if self.action != Action::Start {
            return Ok(());
        }
        let program = arguments.first().ok_or(Failure::without_errno(Step::ProgramMissing, 0))?;
        self.program = Path { path: program.as_c_str(), argument: arguments.index() };
        if program.first() == b'/' || self.slate.program.is_some() {
            Ok(())
        } else {
            Err(Failure::without_errno(Step::ProgramNotAbsolute, arguments.index()))
        }
    }

    /// The option whose use is to be told where reading failed so: its value is malformed, or what looks like one stands
    /// where the program should, since one that may be left out is only taken after `=`.
    pub fn mistaken_option(&self, failure: Failure) -> Option<Name> {
        self.option.filter(|option| match failure.step() {
            Step::Value => failure.errno() == EINVAL,
            Step::ProgramNotAbsolute => option.arity() == Arity::Optional,
            _ => false,
        })
    }

    /// Reads STATUS_FD and PULSE_FD.
    fn read_attendant(&mut self, arguments: &mut Arguments<'_, 's>) -> Result<(), Failure> {
        let status = arguments.take(Step::StatusNumber)?;
        let status = descriptor_from(3, status).ok_or(arguments.mistake(Step::StatusNumber))?;
        self.slate.report = Report::Attendant(status);

        let pulse = arguments.take(Step::PulseMissing)?;
        descriptor_from(1, pulse)
            .filter(|&pulse| pulse != status)
            .ok_or(Errno::new(EINVAL))
            .and_then(|pulse| sys::is_open(pulse).and(self.slate.descriptors.keep(pulse)))
            .map_err(|errno| Failure::new(Step::Pulse, errno, arguments.index() - 1))
    }

    /// Reads the options.
    fn read_options(&mut self, arguments: &mut Arguments<'_, 's>) -> Result<(), Failure> {
        while let Some(given) = arguments.take_option()? {
            let argument = arguments.index() - 1;
            self.option = Some(given.name);
            self.set(given, argument).map_err(|mistake| match mistake {
                Mistake::Value(errno) => Failure::new(Step::Value, errno, argument),
                Mistake::FixedSignal => Failure::without_errno(Step::SignalFixed, argument),
            })?;
            // `--help`, `--version` and `--report` ignore what follows.
            if self.action != Action::Start {
                return Ok(());
            }
        }
        let descriptors = &mut self.slate.descriptors;
        for socket in 3..3 + self.listening as Descriptor {
            if !descriptors.is_renamed(socket) {
                let kept = sys::is_open(socket).and_then(|()| descriptors.keep(socket));
                kept.map_err(|errno| Failure::new(Step::Listening, errno, socket as u32))?;
            }
        }
        match self.slate.report {
            Report::Records(status) if descriptors.is_source(status) => {
                Err(Failure::without_errno(Step::StatusShared, status as u32))
            }
            _ => slate::check(&self.slate.settings, descriptors),
        }
    }

    /// Notes one option, whose value is in the argument with the index `argument`.
    fn set(&mut self, given: Given<'s>, argument: u32) -> Result<(), Mistake> {
        let mut value = Value::new(given.value);
        match given.name {
            Name::Setting(setting) => self.slate.settings.read(setting, &mut value)?,
            Name::Other(other) => match other {
                Other::Help => self.action = Action::Help,
                Other::Version => self.action = Action::Version,
                Other::Report => self.action = Action::Report,
                Other::Fd => {
                    let target = value.decimal()?;
                    require(value.take(b'='))?;
                    let source = value.decimal()?;
                    value.finish()?;
                    sys::is_open(source)?;
                    self.slate.descriptors.rename(target, source)?;
                }
                Other::Keep => value.ranges(|first, last| Ok(self.slate.descriptors.keep_all(first, last)?))?,
                Other::Close => self.slate.descriptors.close(value.decimal()?)?,
                Other::Pulse => {
                    let pulse = value.decimal()?;
                    value.finish()?;
                    sys::is_open(pulse)?;
                    self.slate.descriptors.keep(pulse)?;
                }
                Other::ListenFds => {
                    self.listening = value.number(10, fd_plan::MOST as u32)?;
                    require(self.listening != 0)?;
                    self.listening_names = Text::default();
                    if value.take(b'=') {
                        self.listening_names = value.rest();
                        take_names(&mut value, self.listening)?;
                    }
                }
                Other::Chdir => {
                    self.slate.directory = Some(Path { path: given.value.as_c_str(), argument });
                    return Ok(());
                }
                Other::Cgroup => {
                    self.slate.cgroup = Some(Cgroup::Path(Path { path: given.value.as_c_str(), argument }));
                    return Ok(());
                }
                Other::ExecFd => {
                    let program = value.decimal()?;
                    value.finish()?;
                    sys::is_open(program)?;
                    self.slate.program = Some(program);
                }
                Other::Argv0 => {
                    self.argv0 = Some(given.value.as_c_str());
                    return Ok(());
                }
                Other::Status => {
                    let status = value.decimal()?;
                    require(status >= 3)?;
                    value.finish()?;
                    sys::is_open(status)?;
                    self.slate.report = Report::Records(status);
                }
                // The environment is edited when all is read, by whoever has it.
                Other::ClearEnv => {}
                Other::Unset => {
                    require(value.take_until(b'=') != 0)?;
                }
                Other::Env => {
                    require(value.take_until(b'=') != 0)?;
                    return require(value.take(b'='));
                }
            },
        }
        value.finish()
    }
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// How long the names of listening sockets can be in all, in bytes, the colons among them included.
const LONGEST_NAMES: usize = 4095;

/// Takes `count` names with colons between them, none of them empty.
fn take_names(value: &mut Value, count: u32) -> Result<(), Mistake> {
    let mut length = 0;
    for index in 0..count {
        require(index == 0 || value.take(b':'))?;
        let name = value.take_until(b':');
        require(name != 0)?;
        length += name + 1;
    }
    require(length <= LONGEST_NAMES)
}

/// A descriptor's number that is at least `least`.
fn descriptor_from(least: Descriptor, text: Text) -> Option<Descriptor> {
    decimal(text).filter(|&descriptor| descriptor >= least)
}
