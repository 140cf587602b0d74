//! The child that both vehicles make: it shares this process's memory, on a stack of its own, until it executes a program.
//!
//! # What the child may do
//!
//! It is a process of its own as far as dispositions, directory and limits go, and soon descriptors too (below). But its
//! memory is the host's, with every lock in whatever state another thread has it. So it only makes raw system calls: the
//! steps of `exec_relay`, which is `no_std`, allocates nothing, takes no lock and returns its errors by value. It touches its
//! own stack, and [`Shared`], which nobody else touches before the kernel lets this thread go on.
//!
//! All signals are blocked from before the clone: a handler that ran in the child would run on the host's memory. In the
//! child they stay so until no signal has a handler any more: each is at its default or ignored, whatever was asked to be
//! kept (src/prepared.rs). The child's table of dispositions is a copy (no CLONE_SIGHAND).
//!
//! # What is proven
//!
//! The kernel lets this thread go on when the child has let go of the memory: by a successful execve(2), or by its end,
//! of which a signal may be the cause at any time. `Shared` tells how far the child got, but not whether it was killed
//! after it had said that it is ready. That is told by the kernel's bookkeeping of children, where the child is made with no
//! termination signal: this makes it a "clone" child that only a wait with __WCLONE finds (waitpid(2)), and execve(2)
//! makes it an ordinary one ("the termination signal is reset to SIGCHLD", execve(2)) before it lets go of the memory.
//! So a wait with __WCLONE gives ECHILD where the exec was past its point of no return, and the dead child, which it
//! reaps, otherwise. Without looking at /proc, whether or not the host ignores SIGCHLD or waits for every child: neither
//! touches a clone child. A host whose other threads wait with __WALL can take a dead one away; if they also reap the
//! program, and it was killed after it had said that it is ready, nobody can tell the two apart.
//!
//! A program that the kernel accepts and kills while it is mapped (no memory, a damaged file) counts as begun.
//!
//! # Emulators
//!
//! valgrind and qemu-user make a fork of this clone: nothing that the child writes is seen here, not even that it runs.
//! That is how it is found out. qemu-user makes no child without a termination signal, nor a pidfd with it.
//!
//! # A child that changes its user
//!
//! As long as it shares this memory, whoever may write to its memory may write to the host's. The kernel sees to that
//! nobody but root may, unless fs.suid_dumpable is 1, which is for debugging: it clears the flag of the memory that
//! src/dumpable.rs is about. Signals the new user can send to it: SIGSTOP stops this thread until SIGCONT, and SIGKILL is
//! the error [`Spawned::Gone`].
//!
//! # Why what a launch costs does not grow with what is open
//!
//! A child that gets a copy of the host's descriptor table pays for each descriptor twice, when it is copied and when it is
//! closed again: eight times the launch itself with 10,000 of them. So the child is made with CLONE_FILES, which copies
//! nothing, and the first thing that it does is close_range(2) with CLOSE_RANGE_UNSHARE: the kernel gives it a table of its
//! own with what lies below the lowest number above all that this launch needs. Before that has succeeded the child does
//! nothing else, to no descriptor. What is needed but has a high number it gets afterwards: it receives what the host has sent,
//! where the host has reserved a low number for that (src/reserved.rs), or it fetches it from the host by pidfd_getfd(2). Both
//! cost the same, some 8 µs. To receive comes first, since nobody refuses it, and monitors take the other one for an attack.
//!
//! Each of these can be refused: close_range by kernels before 5.9, pidfd_getfd by those before 5.6, by Yama (ptrace_scope 1)
//! and for hosts that are not dumpable, and all by sandboxes. Then the child ends, having done nothing, and another one is
//! made without it. That is remembered for the process, so that it is paid for once.
//!
//! Kernels before 6.11 can have a fault in that call (CVE-2024-45025): where the host's table has 64 descriptors in a row open,
//! a whole word of its bits, the child's takes that word for full too. On these the child looks at each word, and ends where one
//! is damaged.
//!
//! # Why clone(2) and not clone3(2)
//!
//! With CLONE_VM the child begins on another stack. clone3 does not call a function on that, so its caller must be written in
//! assembler, for each architecture. The C library has a function for clone. Sandboxes let clone through, too: they cannot see
//! clone3's flags, so many answer ENOSYS or EPERM to it. CLONE_PIDFD and the choice of the termination signal are in both.
//!
//! clone3 is tried for the one thing that it alone can do, on x86-64: CLONE_INTO_CGROUP, a child that is born in its cgroup.
//! Where that is refused the child writes to `cgroup.procs`, which takes the kernel about 30 µs; but 5 to 10 ms where nobody
//! has done that for a while, since it then waits until every processor has passed through the scheduler (an RCU grace
//! period), and all that fork or end meanwhile wait too. The mount option `favordynmods` does away with that wait (Linux 6.0).

#[cfg(target_arch = "x86_64")]
use std::arch::naked_asm;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fs;
use std::io;
use std::marker::PhantomData;
#[cfg(target_arch = "x86_64")]
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::{self, ExitStatus};
use std::ptr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use exec_relay::errno::Errno;
use exec_relay::limit::NOFILE;
use exec_relay::signal::SignalSet;
use exec_relay::slate::{Cgroup, Slate};
use exec_relay::status::Failure;
use exec_relay::sys::{self, Descriptor, DescriptorTable};
use rustix::event::PollFlags;
use rustix::io::{self as rustix_io, fcntl_dupfd_cloexec, retry_on_intr};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use rustix::system::uname;

use crate::child::{Process, exit_status};
use crate::descriptors::limit;
use crate::dumpable;
use crate::error::PROCESS;
use crate::reserved::{LOW, Sent};
use crate::sys::of_errno;
use crate::wait::wait_for;

/// What the child needs of the host's descriptors.
struct Needed {
    /// Those with low numbers lie below this.
    first: Descriptor,
    /// Those with high numbers.
    high: Vec<Descriptor>,
    /// All of them lie below this.
    end: Descriptor,
    /// This process.
    host: u32,
    /// Whether the kernel may have the fault.
    may_be_damaged: bool,
}

impl Needed {
    /// A number from this on is a high one. So those that the child fetches, which get the lowest free numbers, do not get in the
    /// way of others that it still has to fetch.
    const HIGH: Descriptor = 128;
    /// How many are fetched at the most.
    const MOST_FETCHED: usize = (Self::HIGH - LOW) as usize / 2;

    /// Those that this slate is made of, and the standard ones.
    fn new(slate: &Slate) -> Self {
        // What the step of the cgroup and exec find under its own number: it cannot be fetched.
        let pinned = directory_of_cgroup(slate).max(slate.program);
        let mut all: Vec<_> = slate.descriptors.sources().chain([2]).chain(pinned).collect();
        all.sort_unstable();
        all.dedup();
        let end = all.last().map_or(3, |&last| last + 1);
        let high = all.split_off(all.partition_point(|&number| number < Self::HIGH));
        let first = all.last().map_or(3, |&last| last + 1);
        let is_below =
            |&number: &Descriptor| !slate.descriptors.is_made_of(number, number) || (number as u64) < limit();
        let is_fetched = first <= LOW
            && high.len() <= Self::MOST_FETCHED
            && pinned.is_none_or(|pinned| pinned < first)
            && high.iter().all(is_below);
        let (first, high) = if is_fetched { (first, high) } else { (end, Vec::new()) };
        Self { first, high, end, host: process::id(), may_be_damaged: may_be_damaged() }
    }
}

/// The directory of the cgroup, where that is open.
fn directory_of_cgroup(slate: &Slate) -> Option<Descriptor> {
    match slate.cgroup {
        Some(Cgroup::Open(directory)) => Some(directory),
        _ => None,
    }
}

/// What the child does. All functions run in it, and must do no more than the top of this file says: system calls, on
/// memory that was laid out before. No lock may be taken, nothing be allocated, no thread-local storage be touched, and
/// nothing may panic. The test of the C library's machine code holds them to that.
pub trait Work<'l> {
    /// Whether the exec is to be proven by the child's having no termination signal before it. Otherwise that is SIGCHLD.
    const IS_PROVEN: bool;

    /// The slate, which says what descriptors are needed.
    fn slate(&mut self) -> &mut Slate<'l>;

    /// All that comes before the exec.
    fn prepare(&mut self, table: DescriptorTable) -> Result<(), Failure>;

    /// Executes the program. Returns only where that failed.
    fn exec(&self) -> Failure;
}

/// What became of the child.
pub enum Spawned {
    /// It executes the program; where [`Work::IS_PROVEN`] is not asked for, it may also have been killed right before that.
    Executes(Process),
    /// It failed and has ended.
    Failed(Failure),
    /// It was killed before it executed the program, and has ended, in this way where that is known.
    Gone(Option<ExitStatus>),
    /// Its memory is not this process's, so it has told nothing. It lives or has ended; or none could be made at all, as an
    /// emulator knows no such child.
    NotShared(Option<Process>),
}

/// Makes the child and waits until it has let go of this memory.
///
/// # Errors
///
/// What clone(2) says, EMFILE for the pidfd included, and what cannot be had for it: the message then says what.
pub fn spawn<'l, W: Work<'l>>(mut work: W) -> Result<Spawned, (&'static str, io::Error)> {
    // On the heap: threads may have small stacks.
    let needed = Needed::new(work.slate());
    // What is inherited is in a copy of the host's table alone.
    let way = if work.slate().settings.keep_inherited { Way::Copy } else { Way::known() };
    let mut shared = Box::new(Shared {
        work,
        state: AtomicU32::new(NEVER),
        failure: None,
        pidfd: AtomicI32::new(-1),
        needed,
        way,
        receiver: 0,
        is_received: false,
        refused: None,
    });
    let stack = Stack::take().map_err(|cause| ("a stack", cause))?;
    let blocked = Blocked::new().map_err(|cause| ("a blocked signal mask", cause))?;
    let cgroup = shared.work.slate().cgroup;
    let mut sent = send(&mut shared);
    let spawned = loop {
        // A child before this one may have been born there.
        shared.work.slate().cgroup = cgroup;
        let spawned = match start(&stack, &mut shared) {
            Err(cause) if shared.way != Way::Copy && is_refusal(&cause) => {
                shared.refused = Some(Refused { is_fetch: false, for_good: true });
                Ok(Spawned::NotShared(None))
            }
            Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => Ok(Spawned::NotShared(None)),
            started => started.and_then(|(id, pidfd)| became::<W>(id, pidfd, &shared)),
        };
        match shared.refused.take() {
            // That child has done nothing and has ended.
            Some(refused) => shared.way = shared.way.after(refused),
            None => break spawned,
        }
        *shared.state.get_mut() = NEVER;
    };
    if let Some(sent) = &mut sent {
        sent.is_received = shared.is_received;
    }
    drop(sent);
    drop(blocked);
    stack.put_back();
    spawned.map_err(|cause| match cause.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => ("a descriptor for the new process", cause),
        _ => (PROCESS, cause),
    })
}

/// Sends what has a high number, where the host has reserved a low one for that.
fn send<W>(shared: &mut Shared<W>) -> Option<Sent> {
    if shared.way == Way::Copy || shared.needed.high.is_empty() || CANNOT_RECEIVE.load(Ordering::Relaxed) {
        return None;
    }
    let sent = Sent::new(&shared.needed.high)?;
    shared.receiver = sent.receiver()?;
    shared.way = Way::Receive;
    Some(sent)
}

/// How far the child got.
const NEVER: u32 = 0;
const RUNS: u32 = 1;
const READY: u32 = 2;

/// How the child gets a descriptor table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Way {
    /// It shares the host's until it has one with the low numbers, and receives the high ones, which the host has sent. Only
    /// where the host has reserved something for that.
    Receive,
    /// It shares the host's until it has one with the low numbers, and fetches the high ones.
    Fetch,
    /// It shares the host's until it has one with all that is needed.
    Share,
    /// It gets a copy of the host's.
    Copy,
}

/// Whether [`Way::Receive`] was refused to this process for good.
static CANNOT_RECEIVE: AtomicBool = AtomicBool::new(false);

/// The first of the other ways that was not.
static KNOWN: AtomicU8 = AtomicU8::new(Way::Fetch as u8);

impl Way {
    fn known() -> Self {
        match KNOWN.load(Ordering::Relaxed) {
            // Which ends a process that asks for CLONE_FILES, rather than to refuse it.
            _ if is_valgrind() => Self::Copy,
            known if known == Self::Fetch as u8 => Self::Fetch,
            known if known == Self::Share as u8 => Self::Share,
            _ => Self::Copy,
        }
    }

    /// The one to be tried next.
    fn after(self, refused: Refused) -> Self {
        let next = match self {
            Self::Receive if refused.is_fetch => {
                CANNOT_RECEIVE.fetch_or(refused.for_good, Ordering::Relaxed);
                return Self::known();
            }
            Self::Fetch if refused.is_fetch => Self::Share,
            _ => Self::Copy,
        };
        // A child of another launch that changes its user keeps this process from being looked into for a moment.
        let is_momentary = refused.is_fetch && dumpable::has_children();
        if refused.for_good && !is_momentary {
            KNOWN.fetch_max(next as u8, Ordering::Relaxed);
        }
        next
    }
}

/// Whether this process runs under valgrind. What it was started with tells: to look at what another thread may be changing
/// (setenv(3)) is not safe.
fn is_valgrind() -> bool {
    static IS_VALGRIND: LazyLock<bool> = LazyLock::new(|| {
        let environment = fs::read("/proc/self/environ").unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable.starts_with(b"VALGRIND_LAUNCHER="))
    });
    *IS_VALGRIND
}

/// What the child was refused.
#[derive(Clone, Copy)]
struct Refused {
    /// To fetch or receive descriptors, rather than to have a table of its own.
    is_fetch: bool,
    /// Not for want of memory or descriptors.
    for_good: bool,
}

impl Refused {
    fn new(errno: Errno, is_fetch: bool) -> Self {
        let is_want = [libc::ENOMEM, libc::EMFILE, libc::ENFILE].iter().any(|&want| errno.is(want as u32));
        Self { is_fetch, for_good: !is_want }
    }
}

/// Gives the child a table of its own.
///
/// # Safety
///
/// 1. No code that still runs in this process uses a descriptor that it has not got from here.
/// 2. Where the way is [`Way::Copy`], the process shares its table with no other.
unsafe fn own_table<'l, W: Work<'l>>(shared: &mut Shared<W>) -> Result<DescriptorTable, Refused> {
    let first = match shared.way {
        // SAFETY: the same obligations (1), (2).
        Way::Copy => return Ok(unsafe { DescriptorTable::seize() }),
        Way::Share => shared.needed.end,
        Way::Receive => shared.needed.first.max(shared.receiver + 1),
        Way::Fetch => shared.needed.first,
    };
    // SAFETY: the same obligation (1).
    let unshared = unsafe { DescriptorTable::unshare(first as u32) };
    let mut table = unshared.map_err(|errno| Refused::new(errno, false))?;
    let pidfd = shared.pidfd.load(Ordering::Acquire);
    if (0..3).contains(&pidfd) {
        // The host has that one closed. Nothing is to take this for its standard stream.
        let _ = table.close(pidfd);
    }
    if shared.needed.may_be_damaged {
        require_undamaged(first, &mut table).map_err(|errno| Refused::new(errno, false))?;
    }
    let is_wanted = !shared.needed.high.is_empty();
    let had = match shared.way {
        Way::Receive => receive(shared, &mut table),
        Way::Fetch if is_wanted => fetch(shared, &mut table),
        _ => return Ok(table),
    };
    had.map_err(|errno| Refused::new(errno, true))?;
    Ok(table)
}

/// Receives the descriptors with high numbers. All of them, or nothing is noted.
fn receive<'l, W: Work<'l>>(shared: &mut Shared<W>, table: &mut DescriptorTable) -> Result<(), Errno> {
    let mut received = [0; Needed::MOST_FETCHED];
    // There are not more.
    let received = received.get_mut(..shared.needed.high.len()).ok_or(Errno::new(libc::EMFILE as u32))?;
    table.receive(shared.receiver, received)?;
    shared.is_received = true;
    note(received, shared, table)
}

/// Fetches the descriptors with high numbers from the host. All of them, or nothing is noted.
fn fetch<'l, W: Work<'l>>(shared: &mut Shared<W>, table: &mut DescriptorTable) -> Result<(), Errno> {
    let host = sys::open_process(shared.needed.host)?;
    let mut fetched = [0; Needed::MOST_FETCHED];
    for (here, &descriptor) in fetched.iter_mut().zip(&shared.needed.high) {
        *here = table.fetch(&host, descriptor)?;
    }
    drop(host);
    note(&fetched, shared, table)
}

/// Notes where what has a high number in the host is now.
fn note<'l, W: Work<'l>>(
    here: &[Descriptor],
    shared: &mut Shared<W>,
    table: &mut DescriptorTable,
) -> Result<(), Errno> {
    let plan = &mut shared.work.slate().descriptors;
    let pairs = || here.iter().zip(&shared.needed.high);
    for (&here, &descriptor) in pairs() {
        if plan.is_made_of(here, descriptor) {
            // Nobody will give it its number. It came marked.
            table.unmark_close_on_exec(here)?;
        }
    }
    for (&here, &descriptor) in pairs() {
        plan.set_aside(descriptor, here);
    }
    Ok(())
}

/// How many bits of a descriptor table are in a word.
const WORD: Descriptor = usize::BITS as Descriptor;

/// Fails where a word of the table is taken for full though nothing in it is open, or where that cannot be told.
fn require_undamaged(first: Descriptor, table: &mut DescriptorTable) -> Result<(), Errno> {
    // The soft limit can have been lowered, and can be raised again by the program.
    let limit = sys::limit(NOFILE)?;
    sys::set_limit(NOFILE, &sys::rlimit64 { rlim_cur: limit.rlim_max, ..limit })?;
    let is_open = |descriptor: &Descriptor| sys::is_open(*descriptor).is_ok();
    let open = (0..first).rev().find(is_open).ok_or(Errno::new(libc::EBADF as u32))?;
    // The fault concerns as many words as there are bits in one: those whose bits stand in one word with that of `first`.
    let block = first / (WORD * WORD) * WORD;
    let numbers = (block..block + WORD).map(|word| word * WORD);
    for number in numbers.filter(|&number| number >= first && (number as u64) < limit.rlim_max) {
        let copy = table.copy_above(open, number)?;
        table.close(copy)?;
        if copy != number {
            return Err(Errno::new(libc::EUCLEAN as u32));
        }
    }
    sys::set_limit(NOFILE, &limit)
}

/// Whether the kernel is older than Linux 6.11, or tells no version.
fn may_be_damaged() -> bool {
    static MAY_BE: LazyLock<bool> = LazyLock::new(|| {
        let name = uname();
        let release = name.release().to_string_lossy();
        let mut numbers = release.split(|byte: char| !byte.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
        (numbers.next(), numbers.next()) < (Some(6), Some(11))
    });
    *MAY_BE
}

/// Whether clone(2) was refused for what it was asked, and not for want of something.
fn is_refusal(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM))
}

/// What host and child share beyond what neither changes. The child alone touches it until this thread goes on.
struct Shared<W> {
    work: W,
    state: AtomicU32,
    failure: Option<Failure>,
    /// The host's descriptor of the child.
    pidfd: AtomicI32,
    needed: Needed,
    way: Way,
    /// What was sent is received here.
    receiver: Descriptor,
    /// The message is gone from there.
    is_received: bool,
    refused: Option<Refused>,
}

/// Where the child begins. It is not unwound, and returns to nobody.
extern "C" fn child<'l, W: Work<'l>>(shared: *mut c_void) -> c_int {
    // SAFETY: `start` passes a Shared<W>, which outlives the child's use of this memory, and nobody else touches it.
    let shared = unsafe { &mut *shared.cast::<Shared<W>>() };
    shared.state.store(RUNS, Ordering::Release);
    // SAFETY: the process has this one thread, and no code of the host's runs in it, since every signal is blocked as long as
    // any has a handler (1). `start` makes it without CLONE_FILES where the way is to copy the table (2).
    let table = match unsafe { own_table(shared) } {
        Ok(table) => table,
        Err(refused) => {
            shared.refused = Some(refused);
            sys::exit(127)
        }
    };
    let failure = match shared.work.prepare(table) {
        Ok(()) => {
            shared.state.store(READY, Ordering::Release);
            shared.work.exec()
        }
        Err(failure) => failure,
    };
    shared.failure = Some(failure);
    sys::exit(127)
}

/// Makes the child and waits until it has let go of this memory. Its number and its pidfd.
fn start<'l, W: Work<'l>>(stack: &Stack, shared: &mut Shared<W>) -> io::Result<(i32, OwnedFd)> {
    *shared.pidfd.get_mut() = -1;
    let files = if shared.way == Way::Copy { 0 } else { libc::CLONE_FILES };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | files;
    if let Some(directory) = directory_of_cgroup(shared.work.slate()) {
        // Then the child need not enter it.
        let cgroup = shared.work.slate().cgroup.take();
        if let Some(id) = start_in_cgroup(stack, shared, flags, directory) {
            return Ok((id, owned(id, shared)?));
        }
        shared.work.slate().cgroup = cgroup;
    }
    let pidfd = shared.pidfd.as_ptr();
    let pointer = (&raw mut *shared).cast::<c_void>();
    let clone = |flags| {
        // SAFETY: the stack is the child's alone and large enough for what it does, with a guard below. CLONE_VFORK keeps
        // this thread, and so everything that it has borrowed, until the child uses neither any more. The child has this
        // thread's thread-local storage, and does not touch it. The pidfd is written before the child runs.
        let id = unsafe { libc::clone(child::<W>, stack.top(), flags, pointer, pidfd) };
        if id == -1 { Err(io::Error::last_os_error()) } else { Ok(id) }
    };
    if W::IS_PROVEN {
        // The lowest byte, the termination signal, is 0.
        let id = clone(flags | libc::CLONE_PIDFD)?;
        return Ok((id, owned(id, shared)?));
    }
    match clone(flags | libc::CLONE_PIDFD | libc::SIGCHLD) {
        // qemu-user knows no CLONE_PIDFD. The number is the child's until it is reaped; where this process ignores SIGCHLD,
        // until it is dead.
        Err(error) if files == 0 && error.raw_os_error() == Some(libc::EINVAL) => {
            let id = clone(flags | libc::SIGCHLD)?;
            let child = Pid::from_raw(id).ok_or(io::ErrorKind::NotFound)?;
            let pidfd = pidfd_open(child, PidfdFlags::empty()).inspect_err(|_| abandon(id))?;
            Ok((id, pidfd))
        }
        made => {
            let id = made?;
            Ok((id, owned(id, shared)?))
        }
    }
}

/// Does the work in this very process, which then executes the program in its own place. Returns only where that failed: what the
/// work says, or what a thread for it lacks.
///
/// The thread has a descriptor table of its own, a copy of this process's, which goes with it where it fails. It shares all
/// else, so the work must change nothing else that is to stay as it is here. By a successful execve(2) all other threads end,
/// and that one takes the place of the first.
pub fn replace<'l, W: Work<'l>>(work: W) -> Result<Failure, (&'static str, io::Error)> {
    const THREAD: &str = "a thread with a descriptor table of its own";
    // valgrind ends a process that asks for such a thread.
    if is_valgrind() {
        return Err((THREAD, io::Error::from_raw_os_error(libc::ENOSYS)));
    }
    let stack = Stack::take().map_err(|cause| ("a stack", cause))?;
    let blocked = Blocked::new().map_err(|cause| ("a blocked signal mask", cause))?;
    let mut shared = (work, None);
    let all_but_files = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_FS | libc::CLONE_SYSVSEM;
    let flags = libc::CLONE_THREAD | libc::CLONE_VFORK | all_but_files;
    // SAFETY: as in `start`: a stack of the thread's own; this thread waits until the other one has ended, and has lent it its
    // thread-local storage, which is not touched.
    let id = unsafe { libc::clone(thread::<W>, stack.top(), flags, (&raw mut shared).cast()) };
    let refused = io::Error::last_os_error();
    if id != -1 {
        // It lets go of the memory a little before it closes its descriptors, and is gone.
        let soon = Instant::now() + Duration::from_secs(1);
        // SAFETY: touches no memory, and sends nothing.
        while unsafe { libc::syscall(libc::SYS_tgkill, process::id(), id, 0) } == 0 && Instant::now() < soon {
            std::thread::yield_now();
        }
    }
    drop(blocked);
    stack.put_back();
    // A thread that was made has left a failure.
    shared.1.filter(|_| id != -1).ok_or((THREAD, refused))
}

/// Where the thread of [`replace`] begins. It ends when this returns.
extern "C" fn thread<'l, W: Work<'l>>(shared: *mut c_void) -> c_int {
    // SAFETY: `replace` passes these, which outlive the thread, and nobody else touches them.
    let (work, failure) = unsafe { &mut *shared.cast::<(W, Option<Failure>)>() };
    // SAFETY: no other code runs in this thread, which has all signals blocked (1), and it was made without CLONE_FILES: its
    // table is its own (2).
    let table = unsafe { DescriptorTable::seize() };
    *failure = Some(match work.prepare(table) {
        Ok(()) => work.exec(),
        Err(failure) => failure,
    });
    0
}

/// `CLONE_INTO_CGROUP` of linux/sched.h, which is too wide for the type that `libc` gives it.
#[cfg(target_arch = "x86_64")]
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// Makes the child in its cgroup, which spares it a move there. Nothing where that cannot be had: where the kernel is older
/// than Linux 5.7, a sandbox refuses clone3, or the child may not be in that cgroup. Then it finds out why when it moves.
#[cfg(target_arch = "x86_64")]
fn start_in_cgroup<'l, W: Work<'l>>(
    stack: &Stack,
    shared: &mut Shared<W>,
    flags: c_int,
    directory: Descriptor,
) -> Option<i32> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut arguments: libc::clone_args = unsafe { zeroed() };
    arguments.flags = flags as u64 | libc::CLONE_PIDFD as u64 | CLONE_INTO_CGROUP;
    arguments.pidfd = shared.pidfd.as_ptr() as u64;
    arguments.exit_signal = if W::IS_PROVEN { 0 } else { libc::SIGCHLD as u64 };
    (arguments.stack, arguments.stack_size) = (stack.bottom() as u64, Stack::SIZE as u64);
    arguments.cgroup = directory as u64;
    // SAFETY: as for clone in `start`; the structure is as long as it is said to be.
    let id = unsafe {
        clone3(&raw const arguments, size_of::<libc::clone_args>(), child::<W>, (&raw mut *shared).cast::<c_void>())
    };
    i32::try_from(id).ok().filter(|&id| id > 0)
}

#[cfg(not(target_arch = "x86_64"))]
fn start_in_cgroup<'l, W: Work<'l>>(_: &Stack, _: &mut Shared<W>, _: c_int, _: Descriptor) -> Option<i32> {
    None
}

/// clone3(2), whose child calls `begin` with `shared` on its stack.
///
/// # Safety
///
/// 1. `arguments` must ask for a stack that nobody else uses and that is large enough for `begin`.
/// 2. What it asks for must be sound, `size` must be its size, and `begin` must not return.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn clone3(
    arguments: *const libc::clone_args,
    size: usize,
    begin: extern "C" fn(*mut c_void) -> c_int,
    shared: *mut c_void,
) -> isize {
    // The call changes rax, rcx and r11, and no other register.
    naked_asm!(
        "mov r8, rcx",
        "mov eax, {clone3}",
        "syscall",
        "test rax, rax",
        "jz 2f",
        "ret",
        "2:",
        // No frame is further up.
        "xor ebp, ebp",
        "mov rdi, r8",
        "call rdx",
        "ud2",
        clone3 = const libc::SYS_clone3,
    )
}

/// The pidfd that the kernel has made for a child.
fn owned<W>(id: i32, shared: &Shared<W>) -> io::Result<OwnedFd> {
    let pidfd = shared.pidfd.load(Ordering::Acquire);
    if pidfd < 0 {
        // Linux before 5.2 passes over CLONE_PIDFD.
        abandon(id);
        return Err(io::Error::from_raw_os_error(libc::ENOSYS));
    }
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// Kills and reaps a child of which nothing is known but its number.
fn abandon(id: i32) {
    // SAFETY: touches no memory, no status being NULL; a child that has not been waited for keeps its number.
    unsafe {
        libc::kill(id, libc::SIGKILL);
        libc::waitpid(id, ptr::null_mut(), libc::__WALL);
    }
}

/// The process, with its pidfd above the standard descriptors. Where there is no room for that, it is ended.
fn process(id: i32, pidfd: OwnedFd) -> io::Result<Process> {
    if pidfd.as_raw_fd() > 2 {
        return Ok(Process::new(id, pidfd));
    }
    match fcntl_dupfd_cloexec(&pidfd, 3) {
        Ok(above) => Ok(Process::new(id, above)),
        Err(errno) => {
            Process::new(id, pidfd).end();
            Err(errno.into())
        }
    }
}

/// What became of the child, which has let go of this memory.
fn became<'l, W: Work<'l>>(id: i32, pidfd: OwnedFd, shared: &Shared<W>) -> io::Result<Spawned> {
    let state = shared.state.load(Ordering::Acquire);
    let has_ended = shared.failure.is_some() || state == RUNS;
    if has_ended || W::IS_PROVEN && state == READY {
        // One that executes the program is no clone child any more: ECHILD. One that does not lets go of the memory a little
        // before it is dead.
        let kind = if W::IS_PROVEN { libc::__WCLONE } else { 0 };
        let options = WaitIdOptions::EXITED | WaitIdOptions::from_bits_retain(kind as u32);
        let reaped = match retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), options)) {
            Ok(status) => Some(status.as_ref().and_then(exit_status)),
            Err(rustix_io::Errno::CHILD) => None,
            Err(errno) => {
                Process::new(id, pidfd).end();
                return Err(errno.into());
            }
        };
        return Ok(match (shared.failure, reaped) {
            (Some(failure), _) => Spawned::Failed(failure),
            (None, Some(status)) => Spawned::Gone(status),
            // It was reaped by somebody else, though nobody but us should have been able to.
            (None, None) if state == RUNS => Spawned::Gone(None),
            (None, None) => Spawned::Executes(process(id, pidfd)?),
        });
    }
    if W::IS_PROVEN
        && state == NEVER
        && let Some(status) = killed(pidfd.as_fd())
    {
        return Ok(Spawned::Gone(status));
    }
    let process = process(id, pidfd)?;
    Ok(if state == NEVER { Spawned::NotShared(Some(process)) } else { Spawned::Executes(process) })
}

/// Reaps a child that has never run, where a signal has killed it. Otherwise it does run, and its memory is another one.
fn killed(pidfd: BorrowedFd) -> Option<Option<ExitStatus>> {
    // It lets go of the memory a little before it is dead.
    let soon = Instant::now() + Duration::from_millis(100);
    let is_dead = wait_for(&[pidfd], PollFlags::IN, Some(soon)).is_ok_and(|[is_dead]| is_dead);
    // One that has executed the program is no clone child any more: ECHILD.
    let clone_child =
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::from_bits_retain(libc::__WCLONE as u32);
    let dead = WaitIdOptions::NOWAIT | clone_child;
    let status = retry_on_intr(|| waitid(WaitId::PidFd(pidfd), dead)).ok().flatten().filter(|_| is_dead)?;
    status.terminating_signal()?;
    let _ = retry_on_intr(|| waitid(WaitId::PidFd(pidfd), clone_child));
    Some(exit_status(&status))
}

/// Every signal blocked, those of the C library included; back to what it was when dropped.
pub struct Blocked {
    before: SignalSet,
    /// The mask is this thread's.
    _thread: PhantomData<*const ()>,
}

impl Blocked {
    pub fn new() -> io::Result<Self> {
        let before = sys::blocked().map_err(of_errno)?;
        sys::set_blocked(SignalSet::FULL).map_err(of_errno)?;
        Ok(Self { before, _thread: PhantomData })
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let _ = sys::set_blocked(self.before);
    }
}

/// The child's stack, with a guard below.
struct Stack(*mut c_void);

thread_local! {
    /// The stack of this thread's last launch, for the next one: mapping one and touching its pages for the first time is
    /// a tenth of what a launch costs. It goes with the thread.
    static LAST: Cell<Option<Stack>> = const { Cell::new(None) };
}

impl Stack {
    /// In bytes; no less than a page of any size that Linux has.
    const GUARD: usize = 65_536;
    /// In bytes: the steps use less than 8 KiB; a development build, several times that.
    const SIZE: usize = 65_536;

    /// Takes the last one, or maps one. Where the thread is ending, nothing is kept.
    fn take() -> io::Result<Self> {
        LAST.try_with(Cell::take).ok().flatten().map_or_else(Self::new, Ok)
    }

    fn put_back(self) {
        let _ = LAST.try_with(|last| last.set(Some(self)));
    }

    fn new() -> io::Result<Self> {
        let (flags, access) = (MapFlags::PRIVATE | MapFlags::STACK, ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: a new mapping, where the kernel likes.
        let stack = Self(unsafe { mmap_anonymous(ptr::null_mut(), Self::GUARD + Self::SIZE, access, flags)? });
        // SAFETY: the lowest part of it, of which nobody knows yet.
        unsafe { mprotect(stack.0, Self::GUARD, MprotectFlags::empty())? };
        Ok(stack)
    }

    #[cfg(target_arch = "x86_64")]
    fn bottom(&self) -> *mut c_void {
        // SAFETY: inside the mapping.
        unsafe { self.0.byte_add(Self::GUARD) }
    }

    fn top(&self) -> *mut c_void {
        // SAFETY: just past the mapping's end.
        unsafe { self.0.byte_add(Self::GUARD + Self::SIZE) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the child has left it.
        let _ = unsafe { munmap(self.0, Self::GUARD + Self::SIZE) };
    }
}
