//! The launches that meet faults. Each host is dirty in what the launch is to clean.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use exec_relay::options::{Name, Other};
use exec_relay::settings::Setting;
use exec_relay::status::Step;
use tempfile::TempDir;

use crate::host::{Host, path_only, probe, pseudo_terminal};
use crate::own_cgroup::Cgroup;
use crate::sandbox;
use crate::slate::Slate;

/// How the launcher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Message,
    Records,
    Attendant,
}

/// A host, and what must stay open as long as it runs.
pub struct Prepared {
    pub host: Host,
    pub _held: Vec<OwnedFd>,
}

impl From<Host> for Prepared {
    fn from(host: Host) -> Self {
        Self { host, _held: Vec::new() }
    }
}

type Make = Box<dyn Fn() -> Prepared + Send + Sync>;

/// A launch.
pub struct Scenario {
    pub name: String,
    pub form: Form,
    /// Makes the host anew for each run.
    pub make: Make,
    /// Whether the program got what the options ask for.
    pub asked: fn(&Slate) -> bool,
    /// What the program has open.
    pub open: &'static [i32],
    /// Whether the program starts where there is no fault.
    pub starts: bool,
    /// The step that fails where there is no fault, and its errno.
    pub failure: Option<(Step, i32)>,
    /// The options, on which the judge's rules depend.
    pub options: Vec<String>,
}

/// The number of the status descriptor.
pub const STATUS: i32 = 9;

/// Dirty in what every launch cleans.
fn dirty(host: Host) -> Host {
    let host = host.descriptor(5, File::open("/dev/zero").expect("/dev/zero"));
    let host = host.descriptor(6, File::open("/dev/full").expect("/dev/full"));
    let host = host.descriptor(7, path_only("/dev"));
    stained(host)
}

/// The same without a descriptor that would make the table large: the last way tries each of its numbers.
fn dirty_in_a_small_table(host: Host) -> Host {
    stained(host.copy(0, 5).copy(0, 6).copy(0, 7))
}

fn stained(host: Host) -> Host {
    let ignored = [libc::SIGHUP, libc::SIGPIPE, 34, 64].map(|signal| signal as usize);
    // By SIGTRAP the tracer learns that relay begins. WINCH and CONT are sent, and would be reported as pending.
    static BLOCKED: u64 = !(1 << (libc::SIGTRAP - 1) | 1 << (libc::SIGWINCH - 1) | 1 << (libc::SIGCONT - 1));
    let mask = &raw const BLOCKED as usize;
    let host = host.environment(["A=b"]).ignored(ignored).timers();
    host.call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, mask, 0, size_of::<u64>()])
}

/// A launch of the probe that keeps nothing but 0, 1 and 2.
fn scenario(name: &str, form: Form, make: impl Fn() -> Prepared + Send + Sync + 'static) -> Scenario {
    let (make, options): (Make, _) = (Box::new(make), Vec::new());
    Scenario {
        name: name.to_owned(),
        form,
        make,
        asked: |_| true,
        open: &[0, 1, 2],
        starts: true,
        failure: None,
        options,
    }
}

/// The line that starts the probe with these options.
fn line(options: &[&str]) -> Vec<String> {
    let probe = probe().to_str().expect("UTF-8").to_owned();
    options.iter().map(|&option| option.to_owned()).chain([probe]).collect()
}

fn with_records(options: &[&str]) -> Scenario {
    let all = line(&[&["--status=9"], options].concat());
    let made = move || dirty(Host::new(all.iter()).status(STATUS)).into();
    let mut scenario = scenario(&format!("--status=9 {}", options.join(" ")), Form::Records, made);
    scenario.options = options.iter().map(|&option| option.to_owned()).collect();
    scenario
}

fn with_message(options: &'static [&'static str]) -> Scenario {
    let made = move || dirty(Host::new(line(options))).into();
    let mut scenario = scenario(&options.join(" "), Form::Message, made);
    scenario.options = options.iter().map(|&option| option.to_owned()).collect();
    scenario
}

impl Scenario {
    fn asked(mut self, asked: fn(&Slate) -> bool) -> Self {
        self.asked = asked;
        self
    }

    fn open(mut self, open: &'static [i32]) -> Self {
        self.open = open;
        self
    }

    /// It prints something, and starts nothing.
    fn prints(mut self) -> Self {
        self.starts = false;
        self
    }

    fn fails(mut self, step: Step, errno: i32) -> Self {
        (self.starts, self.failure) = (false, Some((step, errno)));
        self
    }

    fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Has the host done something more to.
    fn host(mut self, more: impl Fn(Host) -> Host + Send + Sync + 'static) -> Self {
        let make = self.make;
        self.make = Box::new(move || {
            let Prepared { host, _held } = make();
            Prepared { host: more(host), _held }
        });
        self
    }
}

/// All launches: the forms, each option, each way of the sweep, those that fail anyway, and the report.
pub fn all() -> Vec<Scenario> {
    let mut all = vec![with_records(&[]), with_message(&[]).named("message"), positional()];
    all.extend(Name::all().flat_map(of_option));
    let message = with_message(&["--fd=5=6", "--fd=6=5", "--fd=2=1"]).named("renames, message");
    all.push(message.open(&[0, 1, 2, 5, 6]));
    all.push(with_records(&["--fd=9=5", "--keep=10"]).named("status in the way").open(&[0, 1, 2, 9]));
    all.extend(ways());
    all.extend(failures());
    all
}

fn positional() -> Scenario {
    let made = || {
        let arguments = line(&["9", "8"]);
        dirty(Host::new(arguments).status(STATUS).open(8)).into()
    };
    scenario("positional", Form::Attendant, made).open(&[0, 1, 2, 8])
}

/// Each option, and with what it is asked for. A new one does not compile before it is in here.
fn of_option(name: Name) -> Vec<Scenario> {
    match name {
        Name::Setting(setting) => of_setting(setting),
        Name::Other(other) => of_other(other),
    }
}

fn of_setting(setting: Setting) -> Vec<Scenario> {
    const WHO_PROCESS: usize = 1;
    let one = match setting {
        Setting::KeepInherited => with_records(&["--keep-inherited", "--close=6", "--close=0"]).open(&[1, 2, 5, 7]),
        Setting::Ignore => with_records(&["--ignore=USR1,40"]),
        Setting::Block => with_records(&["--block=USR1,40"]),
        Setting::KeepIgnored => with_records(&["--keep-ignored=HUP"]),
        Setting::KeepTimers => with_records(&["--keep-timers"]),
        Setting::Umask => with_records(&["--umask=027"]).asked(|slate| slate.umask == 0o27),
        Setting::Setsid => with_records(&["--setsid"]).asked(|slate| slate.session as i32 == slate.pid),
        Setting::Ctty => {
            let made = || {
                let (person, program) = pseudo_terminal();
                let host = Host::new(line(&["--status=9", "--fd=0=10", "--ctty=0"])).status(STATUS);
                Prepared { host: dirty(host.descriptor(10, program)), _held: vec![person.into()] }
            };
            scenario("--ctty", Form::Records, made).asked(|slate| slate.session as i32 == slate.pid)
        }
        Setting::ProcessGroup => with_records(&["--process-group"]).asked(|slate| slate.group as i32 == slate.pid),
        Setting::User => {
            return vec![
                with_records(&["--user=1000:1001,4,5"])
                    .asked(|slate| (slate.user, slate.group_ids) == ([1000; 3], [1001; 3]) && slate.groups == [4, 5]),
                with_records(&["--user=0:0"]).asked(|slate| slate.user == [0; 3] && slate.groups.is_empty()),
                with_records(&["--user=1000:1000", "--caps=NET_RAW,SETUID"])
                    .asked(|slate| slate.capabilities.effective == 1 << 13 | 1 << 7),
            ];
        }
        Setting::Caps => {
            return vec![
                with_records(&["--caps=none"])
                    .asked(|slate| slate.capabilities.permitted | slate.capabilities.bounding == 0),
                with_records(&["--caps=CHOWN,NET_RAW"]).asked(|slate| slate.capabilities.bounding == 1 | 1 << 13),
            ];
        }
        Setting::NoNewPrivs => with_records(&["--no-new-privs"]).asked(|slate| slate.no_new_privileges),
        Setting::NewKeyring => with_records(&["--new-keyring"]),
        Setting::DieWithParent => {
            let parent: &str = Box::leak(format!("--die-with-parent={}", std::process::id()).into_boxed_str());
            return vec![with_records(&["--die-with-parent"]), with_records(&[parent]).named("--die-with-parent=PID")]
                .into_iter()
                .map(|scenario| scenario.asked(|slate| slate.parent_death_signal == libc::SIGKILL))
                .collect();
        }
        Setting::Nofile => with_records(&["--nofile=64:128"]).asked(|slate| slate.nofile == [64, 128]),
        Setting::Nice => with_records(&["--nice=5"]).asked(|slate| slate.nice == 5),
        Setting::Sched => with_records(&["--sched=batch"]).asked(|slate| slate.policy == libc::SCHED_BATCH as u32),
        Setting::Cpus => with_records(&["--cpus=0"]).asked(|slate| slate.processors == [0]),
        Setting::Ionice => {
            let of_class = |host: Host| host.call(libc::SYS_ioprio_set, [WHO_PROCESS, 0, 2 << 13 | 6]);
            return vec![
                with_records(&["--ionice=idle"]).asked(|slate| slate.io_priority >> 13 == 3),
                with_records(&["--ionice=none"]).host(of_class).asked(|slate| slate.io_priority >> 13 == 0),
            ];
        }
        Setting::TimerSlack => with_records(&["--timer-slack=7"]).asked(|slate| slate.timer_slack == 7),
        Setting::OomScoreAdj => with_records(&["--oom-score-adj=11"]).asked(|slate| slate.oom_score == Some(11)),
        Setting::Reset => with_records(&["--reset=all"])
            .host(dirty_in_attributes)
            .asked(|slate| slate.nice == 0 && slate.coredump_filter == Some(0x33) && slate.timer_slack == 50_000),
        Setting::Limit => with_records(&["--limit=core=0", "--limit=nofile=50:60"])
            .asked(|slate| slate.nofile == [50, 60] && slate.limits[4] == [0, 0]),
    };
    vec![one]
}

/// In everything that has a default, but for reading the time, without which nothing more could be done.
fn dirty_in_attributes(host: Host) -> Host {
    const WHO_PROCESS: usize = 1;
    const SET_SPECULATION: usize = 53;
    const SPECULATION_DISABLE: usize = 4;
    const SET_MEMORY_MERGE: usize = 67;
    static FIRST_NODE: usize = 1;
    let host = host.processors(&[0]).call(libc::SYS_setpriority, [libc::PRIO_PROCESS as usize, 0, 7]);
    let host = host.call(libc::SYS_ioprio_set, [WHO_PROCESS, 0, 2 << 13 | 6]);
    let host = host.attribute(libc::PR_SET_TIMERSLACK, 1_234_567).written("/proc/self/oom_score_adj", "500");
    let host = host.written("/proc/self/coredump_filter", "0x7f").call(libc::SYS_personality, [0x4_0000]);
    let host = host.attribute(libc::PR_SET_PDEATHSIG, libc::SIGTERM as usize);
    let host = host.attribute(libc::PR_SET_CHILD_SUBREAPER, 1);
    let host = host.scheduling(libc::SCHED_BATCH | libc::SCHED_RESET_ON_FORK, 0);
    let node = &raw const FIRST_NODE as usize;
    let host = host.call_if_possible(libc::SYS_set_mempolicy, [1, node, usize::BITS as usize]);
    let host = host.call_if_possible(libc::SYS_prctl, [libc::PR_SET_THP_DISABLE as usize, 1, 0, 0, 0]);
    let host = host.call_if_possible(libc::SYS_prctl, [SET_MEMORY_MERGE, 1, 0, 0, 0]);
    (0..2).fold(host, |host, feature| {
        host.call_if_possible(libc::SYS_prctl, [SET_SPECULATION, feature, SPECULATION_DISABLE, 0, 0])
    })
}

fn of_other(other: Other) -> Vec<Scenario> {
    let one = match other {
        Other::Help => with_message(&["--help"]).prints(),
        Other::Version => with_message(&["--version"]).prints(),
        Other::Report => with_message(&["--report"]).prints(),
        Other::Fd => with_records(&["--fd=5=6", "--fd=6=5"]).open(&[0, 1, 2, 5, 6]),
        Other::Keep => with_records(&["--keep=5-6"]).open(&[0, 1, 2, 5, 6]),
        Other::Close => with_records(&["--close=0"]).open(&[1, 2]),
        Other::Pulse => with_records(&["--pulse=6"]).open(&[0, 1, 2, 6]),
        Other::ListenFds => {
            return vec![
                with_records(&["--fd=3=5", "--fd=4=6", "--listen-fds=2=a:b"]).open(&[0, 1, 2, 3, 4]),
                with_records(&["--fd=3=5", "--fd=4=7", "--listen-fds=4"]).open(&[0, 1, 2, 3, 4, 5, 6]),
            ]
            .into_iter()
            .map(|scenario| scenario.asked(|slate| slate.environment.contains(&format!("LISTEN_PID={}", slate.pid))))
            .collect();
        }
        Other::Chdir => with_records(&["--chdir=/dev"]).asked(|slate| slate.directory == "/dev"),
        Other::Cgroup => {
            let cgroup = Arc::new(Cgroup::new());
            let made = move || {
                let option = format!("--cgroup={}", cgroup.path());
                dirty(Host::new(line(&["--status=9", &option])).status(STATUS)).into()
            };
            scenario("--cgroup", Form::Records, made)
                .asked(|slate| slate.cgroup.as_ref().is_some_and(|cgroup| cgroup.contains("/relay-test-")))
        }
        Other::ExecFd => {
            let open_probe = || File::open(probe()).expect("the probe");
            let plain = move || {
                let host = Host::new(["--status=9", "--exec-fd=10", "--", "name"]).status(STATUS);
                dirty(host.descriptor(10, open_probe())).into()
            };
            let renamed = move || {
                let host = Host::new(["--status=9", "--fd=10=5", "--exec-fd=10", "--chdir=/", "--", "name"]);
                dirty(host.status(STATUS).descriptor(10, open_probe())).into()
            };
            return vec![
                scenario("--exec-fd", Form::Records, plain),
                scenario("--exec-fd, renamed over", Form::Records, renamed).open(&[0, 1, 2, 10]),
            ];
        }
        Other::Argv0 => with_records(&["--argv0=name"]).asked(|slate| slate.arguments == ["name"]),
        Other::ClearEnv => with_records(&["--clear-env"]).asked(|slate| slate.environment.is_empty()),
        Other::Unset => with_records(&["--unset=A"]).asked(|slate| slate.environment.is_empty()),
        Other::Env => with_records(&["--env=A=c"]).asked(|slate| slate.environment == ["A=c"]),
        // Most of the others have it.
        Other::Status => return Vec::new(),
    };
    vec![one]
}

/// The second and the third way to find descriptors, each to mark and to close them.
fn ways() -> Vec<Scenario> {
    let refused = |host: Host| host.filter(sandbox::refuse(&[libc::SYS_close_range], libc::ENOSYS));
    let root = Arc::new(sandbox::bare_root());
    let small = |name: &str, root: Arc<TempDir>, option: &'static [&'static str]| {
        let made = move || {
            let host = Host::new(option.iter().chain(&["/probe"])).relay_at("/relay").root(root.path());
            dirty_in_a_small_table(host).into()
        };
        scenario(name, Form::Message, made).host(refused)
    };
    vec![
        with_records(&[]).host(refused).named("listed"),
        with_records(&[]).host(|host| host.filter(sandbox::refuse_close_range_flags())).named("Linux 5.10, listed"),
        with_records(&["--chdir=/dev"]).host(refused).named("listed, --chdir"),
        with_records(&["--chdir=/dev/fd/7"])
            .host(refused)
            .fails(Step::Directory, libc::ENOENT)
            .named("listed, --chdir by a leaked directory"),
        small("numbers", root.clone(), &[]),
        small("numbers, --chdir", root.clone(), &["--chdir=/"]),
        small("numbers, --report", root, &["--report"]).prints(),
    ]
}

/// Launches that fail without a fault, so that what is asked afterwards meets some.
fn failures() -> Vec<Scenario> {
    let of = |name: &str, program: &'static str, errno: i32| {
        let message = move || dirty(Host::new([program])).into();
        let records = move || dirty(Host::new(["--status=9", program]).status(STATUS)).into();
        let attendant = move || dirty(Host::new(["9", "8", program]).status(STATUS).open(8)).into();
        [
            scenario(&format!("{name}, message"), Form::Message, message).fails(Step::Exec, errno),
            scenario(&format!("{name}, records"), Form::Records, records).fails(Step::Exec, errno),
            scenario(&format!("{name}, positional"), Form::Attendant, attendant).fails(Step::Exec, errno),
        ]
    };
    let mut all = Vec::from(of("no program", "/no/such", libc::ENOENT));
    all.extend(of("a directory", "/dev", libc::EACCES));
    // A script whose interpreter is missing is a program that is there.
    let directory = Arc::new(TempDir::new().expect("a directory"));
    let script = sandbox::script(directory.path(), "script", "#!/no/such\n", 0o755);
    let made = move || {
        let _stays = &directory;
        dirty(Host::new([&script])).into()
    };
    all.push(scenario("no interpreter, message", Form::Message, made).fails(Step::Interpreter, libc::ENOENT));
    all
}
