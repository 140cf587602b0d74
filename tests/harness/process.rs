//! Options that set what a process has beside descriptors, arguments and environment.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::host::{
    Host, MOST_DESCRIPTORS, Outcome, output, probe, pseudo_terminal, reaches_program, relay_line, spawn,
};

/// A host that starts the probe through relay with these options.
pub fn host(options: &[&str]) -> Host {
    Host::new(options.iter().copied().chain([probe().to_str().expect("UTF-8")]))
}

/// relay did not start the program, and said why.
#[track_caller]
pub fn assert_refused(outcome: &Outcome, message: &str) {
    assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
    assert_eq!(outcome.stdout, b"", "the program is not started");
    assert_eq!(outcome.stderr, format!("relay: {message}\n"));
}

#[test]
fn signals_ignored_and_blocked() {
    let slate =
        host(&["--ignore", "PIPE,SIGHUP,34,RTMAX", "--block=USR1,RTMIN+2,RTMAX-1"]).ignored([2, 32]).run().slate();
    assert_eq!(slate.not_default, [1, 13, 34, 64]);
    assert_eq!(slate.blocked, [10, 36, 63]);
}

#[test]
fn lists_of_signals_add_up() {
    let slate = host(&["--ignore=1", "--ignore=SIG2", "--block=3", "--block", "4,5"]).run().slate();
    assert_eq!(slate.not_default, [1, 2]);
    assert_eq!(slate.blocked, [3, 4, 5]);
}

/// The names are those that bash's kill prints, with and without SIG.
#[test]
fn signal_names() {
    let signals = (1..=31).filter(|signal| ![9, 19].contains(signal)).chain(34..=64);
    let signals: Vec<u32> = signals.filter(|&signal| reaches_program(signal as usize)).collect();
    let numbers: Vec<String> = signals.iter().map(ToString::to_string).collect();
    let listed = output(Command::new("bash").args(["-c", "kill -l \"$@\"", "bash"]).args(&numbers));
    let names = String::from_utf8(listed.stdout).expect("UTF-8");
    assert_eq!(names.lines().count(), signals.len(), "{names}");
    for (signal, name) in signals.into_iter().zip(names.lines()) {
        for name in [name.to_owned(), format!("SIG{name}"), signal.to_string()] {
            let slate = host(&[&format!("--ignore={name}")]).run().slate();
            assert_eq!(slate.not_default, [signal], "{name}");
        }
    }
}

#[test]
fn what_is_no_signal() {
    for list in [
        "",
        "0",
        "65",
        "-1",
        "NONE",
        "SIG",
        "TERM,",
        ",TERM",
        "TERM INT",
        "RTMIN-1",
        "RTMIN+31",
        "RTMIN+",
        "RTMAX+1",
        "RTMAX-31",
        "RTMIN+99999999999",
        "all",
        "HU",
        "HUPX",
        "POLLX",
    ] {
        for option in ["--ignore", "--block", "--keep-ignored"] {
            if (option, list) != ("--keep-ignored", "all") {
                let option = format!("{option}={list}");
                host(&[&option]).run().assert_misused(&option);
            }
        }
    }
}

#[test]
fn signal_names_in_lower_case() {
    let slate = host(&["--ignore=hup,sigterm,Winch", "--block=usr1"]).run().slate();
    assert_eq!((slate.not_default, slate.blocked), (vec![1, 15, 28], vec![10]));
    if reaches_program(35) {
        assert_eq!(host(&["--ignore=rtmin+1,Rtmax"]).run().slate().not_default, [35, 64]);
    }
}

#[test]
fn kill_and_stop_cannot_be_ignored_or_blocked() {
    for list in ["KILL", "SIGSTOP", "9", "TERM,19"] {
        for option in ["--ignore", "--block"] {
            let option = format!("{option}={list}");
            assert_refused(&host(&[&option]).run(), &format!("KILL and STOP cannot be ignored or blocked: {option}"));
        }
    }
}

#[test]
fn inherited_ignored_signals_that_are_kept() {
    let inherited = || [17, 28];
    assert_eq!(host(&["--keep-ignored=CHLD,TERM"]).ignored(inherited()).run().slate().not_default, [17]);
    assert_eq!(host(&["--keep-ignored", "all"]).ignored(inherited()).run().slate().not_default, [17, 28]);
    assert_eq!(host(&["--keep-ignored=all", "--ignore=2"]).ignored([17]).run().slate().not_default, [2, 17]);
}

#[test]
fn inherited_ignored_signals_that_would_end_a_program() {
    let inherited = || [1, 13, 33, 64];
    assert_eq!(host(&["--keep-ignored=HUP,33,TERM"]).ignored(inherited()).run().slate().not_default, [1, 33]);
    assert_eq!(host(&["--keep-ignored", "all"]).ignored(inherited()).run().slate().not_default, [1, 13, 33, 64]);
}

#[test]
fn nohup_keeps_working() {
    for (option, expected) in [(Some("--keep-ignored=HUP"), vec![1]), (None, vec![])] {
        let mut command = Command::new("nohup");
        command.args(relay_line()).args(option).arg(probe());
        let outcome = output(&mut command);
        let slate: crate::slate::Slate = serde_json::from_slice(&outcome.stdout).expect("a slate");
        assert_eq!(slate.not_default, expected);
    }
}

#[test]
fn the_limit_of_descriptors() {
    for (option, hard, expected) in [
        ("--nofile=1024", 4096, [1024, 4096]),
        ("--nofile=1024", 1024, [1024, 1024]),
        ("--nofile=1024", 500, [500, 500]),
        ("--nofile=hard", 4096, [4096, 4096]),
        ("--nofile=64:128", 4096, [64, 128]),
        ("--nofile=200:128", 4096, [128, 128]),
        ("--nofile=hard:128", 4096, [128, 128]),
        ("--nofile=hard:hard", 4096, [4096, 4096]),
        ("--nofile=64:hard", 4096, [64, 4096]),
        ("--nofile=0", 4096, [0, 4096]),
    ] {
        let slate = host(&[option]).nofile(300.min(hard), hard).run().slate();
        assert_eq!(slate.nofile, expected, "{option} under {hard}");
    }
    for option in
        ["--nofile=", "--nofile=x", "--nofile=1:", "--nofile=:1", "--nofile=1:2:3", "--nofile=-1", "--nofile=hardx"]
    {
        host(&[option]).run().assert_misused(option);
    }
    // Above fs.nr_open nobody may go.
    let outcome = host(&["--nofile=1:2147483647"]).nofile(64, MOST_DESCRIPTORS).run();
    assert_refused(&outcome, "cannot set the limit of descriptors: not permitted (EPERM)");
}

#[test]
fn umask_and_directory() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().canonicalize().expect("a path");
    let path = path.to_str().expect("UTF-8");
    let slate = host(&["--umask", "027", "--chdir", path]).run().slate();
    assert_eq!((slate.umask, slate.directory.as_str()), (0o27, path));
    let slate = host(&["--umask=0", "--chdir=/"]).run().slate();
    assert_eq!((slate.umask, slate.directory.as_str()), (0, "/"));
    for option in ["--umask=", "--umask=8", "--umask=1000", "--umask=-1", "--umask=u=rwx"] {
        host(&[option]).run().assert_misused(option);
    }
    let missing = format!("{path}/missing");
    for options in [vec![format!("--chdir={missing}")], vec!["--chdir".to_owned(), missing.clone()]] {
        let outcome = host(&options.iter().map(String::as_str).collect::<Vec<_>>()).run();
        assert_refused(&outcome, &format!("cannot change to directory {missing}: no such file (ENOENT)"));
    }
}

#[test]
fn a_session_of_its_own() {
    for leader in [Host::leader_of_session as fn(Host) -> Host, |host| host] {
        let slate = leader(host(&["--setsid"])).run().slate();
        assert_eq!((slate.session, slate.group), (slate.pid as u32, slate.pid as u32));
    }
    // The leader of a group cannot leave it, nor can it fork and stay the process that its launcher knows.
    let outcome = host(&["--setsid"]).leader_of_group().run();
    assert_refused(&outcome, "cannot begin a session: not permitted (EPERM)");
}

/// A shell on the terminal has job control, which takes a session and a controlling terminal.
#[test]
fn a_terminal_of_its_own() {
    let (mut person, program) = pseudo_terminal();
    let options = ["--fd=0=7", "--fd=1=7", "--fd=2=7", "--ctty=0"];
    let shell = ["/bin/bash", "--norc", "--noprofile", "-i", "-c", "echo flags=$-=; sleep 0 & fg"];
    let running = Host::new(options.into_iter().chain(shell)).descriptor(7, program).spawn();
    let mut seen = Vec::new();
    // The end is EIO: nobody has the other side of the terminal any more.
    let _ = person.read_to_end(&mut seen);
    let seen = String::from_utf8_lossy(&seen);
    assert!(running.finish().status.success(), "{seen}");
    let flags = seen.split("flags=").nth(1).and_then(|rest| rest.split('=').next());
    assert!(flags.is_some_and(|flags| flags.contains('m')), "no job control: {seen}");
    assert!(!seen.contains("no job control"), "{seen}");

    let outcome = host(&["--ctty=5", "--keep=5"]).open(5).run();
    assert_refused(&outcome, "cannot take descriptor 5 for the terminal: not a terminal (ENOTTY)");
    let outcome = host(&["--ctty=5", "--keep=5"]).run();
    assert_refused(&outcome, "cannot take descriptor 5 for the terminal: not open for this (EBADF)");
}

/// It must be one of the program's, which is told before anything is changed.
#[test]
fn a_terminal_that_the_program_does_not_have() {
    for (options, descriptor) in
        [(&["--ctty=5"][..], 5), (&["--ctty=5", "--fd=0=5"], 5), (&["--close=0", "--ctty=0"], 0)]
    {
        let (_person, program) = pseudo_terminal();
        let outcome = host(options).descriptor(5, program).run();
        let message = format!("cannot take descriptor {descriptor} for the terminal: not open for this (EBADF)");
        assert_refused(&outcome, &message);
    }
    let (_person, program) = pseudo_terminal();
    let slate = host(&["--ctty=9", "--fd=9=5"]).descriptor(5, program).run().slate();
    assert_eq!(slate.session, slate.pid as u32);
}

/// A sandbox that refuses to say who leads the session does not keep one from being begun.
#[test]
fn a_session_in_a_sandbox_that_tells_nothing() {
    for errno in [libc::EPERM, 0] {
        let refused = crate::sandbox::refuse(&[libc::SYS_getsid], errno);
        let outcome = Host::new(["--setsid", "/bin/cat", "/proc/self/stat"]).filter(refused).run();
        // The process; its name in brackets; its state, parent, group and session.
        let seen = String::from_utf8_lossy(&outcome.stdout);
        let (process, rest) = seen.split_once(" (").expect("a name");
        let session = rest.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(3));
        assert_eq!(session, Some(process), "{outcome:?}");
    }
    let refused = crate::sandbox::refuse(&[libc::SYS_setsid], 0);
    let outcome = host(&["--setsid"]).filter(refused).run();
    assert_refused(&outcome, "cannot begin a session: no such system call (ENOSYS)");
}

/// The manual says that umask(2) always succeeds; a sandbox has not read it.
#[test]
fn a_umask_that_a_sandbox_refuses() {
    let outcome = host(&["--umask=77"]).filter(crate::sandbox::refuse(&[libc::SYS_umask], libc::EPERM)).run();
    assert_refused(&outcome, "cannot set the umask: not permitted (EPERM)");
}

/// relay ends, whatever a sandbox refuses.
#[test]
fn an_end_that_a_sandbox_refuses() {
    use std::os::unix::process::ExitStatusExt;
    for (calls, status, signal) in [
        (&[libc::SYS_exit_group][..], Some(127), None),
        (&[libc::SYS_exit_group, libc::SYS_exit], None, Some(libc::SIGKILL)),
        (&[libc::SYS_exit_group, libc::SYS_exit, libc::SYS_kill], None, Some(libc::SIGSEGV)),
        (&[libc::SYS_exit_group, libc::SYS_exit, libc::SYS_getpid], None, Some(libc::SIGSEGV)),
    ] {
        let refused = crate::sandbox::refuse(calls, libc::EPERM);
        let outcome = Host::new(["/no/such"]).filter(refused).run_in_time();
        assert_eq!((outcome.status.code(), outcome.status.signal()), (status, signal), "{calls:?}");
    }
}

#[test]
fn asking_to_die_with_the_parent() {
    let parent = format!("--die-with-parent={}", std::process::id());
    for option in ["--die-with-parent", "--die-with-parent=0", &parent] {
        assert_eq!(host(&[option]).run().slate().parent_death_signal, libc::SIGKILL);
    }
    assert_eq!(host(&[]).run().slate().parent_death_signal, 0);
    assert_refused(&host(&["--die-with-parent=1"]).run(), "cannot die with parent 1: no such process (ESRCH)");
    let outcome = host(&["--die-with-parent", "1"]).run();
    assert_eq!(outcome.status.code(), Some(127));
    assert_eq!(outcome.stderr, "relay: bad value 1, use --die-with-parent[=PID]\n");
    for option in ["--die-with-parent=", "--die-with-parent=-1", "--die-with-parent=x"] {
        host(&[option]).run().assert_misused(option);
    }
}

/// A shell that runs `script` with the line that starts relay as its arguments.
fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).args(relay_line());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn a_parent_that_is_gone_already() {
    let script = "exec 3<&0; (read -u 3; exec \"$@\" --die-with-parent=$$ /bin/echo started) & exit";
    let mut child = spawn(&mut shell(script));
    let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pid = child.id();
    // wait would close what it is to read.
    child.wait().expect("the end of the parent");
    stdin.take().expect("its input").write_all(b"go\n").expect("the word to go on");
    let (mut out, mut err) = (String::new(), String::new());
    stdout.as_mut().expect("its output").read_to_string(&mut out).expect("its output");
    stderr.as_mut().expect("its messages").read_to_string(&mut err).expect("its messages");
    assert_eq!(out, "");
    assert_eq!(err, format!("relay: cannot die with parent {pid}: no such process (ESRCH)\n"));
}

#[test]
fn the_program_dies_with_the_parent() {
    let mut child = spawn(&mut shell("\"$@\" --die-with-parent=$$ /bin/sleep 1000 & echo; wait"));
    let mut stdout = child.stdout.take().expect("its output");
    stdout.read_exact(&mut [0]).expect("a sign of life");
    child.kill().expect("bash still runs");
    child.wait().expect("the end of bash");
    // Only when sleep has gone too does nobody hold the other end any more.
    stdout.read_to_end(&mut Vec::new()).expect("the end of sleep");
}

#[test]
fn privileges() {
    assert!(host(&["--no-new-privs"]).run().slate().no_new_privileges);
    // Once given up they stay so: where these tests were started without them, so is what relay starts.
    let inherited = host(&[]).program(probe().to_str().expect("UTF-8")).run().slate().no_new_privileges;
    assert_eq!(host(&[]).run().slate().no_new_privileges, inherited);
    // An unprivileged process cannot go below what it was given.
    let given = std::fs::read_to_string("/proc/self/oom_score_adj").expect("a score");
    for score in [given.trim(), "1000"] {
        let outcome = Host::new(["--oom-score-adj", score, "/bin/cat", "/proc/self/oom_score_adj"]).run();
        assert_eq!(outcome.stdout, format!("{score}\n").into_bytes(), "{outcome:?}");
    }
    // The kernel would read a leading 0 as octal, and more than 12 bytes as several numbers.
    for score in ["0999", "0000000000000000000000999"] {
        let outcome = Host::new(["--oom-score-adj", score, "/bin/cat", "/proc/self/oom_score_adj"]).run();
        assert_eq!(outcome.stdout, b"999\n", "{outcome:?}");
    }
    for option in [
        "--oom-score-adj=",
        "--oom-score-adj=1001",
        "--oom-score-adj=-1001",
        "--oom-score-adj=--1",
        "--oom-score-adj=x",
    ] {
        host(&[option]).run().assert_misused(option);
    }
    // What stands in the place of a real /proc is neither written to nor waited for.
    let root = crate::sandbox::root_with_false_proc();
    let victim = root.path().join("victim");
    std::fs::write(&victim, "important").expect("a file");
    let score = root.path().join("proc/self/oom_score_adj");
    let refused = || Host::new(["--oom-score-adj=1", "/probe"]).relay_at("/relay").root(root.path()).run();
    std::fs::write(&score, "").expect("a file");
    assert_refused(&refused(), "cannot set the out-of-memory score by /proc: no procfs (ENODEV)");
    std::fs::remove_file(&score).expect("the file");
    std::os::unix::fs::symlink("/victim", &score).expect("a link");
    let links = "cannot set the out-of-memory score by /proc: too many links or interpreters (ELOOP)";
    assert_refused(&refused(), links);
    assert_eq!(std::fs::read_to_string(&victim).expect("the file"), "important");
    std::fs::remove_file(&score).expect("the link");
    let fifo = output(Command::new("mkfifo").arg(&score));
    assert!(fifo.status.success(), "{fifo:?}");
    assert_refused(&refused(), "cannot set the out-of-memory score by /proc: errno 6");
    let root = crate::sandbox::bare_root();
    let outcome = Host::new(["--oom-score-adj=1", "/probe"]).relay_at("/relay").root(root.path()).run();
    assert_refused(&outcome, "cannot set the out-of-memory score by /proc: no such file (ENOENT)");
}

/// A directory that leaked is not reached, neither by the path that /proc has to it nor through it: it is closed by then
/// (CVE-2024-21626). One that was asked for is.
#[test]
fn a_leaked_directory_is_no_way_to_another() {
    let leaked = tempfile::TempDir::new().expect("a directory");
    let no_close_range = || crate::sandbox::refuse(&[libc::SYS_close_range], libc::EPERM);
    for filters in [vec![], vec![no_close_range()]] {
        for path in ["/proc/self/fd/7", "/proc/self/fd/7/..", "/proc/thread-self/fd/8"] {
            let directory = || std::fs::File::open(leaked.path()).expect("the directory");
            let option = format!("--chdir={path}");
            let host = host(&[&option]).descriptor(7, directory()).descriptor(8, crate::host::path_only("/"));
            let outcome = filters.iter().fold(host, |host, filter| host.filter(filter.clone())).run();
            assert_refused(&outcome, &format!("cannot change to directory {path}: no such file (ENOENT)"));
        }
    }
    // Nor where a sandbox does not let it be closed.
    let no_close = crate::sandbox::refuse(&[libc::SYS_close_range, libc::SYS_close], libc::EPERM);
    let directory = || std::fs::File::open(leaked.path()).expect("the directory");
    let outcome = host(&["--chdir=/proc/self/fd/7"]).descriptor(7, directory()).filter(no_close).run();
    assert_refused(&outcome, "cannot mark descriptors close-on-exec: not permitted (EPERM)");
    let path = leaked.path().canonicalize().expect("a path");
    for option in ["--keep=7", "--fd=7=9"] {
        let host = Host::new([option, "--chdir=/proc/self/fd/7", "--status=10", probe().to_str().expect("UTF-8")]);
        let host = host.status(10).descriptor(7, directory()).descriptor(9, directory());
        let outcome = host.run();
        assert_eq!(outcome.records.len(), 16, "the status descriptor stays until the end: {outcome:?}");
        assert_eq!(outcome.slate().directory, path.to_str().expect("UTF-8"));
        outcome.slate().assert_clean([0, 1, 2, 7]);
    }
}

/// Part of a number is another number.
#[test]
fn a_score_that_is_written_in_part() {
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "--inject=write:retval=1:when=1"]).args(relay_line());
    let outcome = output(command.args(["--oom-score-adj=999", "/bin/echo", "started"]));
    assert_eq!((outcome.status.code(), outcome.stdout.as_slice()), (Some(125), &b""[..]));
    let message = String::from_utf8_lossy(&outcome.stderr);
    assert!(message.ends_with(": I/O error (EIO)\n"), "{message}");
    // What cannot be asked is told as it is, and not as a /proc that is none.
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "--inject=fstatfs:error=EPERM"]).args(relay_line());
    let outcome = output(command.args(["--oom-score-adj=999", "/bin/echo", "started"]));
    let message = String::from_utf8_lossy(&outcome.stderr);
    assert!(message.ends_with(": not permitted (EPERM)\n"), "{message}");
}

/// Of options that take one value the last one counts.
#[test]
fn the_last_one_counts() {
    let slate =
        host(&["--umask=1", "--umask=2", "--nofile=5", "--nofile=64", "--chdir=/no/such", "--chdir=/"]).run().slate();
    assert_eq!((slate.umask, slate.nofile[0], slate.directory.as_str()), (2, 64, "/"));
}
