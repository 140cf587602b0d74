//! Children in tokio: waiting, pipes, killing, and hosts that make it hard. Many of these are tests that tokio has of its own
//! processes.

#![allow(unsafe_code)]

// The harness's own, and the other tests' support, which use all that is in them.
#[allow(dead_code)]
#[path = "../../tests/harness/slate.rs"]
mod slate;
#[allow(dead_code)]
#[path = "launcher/support.rs"]
mod support;

use std::fs;
use std::future::Future;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use exec_relay_launcher::tokio::Child;
use exec_relay_launcher::{Launch, Stdio};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait, waitpid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};

use support::{alone, children, open_descriptors, set_disposition, vehicles};

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().expect("a runtime"))
}

/// Runs this in a runtime of one thread, and in one of several.
fn each<F: Future>(body: impl Fn() -> F) {
    for runtime in runtimes() {
        runtime.block_on(body());
    }
}

/// A child of this program, which `set` completes.
fn start(program: &str, set: impl FnOnce(&mut Launch<'_>)) -> Child {
    let mut launch = Launch::new(program);
    launch.stdin(Stdio::Null);
    set(&mut launch);
    Child::from_std(launch.launch().expect("it is there")).expect("a runtime")
}

fn shell(script: &str) -> Child {
    start("/bin/sh", |launch| _ = launch.args(["-c", script]))
}

/// One that echoes its input until its end, and has a pulse.
fn cat() -> Child {
    start("/bin/cat", |launch| _ = launch.stdin(Stdio::Piped).stdout(Stdio::Piped).pulse())
}

/// The program echoes, so it lives.
async fn assert_alive(stdin: &mut Sender, stdout: &mut Receiver) {
    stdin.write_all(b"x").await.expect("a reader");
    assert_eq!(stdout.read_u8().await.expect("an echo"), b'x');
}

async fn assert_at_end(pipe: &mut Receiver) {
    assert_eq!(pipe.read(&mut [0]).await.expect("a pipe"), 0);
}

/// Polls a wait once: the program has not ended.
async fn poll_wait(child: &mut Child) {
    tokio::select! {
        biased;
        status = child.wait() => panic!("{status:?}"),
        () = async {} => {}
    }
}

#[test]
fn the_status_stays_known() {
    each(async || {
        for vehicle in vehicles() {
            let mut child = start("/bin/sh", |launch| _ = launch.args(["-c", "exit 2"]).vehicle(vehicle));
            assert!(child.id().is_some_and(|id| id > 0));
            let status = child.wait().await.expect("a status");
            assert_eq!(status.code(), Some(2));
            assert_eq!(child.wait().await.expect("known"), status);
            assert_eq!(child.try_wait().expect("known"), Some(status));
            assert_eq!(child.id(), None);
            child.start_kill().expect("no error once it is known to have ended");
            child.kill().await.expect("no error once it is known to have ended");
        }
    });
}

#[test]
fn killing() {
    each(async || {
        let mut child = cat();
        assert_eq!(child.try_wait().expect("its state"), None);
        child.kill().await.expect("a process");
        assert_eq!(child.wait().await.expect("known").signal(), Some(libc::SIGKILL));
        // One that ends by itself at that time.
        let mut child = shell("exit 2");
        child.start_kill().expect("it is not reaped");
        child.wait().await.expect("a status");
        let mut child = cat();
        let mut stdin = child.stdin.take();
        child.signal(libc::SIGTERM).expect("a process");
        assert_eq!(child.wait().await.expect("a status").signal(), Some(libc::SIGTERM));
        let error = stdin.as_mut().expect("piped").write_all(b"x").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_wait_is_cancelled_and_taken_up_again() {
    each(async || {
        let mut child = cat();
        let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        for _ in 0..10 {
            poll_wait(&mut child).await;
            assert_alive(&mut stdin, &mut stdout).await;
        }
        // The program ends while no wait is there.
        drop(stdin);
        assert_at_end(&mut stdout).await;
        assert_at_end(&mut child.take_pulse().expect("it was asked for")).await;
        assert!(child.wait().await.expect("a status").success());
    });
}

#[test]
fn waiting_closes_the_input() {
    each(async || assert!(cat().wait().await.expect("a status").success()));
}

#[test]
fn many_tasks_wait() {
    each(async || {
        let mut tasks = JoinSet::new();
        for code in 0..100 {
            let mut child = shell(&format!("exit {code}"));
            tasks.spawn(async move { (code, child.kill_on_drop(true).wait().await.expect("a status").code()) });
        }
        while let Some(outcome) = tasks.join_next().await {
            let (code, found) = outcome.expect("a task");
            assert_eq!(found, Some(code));
        }
    });
}

#[test]
fn a_task_that_waits_is_aborted() {
    each(async || {
        let mut child = cat();
        let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut pulse = child.take_pulse().expect("it was asked for");
        let task = tokio::spawn(async move { child.wait().await });
        yield_now().await;
        task.abort();
        assert!(task.await.expect_err("it was aborted").is_cancelled());
        assert_alive(&mut stdin, &mut stdout).await;
        drop(stdin);
        assert_at_end(&mut pulse).await;
    });
}

#[test]
fn kill_on_drop() {
    each(async || {
        // What the program has started itself goes on.
        let script = "sh -c 'read line <&3; echo $line' & echo; exec cat";
        let (gate, mut opener) = tokio::net::unix::pipe::pipe().map(|(opener, gate)| (gate, opener)).expect("a pipe");
        let gate = gate.into_blocking_fd().expect("a pipe");
        let mut child = start("/bin/sh", |launch| {
            launch.args(["-c", script]).stdin(Stdio::Piped).stdout(Stdio::Piped).fd(3, gate);
        });
        let (stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        assert_eq!(stdout.read_u8().await.expect("a line"), b'\n');
        child.kill_on_drop(true);
        drop(child);
        opener.write_all(b"the other one ran\n").await.expect("a reader");
        drop(opener);
        let mut said = String::new();
        stdout.read_to_string(&mut said).await.expect("the output, which ends though the input is open");
        assert_eq!(said, "the other one ran\n");
        drop(stdin);
    });
}

#[test]
fn kill_on_drop_as_the_launch_was_told() {
    each(async || {
        let mut child = start("/bin/cat", |launch| _ = launch.stdin(Stdio::Piped).pulse().kill_on_drop(true));
        let (_stdin, mut pulse) = (child.stdin.take(), child.take_pulse().expect("it was asked for"));
        drop(child);
        assert_at_end(&mut pulse).await;
    });
}

#[test]
fn a_future_that_owns_the_child_kills_it() {
    each(async || {
        let mut child = cat();
        let (_stdin, mut pulse) = (child.stdin.take(), child.take_pulse().expect("it was asked for"));
        child.kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_millis(1), child.wait_with_output()).await;
        assert!(output.is_err(), "{output:?}");
        assert_at_end(&mut pulse).await;
    });
}

#[test]
fn nothing_is_killed_unasked() {
    each(async || {
        for is_changed in [false, true] {
            let mut child = cat();
            if is_changed {
                child.kill_on_drop(true).kill_on_drop(false);
            }
            let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
            let mut pulse = child.take_pulse().expect("it was asked for");
            drop(child);
            assert_alive(&mut stdin, &mut stdout).await;
            drop(stdin);
            assert_at_end(&mut pulse).await;
        }
    });
}

#[test]
fn what_was_killed_is_reaped() {
    alone("what_was_killed_is_reaped", || {
        each(async || {
            shell("exit").wait().await.expect("a status");
            let before = open_descriptors();
            for _ in 0..20 {
                let mut child = cat();
                let mut pulse = child.take_pulse().expect("it was asked for");
                child.kill_on_drop(true);
                drop(child);
                assert_at_end(&mut pulse).await;
                // It is dying: its files are closed before it is dead.
                while children().iter().any(|child| !is_dead(child)) {
                    yield_now().await;
                }
            }
            shell("exit").wait().await.expect("a status");
            assert_eq!(children(), [""; 0]);
            assert_eq!(open_descriptors(), before);
        });
    });
}

fn is_dead(id: &str) -> bool {
    state(id).is_none_or(|state| state == 'Z')
}

/// The letter that proc_pid_stat(5) tells.
fn state(id: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn both_pipes_are_read_at_once() {
    each(async || {
        let script = "head -c 300000 /dev/zero >&2; head -c 200000 /dev/zero; head -c 100000 /dev/zero >&2; exit 3";
        let child = start("/bin/sh", |launch| {
            launch.args(["-c", script]).stdin(Stdio::Piped).stdout(Stdio::Piped).stderr(Stdio::Piped);
        });
        let output = child.wait_with_output().await.expect("all of it");
        assert_eq!((output.stdout.len(), output.stderr.len()), (200_000, 400_000));
        assert_eq!(output.status.code(), Some(3));
        // What is not piped is empty.
        let output = shell("exit 4").wait_with_output().await.expect("a status");
        assert_eq!((output.stdout.len(), output.stderr.len(), output.status.code()), (0, 0, Some(4)));
    });
}

#[test]
fn pipes_tell_as_it_comes_and_end() {
    each(async || {
        let script = "printf 1; read line; printf 2; exec 1>&-; read line; exit 5";
        let mut child = start("/bin/sh", |launch| {
            launch.args(["-c", script]).stdin(Stdio::Piped).stdout(Stdio::Piped);
        });
        let (mut stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        assert_eq!(stdout.read_u8().await.expect("a byte"), b'1');
        let read = stdout.try_read(&mut [0]).expect_err("there is nothing");
        assert_eq!(read.kind(), io::ErrorKind::WouldBlock);
        stdin.write_all(b"\n").await.expect("a reader");
        assert_eq!(stdout.read_u8().await.expect("a byte"), b'2');
        assert_at_end(&mut stdout).await;
        assert_eq!(child.try_wait().expect("its state"), None);
        stdin.write_all(b"\n").await.expect("a reader");
        assert_eq!(child.wait().await.expect("a status").code(), Some(5));
    });
}

#[test]
fn a_full_pipe_is_written_to_when_there_is_room() {
    each(async || {
        let (gate, opener) = io::pipe().expect("a pipe");
        let mut child = start("/bin/sh", |launch| {
            launch.args(["-c", "read line <&3; exec wc -c"]).stdin(Stdio::Piped).stdout(Stdio::Piped).fd(3, gate);
        });
        let mut stdin = child.stdin.take().expect("piped");
        stdin.writable().await.expect("a reader");
        let mut written = 0;
        let full = loop {
            match stdin.try_write(&[b'x'; 8192]) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert!(written > 0);
        drop(opener);
        stdin.write_all(b"x").await.expect("a reader");
        drop(stdin);
        let output = child.wait_with_output().await.expect("the count");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), (written + 1).to_string());
    });
}

#[test]
fn a_pipe_is_another_programs_input() {
    each(async || {
        let mut first = start("/bin/echo", |launch| _ = launch.arg("hello").stdout(Stdio::Piped));
        let pipe = first.stdout.take().expect("piped").into_blocking_fd().expect("a pipe");
        let second = start("/bin/cat", |launch| _ = launch.stdin(pipe).stdout(Stdio::Piped));
        assert_eq!(second.wait_with_output().await.expect("the output").stdout, b"hello\n");
        assert!(first.wait().await.expect("a status").success());
    });
}

#[test]
fn another_runtime_waits() {
    let [first, second] = runtimes();
    let (mut child, mut stdin) = first.block_on(async {
        let mut child = cat();
        let stdin = child.stdin.take();
        poll_wait(&mut child).await;
        (child, stdin)
    });
    let task = first.spawn(std::future::pending::<()>());
    second.block_on(poll_wait(&mut child));
    drop((first, task, stdin.take()));
    assert!(second.block_on(child.wait()).expect("a status").success());
}

#[test]
#[should_panic(expected = "there is no reactor running, must be called from the context of a Tokio 1.x runtime")]
fn pipes_outside_a_runtime() {
    drop(cat());
}

#[test]
#[should_panic(expected = "IO is disabled")]
fn a_runtime_without_its_driver() {
    // The end of this pipe ends the program.
    let (gate, _opener) = io::pipe().expect("a pipe");
    let mut child = start("/bin/cat", |launch| _ = launch.stdin(gate));
    _ = Builder::new_current_thread().build().expect("a runtime").block_on(child.wait());
}

#[test]
fn what_cannot_be_watched_is_killed() {
    let ((gate, _opener), (mut alive, held)) = (io::pipe().expect("a pipe"), io::pipe().expect("a pipe"));
    let mut launch = Launch::new("/bin/cat");
    let child = launch.stdin(gate).stdout(Stdio::Piped).fd(3, held).launch().expect("cat");
    drop(launch);
    catch_unwind(AssertUnwindSafe(|| Child::from_std(child))).expect_err("there is no runtime");
    assert_eq!(alive.read(&mut [0]).expect("a pipe"), 0, "its end, though its input is open");
}

/// Launches, and sees the end by wait and by the pulse, whoever reaps the program.
async fn is_seen_to_end(round: usize) {
    let mut child = cat();
    let mut pulse = child.take_pulse().expect("it was asked for");
    match child.wait().await {
        Ok(status) => assert!(status.success(), "{round}: {status}"),
        // Linux before 6.15 cannot tell.
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECHILD), "{round}"),
    }
    assert_at_end(&mut pulse).await;
    // Killing what is gone is no error of its own.
    let mut child = shell("exit");
    match child.kill().await {
        Ok(()) => {}
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECHILD), "{round}"),
    }
}

#[test]
fn sigchld_is_ignored() {
    alone("sigchld_is_ignored", || {
        set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        each(async || {
            let before = open_descriptors();
            for round in 0..50 {
                is_seen_to_end(round).await;
            }
            assert_eq!(open_descriptors(), before);
        });
    });
}

/// Another thread reaps every child, as frameworks do.
#[test]
fn a_host_that_reaps_every_child() {
    alone("a_host_that_reaps_every_child", || {
        let over = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    _ = wait(WaitOptions::empty());
                }
            });
            let outcome = catch_unwind(|| {
                each(async || {
                    for round in 0..50 {
                        is_seen_to_end(round).await;
                    }
                });
            });
            over.store(true, Ordering::Relaxed);
            // One that the other thread may be waiting for.
            drop(Launch::new("/bin/true").launch().expect("true"));
            outcome.expect("every round");
        });
    });
}

/// A debugger is told first that the program is dead, and holds it until it lets go: the pidfd is readable, and there is no
/// status.
#[test]
fn a_debugger_holds_the_dead_program() {
    alone("a_debugger_holds_the_dead_program", || {
        each(async || {
            let mut child = cat();
            let debugger = trace(child.id().expect("it lives"));
            child.start_kill().expect("a process");
            poll(&mut [PollFd::new(&child, PollFlags::IN)], None).expect("a pidfd");
            assert_eq!(child.try_wait().expect("its state"), None);
            poll_wait(&mut child).await;
            // The wait is polled first, and goes on until the debugger is gone.
            let (status, ()) = tokio::join!(child.wait(), async {
                yield_now().await;
                kill_process(debugger, Signal::KILL).expect("a process");
            });
            assert_eq!(status.expect("a status").signal(), Some(libc::SIGKILL));
            waitpid(Some(debugger), WaitOptions::empty()).expect("it is dead");
        });
    });
}

/// A process that traces another one and never looks at it.
fn trace(traced: u32) -> Pid {
    let (mut said, writer) = io::pipe().expect("a pipe");
    // SAFETY: the child makes system calls alone, on what lives longer, and runs until it is killed.
    let debugger = unsafe {
        match libc::fork() {
            0 => {
                let outcome = libc::ptrace(libc::PTRACE_SEIZE, traced as libc::pid_t, 0, 0) as u8;
                libc::write(writer.as_raw_fd(), (&raw const outcome).cast(), 1);
                loop {
                    libc::pause();
                }
            }
            debugger => debugger,
        }
    };
    let mut outcome = [1];
    said.read_exact(&mut outcome).expect("a word");
    assert_eq!(outcome, [0], "this test needs to be allowed to trace: root, or no Yama");
    Pid::from_raw(debugger).expect("a process")
}

#[test]
fn thousands_are_launched() {
    alone("thousands_are_launched", || {
        each(async || {
            shell("exit").wait().await.expect("a status");
            let before = open_descriptors();
            // No more at a time than this.
            let places = Arc::new(Semaphore::new(20));
            let mut tasks = JoinSet::new();
            for count in 0..2000 {
                let place = Arc::clone(&places).acquire_owned().await.expect("it is open");
                tasks.spawn(async move {
                    let _place = place;
                    match count % 4 {
                        0 => assert!(cat().wait().await.expect("a status").success()),
                        1 => {
                            let child = start("/bin/echo", |launch| _ = launch.arg("hello").stdout(Stdio::Piped));
                            assert_eq!(child.wait_with_output().await.expect("the output").stdout, b"hello\n");
                        }
                        2 => cat().kill().await.expect("a process"),
                        _ => _ = cat().kill_on_drop(true),
                    }
                });
            }
            while let Some(outcome) = tasks.join_next().await {
                outcome.expect("a task");
            }
            while children().iter().any(|child| !is_dead(child)) {
                yield_now().await;
            }
            shell("exit").wait().await.expect("a status");
            assert_eq!(children(), [""; 0]);
            assert_eq!(open_descriptors(), before);
        });
    });
}
