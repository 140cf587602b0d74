//! Children for [tokio], with the feature `tokio`: a program's end is a future on its pidfd, and pipes are read and
//! written asynchronously.
//!
//! ```
//! use exec_relay_launcher::tokio::Child;
//! use exec_relay_launcher::{Launch, Stdio};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let child = Launch::new("/bin/echo").arg("hello").stdout(Stdio::Piped).launch()?;
//!     let output = Child::from_std(child)?.wait_with_output().await?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello\n");
//!     Ok(())
//! }
//! ```
//!
//! # The launch itself
//!
//! [`Launch::launch`](crate::Launch::launch) is no future: it stops the calling thread for about a tenth of a millisecond, as
//! `tokio::process::Command::spawn` does. Leave it in the task if programs lie on a local disk. It can take long where
//!
//! - the program lies on a disk or a network that is slow;
//! - a [`timeout`](crate::Launch::timeout) was asked for: a launch by [`Vehicle::Relay`](crate::Vehicle::Relay) may take
//!   that long;
//! - the [`cgroup`](crate::Launch::cgroup) is frozen, or nobody has entered one for a while (5 to 10 ms).
//!
//! There, launch by `tokio::task::spawn_blocking`, and make it a [`Child`] of this module afterwards:
//!
//! ```
//! # use exec_relay_launcher::{Launch, tokio::Child};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let timeout = std::time::Duration::from_secs(5);
//! let child = tokio::task::spawn_blocking(move || Launch::new("/bin/true").timeout(timeout).launch()).await??;
//! assert!(Child::from_std(child)?.wait().await?.success());
//! # Ok(())
//! # }
//! ```
//!
//! But not with [`die_with_parent`](crate::Launch::die_with_parent): the program is killed when the thread that launched it
//! ends, and tokio ends blocking threads that have been idle for 10 seconds.
//!
//! # The runtime
//!
//! It needs its I/O driver: `#[tokio::main]` and `#[tokio::test]` have it, a `runtime::Builder` is told `enable_io`. Nothing
//! else is used of it: no signal handler, no thread, no task. A program can be awaited in another runtime than the one that it
//! was launched in, but its pipes belong to the one in which [`Child::from_std`] was called.
//!
//! Other runtimes can wait for [`Child::pidfd`](crate::Child::pidfd) themselves: it is readable once the program has ended.
//! In async-io and smol that is `Async::new_nonblocking(child)?.readable().await`, and then `try_wait`.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::{ExitStatus, Output};
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};

/// A program that was launched and runs, or has run: [`exec_relay_launcher::Child`](crate::Child) for asynchronous code, with
/// the names that `tokio::process::Child` has.
///
/// Dropping it closes its descriptors, and the program goes on, unless [`Self::kill_on_drop`] says otherwise. A program that
/// ends after that stays a zombie, as with [`exec_relay_launcher::Child`](crate::Child): there is no signal handler that would
/// reap it. Give it to a task of its own where that matters: `tokio::spawn(async move { child.wait().await })`.
#[derive(Debug)]
pub struct Child {
    /// The write end of the pipe that is the program's standard input, where it was asked for. Dropping it closes it, and
    /// `into_blocking_fd` gives it back for use without tokio.
    pub stdin: Option<Sender>,
    /// The read end of the pipe that is the program's standard output, where it was asked for. To make it another
    /// program's descriptor, take `into_blocking_fd`.
    pub stdout: Option<Receiver>,
    /// The read end of the pipe that is the program's standard error, where it was asked for.
    pub stderr: Option<Receiver>,
    pulse: Option<Receiver>,
    child: crate::Child,
}

impl Child {
    /// Has the runtime watch the pipes and the pulse of a child. They become non-blocking; the program's ends do not.
    ///
    /// # Errors
    ///
    /// Those of epoll_ctl(2): ENOMEM, and ENOSPC at `max_user_watches` of epoll(7). The program is killed then, since nobody
    /// would have it any more.
    ///
    /// # Panics
    ///
    /// Where there is something to watch, outside of a runtime with its I/O driver enabled. The program is killed then, too.
    #[track_caller]
    pub fn from_std(mut child: crate::Child) -> io::Result<Self> {
        let receiver = |pipe: Option<OwnedFd>| pipe.map(Receiver::from_owned_fd).transpose();
        let pulse = child.take_pulse();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let kill_on_drop = child.set_kill_on_drop(true);
        let mut this = Self { stdin: None, stdout: None, stderr: None, pulse: receiver(pulse)?, child };
        this.stdin = stdin.map(|pipe| Sender::from_owned_fd(pipe.into())).transpose()?;
        this.stdout = receiver(stdout.map(Into::into))?;
        this.stderr = receiver(stderr.map(Into::into))?;
        this.kill_on_drop(kill_on_drop);
        Ok(this)
    }

    /// Whether the program is killed when this is dropped before [`Self::wait`] or [`Self::try_wait`] has told its end; a
    /// future that owns this, [`Self::wait_with_output`] for one, drops it when it is cancelled. At first it is what
    /// [`Launch::kill_on_drop`](crate::Launch::kill_on_drop) was told.
    ///
    /// Dropping waits for nothing: a killed program that is not dead at once is reaped by a later launch of this process. To
    /// have it gone before going on, call [`Self::kill`].
    ///
    /// ```
    /// # use exec_relay_launcher::{Launch, tokio::Child};
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut child = Child::from_std(Launch::new("/bin/sleep").arg("1000").launch()?)?;
    /// child.kill_on_drop(true);
    /// let output = tokio::time::timeout(Duration::from_millis(10), child.wait_with_output()).await;
    /// assert!(output.is_err(), "it took too long, and was killed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn kill_on_drop(&mut self, is_killed: bool) -> &mut Self {
        self.child.set_kill_on_drop(is_killed);
        self
    }

    /// Its process identifier, until its end is known: from then on it may be another process's.
    pub fn id(&self) -> Option<u32> {
        (!self.child.is_reaped()).then(|| self.child.id())
    }

    /// Its pidfd; see pidfd_open(2).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// Takes the read end of the pulse, where it was asked for. Nothing ever comes from it but its end, when nobody has the
    /// other end open any more: reading it (`AsyncReadExt::read`) then gives 0. Whoever reaps the program, and however it
    /// ended.
    pub fn take_pulse(&mut self) -> Option<Receiver> {
        self.pulse.take()
    }

    /// Waits for the program's end, after closing its standard input so that it cannot wait for us; `stdin.take()` before,
    /// where it is to stay open. The status stays known: a second wait returns the same.
    ///
    /// This is cancel-safe: a wait that is dropped, by `select!` or a timeout, takes nothing with it.
    ///
    /// # Errors
    ///
    /// Those of [`exec_relay_launcher::Child::wait`](crate::Child::wait), those of [`Self::from_std`], and one where the
    /// runtime is shut down meanwhile. The program goes on.
    ///
    /// # Panics
    ///
    /// Where the program still runs, outside of a runtime with its I/O driver enabled.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        let mut watched = watched(&mut self.child)?;
        // A pidfd can be readable before there is a status: a debugger is told first. When it lets go, the kernel wakes those
        // that watch the pidfd again.
        watched.async_io_mut(Interest::READABLE, |Waited(child)| child.try_wait()?.ok_or(would_block())).await
    }

    /// The program's status if it has ended. Errors are those of [`exec_relay_launcher::Child::wait`](crate::Child::wait).
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Reads what the program writes to its standard output and error, where those are pipes, both at once, until their ends;
    /// then waits for the program. Its standard input is closed first.
    ///
    /// # Errors
    ///
    /// Those of [`Self::wait`] and of read(2). What was read is lost then, as it is where this is cancelled.
    ///
    /// # Panics
    ///
    /// As [`Self::wait`].
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let mut pipes = [self.stdout.take(), self.stderr.take()];
        let [mut stdout, mut stderr] = [Vec::new(), Vec::new()];
        poll_fn(|context| {
            let [out, err] = &mut pipes;
            let both = [poll_read_to_end(out, &mut stdout, context)?, poll_read_to_end(err, &mut stderr, context)?];
            if both.iter().all(Poll::is_ready) { Poll::Ready(io::Result::Ok(())) } else { Poll::Pending }
        })
        .await?;
        Ok(Output { status: self.wait().await?, stdout, stderr })
    }

    /// Kills the program with SIGKILL, and waits for its end. No error where it has ended before.
    ///
    /// # Errors
    ///
    /// Those of [`Self::wait`], and EPERM; see pidfd_send_signal(2).
    ///
    /// # Panics
    ///
    /// As [`Self::wait`].
    pub async fn kill(&mut self) -> io::Result<()> {
        match self.start_kill() {
            // Somebody else has reaped it, so it has ended.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            outcome => outcome?,
        }
        self.wait().await?;
        Ok(())
    }

    /// Kills the program with SIGKILL, without waiting for its end. See
    /// [`exec_relay_launcher::Child::kill`](crate::Child::kill).
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Sends a signal. See [`exec_relay_launcher::Child::signal`](crate::Child::signal).
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.child.signal(signal)
    }
}

impl AsFd for Child {
    /// The pidfd.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd()
    }
}

/// A child that is being waited for, known to tokio by its pidfd.
struct Waited<'child>(&'child mut crate::Child);

impl AsRawFd for Waited<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Has the runtime watch a child's pidfd. For one wait alone, so that the next one can be in another runtime.
// The call is deprecated for types whose descriptor may become another one, or closed; a child's does not. What replaces it
// is unsafe, and not in most versions of tokio.
#[allow(deprecated, reason = "it is sound for this type, without unsafe code")]
fn watched(child: &mut crate::Child) -> io::Result<AsyncFd<Waited<'_>>> {
    AsyncFd::with_interest(Waited(child), Interest::READABLE)
}

fn would_block() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}

/// Reads from a pipe until its end, and closes it then.
fn poll_read_to_end(pipe: &mut Option<Receiver>, bytes: &mut Vec<u8>, context: &mut Context) -> Poll<io::Result<()>> {
    let mut space = [0; 16 * 1024];
    while let Some(open) = pipe {
        let mut buffer = ReadBuf::new(&mut space);
        ready!(Pin::new(open).poll_read(context, &mut buffer))?;
        match buffer.filled() {
            [] => *pipe = None,
            read => bytes.extend_from_slice(read),
        }
    }
    Poll::Ready(Ok(()))
}
