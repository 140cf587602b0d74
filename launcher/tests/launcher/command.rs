//! What `std::process::Command` has too.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use exec_relay_launcher::{Error, Launch, Source, Stdio, Vehicle};
use tempfile::{TempDir, tempfile};

use crate::slate::Slate;
use crate::support::{alone, children, open_descriptors, probe, refuse, set_disposition, vehicles};

fn shell(vehicle: &Vehicle, script: &str) -> Launch<'static> {
    let mut launch = Launch::new("/bin/sh");
    launch.args(["-c", script]).vehicle(vehicle.clone());
    launch
}

#[test]
fn spawn_and_status() {
    for vehicle in vehicles() {
        let status = shell(&vehicle, "exit 3").status().expect("a status");
        assert_eq!(status.code(), Some(3));
        let mut child = shell(&vehicle, "exit 4").spawn().expect("sh");
        assert_eq!(child.wait().expect("a status").code(), Some(4));
        let status = shell(&vehicle, "kill -KILL $$").status().expect("a status");
        assert_eq!(status.signal(), Some(libc::SIGKILL));
        let error = Launch::new("/no/such").vehicle(vehicle).status().expect_err("it is missing");
        assert_eq!(error.errno(), Some(libc::ENOENT));
    }
}

/// More than a pipe holds, in both pipes by turns.
#[test]
fn output_of_both_pipes() {
    for vehicle in vehicles() {
        let script =
            "i=0; while [ $i -lt 4 ]; do head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; i=$((i + 1)); done";
        for order in
            [script.to_owned(), script.replace("/dev/zero;", "/dev/zero >&2;").replace("zero >&2; i", "zero; i")]
        {
            let output = shell(&vehicle, &order).output().expect("sh");
            assert!(output.status.success());
            assert_eq!((output.stdout.len(), output.stderr.len()), (1_200_000, 1_200_000));
        }
        // One ends long before the other, and one is never written to.
        for script in ["exec >&-; head -c 300000 /dev/zero >&2", "exec 2>&-; head -c 300000 /dev/zero", ":"] {
            let output = shell(&vehicle, script).output().expect("sh");
            assert!(output.status.success());
            let expected = if script == ":" { 0 } else { 300_000 };
            assert_eq!(output.stdout.len() + output.stderr.len(), expected);
        }
    }
}

/// Nothing is read from this process's standard input, and what is set stays.
#[test]
fn output_as_it_is_set() {
    let file = tempfile().expect("a file");
    for vehicle in vehicles() {
        let mut launch = Launch::new(probe());
        let slate = launch.vehicle(vehicle.clone()).stderr(io::stdout()).output().expect("the probe").stdout;
        let slate: Slate = serde_json::from_slice(&slate).expect("a slate");
        let null = rustix::fs::stat("/dev/null").expect("/dev/null");
        assert_eq!(slate.inode(0), null.st_ino);
        assert_eq!(slate.inode(2), rustix::fs::fstat(io::stdout()).expect("it is open").st_ino);
        let output = shell(&vehicle, "cat; echo out; echo err >&2").stderr(&file).output().expect("sh");
        assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b""[..]));
        let output = shell(&vehicle, "echo out").stdout(Stdio::Null).output().expect("sh");
        assert_eq!(output.stdout, b"");
        // Both into one pipe.
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let status = shell(&vehicle, "echo out; echo err >&2").stdout(&writer).stderr(&writer).status().expect("sh");
        drop(writer);
        let mut said = String::new();
        reader.read_to_string(&mut said).expect("what it said");
        assert!(status.success());
        assert_eq!(said, "out\nerr\n");
    }
    let mut said = String::new();
    io::Seek::rewind(&mut &file).expect("a file");
    (&file).read_to_string(&mut said).expect("a file");
    assert_eq!(said, "err\n".repeat(3));
}

/// A child whose pipes were taken or never made.
#[test]
fn output_of_what_is_left() {
    let mut child = shell(&Vehicle::InPlace, "echo out").stdout(Stdio::Piped).spawn().expect("sh");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("a status");
    assert_eq!((output.stdout, output.stderr), (vec![], vec![]));
    let mut launch = shell(&Vehicle::InPlace, "cat");
    let mut child = launch.stdin(Stdio::Piped).stdout(Stdio::Piped).spawn().expect("sh");
    child.stdin.as_mut().expect("piped").write_all(b"through").expect("a reader");
    // It closes the standard input, or this would never end.
    assert_eq!(child.wait_with_output().expect("a status").stdout, b"through");
}

/// In a host that ignores SIGCHLD the kernel knows the status only since Linux 6.15.
#[test]
fn a_status_that_nobody_knows() {
    alone("command::a_status_that_nobody_knows", || {
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        refuse(libc::SYS_ioctl, &[(1, libc::PIDFD_GET_INFO as u32 as u64)], libc::ENOTTY);
        // By a relay it could not even be told whether the program began.
        let launch = shell(&Vehicle::InPlace, "exit 3");
        let sentence = "/bin/sh was started, but its output or end cannot be told: No child processes (os error 10)";
        for error in [launch.status().expect_err("ECHILD"), launch.output().expect_err("ECHILD")] {
            assert!(matches!(&error, Error::Wait { .. }), "{error:?}");
            assert_eq!(error.to_string(), sentence);
            assert_eq!(io::Error::from(error).raw_os_error(), Some(libc::ECHILD));
        }
    });
}

#[test]
fn getters() {
    let mut launch = Launch::new("/bin/ls");
    assert_eq!((launch.get_args().len(), launch.get_envs().len()), (0, 0));
    assert_eq!(launch.get_current_dir(), None);
    launch.arg("-l").arg("a b").argv0("other").env("A", "1").env_remove("B").env("C", "").env("A", "2=3");
    launch.current_dir("/tmp");
    assert_eq!(launch.get_program(), "/bin/ls");
    assert!(launch.get_args().eq(["-l", "a b"]));
    let variables: [(&OsStr, Option<&OsStr>); 3] =
        [("A".as_ref(), Some("2=3".as_ref())), ("B".as_ref(), None), ("C".as_ref(), Some("".as_ref()))];
    assert!(launch.get_envs().eq(variables), "{:?}", launch.get_envs().collect::<Vec<_>>());
    assert_eq!(launch.get_current_dir(), Some("/tmp".as_ref()));
    launch.env_exactly([c"D=1"]);
    assert_eq!(launch.get_envs().len(), 0);
}

/// What a shell makes of the line is what the launch does.
#[test]
fn debug_is_a_line_for_a_shell() {
    let directory = TempDir::new().expect("a directory");
    let odd = directory.path().join("it's a \"$PATH\" `dir`");
    std::fs::create_dir(&odd).expect("a directory");
    let program = directory.path().join("a=b; c");
    std::os::unix::fs::symlink(probe(), &program).expect("a link");
    let bytes = OsStr::from_bytes(b"\xff\x1b[31m\xc3(\r");
    type Set<'a> = &'a dyn Fn(&mut Launch<'_>);
    let sets: [Set; 7] = [
        &|_| {},
        &|launch| {
            _ = launch
                .args(["", "a b", "it's", "$HOME", "`x`", "\\", "*", "~", "a\nb\n", "#", "-n", "ä", "!x"])
                .arg(bytes)
        },
        &|launch| _ = launch.current_dir(&odd),
        &|launch| _ = launch.env("A", "it's").env("-x", "$A\n").env("odd name", bytes).env_remove("HOME"),
        &|launch| _ = launch.env_clear(),
        &|launch| _ = launch.env_exactly([c"A=1", c"B=2=3"]).env("A", "4").env_remove("B").env("C", ""),
        &|launch| _ = launch.env_remove("PATH").env_remove("-u"),
    ];
    for (index, set) in sets.iter().enumerate() {
        for program in [probe(), program.clone()] {
            let mut launch = Launch::new(program);
            set(&mut launch);
            let line = format!("{launch:?}");
            let by_launch: Slate =
                serde_json::from_slice(&launch.output().expect("the probe").stdout).expect("a slate");
            let shell = Command::new("/bin/sh").arg("-c").arg(&line).output().expect("sh");
            assert!(shell.status.success(), "{line}: {shell:?}");
            let by_shell: Slate = serde_json::from_slice(&shell.stdout).expect("a slate");
            assert_eq!(by_shell.arguments, by_launch.arguments, "{line}");
            assert_eq!(by_shell.directory, by_launch.directory, "{line}");
            // A shell sets variables of its own.
            let without_shells = |slate: &Slate| {
                let own = |variable: &&String| !["PWD=", "OLDPWD=", "_="].iter().any(|name| variable.starts_with(name));
                let mut variables: Vec<_> = slate.environment.iter().filter(own).cloned().collect();
                variables.sort();
                variables
            };
            assert_eq!(without_shells(&by_shell), without_shells(&by_launch), "{index}: {line}");
        }
    }
    let mut launch = Launch::new("/bin/echo");
    launch.arg("a b").arg("").env("A", "B").stdin(Stdio::Null);
    assert_eq!(format!("{launch:?}"), "env A=B /bin/echo 'a b' ''");
}

/// A clone does the same, and neither closes what the other one has.
#[test]
fn clones() {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    for vehicle in vehicles() {
        let mut first = shell(&vehicle, "echo $A >&7");
        first.fd(7, writer.try_clone().expect("a copy")).env("A", "1").uid(rustix::process::geteuid().as_raw());
        let mut second = first.clone();
        second.env("A", "2");
        assert!(first.status().expect("sh").success());
        drop(first);
        assert!(second.status().expect("sh").success());
        let mut said = [0; 4];
        reader.read_exact(&mut said).expect("what they said");
        assert_eq!(&said, b"1\n2\n");
    }
    drop(writer);
    assert_eq!(reader.read(&mut [0]).expect("the end"), 0);
}

/// Whatever has a descriptor can be lent and given away.
#[test]
fn sources() {
    fn number<'fd>(source: impl Into<Source<'fd>>) -> i32 {
        source.into().as_raw_fd()
    }
    fn check<T: AsFd + AsRawFd>(owner: T)
    where
        Source<'static>: From<T>,
    {
        let expected = owner.as_raw_fd();
        assert_eq!(number(&owner), expected);
        assert_eq!(number(owner.as_fd()), expected);

        assert!(matches!(Stdio::from(&owner), Stdio::Descriptor(Source::Borrowed(_))));
        let given = Source::from(owner);
        assert!(matches!(given, Source::Owned(_)));
        assert_eq!(given.as_raw_fd(), expected);
    }
    check(tempfile().expect("a file"));
    check(OwnedFd::from(tempfile().expect("a file")));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    check(TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection"));
    check(listener);
    check(UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let directory = TempDir::new().expect("a directory");
    check(UnixListener::bind(directory.path().join("socket")).expect("a socket"));
    check(UnixStream::pair().expect("sockets").0);
    check(UnixDatagram::pair().expect("sockets").0);
    let (reader, writer) = io::pipe().expect("a pipe");
    check(reader);
    check(writer);
    let mut child = Command::new("/bin/true");
    child.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = child.spawn().expect("true");
    check(child.stdin.take().expect("piped"));
    check(child.stdout.take().expect("piped"));
    check(child.stderr.take().expect("piped"));
    child.wait().expect("a status");
    assert_eq!([number(io::stdin()), number(io::stdout()), number(io::stderr())], [0, 1, 2]);
    assert_eq!([number(&io::stdin().lock()), number(io::stdout().lock().as_fd())], [0, 1]);
}

/// The output of one is the input of the next, as in a shell's pipeline.
#[test]
fn a_pipeline() {
    for vehicle in vehicles() {
        let mut first = shell(&vehicle, "echo through").stdout(Stdio::Piped).spawn().expect("sh");
        let input = first.stdout.take().expect("piped");
        let output = shell(&vehicle, "tr a-z A-Z").stdin(input).output();
        let output = output.expect("sh");
        assert_eq!(&*output.stdout, b"THROUGH\n");
        assert!(first.wait().expect("a status").success());
    }
}

/// A pipe that hangs up when the program is gone.
fn endless(vehicle: &Vehicle, kill: bool) -> (exec_relay_launcher::Child, PipeReader) {
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut launch = Launch::new("/bin/sleep");
    launch.arg("1000").fd(3, writer).kill_on_drop(kill).vehicle(vehicle.clone());
    (launch.spawn().expect("sleep"), reader)
}

#[test]
fn kill_on_drop() {
    alone("command::kill_on_drop", || {
        probe();
        for vehicle in vehicles() {
            // What the vehicle keeps for later launches.
            Launch::new("/bin/true").vehicle(vehicle.clone()).status().expect("true");
            let before = open_descriptors();
            let (child, mut pulse) = endless(&vehicle, true);
            let id = child.id();
            drop(child);
            assert_eq!(pulse.read(&mut [0]).expect("its end"), 0);
            drop(pulse);
            // The pulse hangs up a little before the process is a zombie.
            let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
            #[allow(unsafe_code)]
            // SAFETY: writes one structure; the process stays as it is. ECHILD, of one that is reaped already, is as good.
            unsafe {
                libc::waitid(libc::P_PID, id, info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT);
            }
            // The next launch reaps it.
            Launch::new("/bin/true").vehicle(vehicle).status().expect("true");
            assert_eq!(children(), [""; 0]);
            assert_eq!(open_descriptors(), before);
        }
    });
}

/// By default, when it is left, and when it has been waited for, nobody is killed.
#[test]
fn drops_that_do_not_kill() {
    for vehicle in vehicles() {
        for kill in [false, true] {
            let (child, mut pulse) = endless(&vehicle, kill);
            let id = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
            if kill {
                assert_eq!(child.into_id(), id.as_raw_nonzero().get() as u32);
            } else {
                drop(child);
            }
            // It is not even dead of a signal that came later: SIGTERM is the one that it dies of.
            rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it lives");
            let (_, status) = rustix::process::waitpid(Some(id), rustix::process::WaitOptions::empty())
                .expect("a status")
                .expect("it has ended");
            assert_eq!(status.terminating_signal(), Some(libc::SIGTERM));
            assert_eq!(pulse.read(&mut [0]).expect("its end"), 0);
        }
        let mut child = shell(&vehicle, "exit 5").kill_on_drop(true).spawn().expect("sh");
        assert_eq!(child.wait().expect("a status").code(), Some(5));
    }
}

/// The descriptor of a file that was given away stays open until the last clone goes.
#[test]
fn what_is_given_away_is_shared() {
    let file = File::open("/dev/null").expect("/dev/null");
    let source = Source::from(file);
    let Source::Owned(first) = &source else { panic!("{source:?}") };
    let copy = source.clone();
    assert_eq!(std::sync::Arc::strong_count(first), 2);
    assert_eq!(copy.as_raw_fd(), source.as_raw_fd());
}
