//! Low numbers that a host reserves: how a child gets descriptors with high ones where it may not fetch them.
//!
//! What is reserved is pairs of sockets, of which one end has a low number. Before there is a child, the descriptors that it
//! needs are sent to that end, and the child receives them when it has a table of its own, which holds no more than the low
//! numbers (src/spawn.rs). That asks for no right over the host, as pidfd_getfd(2) does, and one number is enough for a launch,
//! whatever it needs.
//!
//! The host's table is not changed by a launch. Copies of what is needed under low numbers would do as well, but to close one
//! in the host loses the record locks (fcntl(2), F_SETLK) that it has on that file.
//!
//! - A host that closes descriptors it does not know closes these, and may open other files under their numbers. So each is
//!   looked at before it is used: the kernel gives its cookie to no other socket.
//! - A process that is forked has the same sockets, and would take messages away from the first one. It uses none of them: a
//!   number that the kernel clears in it says whose they are. If it reserves some itself, it closes these.
//! - A launch has a pair to itself. A message that its child has not received is taken away before the next one has it.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use exec_relay::sys::Descriptor;

use crate::sys::{Socket, cleared_by_fork};

/// A number below this is a low one.
pub const LOW: Descriptor = 64;

/// How many can be reserved.
const MOST: usize = 32;

struct Pair {
    sender: Socket,
    receiver: Socket,
}

impl Pair {
    fn new() -> io::Result<Self> {
        let (sender, receiver) = Socket::pair(LOW)?;
        let pair = Self { sender, receiver };
        if pair.receiver.number() < LOW {
            return Ok(pair);
        }
        pair.close();
        Err(io::Error::from_raw_os_error(libc::EMFILE))
    }

    fn is_open(&self) -> bool {
        self.sender.is_open() && self.receiver.is_open()
    }

    fn close(self) {
        self.sender.close();
        self.receiver.close();
    }
}

/// Those that this process has reserved.
struct Pairs {
    free: Vec<Pair>,
    /// How many a launch has.
    taken: usize,
}

/// Held for a few instructions by a launch, and only where this process has reserved something. So a forked process, which may
/// have inherited it locked, does not wait for it unless it reserves something itself.
static PAIRS: Mutex<Pairs> = Mutex::new(Pairs { free: Vec::new(), taken: 0 });

fn pairs() -> MutexGuard<'static, Pairs> {
    PAIRS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 1 in the process that has reserved what is in [`PAIRS`].
static IS_OURS: OnceLock<&AtomicU32> = OnceLock::new();

/// Reserves descriptors with low numbers, so that no launch costs more the more this process has open.
///
/// A launch that needs a descriptor with a high number, a pipe that is opened for it or one that was lent, is slower by far in a
/// host with thousands of descriptors where the child may not fetch it from the host: the kernel then copies all of them. It
/// may not in most containers, under Yama (`ptrace_scope` 1, Ubuntu's default), where the host is not dumpable, and before
/// Linux 5.6. A host that has reserved descriptors sends it to the child instead, which costs the same as to fetch it, and
/// takes no refused attempt first.
///
/// `count` is how many launches can use that at the same time, 32 at the most; others go another way, as if nothing was
/// reserved. Each takes two descriptors, close-on-exec, one of them with a number from 3 to 63. So call this early, while such
/// numbers are free; later calls add what is missing. They stay open as long as the process. A host may close them, as daemons
/// do with what they do not know, but not while it launches; it can then reserve them again. So can a process that was forked,
/// which goes without otherwise; but not one that was forked while another thread was in this function.
///
/// ```
/// exec_relay_launcher::reserve_descriptors(2)?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// EMFILE where no number below 64 is free any more, or the limit is reached. What has been reserved until then stays so. EINVAL
/// where `count` is above 32. What socketpair(2) says, and ENOPROTOOPT or EINVAL where the kernel is older than Linux 4.14.
pub fn reserve_descriptors(count: usize) -> io::Result<()> {
    if count > MOST {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut pairs = pairs();
    let is_ours = match IS_OURS.get() {
        Some(is_ours) => is_ours,
        None => {
            let made = cleared_by_fork()?;
            IS_OURS.get_or_init(|| made)
        }
    };
    if is_ours.swap(1, Ordering::Relaxed) == 0 {
        pairs.taken = 0;
        pairs.free.drain(..).for_each(Pair::close);
    }
    let (open, closed): (Vec<_>, Vec<_>) = pairs.free.drain(..).partition(Pair::is_open);
    // Of such a pair one may be open.
    closed.into_iter().for_each(Pair::close);
    pairs.free = open;
    while pairs.free.len() + pairs.taken < count {
        pairs.free.push(Pair::new()?);
    }
    Ok(())
}

/// Descriptors on their way to a child, by a pair that is this launch's.
pub struct Sent {
    /// Until this goes.
    pair: Option<Pair>,
    /// Whether the child has them.
    pub is_received: bool,
}

impl Sent {
    /// Sends them. Nothing where no pair is free, or where they cannot be sent: each kind of file can, but for io_uring's.
    pub fn new(descriptors: &[Descriptor]) -> Option<Self> {
        if IS_OURS.get()?.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut sent = Self { pair: Some(take()?), is_received: false };
        let pair = sent.pair.as_ref()?;
        if pair.sender.send(descriptors).is_err() {
            // There is nothing to be received.
            sent.is_received = true;
            return None;
        }
        Some(sent)
    }

    /// Where the child receives them.
    pub fn receiver(&self) -> Option<Descriptor> {
        self.pair.as_ref().map(|pair| pair.receiver.number())
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        let Some(pair) = self.pair.take() else { return };
        if !self.is_received && pair.receiver.is_open() {
            pair.receiver.discard();
        }
        let mut pairs = pairs();
        pairs.taken -= 1;
        pairs.free.push(pair);
    }
}

/// A pair that the host has left open.
fn take() -> Option<Pair> {
    loop {
        let pair = {
            let mut pairs = pairs();
            let pair = pairs.free.pop()?;
            pairs.taken += 1;
            pair
        };
        if pair.is_open() {
            return Some(pair);
        }
        pairs().taken -= 1;
        pair.close();
    }
}
