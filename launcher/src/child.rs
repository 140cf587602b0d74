//! A program that was launched.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Output};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::PollFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, waitid};

use crate::sys;
use crate::wait::wait_for;

/// A launched program, running or finished.
///
/// Dropping it closes its descriptors: the pidfd, and what has not been taken of the pipes and the pulse. The process
/// goes on; nobody kills it, unless [`Launch::kill_on_drop`](crate::Launch::kill_on_drop) was asked for. One that has ended by
/// then is reaped. One that ends later stays a zombie until this process ends, ignores SIGCHLD, or reaps it by waitpid(2): call
/// [`Self::wait`] where that matters, as with [`std::process::Child`].
#[derive(Debug)]
pub struct Child {
    /// The write end of the pipe that is the program's standard input, where it was asked for.
    pub stdin: Option<ChildStdin>,
    /// The read end of the pipe that is the program's standard output, where it was asked for.
    pub stdout: Option<ChildStdout>,
    /// The read end of the pipe that is the program's standard error, where it was asked for.
    pub stderr: Option<ChildStderr>,
    process: Process,
    pulse: Option<OwnedFd>,
}

impl Child {
    pub(crate) fn new(mut process: Process, ends: Ends, kill_on_drop: bool) -> Self {
        process.kill_on_drop = kill_on_drop;
        let Ends { pipes, pulse } = ends;
        let [stdin, stdout, stderr] = pipes;
        Self {
            stdin: stdin.map(Into::into),
            stdout: stdout.map(Into::into),
            stderr: stderr.map(Into::into),
            process,
            pulse,
        }
    }

    /// Its process identifier. It is another process's as soon as this one is reaped; the pidfd never is.
    pub fn id(&self) -> u32 {
        self.process.id as u32
    }

    /// Its pidfd: readable once the program has ended; see pidfd_open(2).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.process.pidfd()
    }

    /// The read end of the pulse, where it was asked for: it hangs up (POLLHUP, end of file) once nobody has the other
    /// end open any more, the program and those it has passed it on to. Whoever reaps the program, and however it ended.
    pub fn pulse(&self) -> Option<BorrowedFd<'_>> {
        self.pulse.as_ref().map(AsFd::as_fd)
    }

    /// Takes the read end of the pulse, to keep it longer than this.
    pub fn take_pulse(&mut self) -> Option<OwnedFd> {
        self.pulse.take()
    }

    /// Waits for the program's end, after closing its standard input so that it cannot wait for us.
    ///
    /// A program that fills a pipe which nobody reads does not end: [`Self::wait_with_output`] reads both.
    ///
    /// # Errors
    ///
    /// ECHILD where somebody else has reaped it: this process ignores SIGCHLD, or waits for every child. Since
    /// Linux 6.15 the pidfd remembers the status even then, and this is no error.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        // Without NOHANG there is a status where there is no error.
        self.process.wait(WaitIdOptions::EXITED)?.ok_or(io::ErrorKind::Other.into())
    }

    /// The program's status if it has ended. Errors are those of [`Self::wait`].
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.wait(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Waits for the program's end, but no longer than `timeout`. Nothing where it still runs. Unlike [`Self::wait`] it
    /// leaves the standard input open. Errors are those of [`Self::wait`].
    pub fn wait_timeout(&mut self, timeout: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if self.process.status.is_none() {
                wait_for(&[self.pidfd()], PollFlags::IN, deadline)?;
            }
            let status = self.try_wait()?;
            if status.is_some() || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(status);
            }
            // Dead, but held by a debugger, which is told first: the pidfd says no more until it lets go.
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for the program's end, and meanwhile reads its standard output and error to the end, where they are piped and have
    /// not been taken. Closes its standard input first. Both pipes are read as they fill, so neither can stop the program.
    ///
    /// A pipe ends when everybody has closed it who has it: a process that the program leaves behind may have it for longer.
    ///
    /// ```
    /// # use exec_relay_launcher::{Launch, Stdio};
    /// let mut launch = Launch::new("/bin/sh");
    /// launch.args(["-c", "cat; echo error >&2"]).stdin(Stdio::Piped).stdout(Stdio::Piped).stderr(Stdio::Piped);
    /// let mut child = launch.launch()?;
    /// std::io::Write::write_all(&mut child.stdin.take().expect("it is piped"), b"output\n")?;
    /// let output = child.wait_with_output()?;
    /// assert_eq!((&*output.stdout, &*output.stderr), (&b"output\n"[..], &b"error\n"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What read(2) says, and those of [`Self::wait`]. The program may still run then.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let [stdout, stderr] = read_to_end([self.stdout.take().map(Into::into), self.stderr.take().map(Into::into)])?;
        Ok(Output { status: self.wait()?, stdout, stderr })
    }

    /// Kills the program with SIGKILL. No error where it has been waited for already.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(libc::SIGKILL)
    }

    /// Sends the signal with this number, 1 to 64, by the pidfd: it never reaches another process.
    ///
    /// # Errors
    ///
    /// ESRCH where somebody else has reaped it, EINVAL for no signal, EPERM; see pidfd_send_signal(2).
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        if self.process.status.is_some() { Ok(()) } else { sys::send_signal(self.pidfd(), signal) }
    }
}

impl Child {
    /// Leaves the process to whoever waits for its number: unlike dropping this, it never reaps, nor kills. Closes all
    /// descriptors.
    pub fn into_id(self) -> u32 {
        self.into_id_and_pidfd().0
    }

    /// For the package for C: the same, with the pidfd.
    #[doc(hidden)]
    pub fn into_id_and_pidfd(self) -> (u32, OwnedFd) {
        let id = self.id();
        let mut process = self.process;
        process.is_left = true;
        (id, process.pidfd.take().expect("it is there until this is dropped"))
    }

    /// Whether its end is known, and its number may be another process's.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_reaped(&self) -> bool {
        self.process.status.is_some()
    }

    /// Whether dropping this kills the program. What it was before.
    #[cfg(feature = "tokio")]
    pub(crate) fn set_kill_on_drop(&mut self, is_killed: bool) -> bool {
        std::mem::replace(&mut self.process.kill_on_drop, is_killed)
    }
}

impl AsFd for Child {
    /// The pidfd.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd()
    }
}

impl AsRawFd for Child {
    /// The pidfd's number, for event loops that want one.
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd().as_raw_fd()
    }
}

/// This process's ends of what a program has.
pub(crate) struct Ends {
    pub pipes: [Option<OwnedFd>; 3],
    pub pulse: Option<OwnedFd>,
}

/// A child process, whatever it is executing.
#[derive(Debug)]
pub(crate) struct Process {
    pub id: i32,
    /// Always there until this is dropped, which may have to keep it.
    pidfd: Option<OwnedFd>,
    /// How it ended, once it is reaped.
    pub status: Option<ExitStatus>,
    /// Somebody else waits for it.
    is_left: bool,
    kill_on_drop: bool,
}

impl Process {
    pub fn new(id: i32, pidfd: OwnedFd) -> Self {
        Self { id, pidfd: Some(pidfd), status: None, is_left: false, kill_on_drop: false }
    }

    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_ref().expect("it is there until this is dropped").as_fd()
    }

    /// Waits; nothing where it still runs and `options` say not to wait for its end.
    pub fn wait(&mut self, options: WaitIdOptions) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let waited = retry_on_intr(|| waitid(WaitId::PidFd(self.pidfd()), options));
            let (status, reaped) = match waited {
                Ok(status) => (status.as_ref().and_then(exit_status), !options.contains(WaitIdOptions::NOWAIT)),
                Err(Errno::CHILD) => (Some(sys::status_of_reaped(self.pidfd())?), true),
                Err(errno) => return Err(errno.into()),
            };
            if !reaped {
                return Ok(status);
            }
            self.status = status;
        }
        Ok(self.status)
    }

    /// How it ended, where it is ending by itself and that is known. Nothing where it does not end soon.
    pub fn ends_by_itself(&mut self) -> Option<Option<ExitStatus>> {
        self.is_reaped_soon().then_some(self.status)
    }

    /// Whether it dies and is reaped, by whomever, before [`TIME_TO_DIE`] is over.
    fn is_reaped_soon(&mut self) -> bool {
        let deadline = Instant::now() + TIME_TO_DIE;
        while wait_for(&[self.pidfd()], PollFlags::IN, Some(deadline)).is_ok_and(|[is_dead]| is_dead) {
            if !matches!(self.wait(WaitIdOptions::EXITED | WaitIdOptions::NOHANG | any_child()), Ok(None)) {
                return true;
            }
            // A debugger is told first, and holds it until then.
            if deadline <= Instant::now() {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        false
    }

    /// Sends SIGKILL.
    fn kill(&self) {
        if sys::send_signal(self.pidfd(), libc::SIGKILL).is_err()
            && self.status.is_none()
            && let Some(child) = Pid::from_raw(self.id)
        {
            // A sandbox refuses that call. As long as nobody has reaped the process, the number is its own.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT | any_child();
            if waitid(WaitId::PidFd(self.pidfd()), options).is_ok() {
                let _ = kill_process(child, Signal::KILL);
            }
        }
    }

    /// Kills it and reaps it. Whether it has ended: one inside a call that the kernel does not give up, on a disk that hangs,
    /// does not die before that. It is left then, and reaped by a later launch.
    pub fn end(mut self) -> bool {
        self.kill();
        let is_reaped = self.is_reaped_soon();
        if !is_reaped {
            self.leave();
        }
        is_reaped
    }

    /// Leaves it to a later launch to reap it when it is dead.
    fn leave(&mut self) {
        self.is_left = true;
        LEFT.lock().unwrap_or_else(PoisonError::into_inner).extend(self.pidfd.take());
    }
}

/// Reaps it where it is dead. Whether it is reaped, by whomever.
fn is_reaped_now(pidfd: BorrowedFd) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | any_child();
    !matches!(retry_on_intr(|| waitid(WaitId::PidFd(pidfd), options)), Ok(None))
}

/// Children that have executed a program, and those that have not, which waitpid(2) calls clone children.
fn any_child() -> WaitIdOptions {
    WaitIdOptions::from_bits_retain(libc::__WALL as u32)
}

/// How long a process that was killed is waited for.
const TIME_TO_DIE: Duration = Duration::from_secs(1);

/// The pidfds of those that were killed and did not die in time.
static LEFT: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Reaps what was left by earlier launches and has died since. Without waiting for a lock, which a process that was forked
/// while another thread held it would never get.
pub(crate) fn reap_left() {
    let Ok(mut left) = LEFT.try_lock() else { return };
    left.retain(|pidfd| !is_reaped_now(pidfd.as_fd()));
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_left || self.status.is_some() || is_reaped_now(self.pidfd()) || !self.kill_on_drop {
            return;
        }
        // It lives and is this process's child: in one that was forked from this, the pidfd is of a stranger, and counts as
        // reaped above.
        self.kill();
        if !is_reaped_now(self.pidfd()) {
            self.leave();
        }
    }
}

/// The status as wait(2) encodes it; nothing where the process has not ended.
pub(crate) fn exit_status(status: &WaitIdStatus) -> Option<ExitStatus> {
    let raw = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (code & 0xff) << 8,
        (None, Some(signal)) => signal | if status.dumped() { 0x80 } else { 0 },
        (None, None) => return None,
    };
    Some(ExitStatus::from_raw(raw))
}

/// Reads both to the end. Neither waits for the other, for as long as both are open. What is not there is empty.
fn read_to_end(pipes: [Option<OwnedFd>; 2]) -> io::Result<[Vec<u8>; 2]> {
    let mut texts = [Vec::new(), Vec::new()];
    let [mut first, mut second] = pipes;
    while let (Some(one), Some(other)) = (&first, &second) {
        let [is_one_ready, is_other_ready] = wait_for(&[one.as_fd(), other.as_fd()], PollFlags::IN, None)?;
        let has_other_ended = is_other_ready && has_ended(other, &mut texts[1])?;
        if is_one_ready && has_ended(one, &mut texts[0])? {
            first = None;
        }
        if has_other_ended {
            second = None;
        }
    }
    for (pipe, text) in [first, second].into_iter().zip(&mut texts) {
        if let Some(pipe) = pipe {
            File::from(pipe).read_to_end(text)?;
        }
    }
    Ok(texts)
}

/// Reads what is there. Whether that is the end.
fn has_ended(pipe: &OwnedFd, text: &mut Vec<u8>) -> io::Result<bool> {
    // What a pipe holds at the most, unless somebody has changed that; see pipe(7).
    text.reserve(65_536);
    match retry_on_intr(|| rustix::io::read(pipe, spare_capacity(text))) {
        Err(Errno::AGAIN) => Ok(false),
        read => Ok(read? == 0),
    }
}
