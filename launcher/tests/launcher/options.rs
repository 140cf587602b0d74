//! Every option, by every vehicle.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use exec_relay_launcher::{HARD_LIMIT, Launch, Limit, Stdio};
use tempfile::{TempDir, tempfile};

use crate::support::{alone, assert_root, each, probe, set_disposition, set_limit, vehicles};

fn inode(file: &File) -> u64 {
    file.metadata().expect("metadata").ino()
}

#[test]
fn nothing_asked_for_is_a_clean_slate() {
    each(
        |_| {},
        |slate| {
            slate.assert_clean([0, 1, 2]);
            assert_eq!(slate.nofile[0], 1024);
            assert_eq!(slate.parent, std::process::id());
            assert_eq!(slate.arguments, [probe().to_str().expect("UTF-8")]);
            let here: usize = std::env::vars_os().count();
            assert_eq!(slate.environment.len(), here);
        },
    );
}

#[test]
fn arguments() {
    each(
        |launch| _ = launch.arg("--help").args(["", "a b", "-x"]).argv0("other"),
        |slate| {
            assert_eq!(slate.arguments, ["other", "--help", "", "a b", "-x"]);
        },
    );
}

#[test]
fn environment() {
    each(
        |launch| _ = launch.env("GONE", "x").env_clear().env("B", "2=2").envs([("A", ""), ("C", "3")]).env_remove("C"),
        |slate| {
            assert_eq!(slate.environment, ["B=2=2", "A="]);
        },
    );
    each(
        |launch| _ = launch.env_remove("PATH").env("HOME", "/elsewhere"),
        |slate| {
            assert!(!slate.environment.iter().any(|variable| variable.starts_with("PATH=")));
            let homes: Vec<_> = slate.environment.iter().filter(|variable| variable.starts_with("HOME=")).collect();
            assert_eq!(homes, ["HOME=/elsewhere"]);
        },
    );
}

#[test]
fn directory_and_umask() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().canonicalize().expect("its path");
    each(
        |launch| _ = launch.current_dir(&path).umask(0o137),
        |slate| {
            assert_eq!(slate.directory, path.to_str().expect("UTF-8"));
            assert_eq!(slate.umask, 0o137);
        },
    );
}

#[test]
fn standard_descriptors() {
    for vehicle in vehicles() {
        let mut launch = Launch::new("/bin/sh");
        launch.args(["-c", "read line; echo out $line; echo err >&2"]).vehicle(vehicle);
        let mut child = launch.stdin(Stdio::Piped).stdout(Stdio::Piped).stderr(Stdio::Piped).launch().expect("sh");
        child.stdin.take().expect("piped").write_all(b"line\n").expect("a reader");
        let (mut out, mut err) = (String::new(), String::new());
        child.stdout.take().expect("piped").read_to_string(&mut out).expect("the output");
        child.stderr.take().expect("piped").read_to_string(&mut err).expect("the output");
        assert_eq!((out.as_str(), err.as_str()), ("out line\n", "err\n"));
        assert!(child.wait().expect("a status").success());
    }
    let null = File::open("/dev/null").expect("/dev/null");
    each(
        |launch| _ = launch.stdin(Stdio::Closed).stderr(Stdio::Null),
        |slate| {
            slate.assert_clean([1, 2]);
            assert_eq!(slate.inode(2), inode(&null));
        },
    );
    let file = tempfile().expect("a file");
    each(
        |launch| _ = launch.stdin(file.try_clone().expect("a copy")).stderr(file.try_clone().expect("a copy")),
        |slate| {
            slate.assert_clean([0, 1, 2]);
            assert_eq!((slate.inode(0), slate.inode(2)), (inode(&file), inode(&file)));
        },
    );
}

/// Cycles, one source twice, a source whose number is its target, and targets that hit what the launcher itself has open.
#[test]
fn descriptors_in_any_permutation() {
    let files: Vec<File> = (0..4).map(|_| tempfile().expect("a file")).collect();
    let numbers: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
    for vehicle in vehicles() {
        for shift in 0..4 {
            let slate = crate::support::slate_by(vehicle.clone(), |launch| {
                for (index, file) in files.iter().enumerate() {
                    let copy = file.as_fd();
                    // SAFETY: the files outlive the launch; the closure's type cannot say so.
                    #[allow(unsafe_code)]
                    let copy = unsafe { std::os::fd::BorrowedFd::borrow_raw(copy.as_raw_fd()) };
                    launch.fd(numbers[(index + shift) % 4], copy);
                }
                let twice = files[0].try_clone().expect("a copy");
                launch.fd(900, OwnedFd::from(twice));
            });
            slate.assert_clean([0, 1, 2, 900].into_iter().chain(numbers.iter().copied()));
            assert_eq!(slate.inode(900), inode(&files[0]));
            for (index, file) in files.iter().enumerate() {
                assert_eq!(slate.inode(numbers[(index + shift) % 4]), inode(file), "{vehicle:?}, shifted by {shift}");
            }
        }
    }
    // Every number that the launcher could have used for itself.
    let file = tempfile().expect("a file");
    each(
        |launch| {
            for number in 3..=332 {
                launch.fd(number, file.try_clone().expect("a copy"));
            }
        },
        |slate| {
            slate.assert_clean(0..=332);
            assert!((3..=332).all(|number| slate.inode(number) == inode(&file)));
        },
    );
}

#[test]
fn kept_descriptors() {
    let file = tempfile().expect("a file");
    each(
        |launch| _ = launch.keep(file.as_raw_fd()).keep(file.as_raw_fd()).keep(987),
        |slate| {
            slate.assert_clean([0, 1, 2, file.as_raw_fd()]);
            assert_eq!(slate.inode(file.as_raw_fd()), inode(&file));
        },
    );
}

#[test]
fn listening_sockets() {
    let sockets: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").expect("a socket")).collect();
    let give = |launch: &mut Launch| {
        launch.env("LISTEN_PID", "1").env("LISTEN_FDS", "9");
        launch.listen_fds(sockets.iter().map(|socket| OwnedFd::from(socket.try_clone().expect("a copy"))));
    };
    each(give, |slate| {
        slate.assert_clean(0..=4);
        assert_ne!(slate.inode(3), slate.inode(4));
        let mut found: Vec<_> = slate.environment.iter().filter(|variable| variable.starts_with("LISTEN_")).collect();
        found.sort();
        assert_eq!(found, [&"LISTEN_FDS=2".to_owned(), &format!("LISTEN_PID={}", slate.pid)]);
    });
}

#[test]
fn limits() {
    each(|launch| _ = launch.nofile(500, Some(600)), |slate| assert_eq!(slate.nofile, [500, 600]));
    each(|launch| _ = launch.nofile(HARD_LIMIT, Some(600)), |slate| assert_eq!(slate.nofile, [600, 600]));
    let here = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let here = [here.current, here.maximum].map(|limit| limit.unwrap_or(u64::MAX));
    each(|launch| _ = launch.keep_nofile(), |slate| assert_eq!(slate.nofile, here));
    each(|launch| _ = launch.nofile(HARD_LIMIT, None), |slate| assert_eq!(slate.nofile, [here[1], here[1]]));
}

#[test]
fn sessions() {
    each(|launch| _ = launch.session(), |slate| assert_eq!([slate.session, slate.group], [slate.pid as u32; 2]));
    each(|_| {}, |slate| assert_ne!(slate.session, slate.pid as u32));
}

#[test]
fn a_terminal() {
    for vehicle in vehicles() {
        let terminal = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY);
        let terminal = terminal.expect("a terminal");
        rustix::pty::unlockpt(&terminal).expect("its other side");
        let name = rustix::pty::ptsname(&terminal, Vec::new()).expect("its name").into_string().expect("UTF-8");
        let other = File::options().read(true).write(true).open(name).expect("its other side");
        let mut launch = Launch::new("/bin/sh");
        launch.args(["-c", "echo here >/dev/tty"]).stdin(other).ctty(0).vehicle(vehicle);
        let mut child = launch.launch().expect("sh");
        assert!(child.wait().expect("a status").success());
        drop(launch);
        let mut said = [0; 4];
        File::from(terminal).read_exact(&mut said).expect("what it said");
        assert_eq!(&said, b"here");
    }
}

#[test]
fn signals() {
    each(
        |launch| _ = launch.ignore([1, 2, 64]).block([32, 34, 15]),
        |slate| {
            assert_eq!(slate.not_default, [1, 2, 64]);
            assert_eq!(slate.blocked, [15, 32, 34]);
        },
    );
}

#[test]
fn signals_that_stay_ignored() {
    alone("options::signals_that_stay_ignored", || {
        // What nohup and shells start programs with.
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
            set_disposition(signal, libc::SIG_DFL);
        }
        set_disposition(libc::SIGUSR1, libc::SIG_IGN);
        set_disposition(libc::SIGUSR2, libc::SIG_IGN);
        each(
            |launch| _ = launch.keep_ignored([libc::SIGUSR1, libc::SIGHUP]),
            |slate| {
                assert_eq!(slate.not_default, [libc::SIGUSR1 as u32]);
            },
        );
        each(
            |launch| _ = launch.keep_all_ignored(),
            |slate| {
                // The runtime of Rust programs ignores SIGPIPE.
                assert_eq!(
                    slate.not_default,
                    [libc::SIGUSR1, libc::SIGUSR2, libc::SIGPIPE].map(|signal| signal as u32)
                );
            },
        );
    });
}

#[test]
fn privileges() {
    for vehicle in vehicles() {
        let mut launch = Launch::new("/bin/sh");
        launch.args(["-c", "grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj"]);
        launch.no_new_privs().oom_score_adj(321).stdout(Stdio::Piped).vehicle(vehicle);
        let mut child = launch.launch().expect("sh");
        let mut said = String::new();
        child.stdout.take().expect("piped").read_to_string(&mut said).expect("the output");
        assert!(child.wait().expect("a status").success());
        assert_eq!(said, "NoNewPrivs:\t1\n321\n");
    }
}

/// A directory that leaked is closed before the directory is changed (CVE-2024-21626).
#[test]
fn a_leaked_directory_is_no_way_to_another() {
    // Above the numbers that a launch gives to what is its own.
    let leaked = rustix::io::fcntl_dupfd_cloexec(std::fs::File::open("/").expect("the root"), 900).expect("a copy");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("a mark");
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&leaked));
    for vehicle in vehicles() {
        let mut launch = Launch::new("/bin/true");
        let outcome = launch.current_dir(&path).vehicle(vehicle).launch();
        let error = outcome.map(|child| child.id()).expect_err("no such directory");
        assert_eq!(error.errno(), Some(libc::ENOENT), "{error:?}");
    }
}

/// The signal comes when the thread ends that launched the program, though the process lives on.
#[test]
fn death_with_the_parent() {
    for vehicle in vehicles() {
        let mut child = std::thread::scope(|threads| {
            let thread = threads.spawn(|| {
                Launch::new("/bin/cat").stdin(Stdio::Piped).die_with_parent().vehicle(vehicle).launch().expect("cat")
            });
            thread.join().expect("a thread")
        });
        let _held_open = child.stdin.take();
        let status = child.wait().expect("a status");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
    }
}

/// A host with everything wrong: what it leaks does not arrive.
#[test]
fn a_dirty_host() {
    alone("options::a_dirty_host", || {
        for signal in 1..=64 {
            if ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(&signal) {
                set_disposition(signal, libc::SIG_IGN);
            }
        }
        set_limit(libc::RLIMIT_NOFILE, 4096, 4096).expect("a limit");
        let null = File::open("/dev/null").expect("/dev/null");
        for number in [9, 100, 1023, 1024, 4095] {
            #[allow(unsafe_code)]
            // SAFETY: touches no memory.
            let copied = unsafe { libc::dup2(null.as_raw_fd(), number) };
            assert_eq!(copied, number);
        }
        #[allow(unsafe_code)]
        // SAFETY: sets and reads sets that are this function's.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            assert_eq!(libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut()), 0);
        }
        each(|_| {}, |slate| slate.assert_clean([0, 1, 2]));
    });
}

#[test]
fn one_launch_several_times() {
    let file = tempfile().expect("a file");
    for vehicle in vehicles() {
        let mut launch = Launch::new("/bin/true");
        launch.fd(7, OwnedFd::from(file.try_clone().expect("a copy"))).stdin(Stdio::Piped).pulse().vehicle(vehicle);
        for _ in 0..3 {
            assert!(launch.launch().expect("true").wait().expect("a status").success());
        }
    }
}

/// What a program finds is the same whether a method or an option asked for it, by every vehicle.
#[test]
fn options_as_text() {
    assert_root();
    let file = tempfile().expect("a file");
    let number = file.as_raw_fd();
    let keep = format!("--keep={number}");
    type Set<'a> = &'a dyn Fn(&mut Launch<'_>);
    let pairs: [(Set, &[&str]); 27] = [
        (&|launch| _ = launch.umask(0o137), &["--umask=137"]),
        (&|launch| _ = launch.session(), &["--setsid"]),
        (&|launch| _ = launch.nofile(500, Some(600)), &["--nofile=500:600"]),
        (&|launch| _ = launch.nofile(HARD_LIMIT, None), &["--nofile=hard"]),
        (&|launch| _ = launch.current_dir("/"), &["--chdir=/"]),
        (&|launch| _ = launch.ignore([1, 2]), &["--ignore=INT", "--ignore=SIGHUP"]),
        (&|launch| _ = launch.block([15, 34]), &["--block=TERM,RTMIN"]),
        (&|launch| _ = launch.keep_ignored([13, 15]), &["--keep-ignored=PIPE,TERM"]),
        (&|launch| _ = launch.argv0("other"), &["--argv0=other"]),
        (&|launch| _ = launch.keep(number), &[&keep]),
        (&|launch| _ = launch.die_with_parent(), &["--die-with-parent"]),
        (&|launch| _ = launch.no_new_privs(), &["--no-new-privs"]),
        (&|launch| _ = launch.stderr(Stdio::Closed), &["--close=2"]),
        (&|launch| _ = launch.env_clear().env("A", "b=c"), &["--clear-env", "--env=A=b=c"]),
        (&|launch| _ = launch.env_remove("HOME").env("A", ""), &["--unset=HOME", "--env=A="]),
        (&|launch| _ = launch.uid(1000).gid(1001).groups([7, 8]), &["--user=1000:1001,7,8"]),
        (&|launch| _ = launch.groups([7]).option("--user=0:1"), &["--user=0:1"]),
        (&|launch| _ = launch.option("--user=0:1,7").gid(2), &["--user=0:2,7"]),
        (&|launch| _ = launch.caps("CAP_CHOWN,kill"), &["--caps=0,5"]),
        (&|launch| _ = launch.caps("none"), &["--caps=chown", "--caps=none"]),
        (&|launch| _ = launch.process_group(0), &["--process-group=0"]),
        (
            &|launch| _ = launch.limit("core", 1, 2).limit("stack", Limit::Hard, Limit::Kept),
            &["--limit=core=1:2", "--limit=stack=hard:"],
        ),
        (&|launch| _ = launch.option("--limit=core=9").limit("core", Limit::Kept, 1_000), &["--limit=core=:1000"]),
        (&|launch| _ = launch.option("--nice=3").nice(-4), &["--nice=-4"]),
        (&|launch| _ = launch.sched("rr:5"), &["--sched=rr:5"]),
        (&|launch| _ = launch.cpus([0]), &["--cpus=all", "--cpus=0"]),
        (
            &|launch| _ = launch.nofile(500, Some(600)).limit("nofile", 300, Limit::Kept),
            &["--nofile=500:600", "--limit=nofile=300:"],
        ),
    ];
    for vehicle in vehicles() {
        for (method, options) in &pairs {
            // What differs from one process to the next.
            let by = |set: Set| {
                let mut slate = crate::support::slate_by(vehicle.clone(), set);
                let pid = std::mem::take(&mut slate.pid) as u32;
                let relative = |id: u32| if id == pid { 0 } else { id };
                (slate.session, slate.group) = (relative(slate.session), relative(slate.group));
                // Pipes are new ones.
                slate.descriptors.iter_mut().for_each(|descriptor| descriptor.inode = 0);
                format!("{slate:?}")
            };
            let nothing = by(&|_| {});
            let asked_by_method = by(*method);
            let asked_by_option = by(&|launch| options.iter().for_each(|option| _ = launch.option(option)));
            assert_eq!(asked_by_option, asked_by_method, "{vehicle:?}: {options:?}");
            assert_ne!(asked_by_option, nothing, "{vehicle:?}: {options:?} changes something");
        }
    }
}

/// Each mistake names the option and what is wrong, and nothing is tried.
#[test]
fn options_that_are_mistakes() {
    for (option, mistake) in [
        ("--umask=8", "has a malformed value"),
        ("--umask", "lacks its value, after ="),
        ("--setsid=1", "takes no value"),
        ("--nonsense=1", "is no option of relay"),
        ("--", "is no option of relay"),
        ("umask=0", "is no option of relay"),
        ("", "is no option of relay"),
        ("--ignore=9", "asks for KILL or STOP, which cannot be ignored or blocked"),
        ("--oom-score-adj=1001", "has a malformed value"),
        ("--nofile=1:2:3", "has a malformed value"),
        ("--keep=5,x", "has a malformed value"),
        ("--keep=0-2147483648", "has a malformed value"),
        ("--close=x", "has a malformed value"),
        ("--env=A", "has no = between name and value"),
        ("--fd=5=6", "names a descriptor by its number, which an option cannot lend"),
        ("--pulse=6", "names a descriptor by its number, which an option cannot lend"),
        ("--listen-fds=1", "names descriptors by their numbers, which an option cannot lend"),
        ("--env==x", "has no name before the first ="),
        ("--unset=", "has no name of a variable"),
        ("--exec-fd=6", "names a descriptor by its number, which an option cannot lend"),
        ("--user=0", "has a malformed value"),
        ("--caps=", "has a malformed value"),
        ("--limit=core", "has a malformed value"),
        ("--reset=everything", "has a malformed value"),
        ("--status=9", "is for relay's own command line"),
        ("--help", "is for relay's own command line"),
    ] {
        let error = Launch::new("/bin/true").option(option).launch().map(|child| child.id()).expect_err("a mistake");
        assert!(matches!(error, exec_relay_launcher::Error::Request { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("cannot launch: {option:?} {mistake}"));
    }
}
