//! Random requests: what is asked for, part by part, so that parts can be left out.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use exec_relay::settings::Settings;
use exec_relay_launcher::{Launch, Stdio, Vehicle};
use fastrand::Rng;

use crate::descriptors::lend;
use crate::host::{Host, Kind, bytes, chance, fifo, pick, rng};
use crate::support::script;
use crate::ways::PATIENCE;

/// A part of a request.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A setting, or a mistake, as text.
    Option(OsString),
    Fd {
        to: RawFd,
        from: RawFd,
    },
    /// From one number to another, all of the same file.
    Fds {
        first: RawFd,
        last: RawFd,
        from: RawFd,
    },
    Keep(RawFd),
    /// 0, 1 or 2.
    Standard(RawFd, Standard),
    Listen(Vec<RawFd>),
    Pulse,
    /// The file that is executed in the place of the one at the program's path.
    Execute(RawFd),
    Argv0(OsString),
    Argument(OsString),
    Directory(OsString),
    Env(OsString, OsString),
    EnvRemove(OsString),
    EnvClear,
}

#[derive(Clone, Debug)]
pub enum Standard {
    Null,
    Piped,
    Closed,
    Descriptor(RawFd),
}

#[derive(Clone, Debug)]
pub struct Request {
    pub program: PathBuf,
    pub asks: Vec<Ask>,
    /// Whether what is an option of relay too is given to the launcher as text.
    pub as_text: bool,
}

/// Programs of every kind that can and cannot be started, as names in the directory of programs.
const PROGRAMS: [&str; 12] = [
    "script",
    "missing",
    "not-executable",
    "directory",
    "no-interpreter",
    "no-interpreter-line",
    "empty",
    "text",
    "script/below-a-file",
    "loop",
    "dangling",
    "link",
];

pub fn make_programs(directory: &Path, probe: &Path) {
    fs::create_dir(directory).expect("a directory");
    let probe_line = format!("#!{} first\n", probe.display());
    script(directory, "script", &probe_line, 0o755);
    script(directory, "not-executable", &probe_line, 0o644);
    script(directory, "no-interpreter", "#!/no/such/interpreter\n", 0o755);
    script(directory, "no-interpreter-line", "#!\n", 0o755);
    script(directory, "empty", "", 0o755);
    script(directory, "text", "text\n", 0o755);
    fs::create_dir(directory.join("directory")).expect("a directory");
    symlink("loop", directory.join("loop")).expect("a link");
    symlink("missing", directory.join("dangling")).expect("a link");
    symlink(probe, directory.join("link")).expect("a link");
}

/// Options that are no settings, or not well formed.
const MISTAKES: [&str; 14] = [
    "--no-such-option",
    "--umask=999",
    "--umask=",
    "--setsid=1",
    "--ignore=KILL",
    "--block=0",
    "--nofile=x",
    "--keep=9-7",
    "--close=x",
    "--close=",
    "--env=X",
    "--oom-score-adj=1001",
    "--die-with-parent=x",
    "umask=1",
];

/// Directories that are none of a cgroup.
const NO_CGROUPS: [&str; 4] = ["--cgroup=/", "--cgroup=/no/such", "--cgroup=/dev/null", "--cgroup="];

/// Numbers above the usual limits.
const HIGH: [RawFd; 6] = [1023, 1024, 8191, 20_000, 1_048_576, RawFd::MAX];

impl Request {
    /// The request with this seed, for this host.
    pub fn any(seed: u64, host: &Host) -> Self {
        let rng = &mut rng(seed, 2);
        let program = match rng.u32(..100) {
            0..85 => host.task.probe.clone(),
            85..98 => host.task.programs.join(pick(rng, &PROGRAMS)),
            98 => host.task.programs.join("x".repeat(300)),
            _ => "probe".into(),
        };
        let mut asks = settings(rng);
        descriptors(rng, host, &mut asks);
        if let Some(rain) = host.rain()
            && rng.bool()
        {
            asks.push(Ask::Option(format!("--keep-ignored={rain}").into()));
        }
        if chance(rng, 2) {
            asks.push(Ask::Option(pick(rng, &MISTAKES).into()));
        }
        if chance(rng, 2) {
            asks.push(Ask::Option(pick(rng, &NO_CGROUPS).into()));
        }
        if chance(rng, 8) {
            let kind = pick(rng, &[Kind::Program, Kind::Program, Kind::Script, Kind::Directory, Kind::Null]);
            let number = host.source(kind);
            asks.push(Ask::Execute(number));
            if rng.bool() {
                asks.push(Ask::Keep(number));
            }
        }
        if chance(rng, 20) {
            asks.push(Ask::Argv0(any_string(rng)));
        }
        for _ in 0..rng.usize(..4) {
            let common = ["", "--", "-", "--help", "--umask=7", "/bin/true"];
            asks.push(Ask::Argument(if rng.bool() { any_string(rng) } else { pick(rng, &common).into() }));
        }
        if chance(rng, 30) {
            asks.push(Ask::Argument(format!("probe:exit={}", rng.u8(..)).into()));
        }
        if chance(rng, 20) {
            asks.push(Ask::Directory(directory(rng, host)));
        }
        if chance(rng, 40) {
            environment(rng, &mut asks);
        }
        // What is inherited has the number of the pulse, which each way then chooses among others.
        if asks.iter().any(|ask| matches!(ask, Ask::Pulse)) {
            asks.retain(|ask| !ask.keeps_inherited());
        }
        Self { program, asks, as_text: rng.bool() }
    }

    /// What comes of leaving one thing out.
    pub fn smaller(&self, host: &Host) -> Vec<Self> {
        let mut all = Vec::new();
        for index in (0..self.asks.len()).rev() {
            let mut smaller = self.clone();
            smaller.asks.remove(index);
            all.push(smaller);
        }
        if self.program != host.task.probe {
            all.push(Self { program: host.task.probe.clone(), ..self.clone() });
        }
        if self.as_text {
            all.push(Self { as_text: false, ..self.clone() });
        }
        all
    }

    /// The same for the launcher.
    pub fn launch(&self, host: &Host, vehicle: Vehicle) -> Launch<'static> {
        let mut launch = Launch::new(&self.program);
        // In place no time can be kept.
        launch.timeout(Some(PATIENCE).filter(|_| vehicle != Vehicle::InPlace)).vehicle(vehicle).arg(tell_at(host));
        let mut listening = Vec::new();
        for ask in &self.asks {
            if let Some(option) = ask.option().filter(|_| self.as_text) {
                launch.option(option);
                continue;
            }
            match ask {
                Ask::Option(option) => _ = launch.option(option),
                Ask::Fd { to, from } => _ = launch.fd(*to, lend(*from)),
                Ask::Fds { first, last, from } => (*first..=*last).for_each(|to| _ = launch.fd(to, lend(*from))),
                Ask::Keep(number) => _ = launch.keep(*number),
                Ask::Standard(0, standard) => _ = launch.stdin(standard.stdio()),
                Ask::Standard(1, standard) => _ = launch.stdout(standard.stdio()),
                Ask::Standard(_, standard) => _ = launch.stderr(standard.stdio()),
                Ask::Listen(sockets) => listening.extend(sockets.iter().map(|&socket| lend(socket))),
                Ask::Pulse => _ = launch.pulse(),
                Ask::Execute(file) => _ = launch.exec_fd(lend(*file)),
                Ask::Argv0(name) => _ = launch.argv0(name),
                Ask::Argument(argument) => _ = launch.arg(argument),
                Ask::Directory(directory) => _ = launch.current_dir(directory),
                Ask::Env(name, value) => _ = launch.env(name, value),
                Ask::EnvRemove(name) => _ = launch.env_remove(name),
                Ask::EnvClear => _ = launch.env_clear(),
            }
        }
        launch.listen_fds(listening);
        launch
    }

    /// The files that the program is to have, as its number and the one here. What it is given new is not among them.
    pub fn renames(&self) -> Vec<(RawFd, RawFd)> {
        let mut all = Vec::new();
        for ask in &self.asks {
            match ask {
                Ask::Fd { to, from } | Ask::Standard(to, Standard::Descriptor(from)) => all.push((*to, *from)),
                Ask::Fds { first, last, from } => all.extend((*first..=*last).map(|to| (to, *from))),
                Ask::Listen(sockets) => all.extend((3..).zip(sockets.iter().copied())),
                _ => {}
            }
        }
        all
    }

    pub fn kept(&self) -> Vec<RawFd> {
        self.asks.iter().filter_map(|ask| if let Ask::Keep(number) = ask { Some(*number) } else { None }).collect()
    }

    pub fn listening(&self) -> usize {
        self.asks.iter().map(|ask| if let Ask::Listen(sockets) = ask { sockets.len() } else { 0 }).sum()
    }
}

impl Ask {
    /// Whether the program is to have what is inherited.
    pub fn keeps_inherited(&self) -> bool {
        matches!(self, Self::Option(option) if option == "--keep-inherited")
    }

    /// As one option of relay, where there is one that means the same wherever it stands.
    pub fn option(&self) -> Option<OsString> {
        let joined = |parts: &[&[u8]]| Some(OsString::from_vec(parts.concat()));
        match self {
            Self::Option(option) => Some(option.clone()),
            Self::Keep(number) => Some(format!("--keep={number}").into()),
            Self::Standard(number, Standard::Closed) => Some(format!("--close={number}").into()),
            Self::Argv0(name) => joined(&[b"--argv0=", name.as_bytes()]),
            Self::Directory(directory) => joined(&[b"--chdir=", directory.as_bytes()]),
            Self::Env(name, value) => joined(&[b"--env=", name.as_bytes(), b"=", value.as_bytes()]),
            Self::EnvRemove(name) => joined(&[b"--unset=", name.as_bytes()]),
            Self::EnvClear => Some("--clear-env".into()),
            _ => None,
        }
    }
}

impl Standard {
    fn stdio(&self) -> Stdio<'static> {
        match self {
            Self::Null => Stdio::Null,
            Self::Piped => Stdio::Piped,
            Self::Closed => Stdio::Closed,
            Self::Descriptor(number) => lend(*number).into(),
        }
    }
}

/// The program's first argument.
pub fn tell_at(host: &Host) -> OsString {
    let mut argument = OsString::from("probe:to=");
    argument.push(fifo(&host.task.directory));
    argument
}

/// Settings of all kinds, each as the text that relay reads.
fn settings(rng: &mut Rng) -> Vec<Ask> {
    // Small ones too, which are descriptors, limits and numbers of signals.
    let mut next = || match rng.u32(..4) {
        0 => rng.u32(..),
        1 => rng.u32(..16),
        _ => rng.u32(..2000),
    };
    let settings = Settings::any(&mut next);
    let mut asks = Vec::new();
    settings.write(&mut |option| asks.push(Ask::Option(option.to_string().into())));
    // One that fails hides what comes after it.
    asks.retain(|_| chance(rng, 20));
    for ask in &mut asks {
        if let Ask::Option(option) = ask
            && let Some(list) = option.to_str().and_then(|option| option.strip_prefix("--caps="))
            && chance(rng, 90)
        {
            *option = format!("--caps={}", those_at_hand(list)).into();
        }
    }
    asks
}

/// Those of these capabilities that this process has: there are few machines on which a test has all.
fn those_at_hand(list: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let permitted = status.lines().find_map(|line| line.strip_prefix("CapPrm:\t")).expect("the permitted set");
    let permitted = u64::from_str_radix(permitted, 16).expect("a set");
    let has = |number: &&str| number.parse::<u32>().is_ok_and(|number| permitted >> number & 1 != 0);
    let list: Vec<_> = list.split(',').filter(has).collect();
    if list.is_empty() { "none".to_owned() } else { list.join(",") }
}

fn descriptors(rng: &mut Rng, host: &Host, asks: &mut Vec<Ask>) {
    let sources: Vec<_> = host.sources.iter().map(|source| source.number).collect();
    let (leaks, mut taken) = (host.leaks(), BTreeSet::new());
    // A mistake now and then: a number that is asked for twice.
    let mut is_free = |rng: &mut Rng, number: RawFd| taken.insert(number) || chance(rng, 1);
    if chance(rng, 15) {
        let sockets: Vec<_> = (0..rng.u32(1..4)).map(|_| host.source(Kind::Socket(rng.u32(..3)))).collect();
        (3..).take(sockets.len()).for_each(|number| _ = is_free(rng, number));
        asks.push(Ask::Listen(sockets));
    }
    for number in 0..3 {
        let standard = match rng.u32(..100) {
            0..20 => Standard::Null,
            20..40 => Standard::Piped,
            40..50 => Standard::Closed,
            50..60 => Standard::Descriptor(pick(rng, &sources)),
            _ => continue,
        };
        is_free(rng, number);
        asks.push(Ask::Standard(number, standard));
    }
    if chance(rng, 15) {
        // A cycle.
        let mut members = sources.clone();
        rng.shuffle(&mut members);
        members.truncate(rng.usize(2..5));
        for (index, &to) in members.iter().enumerate() {
            if is_free(rng, to) {
                asks.push(Ask::Fd { to, from: members[(index + 1) % members.len()] });
            }
        }
    }
    for _ in 0..rng.usize(..5) {
        let to = match rng.u32(..100) {
            0..40 => pick(rng, &sources),
            40..75 => rng.i32(0..16),
            75..97 => rng.i32(16..700),
            _ => pick(rng, &HIGH),
        };
        let from = match rng.u32(..100) {
            0..92 => pick(rng, &sources),
            92..98 => pick(rng, if leaks.is_empty() { &sources } else { &leaks }),
            // Closed, most of the time.
            _ => rng.i32(3..600),
        };
        if is_free(rng, to) {
            asks.push(Ask::Fd { to, from });
        }
    }
    if chance(rng, 2) {
        let first = rng.i32(3..300);
        let last = first + pick(rng, &[1, 100, 255, 256]);
        if (first..=last).all(|number| is_free(rng, number)) {
            asks.push(Ask::Fds { first, last, from: pick(rng, &sources) });
        }
    }
    for _ in 0..if chance(rng, 40) { rng.usize(1..4) } else { 0 } {
        let number = match rng.u32(..100) {
            0..40 => pick(rng, if leaks.is_empty() { &sources } else { &leaks }),
            40..70 => pick(rng, &sources),
            70..80 => rng.i32(0..3),
            80..95 => rng.i32(3..16),
            _ => pick(rng, &HIGH),
        };
        if is_free(rng, number) {
            asks.push(Ask::Keep(number));
        }
    }
    if chance(rng, 20) {
        asks.push(Ask::Pulse);
    }
    let terminal = host.source(Kind::Terminal);
    let request = Request { program: PathBuf::new(), asks: asks.clone(), as_text: false };
    if let Some((to, _)) = request.renames().into_iter().find(|(_, from)| *from == terminal)
        && chance(rng, 60)
    {
        asks.push(Ask::Option(format!("--ctty={to}").into()));
    }
}

fn directory(rng: &mut Rng, host: &Host) -> OsString {
    let number = match rng.u32(..3) {
        0 => host.source(Kind::Directory),
        1 => host.source(Kind::PathOnly),
        _ => rng.i32(0..16),
    };
    match rng.u32(..14) {
        1 => host.task.programs.clone().into_os_string(),
        2 => host.task.probe.clone().into_os_string(),
        3 => "/no/such/directory".into(),
        4 => ".".into(),
        5 => "".into(),
        6 => any_string(rng),
        7..9 => format!("/proc/self/fd/{number}").into(),
        _ => host.task.directory.clone().into_os_string(),
    }
}

fn environment(rng: &mut Rng, asks: &mut Vec<Ask>) {
    let names: [&[u8]; 12] = [
        b"A",
        b"B",
        b"C",
        b"HOME",
        b"PATH",
        b"NEW",
        b"\xff",
        b"LISTEN_FDS",
        b"LISTEN_PID",
        b"LISTEN_FDNAMES",
        b"LISTEN_PIDFDID",
        b"",
    ];
    for _ in 0..rng.usize(1..5) {
        // The last one is a mistake.
        let count = if chance(rng, 98) { names.len() - 1 } else { names.len() };
        let name = OsString::from_vec(pick(rng, &names[..count]).to_vec());
        asks.push(match rng.u32(..10) {
            0..6 => Ask::Env(name, any_string(rng)),
            6..9 => Ask::EnvRemove(name),
            _ => Ask::EnvClear,
        });
    }
}

fn any_string(rng: &mut Rng) -> OsString {
    OsString::from_vec(bytes(rng, 12))
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{:?}{}", self.program, if self.as_text { ", options as text" } else { "" })?;
        self.asks.iter().try_for_each(|ask| write!(out, "\n    {ask:?}"))
    }
}
