//! What differs between kernels. Each test asks the kernel that it runs on first, and prints what that answered.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::ExitStatusExt;

use crate::host::{Host, Outcome, mark_a_range, path_only, probe};
use crate::sandbox;

/// A call of each way of the sweep that no other way makes, in the order in which relay tries the ways.
const WAYS: [(&str, libc::c_long); 3] =
    [("close_range", libc::SYS_close_range), ("getdents64", libc::SYS_getdents64), ("fcntl", libc::SYS_pselect6)];

/// A leaky host starts the probe through relay, which is killed if it makes one of `forbidden`.
fn start(with_proc: bool, forbidden: &[libc::c_long]) -> Outcome {
    let root = sandbox::bare_root();
    let probe = if with_proc { probe() } else { "/probe".into() };
    let host = [3, 64, 1000].into_iter().fold(Host::new([probe]), Host::open).descriptor(65, path_only("/"));
    let host = if with_proc { host } else { host.relay_at("/relay").root(root.path()) };
    host.filter(sandbox::forbid(forbidden)).run()
}

/// Which ways relay tries, seen from outside: those that it is killed for.
fn tried(with_proc: bool) -> Vec<&'static str> {
    start(with_proc, &[]).slate().assert_clean([0, 1, 2]);
    let is_tried = |&(_, call): &(&str, libc::c_long)| {
        let outcome = start(with_proc, &[call]);
        if outcome.status.signal() != Some(libc::SIGSYS) {
            outcome.slate().assert_clean([0, 1, 2]);
        }
        !outcome.status.success()
    };
    WAYS.into_iter().filter(is_tried).map(|(name, _)| name).collect()
}

/// relay goes no further than to the first way that works on this kernel.
#[test]
fn the_way_of_the_sweep() {
    let errno = mark_a_range().err().map(|error| error.raw_os_error().expect("an errno"));
    let answer = match errno {
        None => "works".to_owned(),
        Some(libc::EINVAL) => "is EINVAL".to_owned(),
        Some(libc::ENOSYS) => "is ENOSYS".to_owned(),
        Some(errno) => format!("is errno {errno}"),
    };
    let (with_proc, without_proc) = (tried(true), tried(false));
    println!(
        "sweep: CLOSE_RANGE_CLOEXEC {answer}, relay tries {}; without /proc {}",
        with_proc.join(", "),
        without_proc.join(", ")
    );
    let expected = if errno.is_none() {
        [&["close_range"][..], &["close_range"]]
    } else {
        [&["close_range", "getdents64"][..], &["close_range", "fcntl"]]
    };
    assert_eq!([&with_proc[..], &without_proc], expected);
}

/// Nothing that relay does needs a call that is newer than Linux 2.6.36 and its prlimit64: on x86-64 calls have their
/// numbers in the order in which they came.
#[cfg(target_arch = "x86_64")]
#[test]
fn on_linux_2_6_36() {
    let newer: Vec<_> = (libc::SYS_prlimit64 + 1..512).collect();
    let options = ["--fd=5=6", "--fd=6=5", "--keep=70", "--close=0", "--status=9", "--nofile=hard", "--umask=27"];
    let more = ["--setsid", "--die-with-parent", "--chdir=/", "--listen-fds=1", "--fd=3=70", "--ignore=PIPE"];
    let rest = ["--block=TERM", "--keep-ignored=USR1", "--pulse=64", "--argv0=name", "--env=A=b", "--unset=C"];
    for with_proc in [true, false] {
        let root = sandbox::bare_root();
        let probe = if with_proc { probe() } else { "/probe".into() };
        let arguments = options.iter().chain(&more).chain(&rest).copied().chain([probe.to_str().expect("UTF-8")]);
        let host = [5, 6, 64, 70, 1000].into_iter().fold(Host::new(arguments), Host::open).status(9);
        let host = if with_proc { host } else { host.relay_at("/relay").root(root.path()) };
        let outcome = host.filter(sandbox::refuse(&newer, libc::ENOSYS)).run();
        assert!(outcome.status.success(), "{outcome:?}");
        let slate = outcome.slate();
        assert_eq!(slate.numbers(), [1, 2, 3, 5, 6, 64, 70].into());
        assert_eq!((slate.session, slate.directory.as_str()), (slate.pid as u32, "/"));
        assert_eq!(slate.not_default, [libc::SIGPIPE as u32]);
        assert_eq!(slate.blocked, [libc::SIGTERM as u32]);
        assert_eq!(slate.arguments, ["name"]);

        let report = if with_proc {
            Host::new(["--report"])
        } else {
            Host::new(["--report"]).relay_at("/relay").root(root.path())
        };
        let outcome = report.open(1000).filter(sandbox::refuse(&newer, libc::ENOSYS)).run();
        assert!(String::from_utf8_lossy(&outcome.stdout).contains("descriptor 1000: open"), "{outcome:?}");
    }
}

/// What relay does with no argument at all, in an environment that would be one if it read on.
fn host_without_arguments() -> Host {
    Host::new([""; 0]).no_arguments().environment([probe()])
}

#[track_caller]
fn assert_no_program(outcome: &Outcome) {
    assert_eq!(outcome.status.code(), Some(127), "{outcome:?}");
    assert_eq!(outcome.stdout, b"");
    assert_eq!(outcome.stderr, "relay: no program, see relay --help\n");
}

#[test]
fn an_empty_argument_vector() {
    let arguments = host_without_arguments().program(probe().to_str().expect("UTF-8")).run().slate().arguments;
    println!("empty argv: argc {}", arguments.len());
    // Linux since 5.18, and updates of older ones, put an empty name there.
    assert!(arguments.is_empty() || arguments == [""], "{arguments:?}");
    assert_no_program(&host_without_arguments().run());
}

/// Where the kernel puts no name there, the environment follows at once. ptrace(2) makes every kernel do so here.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_stack_without_arguments() {
    let run = |program: std::path::PathBuf| {
        let host = Host::new(["one more"]).environment([probe()]).program(program.to_str().expect("UTF-8"));
        let running = host.traced().spawn();
        take_arguments_away(running.child.id() as libc::pid_t);
        running.finish()
    };
    let slate = run(probe()).slate();
    assert_eq!(slate.arguments, [""; 0]);
    assert_eq!(slate.environment, [probe().to_str().expect("UTF-8")]);
    assert_no_program(&run(crate::host::relay()));
}

/// Takes two arguments from the stack of a process that has just begun its program, and lets it go on.
#[cfg(target_arch = "x86_64")]
fn take_arguments_away(pid: libc::pid_t) {
    // SAFETY: the child is stopped at its program's entry, with 2, two pointers, NULL and the environment on its stack.
    // A zero in the place of the second pointer is 0 arguments, with the NULL and the environment behind it, 16-byte
    // aligned as before. The calls write a status and a structure, both plain numbers, of this process.
    unsafe {
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid, "{}", io::Error::last_os_error());
        assert!(libc::WIFSTOPPED(status), "{status}");
        let mut registers: libc::user_regs_struct = std::mem::zeroed();
        assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers), 0);
        assert_eq!(libc::ptrace(libc::PTRACE_PEEKDATA, pid, registers.rsp, 0), 2);
        registers.rsp += 16;
        assert_eq!(libc::ptrace(libc::PTRACE_POKEDATA, pid, registers.rsp, 0), 0);
        assert_eq!(libc::ptrace(libc::PTRACE_SETREGS, pid, 0, &raw const registers), 0);
        assert_eq!(libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0), 0);
    }
}
