//! What to launch, and how.

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exec_relay::fd_plan;
use exec_relay::options::{self, Name, Other};
use exec_relay::settings::{Setting, Settings};
use exec_relay::signal::{self, SignalSet};
use exec_relay::status::Step;
use exec_relay::text::Text;
use exec_relay::value::{Limit, Limits, Mistake, Number, Octal, Parent, Value, decimal, require};

use crate::environment::Environment;

/// A limit that stands for the hard limit as it is, for [`Launch::nofile`].
pub const HARD_LIMIT: u32 = u32::MAX;

/// How a program gets from this process to its own; see the [crate's documentation](crate#which-vehicle).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Vehicle {
    /// A child that shares this process's memory until it becomes the program: clone(2) with CLONE_VM and CLONE_VFORK.
    #[default]
    InPlace,
    /// The relay program that this library carries, executed from a file in memory (memfd_create(2), execveat(2)).
    ///
    /// It always fits this library, and no file must be installed. But hardened hosts forbid to execute memory
    /// (vm.memfd_noexec) or raise an alarm: those want [`Self::RelayAt`]. A library that was built without the feature
    /// `embedded` carries none, and says so when it launches.
    Relay,
    /// The relay program at this absolute path: the program itself, not a script around it, whose name would be taken for
    /// the relay's.
    RelayAt(PathBuf),
}

/// A descriptor for the program: lent, or given away for as long as the [`Launch`] lives.
#[derive(Debug)]
pub enum Source<'fd> {
    /// Lent.
    Borrowed(BorrowedFd<'fd>),
    /// Closed here when the [`Launch`] is dropped.
    Owned(OwnedFd),
}

impl AsRawFd for Source<'_> {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Borrowed(descriptor) => descriptor.as_raw_fd(),
            Self::Owned(descriptor) => descriptor.as_raw_fd(),
        }
    }
}

impl<'fd> From<BorrowedFd<'fd>> for Source<'fd> {
    fn from(descriptor: BorrowedFd<'fd>) -> Self {
        Self::Borrowed(descriptor)
    }
}

/// What a descriptor can be given away as.
macro_rules! owners {
    ($($owner:ty,)*) => {
        $(impl From<$owner> for Source<'_> {
            fn from(owner: $owner) -> Self {
                Self::Owned(owner.into())
            }
        })*
    };
}

owners! {
    OwnedFd, std::fs::File, std::net::TcpListener, std::net::TcpStream, std::net::UdpSocket,
    std::os::unix::net::UnixListener, std::os::unix::net::UnixStream, std::os::unix::net::UnixDatagram,
    std::io::PipeReader, std::io::PipeWriter,
    std::process::ChildStdin, std::process::ChildStdout, std::process::ChildStderr,
}

/// What one of the program's descriptors 0, 1 and 2 is.
#[derive(Debug, Default)]
pub enum Stdio<'fd> {
    /// This process's own, closed where that is closed.
    #[default]
    Inherit,
    /// /dev/null.
    Null,
    /// A pipe, whose other end is in the [`Child`](crate::Child).
    Piped,
    /// Closed.
    Closed,
    /// This descriptor.
    Descriptor(Source<'fd>),
}

impl<'fd, T: Into<Source<'fd>>> From<T> for Stdio<'fd> {
    fn from(source: T) -> Self {
        Self::Descriptor(source.into())
    }
}

/// A program to be launched, and what it is to find.
///
/// What is not asked for is the clean slate: descriptors 0, 1 and 2 and no others, every signal at its default, none
/// blocked, no interval timer, and a soft limit of 1024 descriptors. Environment, directory, umask, session and the rest
/// are this process's.
///
/// A mistake in a value is told by [`Launch::launch`]. One `Launch` can be launched several times, from several threads.
///
/// Its `Debug` is the program and its arguments as a shell would take them.
pub struct Launch<'fd> {
    pub(crate) program: CString,
    pub(crate) argv0: Option<CString>,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Environment,
    pub(crate) directory: Option<CString>,
    pub(crate) standard: [Stdio<'fd>; 3],
    pub(crate) descriptors: Vec<(RawFd, Source<'fd>)>,
    pub(crate) kept: Vec<RawFd>,
    pub(crate) listening: Vec<Source<'fd>>,
    pub(crate) pulse: bool,
    /// What relay has the same options for.
    pub(crate) settings: Settings,
    pub(crate) timeout: Option<Duration>,
    pub(crate) vehicle: Vehicle,
    /// The first mistake.
    pub(crate) mistake: Option<String>,
}

impl<'fd> Launch<'fd> {
    /// A launch of the program at this absolute path. PATH is never searched.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut launch = Self {
            program: CString::default(),
            argv0: None,
            arguments: Vec::new(),
            environment: Environment::default(),
            directory: None,
            standard: [Stdio::Inherit, Stdio::Inherit, Stdio::Inherit],
            descriptors: Vec::new(),
            kept: Vec::new(),
            listening: Vec::new(),
            pulse: false,
            settings: Settings {
                nofile: Some(Limits { soft: Limit::Number(1024), hard: Limit::Hard }),
                ..Settings::default()
            },
            timeout: Some(Duration::from_secs(30)),
            vehicle: Vehicle::default(),
            mistake: None,
        };
        launch.program = launch.string(program.as_ref());
        if launch.program.as_bytes().first() != Some(&b'/') {
            launch.mistake(format!("{:?} is not an absolute path", program.as_ref()));
        }
        launch
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        let argument = self.string(argument.as_ref());
        self.arguments.push(argument);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = S>) -> &mut Self {
        for argument in arguments {
            self.arg(argument);
        }
        self
    }

    /// Passes this as the program's `argv[0]` instead of its path.
    pub fn argv0(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.argv0 = Some(self.string(name.as_ref()));
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        let name = self.variable(name.as_ref());
        let mut variable = name.clone();
        variable.push(b'=');
        variable.extend_from_slice(value.as_ref().as_bytes());
        let variable = self.string(OsStr::from_bytes(&variable));
        self.environment.edit(name, Some(variable));
        self
    }

    /// Sets environment variables.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(&mut self, variables: impl IntoIterator<Item = (N, V)>) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        let name = self.variable(name.as_ref());
        self.environment.edit(name, None);
        self
    }

    /// Passes on no environment variable but those that are set from now on.
    pub fn env_clear(&mut self) -> &mut Self {
        self.env_exactly::<&CStr>([])
    }

    /// Passes on exactly these strings, whatever they are, in this order: an `envp` as execve(2) takes it. What is set or
    /// removed from now on changes them.
    ///
    /// What is not edited reaches the program as it is here, to the byte: strings without `=` and names that are there
    /// twice as well. Variables that are set come before those that are inherited.
    pub fn env_exactly<S: AsRef<CStr>>(&mut self, strings: impl IntoIterator<Item = S>) -> &mut Self {
        self.environment.replace(strings.into_iter().map(|string| string.as_ref().to_owned()).collect());
        self
    }

    /// The program's current directory. It is changed after descriptors were dealt with (CVE-2024-21626).
    pub fn current_dir(&mut self, directory: impl AsRef<OsStr>) -> &mut Self {
        self.directory = Some(self.string(directory.as_ref()));
        self
    }

    /// The program's descriptor 0.
    pub fn stdin(&mut self, stdio: impl Into<Stdio<'fd>>) -> &mut Self {
        self.standard[0] = stdio.into();
        self
    }

    /// The program's descriptor 1.
    pub fn stdout(&mut self, stdio: impl Into<Stdio<'fd>>) -> &mut Self {
        self.standard[1] = stdio.into();
        self
    }

    /// The program's descriptor 2.
    pub fn stderr(&mut self, stdio: impl Into<Stdio<'fd>>) -> &mut Self {
        self.standard[2] = stdio.into();
        self
    }

    /// The program's descriptor `to` is what `source` is here. Any numbers, cycles included, and one source for several:
    /// it works as if all happened at once. Two sources for one number are a mistake, more than 256 are another.
    pub fn fd(&mut self, to: RawFd, source: impl Into<Source<'fd>>) -> &mut Self {
        if to < 0 {
            self.mistake(format!("{to} is no descriptor"));
        }
        self.descriptors.push((to, source.into()));
        self
    }

    /// Leaves the descriptor with this number open under its number, where it is open. For what was inherited; what this
    /// process opened itself is better passed by [`Self::fd`], which cannot mean another file by mistake.
    pub fn keep(&mut self, descriptor: RawFd) -> &mut Self {
        if descriptor < 0 {
            self.mistake(format!("{descriptor} is no descriptor"));
        }
        self.kept.push(descriptor);
        self
    }

    /// The program's descriptors from 3 up are these listening sockets, and LISTEN_FDS and LISTEN_PID say so: see
    /// sd_listen_fds(3). Inherited variables of that kind, LISTEN_FDNAMES and LISTEN_PIDFDID too, are removed; what is set by
    /// [`Self::env`] stays, so LISTEN_FDNAMES can give the sockets their names, with colons between them.
    pub fn listen_fds<S: Into<Source<'fd>>>(&mut self, sockets: impl IntoIterator<Item = S>) -> &mut Self {
        self.listening.extend(sockets.into_iter().map(Into::into));
        self
    }

    /// Gives the program the write end of a pipe, under the lowest number from 3 up that nothing else has. The read end,
    /// [`Child::pulse`](crate::Child::pulse), hangs up when the program is gone, whoever reaps it.
    pub fn pulse(&mut self) -> &mut Self {
        self.pulse = true;
        self
    }

    /// RLIMIT_NOFILE: the soft limit, by default 1024, the most that select(2) can handle, and with `hard` the hard one.
    /// [`HARD_LIMIT`], like any number that no descriptor can have, stands for the hard limit as it is here. A soft limit
    /// above the hard one becomes the hard one; to raise the hard one is a privilege, without which the launch fails with
    /// EPERM.
    pub fn nofile(&mut self, soft: u32, hard: Option<u32>) -> &mut Self {
        self.settings.nofile = Some(Limits { soft: Limit::new(soft), hard: hard.map_or(Limit::Hard, Limit::new) });
        self
    }

    /// Leaves RLIMIT_NOFILE as it is here.
    pub fn keep_nofile(&mut self) -> &mut Self {
        self.settings.nofile = None;
        self
    }

    /// The mask of the permissions of new files, 0 to 0o777; see umask(2).
    pub fn umask(&mut self, mask: u32) -> &mut Self {
        self.settings.umask = self.checked(Octal::new(mask), || format!("{mask:#o} is no umask"));
        self
    }

    /// Begins a session; see setsid(2).
    pub fn session(&mut self) -> &mut Self {
        self.settings.session = true;
        self
    }

    /// Begins a session whose controlling terminal is what the program's descriptor with this number is.
    pub fn ctty(&mut self, terminal: RawFd) -> &mut Self {
        self.settings.terminal = self.checked(Number::new(terminal), || format!("{terminal} is no descriptor"));
        self
    }

    /// Starts the program with these signals ignored, by their numbers from 1 to 64, KILL and STOP excepted.
    pub fn ignore(&mut self, signals: impl IntoIterator<Item = i32>) -> &mut Self {
        self.settings.ignored.0 |= self.signals(signals).0;
        self
    }

    /// Starts the program with these signals blocked, by their numbers from 1 to 64, KILL and STOP excepted.
    pub fn block(&mut self, signals: impl IntoIterator<Item = i32>) -> &mut Self {
        self.settings.blocked.0 |= self.signals(signals).0;
        self
    }

    /// Leaves those of these signals ignored that this process ignores when it launches, by their numbers from 1 to 64. One
    /// that has a handler here is at its default in the program, as after any execve(2).
    pub fn keep_ignored(&mut self, signals: impl IntoIterator<Item = i32>) -> &mut Self {
        self.settings.keep_ignored.0.0 |= self.signals(signals).0;
        self
    }

    /// Leaves all signals ignored that this process ignores, as nohup(1) needs. Not 32 and 33, which C libraries use for
    /// themselves and some leave ignored in what they spawn.
    pub fn keep_all_ignored(&mut self) -> &mut Self {
        self.keep_ignored(signal::ALL.map(|signal| signal as i32).filter(|signal| ![9, 19, 32, 33].contains(signal)))
    }

    /// Has the program killed when the *thread* that launches it ends, which may be long before the process does; see
    /// PR_SET_PDEATHSIG(2const). [`Self::pulse`] tells the other way round, and for the whole process.
    pub fn die_with_parent(&mut self) -> &mut Self {
        self.settings.die_with_parent = Some(Parent::Any);
        self
    }

    /// Has execve(2) grant no privileges any more; see PR_SET_NO_NEW_PRIVS(2const).
    pub fn no_new_privs(&mut self) -> &mut Self {
        self.settings.no_new_privileges = true;
        self
    }

    /// The program's out-of-memory score, -1000 to 1000; see proc_pid_oom_score_adj(5). Needs /proc.
    pub fn oom_score_adj(&mut self, score: i32) -> &mut Self {
        self.settings.oom_score = self.checked(Number::new(score), || format!("{score} is no out-of-memory score"));
        self
    }

    /// How long a launch by a relay may take, 30 seconds by default; nothing for as long as it takes. It is for the case
    /// that a stranger, forked from this process without exec, holds the status pipe open. InPlace has no pipe to hold;
    /// it waits for execve(2), and does so for as long as that takes.
    pub fn timeout(&mut self, timeout: impl Into<Option<Duration>>) -> &mut Self {
        self.timeout = timeout.into();
        self
    }

    /// How to launch it.
    pub fn vehicle(&mut self, vehicle: Vehicle) -> &mut Self {
        self.vehicle = vehicle;
        self
    }

    /// Any option of relay as text, `--name=value` or `--name`: for settings that come from a file or a command line, and
    /// for those that have no method of their own. What it means is in relay's README and manual. Unlike relay, which clears
    /// the environment first, then unsets, then sets, this takes effect in the order of the calls, as methods do.
    ///
    /// Not those that say where relay reports or that print something; and not `--fd`, `--pulse` and `--listen-fds`, which
    /// name descriptors of this process by their numbers: [`Self::fd`], [`Self::pulse`] and [`Self::listen_fds`] take them
    /// by what keeps them open.
    ///
    /// ```
    /// # use exec_relay_launcher::Launch;
    /// let mut launch = Launch::new("/usr/bin/server");
    /// launch.option("--umask=027").option("--setsid").option("--oom-score-adj=500");
    /// ```
    pub fn option(&mut self, option: impl AsRef<OsStr>) -> &mut Self {
        let option = self.string(option.as_ref());
        if let Err(mistake) = self.read(&option) {
            self.mistake(format!("{option:?} {mistake}"));
        }
        self
    }

    /// Reads an option. What is wrong with it, where something is.
    fn read(&mut self, option: &CStr) -> Result<(), String> {
        let (name, value) = options::parse(Text::from(option)).map_err(|step| match step {
            Step::ValueUnexpected => "takes no value".to_owned(),
            _ => "is no option of relay".to_owned(),
        })?;
        let value = value.ok_or("lacks its value, after =")?;
        let text = OsStr::from_bytes(value.as_c_str().to_bytes());
        match name {
            Name::Setting(setting) => self.read_setting(setting, value).map_err(|mistake| match mistake {
                Mistake::FixedSignal => "asks for KILL or STOP, which cannot be ignored or blocked".to_owned(),
                Mistake::Value(_) => "has a malformed value".to_owned(),
            })?,
            Name::Other(other) => match other {
                Other::Chdir => _ = self.current_dir(text),
                Other::Argv0 => _ = self.argv0(text),
                Other::ClearEnv => _ = self.env_clear(),
                Other::Unset => _ = self.env_remove(is_name(text).ok_or("has no name of a variable")?),
                Other::Env => {
                    let (name, value) = split_variable(text).ok_or("has no = between name and value")?;
                    self.env(is_name(name).ok_or("has no name before the first =")?, value);
                }
                Other::Keep => self.read_kept(value).map_err(|_| "has a malformed value, or one too large")?,
                Other::Close => match decimal(value) {
                    Some(0) => _ = self.stdin(Stdio::Closed),
                    Some(1) => _ = self.stdout(Stdio::Closed),
                    Some(2) => _ = self.stderr(Stdio::Closed),
                    _ => return Err("closes 0, 1 or 2: all others are closed anyway".to_owned()),
                },
                Other::Fd | Other::Pulse => {
                    return Err("names a descriptor by its number, which an option cannot lend".to_owned());
                }
                Other::ListenFds => {
                    return Err("names descriptors by their numbers, which an option cannot lend".to_owned());
                }
                Other::Status | Other::Help | Other::Version | Other::Report => {
                    return Err("is for relay's own command line".to_owned());
                }
            },
        }
        Ok(())
    }

    fn read_setting(&mut self, setting: Setting, value: Text) -> Result<(), Mistake> {
        let mut value = Value::new(value);
        self.settings.read(setting, &mut value)?;
        value.finish()
    }

    fn read_kept(&mut self, list: Text) -> Result<(), Mistake> {
        let mut value = Value::new(list);
        let kept = &mut self.kept;
        value.ranges(|descriptor| {
            // More than can be asked for, so that a list of all numbers does not fill the memory first.
            require(kept.len() <= fd_plan::MOST)?;
            kept.push(descriptor);
            Ok(())
        })?;
        value.finish()
    }

    /// Notes what is wrong with a value that is out of its range.
    fn checked<T>(&mut self, value: Option<T>, mistake: impl FnOnce() -> String) -> Option<T> {
        if value.is_none() {
            self.mistake(mistake());
        }
        value
    }

    /// The program's path.
    pub(crate) fn program(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.program.to_bytes()))
    }

    fn string(&mut self, text: &OsStr) -> CString {
        CString::new(text.as_bytes()).unwrap_or_else(|_| {
            self.mistake(format!("{text:?} holds a NUL byte"));
            CString::default()
        })
    }

    fn variable(&mut self, name: &OsStr) -> Vec<u8> {
        if is_name(name).is_none() {
            self.mistake(format!("{name:?} is no name of an environment variable"));
        }
        self.string(name).into_bytes()
    }

    fn signals(&mut self, signals: impl IntoIterator<Item = i32>) -> SignalSet {
        let mut set = SignalSet::default();
        for signal in signals {
            let number = u32::try_from(signal).unwrap_or(0);
            if !signal::ALL.contains(&number) {
                self.mistake(format!("{signal} is no signal"));
            } else if !signal::can_be_changed(number) {
                self.mistake("KILL and STOP cannot be ignored or blocked".to_owned());
            } else {
                set.add(number);
            }
        }
        set
    }

    fn mistake(&mut self, mistake: String) {
        self.mistake.get_or_insert(mistake);
    }
}

impl fmt::Debug for Launch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{:?}", self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(out, " {argument:?}"))
    }
}

/// What can be the name of a variable.
fn is_name(text: &OsStr) -> Option<&OsStr> {
    (!text.is_empty() && !text.as_bytes().contains(&b'=')).then_some(text)
}

/// Name and value of `NAME=VALUE`.
fn split_variable(text: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let at = text.as_bytes().iter().position(|&byte| byte == b'=')?;
    let (name, value) = text.as_bytes().split_at(at);
    Some((OsStr::from_bytes(name), OsStr::from_bytes(&value[1..])))
}
