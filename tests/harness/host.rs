//! A dirty host: what relay inherits, made in a forked child, and what came of it.
//!
//! Which relay is tested, these variables say, and no others:
//!
//! | variable | what it holds |
//! |---|---|
//! | `RELAY_PROGRAM` | the path of a relay for this or another architecture, with the probe for it in the same folder; without it, those that cargo built for this test |
//! | `RELAY_RUNNER` | the path of a static qemu-user for that architecture |
//!
//! qemu-user makes the system calls of what it runs on this machine's kernel. What relay starts is not run by it but by
//! the kernel itself, and so it is this machine's own probe that looks at what a relay of any architecture has done.
//! `tests/left-out/qemu` lists the tests that cannot hold under it, and tests/architectures leaves them out.

#![allow(unsafe_code)]

use std::env;
use std::ffi::{CStr, CString, OsStr, c_long};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{LazyLock, Once, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use object::Object;
use seccompiler::BpfProgram;

use crate::slate::Slate;

#[path = "needs.rs"]
mod needs;

/// The relay that is tested.
pub fn relay() -> PathBuf {
    static NEEDS: Once = Once::new();
    NEEDS.call_once_force(|_| {
        needs::descriptors(MOST_DESCRIPTORS);
        needs::executable_files();
    });
    given_relay().unwrap_or_else(|| env!("CARGO_BIN_EXE_relay").into())
}

/// The one that RELAY_PROGRAM names.
pub fn given_relay() -> Option<PathBuf> {
    env::var_os("RELAY_PROGRAM").map(PathBuf::from)
}

/// The program that tells what it sees.
pub fn probe() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_probe"))
}

/// Fails where these tests are not run by root. What such a test needs is this machine's, not a user namespace's: other
/// users, real-time scheduling, capabilities.
#[track_caller]
pub fn assert_root() {
    // SAFETY: touches no memory and cannot fail.
    assert_eq!(unsafe { libc::geteuid() }, 0, "this test needs root, and the capabilities that root has");
}

/// The same for the architecture of the relay that is tested.
pub fn probe_beside_relay() -> PathBuf {
    relay().with_file_name("probe")
}

/// What runs the relay that is tested, where this machine's kernel does not.
pub fn runner() -> Option<PathBuf> {
    env::var_os("RELAY_RUNNER").map(PathBuf::from)
}

/// The line that starts a program of relay's architecture.
pub fn line_for(program: PathBuf) -> impl Iterator<Item = PathBuf> {
    runner().into_iter().chain([program])
}

/// The line that starts relay, for other programs to start it.
pub fn relay_line() -> impl Iterator<Item = PathBuf> {
    line_for(relay())
}

/// A C int in the byte order of the relay that is tested.
pub fn int(number: i32) -> [u8; 4] {
    static IS_LITTLE_ENDIAN: LazyLock<bool> = LazyLock::new(|| {
        let relay = fs::read(relay()).expect("relay");
        object::File::parse(relay.as_slice()).expect("an ELF file").is_little_endian()
    });
    if *IS_LITTLE_ENDIAN { number.to_le_bytes() } else { number.to_be_bytes() }
}

/// Whether what the host does to this signal reaches relay: qemu's C library keeps 32 and 33 for itself.
pub fn reaches_relay(signal: usize) -> bool {
    runner().is_none() || ![32, 33].contains(&signal)
}

/// Whether what relay does to this signal reaches the program, under its number: qemu keeps BUS and SEGV for itself, and
/// puts the others from 32 on two further up, since its C library keeps 32 and 33.
pub fn reaches_program(signal: usize) -> bool {
    runner().is_none() || signal < 32 && ![libc::SIGBUS as usize, libc::SIGSEGV as usize].contains(&signal)
}

/// The hard limit of descriptors that a dirty host has at the most, so that the probe sees each of them.
pub const MOST_DESCRIPTORS: u64 = 20_000;

/// Held shared while a child is between fork and exec, in which it has copies of all that the other tests have open.
///
/// Who needs a descriptor to be really closed, that of a file which is to be executed or of a pipe's only reader, closes
/// it by [`alone`].
static FORKS: RwLock<()> = RwLock::new(());

/// Does something while no child of this process has copies of its descriptors.
pub fn alone<T>(action: impl FnOnce() -> T) -> T {
    let _exclusive = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    action()
}

/// Starts a command.
pub fn spawn(command: &mut Command) -> Child {
    let _shared = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn().unwrap_or_else(|error| panic!("{error}: these tests need {command:?}"))
}

/// Runs a command and returns what it printed.
pub fn output(command: &mut Command) -> Output {
    let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    child.wait_with_output().expect("what the command printed")
}

type Action = Box<dyn FnMut() -> io::Result<()> + Send + Sync>;

/// What relay is started with. The actions are taken in the order of the calls.
pub struct Host {
    program: CString,
    /// What runs the program, where the kernel does not. An open file, since there may be no path to it in a root.
    runner: Option<(CString, File)>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    actions: Vec<Action>,
    /// The ends that the child has; closed in the parent once it has started.
    given: Vec<OwnedFd>,
    status: Option<File>,
}

/// What came of it.
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
    /// What the status pipe delivered until its end.
    pub records: Vec<u8>,
}

/// A relay, or what it became, that is still running.
pub struct Running {
    pub child: Child,
    pub status: Option<File>,
}

impl Host {
    /// A clean host that starts relay with these arguments after its name.
    pub fn new<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let arguments = arguments.into_iter().map(|argument| c_string(argument.as_ref()));
        Self {
            program: c_string(relay().as_os_str()),
            runner: runner().map(|path| {
                let file = File::open(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
                (c_string(path.as_os_str()), file)
            }),
            arguments: [c"relay".to_owned()].into_iter().chain(arguments).collect(),
            environment: Vec::new(),
            actions: Vec::new(),
            given: Vec::new(),
            status: None,
        }
    }

    /// Starts the relay that is at this path by then.
    pub fn relay_at(mut self, path: &str) -> Self {
        self.program = c_string(path.as_ref());
        self
    }

    /// Starts `program`, one of this machine's own, in relay's place.
    pub fn program(mut self, program: &str) -> Self {
        self.program = c_string(program.as_ref());
        self.runner = None;
        self
    }

    /// Passes no argument at all, not even the program's name.
    pub fn no_arguments(mut self) -> Self {
        self.arguments.clear();
        self
    }

    pub fn environment<S: AsRef<OsStr>>(mut self, variables: impl IntoIterator<Item = S>) -> Self {
        self.environment = variables.into_iter().map(|variable| c_string(variable.as_ref())).collect();
        self
    }

    fn action(mut self, action: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.actions.push(Box::new(action));
        self
    }

    /// Leaves `descriptor` open as `file`, not close-on-exec.
    pub fn descriptor(mut self, descriptor: RawFd, file: impl Into<OwnedFd>) -> Self {
        let file = file.into();
        let raw = file.as_raw_fd();
        self.given.push(file);
        self.action(move || {
            // A copy is never close-on-exec.
            copy(moved(raw)?, descriptor, 0)
        })
    }

    /// Leaves `descriptor` open on /dev/null.
    pub fn open(self, descriptor: RawFd) -> Self {
        let null = File::open("/dev/null").expect("/dev/null");
        self.descriptor(descriptor, null)
    }

    /// Leaves `descriptor` open as a copy of `original`, which the host has.
    pub fn copy(self, original: RawFd, descriptor: RawFd) -> Self {
        self.action(move || copy(original, descriptor, 0))
    }

    /// Leaves `descriptor` open as the write end of a pipe, whose other end [`Outcome::records`] is read from.
    pub fn status(mut self, descriptor: RawFd) -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        self.status = Some(OwnedFd::from(reader).into());
        self.descriptor(descriptor, writer)
    }

    pub fn closed(self, descriptor: RawFd) -> Self {
        self.action(move || call(libc::SYS_close, [descriptor as usize]))
    }

    /// Opens every number from 3 to below the soft limit, so that not one is free once relay has started.
    pub fn full_table(self) -> Self {
        self.action(|| {
            for descriptor in 3.. {
                // Where it is closed, or will be by the time relay starts.
                if !matches!(flags(descriptor), Ok(0))
                    && let Err(error) = copy(2, descriptor, 0)
                {
                    return if error.raw_os_error() == Some(libc::EBADF) { Ok(()) } else { Err(error) };
                }
            }
            Ok(())
        })
    }

    /// Ignores `signals`, by the raw call, which takes 32 and 33 too.
    pub fn ignored(self, signals: impl IntoIterator<Item = usize>) -> Self {
        let signals: Vec<_> = signals.into_iter().collect();
        self.action(move || {
            // struct sigaction of the kernel: the disposition first; the rest, and the mask, zero.
            let action = [libc::SIG_IGN, 0, 0, 0];
            signals
                .iter()
                .try_for_each(|&signal| call(libc::SYS_rt_sigaction, [signal, action.as_ptr() as usize, 0, 8]))
        })
    }

    /// Blocks every signal, by the raw call.
    pub fn all_blocked(self) -> Self {
        self.action(|| {
            let all = u64::MAX;
            call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, &raw const all as usize, 0, 8])
        })
    }

    /// Arms all three interval timers, an hour from now.
    pub fn timers(self) -> Self {
        self.action(|| {
            let hour = [0_usize, 0, 3600, 0];
            (0..3).try_for_each(|timer| call(libc::SYS_setitimer, [timer, hour.as_ptr() as usize, 0]))
        })
    }

    pub fn nofile(self, soft: u64, hard: u64) -> Self {
        self.action(move || set_nofile(soft, hard))
    }

    /// Sets both limits of a resource.
    pub fn limit(self, resource: u32, soft: u64, hard: u64) -> Self {
        self.action(move || set_limit(resource, soft, hard))
    }

    /// Sets an attribute of the process; see prctl(2).
    pub fn attribute(self, option: i32, value: usize) -> Self {
        self.call(libc::SYS_prctl, [option as usize, value, 0, 0, 0])
    }

    /// Makes a system call by its number. What an argument points to is only read, and outlives the host.
    pub fn call<const COUNT: usize>(self, number: c_long, arguments: [usize; COUNT]) -> Self {
        self.action(move || call(number, arguments))
    }

    /// The same, where this kernel and this machine let it be done: not every one has everything that can be dirty.
    pub fn call_if_possible<const COUNT: usize>(self, number: c_long, arguments: [usize; COUNT]) -> Self {
        self.action(move || call(number, arguments).or(Ok(())))
    }

    /// Runs on these processors alone.
    pub fn processors(self, list: &[usize]) -> Self {
        let bits = usize::BITS as usize;
        let mut mask = [0_usize; 8192 / usize::BITS as usize];
        list.iter().for_each(|number| mask[number / bits] |= 1 << (number % bits));
        self.action(move || call(libc::SYS_sched_setaffinity, [0, size_of_val(&mask), mask.as_ptr() as usize]))
    }

    pub fn scheduling(self, policy: i32, priority: i32) -> Self {
        self.action(move || call(libc::SYS_sched_setscheduler, [0, policy as usize, &raw const priority as usize]))
    }

    /// Has these supplementary groups and no others.
    pub fn groups(self, groups: &[u32]) -> Self {
        let groups = groups.to_owned();
        self.action(move || call(libc::SYS_setgroups, [groups.len(), groups.as_ptr() as usize]))
    }

    /// Becomes this user with this group: real, effective and saved.
    pub fn user(self, user: u32, group: u32) -> Self {
        self.call(libc::SYS_setresgid, [group as usize; 3]).call(libc::SYS_setresuid, [user as usize; 3])
    }

    /// Has these capabilities, a bit each, and no others, in the effective, permitted and inheritable sets.
    pub fn capabilities(self, set: u64) -> Self {
        const VERSION_3: u32 = 0x2008_0522;
        let header = [VERSION_3, 0];
        let (low, high) = (set as u32, (set >> 32) as u32);
        let sets = [[low; 3], [high; 3]];
        self.action(move || call(libc::SYS_capset, [header.as_ptr() as usize, sets.as_ptr() as usize]))
    }

    /// Becomes this user, who is not root and yet has these capabilities, in the ambient set too, so that relay has them.
    pub fn user_with_capabilities(self, user: u32, set: u64) -> Self {
        let host = self.attribute(libc::PR_SET_KEEPCAPS, 1).user(user, user).capabilities(set);
        (0..64).filter(|capability| set & 1 << capability != 0).fold(host, |host, capability| {
            let raise = [libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability].map(|number| number as usize);
            host.call(libc::SYS_prctl, [raise[0], raise[1], raise[2], 0, 0])
        })
    }

    /// Makes a user namespace in which root is whoever runs these tests, nobody else is there, and groups cannot be set.
    pub fn user_namespace(self) -> Self {
        // SAFETY: touch no memory and cannot fail.
        let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
        let host = self.call(libc::SYS_unshare, [libc::CLONE_NEWUSER as usize]);
        let host = host.written("/proc/self/setgroups", "deny").written("/proc/self/uid_map", &format!("0 {user} 1"));
        host.written("/proc/self/gid_map", &format!("0 {group} 1"))
    }

    /// Writes `text` at once to the file that is at `path`.
    pub fn written(self, path: &str, text: &str) -> Self {
        let path = c_string(path.as_ref());
        let text = text.to_owned();
        self.action(move || write_at_once(&path, text.as_bytes()))
    }

    /// Limits the stack to so many bytes, and has the kernel not move it by a random distance. Last: the child itself is on
    /// the stack of a thread, which has no limit.
    pub fn stack(self, bytes: u64) -> Self {
        self.action(move || {
            let limit = [bytes, bytes];
            call(libc::SYS_personality, [libc::ADDR_NO_RANDOMIZE as usize])?;
            call(libc::SYS_prlimit64, [0, libc::RLIMIT_STACK as usize, limit.as_ptr() as usize, 0])
        })
    }

    /// Makes `directory` the root, in a user namespace of its own where that needs the right to.
    pub fn root(self, directory: &Path) -> Self {
        let directory = c_string(directory.as_os_str());
        // Without user namespaces an unprivileged user cannot run these tests.
        // SAFETY: touches no memory and cannot fail.
        let needs_namespace = unsafe { libc::geteuid() } != 0;
        self.action(move || {
            if needs_namespace {
                call(libc::SYS_unshare, [libc::CLONE_NEWUSER as usize])?;
            }
            call(libc::SYS_chroot, [directory.as_ptr() as usize])?;
            call(libc::SYS_chdir, [c"/".as_ptr() as usize])
        })
    }

    /// Makes this machine's /proc to be had at `directory` too, in a mount namespace of the host's own.
    pub fn proc_at(self, directory: &Path) -> Self {
        let directory = c_string(directory.as_os_str());
        // SAFETY: touches no memory and cannot fail.
        let needs_namespace = unsafe { libc::geteuid() } != 0;
        let namespaces = libc::CLONE_NEWNS | if needs_namespace { libc::CLONE_NEWUSER } else { 0 };
        self.action(move || {
            let mount = |source: &CStr, target: &CStr, flags: u64| {
                call(libc::SYS_mount, [source.as_ptr() as usize, target.as_ptr() as usize, 0, flags as usize])
            };
            call(libc::SYS_unshare, [namespaces as usize])?;
            mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE)?;
            mount(c"/proc", &directory, libc::MS_BIND | libc::MS_REC)
        })
    }

    /// Makes the host the leader of a process group, or of a session.
    pub fn leader_of_group(self) -> Self {
        self.action(|| call(libc::SYS_setpgid, [0, 0]))
    }

    pub fn leader_of_session(self) -> Self {
        self.action(|| call(libc::SYS_setsid, []))
    }

    /// Has the program stop before its first instruction, traced by the thread that starts it.
    pub fn traced(self) -> Self {
        self.action(|| call(libc::SYS_ptrace, [libc::PTRACE_TRACEME as usize]))
    }

    pub fn filter(self, filter: BpfProgram) -> Self {
        self.action(move || seccompiler::apply_filter(&filter).map_err(io::Error::other))
    }

    pub fn spawn(self) -> Running {
        let Self { program, runner, mut arguments, environment, mut actions, mut given, status } = self;
        let mut runner_descriptor = None;
        if let Some((path, file)) = runner {
            runner_descriptor = Some(file.as_raw_fd());
            given.push(file.into());
            // qemu's own name, argv[0] of what it runs, and where that is.
            let name = arguments.first().expect("qemu gives it a name").clone();
            arguments.splice(..1, [path, c"-0".to_owned(), name, program.clone()]);
        }
        let pointers = |strings: &[CString]| {
            let pointers = strings.iter().map(|string| string.as_ptr() as usize);
            pointers.chain([0]).collect::<Vec<_>>()
        };
        let (argv, envp) = (pointers(&arguments), pointers(&environment));
        let descriptors: Vec<_> = given.iter().map(|given| given.as_raw_fd()).collect();

        let mut command = Command::new("relay, started in the closure below");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: the child of a threaded process may call only what is async-signal-safe: these are system calls, on
        // memory that was laid out before the fork.
        unsafe {
            command.pre_exec(move || {
                make_room(&descriptors)?;
                actions.iter_mut().try_for_each(|action| action())?;
                let (argv, envp) = (argv.as_ptr().cast(), envp.as_ptr().cast());
                match runner_descriptor {
                    Some(runner) => libc::fexecve(moved(runner)?, argv, envp),
                    None => libc::execve(program.as_ptr(), argv, envp),
                };
                Err(io::Error::last_os_error())
            });
        }
        let child = spawn(&mut command);
        drop(given);
        // The strings must outlive the fork.
        drop((arguments, environment));
        Running { child, status }
    }

    /// Starts relay after the status pipe's reader has gone.
    pub fn spawn_unread(mut self) -> Running {
        alone(|| self.status = None);
        self.spawn()
    }

    pub fn run(self) -> Outcome {
        self.spawn().finish()
    }

    /// The same where it must not be waited for without end.
    #[track_caller]
    pub fn run_in_time(self) -> Outcome {
        let mut running = self.spawn();
        for _ in 0..2_000 {
            if running.child.try_wait().expect("the child's state").is_some() {
                return running.finish();
            }
            thread::sleep(Duration::from_millis(10));
        }
        running.child.kill().expect("it still runs");
        panic!("not done after 20 seconds: {:?}", running.finish());
    }
}

/// What this kernel says to CLOSE_RANGE_CLOEXEC, by which relay marks all descriptors at once.
pub fn mark_a_range() -> io::Result<()> {
    let none = i32::MAX as usize;
    // This descriptor cannot be open.
    call(libc::SYS_close_range, [none, none, libc::CLOSE_RANGE_CLOEXEC as usize])
}

/// Waits until the process is inside the system call, as /proc/PID/syscall tells. Whether it was seen there: it may have
/// ended, or be running something else by then.
#[must_use]
pub fn wait_until_in_call(pid: u32, call: i64) -> bool {
    let inside = format!("{call} ");
    let runs = fs::canonicalize(relay_line().next().expect("a program")).expect("its path");
    let this = env::current_exe().expect("this program");
    for _ in 0..10_000 {
        match fs::read_link(format!("/proc/{pid}/exe")) {
            Ok(exe) if exe == runs => {}
            // It was forked, and has not executed relay yet.
            Ok(exe) if exe == this => {}
            // It has ended, or is something else by now.
            _ => return false,
        }
        let current = fs::read_to_string(format!("/proc/{pid}/syscall")).unwrap_or_default();
        if current.starts_with(&inside) {
            return true;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("process {pid} has not made system call {call} in ten seconds");
}

impl Running {
    /// Waits for the end of all that the child writes, and of the child.
    pub fn finish(self) -> Outcome {
        let Self { child, status } = self;
        let mut records = Vec::new();
        if let Some(mut status) = status {
            status.read_to_end(&mut records).expect("the status pipe");
        }
        let output = child.wait_with_output().expect("the child's output");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Outcome { status: output.status, stdout: output.stdout, stderr, records }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let stdout: String = String::from_utf8_lossy(&self.stdout).chars().take(500).collect();
        write!(formatter, "{}, stdout {stdout:?}, stderr {:?}, records {:?}", self.status, self.stderr, self.records)
    }
}

impl Outcome {
    /// What the probe saw. `before` stands before its JSON on standard output.
    pub fn slate_after(&self, before: &[u8]) -> Slate {
        let printed = self.stdout.strip_prefix(before);
        let printed = printed.unwrap_or_else(|| panic!("standard output does not begin with {before:?}: {self:?}"));
        serde_json::from_slice(printed).unwrap_or_else(|error| panic!("no slate, {error}: {self:?}"))
    }

    pub fn slate(&self) -> Slate {
        self.slate_after(b"")
    }

    /// relay failed because this argument is malformed, and said how its option is used.
    #[track_caller]
    pub fn assert_misused(&self, argument: &str) {
        assert_eq!((self.status.code(), self.stdout.as_slice()), (Some(125), &b""[..]), "{self:?}");
        let usage = self.stderr.strip_prefix(&format!("relay: bad value {argument}, use --"));
        assert!(usage.is_some_and(|usage| usage.len() > 2 && usage.lines().count() == 1), "{:?}", self.stderr);
    }
}

/// How far above their numbers [`make_room`] moves the given descriptors.
const FAR: RawFd = MOST_DESCRIPTORS as RawFd / 2;

/// Marks all that this process happens to have open close-on-exec, and moves the `given` descriptors out of the way of
/// the numbers that the tests use. Resets what the tests' own launcher left ignored: glibc's posix_spawn, for one, leaves
/// 32 and 33.
fn make_room(given: &[RawFd]) -> io::Result<()> {
    for signal in (1..=64).filter(|signal| ![libc::SIGKILL as usize, libc::SIGSTOP as usize].contains(signal)) {
        let default = [0_usize; 4];
        call(libc::SYS_rt_sigaction, [signal, default.as_ptr() as usize, 0, 8])?;
    }
    set_nofile(MOST_DESCRIPTORS, MOST_DESCRIPTORS)?;
    for &descriptor in given {
        copy(descriptor, descriptor + FAR, libc::O_CLOEXEC)?;
    }
    let marked = call(libc::SYS_close_range, [3, u32::MAX as usize, libc::CLOSE_RANGE_CLOEXEC as usize]);
    // Before Linux 5.11 one by one. What happens to be open is far below the limit.
    marked.or_else(|_| (3..MOST_DESCRIPTORS as RawFd).try_for_each(mark_close_on_exec))
}

/// Marks a descriptor close-on-exec where it is open.
fn mark_close_on_exec(descriptor: RawFd) -> io::Result<()> {
    match call(libc::SYS_fcntl, [descriptor as usize, libc::F_SETFD as usize, libc::FD_CLOEXEC as usize]) {
        Err(error) if error.raw_os_error() != Some(libc::EBADF) => Err(error),
        _ => Ok(()),
    }
}

fn moved(given: RawFd) -> io::Result<RawFd> {
    if given < FAR { Ok(given + FAR) } else { Err(io::Error::other("too high a descriptor")) }
}

fn set_nofile(soft: u64, hard: u64) -> io::Result<()> {
    set_limit(libc::RLIMIT_NOFILE, soft, hard)
}

fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = [soft, hard];
    call(libc::SYS_prlimit64, [0, resource as usize, limit.as_ptr() as usize, 0])
}

fn write_at_once(path: &CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the path ends with a NUL, the kernel reads no further than the slice, and what is closed was opened here.
    let (written, error) = unsafe {
        let flags = libc::O_WRONLY | libc::O_CLOEXEC;
        let descriptor = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        let written = libc::syscall(libc::SYS_write, descriptor, bytes.as_ptr(), bytes.len());
        let error = io::Error::last_os_error();
        libc::syscall(libc::SYS_close, descriptor);
        (written, error)
    };
    match usize::try_from(written) {
        Ok(written) if written == bytes.len() => Ok(()),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(_) => Err(error),
    }
}

fn copy(original: RawFd, descriptor: RawFd, flags: i32) -> io::Result<()> {
    call(libc::SYS_dup3, [original as usize, descriptor as usize, flags as usize])
}

/// The descriptor's flags: 0, or FD_CLOEXEC.
fn flags(descriptor: RawFd) -> io::Result<i32> {
    // SAFETY: touches no memory.
    match unsafe { libc::fcntl(descriptor, libc::F_GETFD) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags),
    }
}

/// Makes a system call by its number, for the C library would do more than that.
fn call<const COUNT: usize>(number: c_long, arguments: [usize; COUNT]) -> io::Result<()> {
    let argument = |index| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: the callers above, and those of `Host::call`, pass pointers to what the call reads, none to anything that it
    // writes.
    let value =
        unsafe { libc::syscall(number, argument(0), argument(1), argument(2), argument(3), argument(4), argument(5)) };
    match value {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn c_string(text: &OsStr) -> CString {
    CString::new(text.as_bytes()).expect("no NUL")
}

/// A file that stands for a directory only by its path (O_PATH), which a poll does not see.
pub fn path_only(path: &str) -> OwnedFd {
    let path = c_string(path.as_ref());
    // SAFETY: the path ends with a NUL, and the descriptor is nobody else's.
    unsafe {
        let descriptor = libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
        assert!(descriptor >= 0, "{path:?}: {}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(descriptor)
    }
}

/// Sets or clears O_NONBLOCK.
fn set_nonblocking(file: &impl AsRawFd) {
    // SAFETY: touches no memory.
    let value = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(value, 0, "{}", io::Error::last_os_error());
}

/// Both ends of a new pseudo terminal: what a person sits at, and what programs have.
pub fn pseudo_terminal() -> (File, File) {
    let (mut person, mut program) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: writes two ints and reads nothing (NULL); the descriptors are nobody else's.
    unsafe {
        let opened = libc::openpty(&raw mut person, &raw mut program, none, none.cast(), none.cast());
        assert_eq!(opened, 0, "{}", io::Error::last_os_error());
        for descriptor in [person, program] {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        (File::from_raw_fd(person), File::from_raw_fd(program))
    }
}

/// A pipe whose writer does not block, filled to the last byte, and how many bytes that were.
pub fn full_pipe() -> (PipeReader, PipeWriter, usize) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    set_nonblocking(&writer);
    let mut filled = 0;
    for chunk in [4096, 1] {
        while let Ok(written) = writer.write(&vec![b'x'; chunk]) {
            filled += written;
        }
    }
    (reader, writer, filled)
}

/// Two ends of a stream socket.
pub fn socket_pair() -> (File, File) {
    let (left, right) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    // SAFETY: into_raw_fd gives both away.
    unsafe { (File::from_raw_fd(left.into_raw_fd()), File::from_raw_fd(right.into_raw_fd())) }
}
