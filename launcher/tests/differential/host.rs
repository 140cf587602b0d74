//! A host: this program, started again, with whatever a bad host has done before it launches anything.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread::{self, Thread};

use exec_relay_launcher::{Launch, Vehicle};
use fastrand::Rng;

use crate::descriptors::{self, Identity, aside, identity, identity_of, path_only, place};
use crate::request::Request;
use crate::support::{set_disposition, set_limit};
use crate::ways;
use crate::{BATCH, Counts, Found, Report, Task, judge};

/// What a host has done.
#[derive(Clone, Debug)]
pub enum Dirt {
    /// A descriptor that its programs would inherit.
    Leaked(RawFd, Leak),
    /// All interval timers are armed, an hour from now.
    Timers,
    Umask(u32),
    /// Its directory has been removed.
    NoDirectory,
    /// Another user than root, which also makes it one that /proc is closed to.
    Unprivileged,
    /// It has a handler for this signal, of which its process group gets many while it launches.
    Rain(i32),
    Ignored(Vec<i32>),
    /// By the thread that launches.
    Blocked(Vec<i32>),
    /// Soft and hard, lowered while descriptors above are open.
    DescriptorLimit(u64, u64),
    Closed(RawFd),
}

#[derive(Clone, Copy, Debug)]
pub enum Leak {
    Null,
    Directory,
    PathOnly,
}

/// What a host has open to be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File(u32),
    Socket(u32),
    Directory,
    PathOnly,
    Null,
    /// A new one for each launch, because the end of a session hangs its terminal up.
    Terminal,
    /// The probe, to be executed.
    Program,
    /// A script that the probe interprets.
    Script,
}

#[derive(Clone, Copy, Debug)]
pub struct Source {
    pub number: RawFd,
    pub kind: Kind,
    pub close_on_exec: bool,
}

pub struct Host {
    pub task: Task,
    pub dirt: Vec<Dirt>,
    pub sources: Vec<Source>,
    /// Entries as the kernel hands them on, well formed or not.
    pub environment: Vec<CString>,
    /// The person's side of the terminal.
    person: RefCell<Option<OwnedFd>>,
    /// The names of known files.
    known: RefCell<BTreeMap<Identity, String>>,
    rain: Option<Rain>,
}

/// From here up is what the host has open for itself.
const OWN: RawFd = 700;

/// Where the probe tells what it sees. It waits there for a reader, so that no program ends before its launch is over.
pub fn fifo(directory: &Path) -> PathBuf {
    directory.join("slate")
}

/// Numbers that do not go with one another even for seeds that follow one another.
pub fn rng(seed: u64, salt: u64) -> Rng {
    Rng::with_seed((seed ^ salt << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

pub fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.u32(..100) < percent
}

pub fn pick<T: Clone>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())].clone()
}

/// Any bytes but NUL.
pub fn bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    let length = rng.usize(..=most);
    (0..length).map(|_| if rng.bool() { rng.alphanumeric() as u8 } else { rng.u8(1..) }).collect()
}

/// Runs the cases of a task, and ends the process.
pub fn run(task: Task) -> ! {
    let mut host = Host::new(task);
    let path = host.task.directory.join("report");
    let report = File::options().create(true).append(true).open(path).expect("a report").into();
    let mut report = File::from(aside(report, OWN + 2, |_| false).expect("a number"));
    // In one write, so that a host that is killed leaves whole lines.
    let mut tell = |what: &Report| {
        let line = serde_json::to_string(what).expect("JSON") + "\n";
        report.write_all(line.as_bytes()).expect("a report");
    };
    host.make_dirty();
    // No host outlives the test. After a change of the user, which undoes it.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).expect("a signal");
    // What the library keeps for the next launches is open from now on.
    let _ = Launch::new("/no/such/program").vehicle(Vehicle::Relay).launch();

    let mut counts = Counts::default();
    for seed in host.task.first..host.task.first + host.task.count {
        tell(&Report::Begun(seed));
        let request = Request::any(seed, &host);
        let (outcomes, differences) = judge::judge(&host, &request);
        let outcome = outcomes[0].as_ref().map(|result| result.outcome.short()).unwrap_or_default();
        *counts.entry(outcome).or_default() += 1;
        let classes: BTreeSet<_> = differences.iter().map(|difference| difference.class.clone()).collect();
        for class in classes {
            // Only for the first of its kind, since that takes many launches.
            let text = host.is_new(&class).then(|| host.told(&request, &judge::shrink(&host, &request, &class)));
            tell(&Report::Found(Found { seed, class, text }));
        }
    }
    // SAFETY: writes nothing (NULL).
    let waited = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
    if waited != -1 {
        let class = "a child is left behind".to_owned();
        tell(&Report::Found(Found { seed: host.task.first, class, text: Some(format!("{:?}\n", host.dirt)) }));
    }
    tell(&Report::Done(counts));
    // SAFETY: ends the process at once: what the test's runner would say has no place to go.
    unsafe { libc::_exit(0) }
}

impl Host {
    fn new(task: Task) -> Self {
        descriptors::close_from(3);
        let rng = &mut rng(task.first / BATCH, 1);
        let mut free: BTreeSet<RawFd> = (3..OWN).collect();
        let mut take = |rng: &mut Rng, from: &[RawFd]| {
            let number = Some(pick(rng, from)).filter(|number| *number >= OWN || free.contains(number))?;
            free.remove(&number);
            Some(number)
        };
        let low: Vec<_> = (3..16).collect();
        let any: Vec<_> = (3..OWN).collect();
        let mut kinds: Vec<_> = (0..4).map(Kind::File).chain((0..3).map(Kind::Socket)).collect();
        kinds.splice(..0, [Kind::Terminal, Kind::Directory, Kind::PathOnly, Kind::Null, Kind::Program, Kind::Script]);
        let mut sources = Vec::new();
        for kind in kinds {
            // The terminal must be below every limit, since a new one takes its place.
            let from = if chance(rng, 60) || kind == Kind::Terminal { &low } else { &any };
            let number = std::iter::repeat_with(|| take(rng, from)).flatten().next();
            sources.push(Source { number: number.expect("an endless supply"), kind, close_on_exec: chance(rng, 80) });
        }

        let mut dirt = Vec::new();
        for _ in 0..rng.usize(..6) {
            let number = take(rng, &[3, 4, 5, 6, 7, 8, 9, 20, 63, 64, 65, 255, 256, 600, 1000, 1023, 1024, 4000]);
            let leak = pick(rng, &[Leak::Null, Leak::Directory, Leak::PathOnly]);
            dirt.extend(number.map(|number| Dirt::Leaked(number, leak)));
        }
        if chance(rng, 20) {
            dirt.push(Dirt::Timers);
        }
        if chance(rng, 30) {
            dirt.push(Dirt::Umask(rng.u32(..0o1000)));
        }
        if chance(rng, 10) {
            dirt.push(Dirt::NoDirectory);
        }
        if chance(rng, 20) {
            dirt.push(Dirt::Unprivileged);
        }
        if chance(rng, 15) {
            dirt.push(Dirt::Rain(pick(rng, &[libc::SIGWINCH, libc::SIGURG])));
        }
        let signals = |rng: &mut Rng| {
            let common = [libc::SIGHUP, libc::SIGINT, libc::SIGCHLD, libc::SIGTSTP, 32, 33, 34, 64];
            (0..rng.usize(1..6)).map(|_| if rng.bool() { pick(rng, &common) } else { rng.i32(1..=64) }).collect()
        };
        if chance(rng, 50) {
            dirt.push(Dirt::Ignored(signals(rng)));
        }
        if chance(rng, 40) {
            dirt.push(Dirt::Blocked(signals(rng)));
        }
        if chance(rng, 20) {
            let soft = pick(rng, &[64, 128, 300, 1024]);
            dirt.push(Dirt::DescriptorLimit(soft, soft.max(pick(rng, &[64, 1024, 4096]))));
        }
        for number in 0..3 {
            if chance(rng, 12) {
                dirt.push(Dirt::Closed(number));
            }
        }
        let environment = environment(rng);
        Self { task, dirt, sources, environment, person: RefCell::default(), known: RefCell::default(), rain: None }
    }

    pub fn leaks(&self) -> Vec<RawFd> {
        let leaks =
            self.dirt.iter().filter_map(|dirt| if let Dirt::Leaked(number, _) = dirt { Some(*number) } else { None });
        leaks.collect()
    }

    pub fn source(&self, kind: Kind) -> RawFd {
        let found = self.sources.iter().find(|source| source.kind == kind);
        found.expect("a host has each").number
    }

    /// The signal that rains.
    pub fn rain(&self) -> Option<i32> {
        self.dirt.iter().find_map(|dirt| if let Dirt::Rain(signal) = dirt { Some(*signal) } else { None })
    }

    /// Whether it is another user than root, and so not dumpable.
    pub fn is_unprivileged(&self) -> bool {
        self.dirt.iter().any(|dirt| matches!(dirt, Dirt::Unprivileged))
    }

    /// Whether the kernel reaps its children, so that nobody can be sure of how they ended.
    pub fn ignores_children(&self) -> bool {
        let ignores = |dirt: &Dirt| matches!(dirt, Dirt::Ignored(signals) if signals.contains(&libc::SIGCHLD));
        self.dirt.iter().any(ignores)
    }

    fn make_dirty(&mut self) {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX);
        set_limit(libc::RLIMIT_NOFILE, limit.min(8192), limit.min(8192)).expect("a limit");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            fifo(&self.task.directory),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o666),
            0,
        )
        .expect("a pipe with a name");
        fs::set_permissions(fifo(&self.task.directory), std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .expect("a mode");
        self.know(identity_of("/dev/null"), "/dev/null".to_owned());
        for number in 0..3 {
            self.know(identity(number), "a descriptor that the host was started with".to_owned());
        }
        for &Source { number, kind, close_on_exec } in &self.sources {
            let file: OwnedFd = match kind {
                Kind::File(_) => tempfile::tempfile_in(&self.task.directory).expect("a file").into(),
                Kind::Socket(index) => {
                    UnixListener::bind(self.task.directory.join(format!("socket-{index}"))).expect("a socket").into()
                }
                Kind::Directory => descriptors::open("/proc"),
                Kind::PathOnly => path_only("/sys"),
                Kind::Null => descriptors::open("/dev/null"),
                Kind::Terminal => self.new_terminal(),
                Kind::Program => path_only(self.task.probe.to_str().expect("UTF-8")),
                Kind::Script => descriptors::open(self.task.programs.join("script").to_str().expect("UTF-8")),
            };
            place(file, number, close_on_exec);
            self.know(identity(number), format!("{kind:?}"));
        }
        let dirt = std::mem::take(&mut self.dirt);
        self.dirt = dirt.into_iter().filter(|dirt| self.make(dirt)).collect();
        use_environment(&self.environment);
    }

    /// Whether that can be had here.
    fn make(&mut self, dirt: &Dirt) -> bool {
        match dirt {
            Dirt::Leaked(number, leak) => {
                if *number as u64
                    >= rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX)
                {
                    return false;
                }
                let file = match leak {
                    Leak::Null => descriptors::open("/dev/null"),
                    Leak::Directory => descriptors::open("/dev"),
                    Leak::PathOnly => path_only("/"),
                };
                place(file, *number, false);
                self.know(identity(*number), format!("leaked {leak:?}"));
            }
            Dirt::Timers => {
                let hour = libc::timeval { tv_sec: 3600, tv_usec: 0 };
                let timer = libc::itimerval { it_interval: hour, it_value: hour };
                for which in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
                    // SAFETY: reads one structure and writes nothing (NULL).
                    assert_eq!(unsafe { libc::setitimer(which, &timer, std::ptr::null_mut()) }, 0);
                }
            }
            Dirt::Umask(mask) => _ = rustix::process::umask(rustix::fs::Mode::from_raw_mode(*mask)),
            Dirt::NoDirectory => {
                let directory = self.task.directory.join("removed");
                fs::create_dir(&directory).expect("a directory");
                std::env::set_current_dir(&directory).expect("a directory");
                fs::remove_dir(&directory).expect("an empty directory");
            }
            Dirt::Unprivileged => return self.give_up_privileges(),
            Dirt::Rain(signal) => self.rain = Some(Rain::new(*signal)),
            Dirt::Ignored(signals) => signals.iter().for_each(|&signal| ignore(signal)),
            Dirt::Blocked(signals) => block(signals),
            Dirt::DescriptorLimit(soft, hard) => set_limit(libc::RLIMIT_NOFILE, *soft, *hard).expect("a lower limit"),
            Dirt::Closed(number) => descriptors::close(*number),
        }
        true
    }

    /// Becomes another user, where that one can reach the programs.
    fn give_up_privileges(&self) -> bool {
        const NOBODY: libc::uid_t = 65_534;
        let reachable = |path: &Path| {
            let path = CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL");
            // SAFETY: the path ends with a NUL.
            unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
        };
        // SAFETY: touches no memory. All threads change; the others of this process only wait.
        unsafe {
            if libc::geteuid() != 0 || libc::setresuid(NOBODY, NOBODY, 0) != 0 {
                return false;
            }
            let paths =
                [&self.task.probe, &self.task.relay, &self.task.directory, &self.task.programs, &self.task.classes];
            let all = paths.iter().all(|path| reachable(path));
            let user = if all { NOBODY } else { 0 };
            assert_eq!(libc::setresuid(user, user, user), 0);
            all
        }
    }

    fn know(&self, identity: Option<Identity>, name: String) {
        if let Some(identity) = identity {
            self.known.borrow_mut().entry(identity).or_insert(name);
        }
    }

    /// What a file is called: its name, or its numbers.
    pub fn name_of(&self, identity: Identity) -> String {
        let known = self.known.borrow();
        known.get(&identity).cloned().unwrap_or_else(|| format!("{identity:?}"))
    }

    /// A terminal, of which this keeps the person's side.
    fn new_terminal(&self) -> OwnedFd {
        drop(self.person.take());
        let (person, program) = descriptors::terminal();
        // Out of the way of the numbers that requests name, as far as the limit lets it.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        let least = OWN.min(limit as RawFd - 8);
        *self.person.borrow_mut() = Some(aside(person, least, |_| false).expect("a number"));
        program
    }

    /// Puts a new terminal in the place of the last one.
    pub fn renew_terminal(&self) {
        let number = self.source(Kind::Terminal);
        let close_on_exec = descriptors::close_on_exec(number).expect("it is open");
        self.known.borrow_mut().retain(|_, name| name != "Terminal");
        descriptors::close(number);
        place(self.new_terminal(), number, close_on_exec);
        self.know(identity(number), "Terminal".to_owned());
    }

    /// Does something while signals rain, where they do. Whether the host's handler ran in another process meanwhile.
    pub fn in_rain<T>(&self, action: impl FnOnce() -> T) -> (T, bool) {
        match &self.rain {
            Some(rain) => rain.during(action),
            None => (action(), false),
        }
    }

    /// Whether no host has told of this kind of difference.
    fn is_new(&self, class: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        class.hash(&mut hasher);
        File::create_new(self.task.classes.join(hasher.finish().to_string())).is_ok()
    }

    /// A request in full, what came of it, and of its smallest form.
    fn told(&self, request: &Request, smallest: &Request) -> String {
        let mut text = format!("host: {:?}\n", self.dirt);
        let sources = self.sources.iter().map(|Source { number, kind, close_on_exec }| {
            format!("{number}: {kind:?}{}", if *close_on_exec { "" } else { ", inherited" })
        });
        text += &format!("      descriptors to pass on: {}\n", sources.collect::<Vec<_>>().join("; "));
        text += &format!("      environment: {:?}\n", self.environment);
        text += &format!("request: {request}\n");
        text += &format!("smallest: {smallest}\n");
        let (outcomes, differences) = judge::judge(self, smallest);
        for (way, outcome) in ways::all(self).iter().zip(outcomes) {
            match outcome {
                Some(outcome) => text += &format!("  {}: {outcome}\n", way.name()),
                None => text += &format!("  {}: cannot say it\n", way.name()),
            }
        }
        for difference in differences {
            text += &format!("{difference}\n");
        }
        text
    }
}

/// Variables of every form, or only well formed ones.
fn environment(rng: &mut Rng) -> Vec<CString> {
    let well_formed: &[&[u8]] = &[
        b"A=1",
        b"B=2",
        b"HOME=/root",
        b"PATH=/bin",
        b"EMPTY=",
        b"\xff=\xfe",
        b"C=a=b",
        b"LISTEN_FDS=9",
        b"LISTEN_PID=1",
        b"LISTEN_FDNAMES=x",
        b"LISTEN_PIDFDID=7",
    ];
    let malformed: &[&[u8]] = &[b"", b"=", b"=x", b"=x=y", b"A", b"HOME", b"A=2", b"PATH=", b"A=1", b"\xff"];
    let with_malformed = rng.bool();
    let mut entries = Vec::new();
    for entry in well_formed {
        if rng.bool() {
            entries.push(entry.to_vec());
        }
    }
    if with_malformed {
        for _ in 0..rng.usize(1..4) {
            entries.push(pick(rng, malformed).to_vec());
        }
    }
    if chance(rng, 30) {
        entries.push([b"ANY=".to_vec(), bytes(rng, 20)].concat());
    }
    rng.shuffle(&mut entries);
    entries.into_iter().map(|entry| CString::new(entry).expect("no NUL")).collect()
}

unsafe extern "C" {
    /// The environment of the C library, which is this process's.
    pub static mut environ: *const *const c_char;
}

/// Makes these entries the environment, as they are, for as long as the process lives.
fn use_environment(entries: &[CString]) {
    let entries = Vec::leak(entries.to_vec());
    let mut vector: Vec<_> = entries.iter().map(|entry| entry.as_ptr()).collect();
    vector.push(std::ptr::null());
    // SAFETY: the strings and the vector, which ends with NULL, live as long as the process. The other threads of this
    // process wait and do not read the environment.
    unsafe { environ = Vec::leak(vector).as_ptr() };
}

/// The environment as it is.
pub fn environment_pointer() -> *const *const c_char {
    // SAFETY: nobody changes it any more.
    unsafe { environ }
}

/// By the raw call, which takes 32 and 33 too.
fn ignore(signal: i32) {
    // struct sigaction of the kernel: the disposition first; the rest, and the mask, zero.
    let action = [libc::SIG_IGN, 0, 0, 0];
    // SAFETY: reads one structure, no larger than that, and writes nothing. KILL and STOP are refused, which is no matter.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), 0, 8) };
}

fn block(signals: &[i32]) {
    let set = signals.iter().fold(0_u64, |set, signal| set | 1 << (signal - 1));
    // SAFETY: reads one set of 8 bytes and writes nothing.
    let blocked = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &raw const set, 0, 8) };
    assert_eq!(blocked, 0);
}

/// A thread that sends a signal to the whole process group while a launch is under way.
struct Rain {
    thread: Thread,
}

static RAINS: AtomicBool = AtomicBool::new(false);
/// The host's own number.
static HOST: AtomicI32 = AtomicI32::new(0);
/// Set by the handler where it runs in another process, on the host's memory.
static STRAYED: AtomicBool = AtomicBool::new(false);

extern "C" fn handler(_: i32) {
    // SAFETY: touches no memory. Not by getpid(3), which might remember.
    let here = unsafe { libc::syscall(libc::SYS_getpid) } as i32;
    if here != HOST.load(Ordering::Relaxed) {
        STRAYED.store(true, Ordering::Relaxed);
    }
}

impl Rain {
    fn new(signal: i32) -> Self {
        HOST.store(std::process::id() as i32, Ordering::Relaxed);
        set_disposition(signal, handler as extern "C" fn(i32) as libc::sighandler_t);
        let thread = thread::spawn(move || {
            loop {
                if RAINS.load(Ordering::Acquire) {
                    // SAFETY: touches no memory. The group is this process and what it starts, and the signal kills none.
                    unsafe { libc::kill(0, signal) };
                } else {
                    thread::park();
                }
            }
        });
        Self { thread: thread.thread().clone() }
    }

    fn during<T>(&self, action: impl FnOnce() -> T) -> (T, bool) {
        STRAYED.store(false, Ordering::Relaxed);
        RAINS.store(true, Ordering::Release);
        self.thread.unpark();
        let result = action();
        RAINS.store(false, Ordering::Release);
        (result, STRAYED.load(Ordering::Relaxed))
    }
}

/// As C strings.
pub fn c_string(bytes: &[u8]) -> CString {
    CString::new(bytes).expect("no NUL")
}

/// A vector as execve(2) takes it.
pub fn vector(strings: &[impl AsRef<CStr>]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ref().as_ptr()).chain([std::ptr::null()]).collect()
}
