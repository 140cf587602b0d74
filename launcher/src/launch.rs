//! What to launch, and how.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exec_relay::identity::MOST_GROUPS;
use exec_relay::limit::{self, Limits};
use exec_relay::options::{self, Name, Other};
use exec_relay::settings::{Setting, Settings};
use exec_relay::signal::{self, SignalSet};
use exec_relay::status::Step;
use exec_relay::text::Text;
use exec_relay::value::{Mistake, Number, Octal, Parent, ProcessGroup, Value, decimal};
use rustix::process::{getegid, geteuid};

use crate::environment::{Edit, Environment};
use crate::source::{Source, Stdio};

/// A limit that stands for the hard limit as it is, for [`Launch::nofile`].
pub const HARD_LIMIT: u32 = u32::MAX;

/// How a program gets from this process to its own; see the [crate's documentation](crate#which-vehicle).
///
/// Where none is chosen it is [`Self::InPlace`], unless only a relay can do what is asked for. Then it is [`Self::Relay`]:
///
/// - for a time that the launch may take, [`Launch::timeout`];
/// - to reset an attribute that belongs to the memory (`--reset` of `coredump-filter`, `thp`, `ksm`, or `all`), since a child
///   that shares this process's memory would reset this process's own.
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

/// A limit of a resource, for [`Launch::limit`]. A number is one too: `0`, `Limit::Number(0)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A number in the resource's own unit; see getrlimit(2). `u64::MAX`, which is RLIM_INFINITY there, is no limit.
    Number(u64),
    /// No limit.
    Unlimited,
    /// The hard limit as it is here.
    Hard,
    /// Whichever of the two it is stays as it is here.
    Kept,
}

impl From<u64> for Limit {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl Limit {
    fn as_relay_has_it(self) -> limit::Limit {
        match self {
            Self::Number(number) => limit::Limit::new(number),
            Self::Unlimited => limit::Limit::UNLIMITED,
            Self::Hard => limit::Limit::HARD,
            Self::Kept => limit::Limit::KEPT,
        }
    }
}

/// The directory of a cgroup.
#[derive(Clone)]
pub(crate) enum Cgroup<'fd> {
    Path(CString),
    Open(Source<'fd>),
}

/// A program to be launched, and what it is to find.
///
/// What is not asked for is the clean slate: descriptors 0, 1 and 2 and no others, every signal at its default, none
/// blocked, no interval timer, and a soft limit of 1024 descriptors. Environment, directory, umask, session, user,
/// capabilities, scheduling and the rest are this process's. `option("--reset=all")` gives the program the kernel's
/// defaults of what else it would inherit.
///
/// A mistake in a value is told by [`Launch::launch`]. One `Launch` can be launched several times, from several threads.
///
/// Its `Debug` is a line that a shell would take: see [below](#impl-Debug-for-Launch<'_>). A clone shares the descriptors that
/// were given away: they are closed when the last of both is dropped.
#[derive(Clone)]
pub struct Launch<'fd> {
    pub(crate) program: CString,
    pub(crate) argv0: Option<CString>,
    pub(crate) arguments: Vec<CString>,
    pub(crate) environment: Environment<'fd>,
    pub(crate) directory: Option<CString>,
    /// None where it was not asked for.
    pub(crate) standard: [Option<Stdio<'fd>>; 3],
    pub(crate) descriptors: Vec<(RawFd, Source<'fd>)>,
    /// First and last number of each range.
    pub(crate) kept: Vec<(RawFd, RawFd)>,
    /// Which of those from 3 up are closed even where what is inherited is kept.
    pub(crate) closed: Vec<RawFd>,
    pub(crate) listening: Vec<Source<'fd>>,
    pub(crate) pulse: bool,
    pub(crate) kill_on_drop: bool,
    /// What relay has the same options for, as far as methods have asked for it.
    pub(crate) settings: Settings<'static>,
    /// The texts of settings, in the order of the calls. Not read into the settings above, since some settings borrow theirs.
    pub(crate) texts: Vec<(Setting, CString)>,
    pub(crate) cgroup: Option<Cgroup<'fd>>,
    /// What is executed in the place of the file at `program`.
    pub(crate) exec_fd: Option<Source<'fd>>,
    /// None where it was not called for; nothing in it for as long as it takes.
    pub(crate) timeout: Option<Option<Duration>>,
    /// None where it was not chosen.
    pub(crate) vehicle: Option<Vehicle>,
    /// The first mistake.
    pub(crate) mistake: Option<String>,
}

impl<'fd> Launch<'fd> {
    /// A launch of the program at this absolute path. PATH is never searched: [`find_program`](crate::find_program) does that.
    /// With [`Self::exec_fd`] it is any name.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut launch = Self {
            program: CString::default(),
            argv0: None,
            arguments: Vec::new(),
            environment: Environment::default(),
            directory: None,
            standard: [None, None, None],
            descriptors: Vec::new(),
            kept: Vec::new(),
            closed: Vec::new(),
            listening: Vec::new(),
            pulse: false,
            kill_on_drop: false,
            settings: Settings {
                nofile: Some(Limits { soft: limit::Limit::of_descriptors(1024), hard: limit::Limit::HARD }),
                ..Settings::default()
            },
            texts: Vec::new(),
            timeout: None,
            cgroup: None,
            exec_fd: None,
            vehicle: None,
            mistake: None,
        };
        launch.program = launch.string(program.as_ref());
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

    /// Passes this as the program's `argv[0]` instead of its path. A [`std::process::Command`] calls it `arg0`.
    #[doc(alias = "arg0")]
    pub fn argv0(&mut self, name: impl AsRef<OsStr>) -> &mut Self {
        self.argv0 = Some(self.string(name.as_ref()));
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.edit(name.as_ref(), Some(value.as_ref()))
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
        self.edit(name.as_ref(), None)
    }

    /// Passes on no environment variable but those that are set from now on.
    pub fn env_clear(&mut self) -> &mut Self {
        self.env_exactly::<&CStr>([])
    }

    /// Passes on exactly these strings, whatever they are, in this order: an `envp` as execve(2) takes it. What is set or
    /// removed from now on changes them. Strings that are lent (`&CStr`) are not copied.
    ///
    /// What is not edited reaches the program as it is here, to the byte: strings without `=` and names that are there
    /// twice as well. Variables that are set come before those that are inherited.
    ///
    /// ```
    /// # use exec_relay_launcher::Launch;
    /// let mut launch = Launch::new("/usr/bin/env");
    /// let output = launch.env_exactly([c"A=1", c"no name", c"A=2"]).output()?;
    /// assert_eq!(output.stdout, b"A=1\nno name\nA=2\n");
    /// # Ok::<(), exec_relay_launcher::Error>(())
    /// ```
    pub fn env_exactly<S: Into<Cow<'fd, CStr>>>(&mut self, strings: impl IntoIterator<Item = S>) -> &mut Self {
        self.environment.replace(strings.into_iter().map(Into::into).collect());
        self
    }

    /// The program's current directory. It has no say in where the program lies, which is an absolute path. It is changed
    /// after descriptors were dealt with (CVE-2024-21626).
    pub fn current_dir(&mut self, directory: impl AsRef<OsStr>) -> &mut Self {
        self.directory = Some(self.string(directory.as_ref()));
        self
    }

    /// The program's descriptor 0.
    pub fn stdin(&mut self, stdio: impl Into<Stdio<'fd>>) -> &mut Self {
        self.standard[0] = Some(stdio.into());
        self
    }

    /// The program's descriptor 1.
    pub fn stdout(&mut self, stdio: impl Into<Stdio<'fd>>) -> &mut Self {
        self.standard[1] = Some(stdio.into());
        self
    }

    /// The program's descriptor 2.
    pub fn stderr(&mut self, stdio: impl Into<Stdio<'fd>>) -> &mut Self {
        self.standard[2] = Some(stdio.into());
        self
    }

    /// The program's descriptor `to` is what `source` is here. Any numbers, cycles included, and one source for several:
    /// it works as if all happened at once. Two sources for one number are a mistake, more than 330 are another.
    ///
    /// A source is lent by a reference, and given away otherwise: [`Source`] says what can be one.
    ///
    /// ```
    /// # use exec_relay_launcher::Launch;
    /// use std::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut launch = Launch::new("/bin/true");
    /// assert!(launch.fd(3, &listener).status()?.success());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fd(&mut self, to: RawFd, source: impl Into<Source<'fd>>) -> &mut Self {
        if to < 0 {
            self.mistake(format!("{to} is no descriptor"));
        }
        self.descriptors.push((to, source.into()));
        self
    }

    /// Leaves the descriptor with this number open under its number, where it is open. For what was inherited; what this
    /// process opened itself is better passed by [`Self::fd`], which cannot mean another file by mistake.
    ///
    /// A copy holds the file until the program is there. When that is closed, this process loses its record locks (fcntl(2),
    /// `F_SETLK`) on the file. Locks by flock(2) and `F_OFD_SETLK` stay, and [`Self::fd`] drops none.
    pub fn keep(&mut self, descriptor: RawFd) -> &mut Self {
        if descriptor < 0 {
            self.mistake(format!("{descriptor} is no descriptor"));
        }
        self.kept.push((descriptor, descriptor));
        self
    }

    /// Leaves open what is not close-on-exec here, beside what is asked for, as posix_spawn(3) and Python's
    /// `close_fds=False` do. For a program that expects a descriptor which nobody names, as GNU make's job server passes one.
    ///
    /// What is open at the moment of the launch counts, also what another thread has just opened. The source of a
    /// [`Self::fd`] stays open too, unless it is close-on-exec. In place, a directory `/proc/self/fd/N` can then be one that
    /// is close-on-exec. The cost of a launch grows with what is open, since the kernel copies all of it.
    ///
    /// ```no_run
    /// # use exec_relay_launcher::Launch;
    /// let mut make = Launch::new("/usr/bin/make").keep_inherited().launch()?;
    /// # Ok::<(), exec_relay_launcher::Error>(())
    /// ```
    pub fn keep_inherited(&mut self) -> &mut Self {
        self.settings(Setting::KeepInherited).keep_inherited = true;
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

    /// Whether dropping the [`Child`](crate::Child) kills the program, with SIGKILL. Not by default. One that was waited for, or
    /// left by [`Child::into_id`](crate::Child::into_id), is never killed.
    ///
    /// The drop does not wait for the death. What is dead right then is reaped; the rest is a zombie, of which this library
    /// keeps the pidfd, until a later launch of this process reaps it. Processes that the program has started go on.
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// RLIMIT_NOFILE: the soft limit, by default 1024, the most that select(2) can handle, and with `hard` the hard one.
    /// [`HARD_LIMIT`], like any number that no descriptor can have, stands for the hard limit as it is here. A soft limit
    /// above the hard one becomes the hard one; to raise the hard one is a privilege, without which the launch fails with
    /// EPERM.
    pub fn nofile(&mut self, soft: u32, hard: Option<u32>) -> &mut Self {
        let hard = hard.map_or(limit::Limit::HARD, limit::Limit::of_descriptors);
        self.settings(Setting::Nofile).nofile = Some(Limits { soft: limit::Limit::of_descriptors(soft), hard });
        self
    }

    /// Leaves RLIMIT_NOFILE as it is here.
    pub fn keep_nofile(&mut self) -> &mut Self {
        self.settings(Setting::Nofile).nofile = None;
        self
    }

    /// The mask of the permissions of new files, 0 to 0o777; see umask(2).
    pub fn umask(&mut self, mask: u32) -> &mut Self {
        self.settings(Setting::Umask).umask = self.checked(Octal::new(mask), || format!("{mask:#o} is no umask"));
        self
    }

    /// Begins a session; see setsid(2).
    #[doc(alias = "setsid")]
    pub fn session(&mut self) -> &mut Self {
        self.settings.session = true;
        self
    }

    /// Begins a session whose controlling terminal is what the program's descriptor with this number is.
    pub fn ctty(&mut self, terminal: RawFd) -> &mut Self {
        self.settings(Setting::Ctty).terminal =
            self.checked(Number::new(terminal), || format!("{terminal} is no descriptor"));
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
    ///
    /// We know of no reliable way up to Linux 6.18 that follows the process instead. A pipe can signal its end to the program
    /// (O_ASYNC, F_SETSIG), but only for as long as the program keeps a descriptor of it open.
    pub fn die_with_parent(&mut self) -> &mut Self {
        self.settings(Setting::DieWithParent).die_with_parent = Some(Parent::Any);
        self
    }

    /// Has execve(2) grant no privileges any more; see PR_SET_NO_NEW_PRIVS(2const).
    pub fn no_new_privs(&mut self) -> &mut Self {
        self.settings.no_new_privileges = true;
        self
    }

    /// The program's out-of-memory score, -1000 to 1000; see proc_pid_oom_score_adj(5). Needs /proc.
    pub fn oom_score_adj(&mut self, score: i32) -> &mut Self {
        self.settings(Setting::OomScoreAdj).oom_score =
            self.checked(Number::new(score), || format!("{score} is no out-of-memory score"));
        self
    }

    /// The program's real, effective and saved user, by its number; see credentials(7).
    ///
    /// [`Self::uid`], [`Self::gid`] and [`Self::groups`] are the parts of one setting, `option("--user=UID:GID,GROUP")`,
    /// and each changes its part of it. A part that none of them names: user and group are this process's effective ones
    /// at the call that names the first part, and there are no supplementary groups. So `uid(1000)` alone leaves the group of
    /// this process, root's perhaps, and takes all supplementary groups away.
    ///
    /// ```
    /// # use exec_relay_launcher::Launch;
    /// let mut launch = Launch::new("/usr/bin/server");
    /// launch.uid(1000).gid(1000).groups([44, 27]);
    /// ```
    ///
    /// Whoever leaves root loses all capabilities, unless [`Self::caps`] says which to keep. Where the program could become
    /// root again all the same, the launch fails.
    ///
    /// A child of [`Vehicle::InPlace`] that changes its user shares this process's memory until it is the program. So long the
    /// kernel lets nobody without privileges trace either of them, unless fs.suid_dumpable is 1, which is for debugging, and
    /// this process is not dumpable: a crash leaves no core dump, and the files in /proc/self are root's. The launch sets that
    /// back as soon as no such child is left; a change of it by another thread meanwhile, PR_SET_DUMPABLE(2const), is lost. By
    /// a relay there is no such moment.
    ///
    /// # Errors
    ///
    /// [`Step::User`], [`Step::Group`] and [`Step::Groups`] with EPERM where CAP_SETUID or CAP_SETGID is missing,
    /// [`Step::RootKept`]; see setresuid(2), setgroups(2).
    pub fn uid(&mut self, user: u32) -> &mut Self {
        if user == u32::MAX {
            self.mistake(format!("{user} is no user"));
            return self;
        }
        self.user(|parts| parts.user = user)
    }

    /// The program's real, effective and saved group, by its number; see [`Self::uid`].
    pub fn gid(&mut self, group: u32) -> &mut Self {
        if group == u32::MAX {
            self.mistake(format!("{group} is no group"));
            return self;
        }
        self.user(|parts| parts.group = group)
    }

    /// The program's supplementary groups, these and no others, 256 at the most; see [`Self::uid`] and setgroups(2).
    pub fn groups(&mut self, groups: impl IntoIterator<Item = u32>) -> &mut Self {
        let groups: Vec<_> = groups.into_iter().take(MOST_GROUPS + 1).collect();
        if groups.contains(&u32::MAX) {
            self.mistake(format!("{} is no group", u32::MAX));
            return self;
        }
        if groups.len() > MOST_GROUPS {
            self.mistake(format!("more than {MOST_GROUPS} groups are asked for"));
            return self;
        }
        self.user(|parts| parts.groups = groups)
    }

    /// The program's capabilities, exactly these, in all five sets, the bounding set included: a list of names as
    /// capabilities(7) has them, `"NET_BIND_SERVICE,CHOWN"`, or `"none"`. With or without `CAP_`, in upper or lower case, or
    /// by number. The last list counts.
    ///
    /// By names, since neither Rust nor the libc crate has constants for the numbers; and none must be said in so many
    /// words, so that a list which happens to be empty is a mistake.
    ///
    /// # Errors
    ///
    /// [`Step::Capability`] with EPERM for one that this process has not got, [`Step::BoundingSet`] with EPERM where it
    /// lacks CAP_SETPCAP.
    pub fn caps(&mut self, list: &str) -> &mut Self {
        self.text(Setting::Caps, list, "is no list of capabilities")
    }

    /// The program's process group, by its number; 0 begins one of its own. See setpgid(2).
    ///
    /// # Errors
    ///
    /// [`Step::ProcessGroup`] with EPERM where there is no such group in the program's session.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.settings(Setting::ProcessGroup).process_group = self
            .checked(u32::try_from(group).ok().and_then(ProcessGroup::new), || format!("{group} is no process group"));
        self
    }

    /// The limits of a resource, by its name as prlimit(1) has it: `"core"`, `"nproc"`, `"memlock"`. What is to stay says so,
    /// [`Limit::Kept`]. Other resources are not touched. For `"nofile"` this counts for more than [`Self::nofile`].
    ///
    /// ```
    /// # use exec_relay_launcher::{Launch, Limit};
    /// let mut launch = Launch::new("/usr/bin/server");
    /// launch.limit("core", 0, 0).limit("nproc", 100, Limit::Kept).limit("memlock", Limit::Unlimited, Limit::Unlimited);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Step::Limit`] with EPERM where the hard limit is to rise and CAP_SYS_RESOURCE is missing, with EINVAL where the soft
    /// limit is above the hard one; see getrlimit(2).
    pub fn limit(&mut self, resource: &str, soft: impl Into<Limit>, hard: impl Into<Limit>) -> &mut Self {
        let [soft, hard] = [soft.into(), hard.into()];
        if [soft, hard] == [Limit::Kept; 2] {
            self.mistake(format!("both limits of {resource:?} are to be kept, so that nothing is asked for"));
            return self;
        }
        let limits = Limits { soft: soft.as_relay_has_it(), hard: hard.as_relay_has_it() };
        if resource.contains('=') || !self.add_text(Setting::Limit, &format!("{resource}={limits}")) {
            self.mistake(format!("{resource:?} is no resource that has limits"));
        }
        self
    }

    /// The program's nice value, -20 (favoured) to 19; see setpriority(2).
    ///
    /// # Errors
    ///
    /// [`Step::Nice`] with EACCES where it is to be lower than RLIMIT_NICE allows and CAP_SYS_NICE is missing.
    pub fn nice(&mut self, nice: i32) -> &mut Self {
        self.settings(Setting::Nice).nice = self.checked(Number::new(nice), || format!("{nice} is no nice value"));
        self
    }

    /// The program's scheduling policy, in the words of relay's option: `"other"`, `"batch"`, `"idle"`, or with a priority
    /// from 1 to 99 `"fifo:10"`, `"rr:10"`; see sched(7).
    ///
    /// A child of [`Vehicle::InPlace`] is scheduled so before it is the program, and this thread waits for it. Take a relay
    /// for `"idle"`, or a high nice value, where the processors are busy.
    ///
    /// # Errors
    ///
    /// [`Step::Scheduling`] with EPERM where RLIMIT_RTPRIO does not allow it and CAP_SYS_NICE is missing.
    pub fn sched(&mut self, policy: &str) -> &mut Self {
        self.text(Setting::Sched, policy, "is no scheduling policy")
    }

    /// The processors that the program may run on, by their numbers from 0 to 8191; see sched_setaffinity(2). Numbers that
    /// the machine does not have, or the cpuset does not allow, are passed over. `option("--cpus=all")` is all that it
    /// allows.
    ///
    /// # Errors
    ///
    /// [`Step::Processors`] with EINVAL where none of them is left.
    pub fn cpus(&mut self, processors: impl IntoIterator<Item = usize>) -> &mut Self {
        let list: Vec<_> = processors.into_iter().map(|processor| processor.to_string()).collect();
        self.text(Setting::Cpus, &list.join(","), "is no list of processors")
    }

    /// The program's cgroup, by a descriptor of its directory, which may be one for a path alone (O_PATH); see cgroups(7).
    /// `option("--cgroup=DIR")` names it by a path, which each launch opens. The last of both counts.
    ///
    /// The new process enters it first of all, so the cgroup is charged for all that follows. It writes to the file
    /// `cgroup.procs`: some 30 µs, or 5 to 10 ms where nobody has done that for a while, unless the file system is mounted with
    /// `favordynmods`. In a cgroup that is frozen the process stops there, and with it this thread, until somebody thaws it;
    /// no vehicle and no timeout helps.
    ///
    /// # Errors
    ///
    /// [`Step::Cgroup`]: EACCES where this process may not write there, EOPNOTSUPP or EBUSY where that cgroup takes no
    /// processes, ENOENT where it is none.
    pub fn cgroup(&mut self, directory: impl Into<Source<'fd>>) -> &mut Self {
        self.cgroup = Some(Cgroup::Open(directory.into()));
        self
    }

    /// Executes the file that this descriptor is open on. The path given to [`Self::new`] is then only the program's
    /// `argv[0]`, and the name for it in errors, and need not be absolute. See execveat(2), AT_EMPTY_PATH; Linux 3.19.
    ///
    /// The program does not have the descriptor. A script needs it, since its interpreter opens it by /proc or /dev/fd:
    /// [`Self::keep`] it then, under the same number.
    ///
    /// # Errors
    ///
    /// As of a path; ETXTBSY where the file is open for writing, by this descriptor too.
    pub fn exec_fd(&mut self, file: impl Into<Source<'fd>>) -> &mut Self {
        self.exec_fd = Some(file.into());
        self
    }

    /// How long the launch may take. Then its process is killed, and the error is [`Error::Timeout`](crate::Error::Timeout).
    /// Nothing, `None`, is for as long as it takes.
    ///
    /// Only a relay can keep to a time, so a time that is given here takes [`Vehicle::Relay`] where no vehicle is chosen. A
    /// child of [`Vehicle::InPlace`] stops this thread until the program's file is mapped: to ask for that vehicle and for a
    /// time is a mistake. A build without the feature `embedded` carries no relay: choose [`Vehicle::RelayAt`] there.
    ///
    /// A launch by a relay that is given no time here may take 30 seconds, for the case that a stranger, forked from this
    /// process without exec, holds the status pipe open. No timeout ends a wait in a frozen cgroup; see [`Self::cgroup`].
    pub fn timeout(&mut self, timeout: impl Into<Option<Duration>>) -> &mut Self {
        self.timeout = Some(timeout.into());
        self
    }

    /// How to launch it; see [`Vehicle`] for what is taken where this is not called.
    pub fn vehicle(&mut self, vehicle: Vehicle) -> &mut Self {
        self.vehicle = Some(vehicle);
        self
    }

    /// Any option of relay as text, `--name=value` or `--name`: for settings that come from a file or a command line, and
    /// for those that have no method of their own: `--reset`, `--ionice`, `--timer-slack`, `--new-keyring`. What it means is
    /// in relay's README and manual. `--keep-timers` keeps none, since a new process has none of this one's. Unlike relay,
    /// which clears the environment first, then unsets, then sets, this takes effect in the order of the calls, as methods do.
    ///
    /// Not those that say where relay reports or that print something; and not `--fd`, `--pulse`, `--listen-fds` and
    /// `--exec-fd`, which name descriptors of this process by their numbers: [`Self::fd`], [`Self::pulse`],
    /// [`Self::listen_fds`] and [`Self::exec_fd`] take them by what keeps them open.
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
                Other::Keep => self.read_kept(value).map_err(|_| "has a malformed value")?,
                Other::Close => match decimal(value).ok_or("has a malformed value")? {
                    0 => _ = self.stdin(Stdio::Closed),
                    1 => _ = self.stdout(Stdio::Closed),
                    2 => _ = self.stderr(Stdio::Closed),
                    inherited => self.closed.push(inherited),
                },
                Other::Cgroup => self.cgroup = Some(Cgroup::Path(value.as_c_str().to_owned())),
                Other::Fd | Other::Pulse | Other::ExecFd => {
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

    /// Checks a setting that is given as text, and notes it. A single value counts for more than one from a call before.
    fn read_setting(&mut self, setting: Setting, text: Text) -> Result<(), Mistake> {
        let mut value = Value::new(text);
        Settings::default().read(setting, &mut value)?;
        value.finish()?;
        self.texts.push((setting, text.as_c_str().to_owned()));
        Ok(())
    }

    /// Takes the value of an option. Whether it is well formed.
    fn add_text(&mut self, setting: Setting, text: &str) -> bool {
        CString::new(text).is_ok_and(|text| self.read_setting(setting, Text::from(&*text)).is_ok())
    }

    /// The same, and notes what it is that is not.
    fn text(&mut self, setting: Setting, text: &str, mistake: &str) -> &mut Self {
        if !self.add_text(setting, text) {
            self.mistake(format!("{text:?} {mistake}"));
        }
        self
    }

    /// Changes a part of the user that was asked for last, where one was.
    fn user(&mut self, change: impl FnOnce(&mut UserParts)) -> &mut Self {
        let mut settings = Settings::default();
        if let Some((setting, text)) = self.texts.iter().rfind(|(setting, _)| *setting == Setting::User) {
            // There is no mistake: it was read before.
            let _ = settings.read(*setting, &mut Value::new(text.as_c_str().into()));
        }
        let mut parts = match settings.user {
            Some(user) => UserParts { user: user.user, group: user.group, groups: user.groups().collect() },
            None => UserParts { user: geteuid().as_raw(), group: getegid().as_raw(), groups: Vec::new() },
        };
        change(&mut parts);
        let UserParts { user, group, groups } = parts;
        let groups: String = groups.iter().map(|group| format!(",{group}")).collect();
        self.texts.retain(|(setting, _)| *setting != Setting::User);
        self.text(Setting::User, &format!("{user}:{group}{groups}"), "is no user")
    }

    /// The settings of a method count for more than the text of a call before.
    fn settings(&mut self, setting: Setting) -> &mut Settings<'static> {
        self.texts.retain(|(other, _)| *other != setting);
        &mut self.settings
    }

    fn read_kept(&mut self, list: Text) -> Result<(), Mistake> {
        let mut value = Value::new(list);
        value.ranges(|first, last| {
            self.kept.push((first, last));
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

    /// Sets the variable with this name, or removes it.
    fn edit(&mut self, name: &OsStr, value: Option<&OsStr>) -> &mut Self {
        if is_name(name).is_none() {
            self.mistake(format!("{name:?} is no name of an environment variable"));
        }
        let parts = [name.as_bytes(), b"=", value.unwrap_or_default().as_bytes()];
        // With its NUL, so that there is one allocation.
        let mut variable = Vec::with_capacity(parts.iter().map(|part| part.len()).sum::<usize>() + 1);
        parts.iter().for_each(|part| variable.extend_from_slice(part));
        match CString::new(variable) {
            Ok(variable) => self.environment.edit(Edit { variable, name: name.len(), is_removed: value.is_none() }),
            Err(error) => self.mistake(format!("{:?} holds a NUL byte", OsStr::from_bytes(&error.into_vec()))),
        }
        self
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

/// Who a program is to be.
struct UserParts {
    user: u32,
    group: u32,
    groups: Vec<u32>,
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
