//! The vehicle InPlace: a child that shares this process's memory, on a stack of its own, until it becomes the program.
//!
//! # What the child may do
//!
//! It is a process of its own as far as descriptors, dispositions, directory and limits go, but its memory is the host's,
//! with every lock in whatever state another thread has it. So it only makes raw system calls: the steps of `exec_relay`,
//! which is `no_std`, allocates nothing, takes no lock and returns its errors by value. It touches its own stack, and
//! [`Shared`], which nobody else touches before the kernel lets this thread go on.
//!
//! All signals are blocked from before the clone: a handler that ran in the child would run on the host's memory. In the
//! child they stay so until each has its default disposition; the child's table is a copy (no CLONE_SIGHAND).
//!
//! # What is proven
//!
//! The kernel lets this thread go on when the child has let go of the memory: by a successful execve(2), or by its end,
//! of which a signal may be the cause at any time. `Shared` tells how far the child got, but not whether it was killed
//! after it had said that it is ready. That is told by the kernel's bookkeeping of children: the child is made with no
//! termination signal, which makes it a "clone" child that only a wait with __WCLONE finds (waitpid(2)), and execve(2)
//! makes it an ordinary one ("the termination signal is reset to SIGCHLD", execve(2)) before it lets go of the memory.
//! So a wait with __WCLONE gives ECHILD where the exec was past its point of no return, and the dead child, which it
//! reaps, otherwise. Without looking at /proc, whether or not the host ignores SIGCHLD or waits for every child: neither
//! touches a clone child. (A host whose other threads wait with __WALL could take it away; none is known.)
//!
//! A program that the kernel accepts and kills while it is mapped (no memory, a damaged file) counts as begun.
//!
//! # Why clone(2) and not clone3(2)
//!
//! What clone3 adds is not needed: CLONE_PIDFD and the choice of the termination signal are in both. The C library has
//! a function for clone, so this needs no assembler for any architecture, and sandboxes let it through: they cannot see
//! clone3's flags, so many answer ENOSYS or EPERM to it.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use exec_relay::errno;
use exec_relay::signal::SignalSet;
use exec_relay::slate::{self, Slate};
use exec_relay::status::{Failure, Report};
use exec_relay::steps::{self, exec};
use exec_relay::sys::{self, Descriptor, DescriptorTable};
use exec_relay::text::{Strings, each_digit};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::child::Process;
use crate::error::Error;
use crate::prepared::Prepared;

/// Launches the program.
pub fn launch(prepared: &Prepared) -> Result<Process, Error> {
    let launch = prepared.launch;
    let pid = [const { Cell::new(0) }; VARIABLE];
    let listen_pid = (!launch.listening.is_empty()).then_some(&pid);
    let arguments = Vector::new(&prepared.arguments, None);
    let environment = Vector::new(&prepared.environment, listen_pid);
    let slate = Slate {
        settings: prepared.settings,
        report: Report::Stderr,
        may_have_timers: false,
        directory: launch.directory.as_deref().map(|path| slate::Path { path, argument: 0 }),
        descriptors: prepared.plan.clone(),
    };
    let kept: Vec<_> =
        prepared.wanted.iter().filter(|(target, source)| target == source).map(|&(target, _)| target).collect();
    let mut shared = Shared {
        slate,
        program: slate::Path { path: &launch.program, argument: 0 },
        kept: &kept,
        arguments: arguments.strings(),
        environment: environment.strings(),
        listen_pid,
        state: AtomicU32::new(STARTED),
        failure: None,
    };

    let stack = Stack::take().map_err(|cause| Error::Host { what: "a stack", cause })?;
    let blocked = Blocked::new().map_err(|cause| Error::Host { what: "a blocked signal mask", cause })?;
    let started = start(&stack, &mut shared).map(|(id, pidfd)| {
        let ended = reap_before_exec(id, &shared);
        (id, pidfd, ended)
    });
    drop(blocked);
    stack.put_back();

    let failed = |cause: io::Error| match cause.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => Error::Host { what: "a descriptor for the new process", cause },
        _ => Error::Process { program: prepared.program().to_owned(), cause },
    };
    let (id, pidfd, ended) = started.map_err(failed)?;
    match (shared.failure, ended) {
        (Some(failure), _) => {
            Err(prepared.step_failed(failure.step().number().into(), failure.errno(), failure.detail))
        }
        (None, Some(status)) => Err(Error::Killed { program: prepared.program().to_owned(), status }),
        (None, None) => match pidfd {
            Some(pidfd) => Ok(Process::new(id, pidfd)),
            // Linux before 5.2 passes over CLONE_PIDFD.
            None => Process::adopt(id).map_err(failed),
        },
    }
}

/// How far the child got.
const STARTED: u32 = 0;
const READY: u32 = 1;

/// What host and child share beyond what neither changes. The child alone touches it until this thread goes on.
struct Shared<'a> {
    slate: Slate<'a>,
    program: slate::Path<'a>,
    /// Those that the program has under the number they have here, where they are close-on-exec.
    kept: &'a [Descriptor],
    arguments: Strings<'a, 'a>,
    environment: Strings<'a, 'a>,
    /// Where the variable LISTEN_PID is to be written, which nobody can know before there is a child.
    listen_pid: Option<&'a [Cell<u8>; VARIABLE]>,
    state: AtomicU32,
    failure: Option<Failure>,
}

/// The size of `LISTEN_PID=` with the longest number and its NUL.
const VARIABLE: usize = 24;

/// What the child does. It is not unwound, and returns to nobody.
extern "C" fn child(shared: *mut c_void) -> c_int {
    // SAFETY: `start` passes a Shared, which outlives the child's use of this memory, and nobody else touches it.
    let shared = unsafe { &mut *shared.cast::<Shared>() };
    // SAFETY: the process has this one thread, and no code of the host's runs in it, since all signals are blocked (1). Its
    // table is a copy of the host's, because it was made without CLONE_FILES (2).
    let table = unsafe { DescriptorTable::seize() };
    shared.failure = become_program(shared, table).err();
    sys::exit(127)
}

/// The steps that relay takes. Never returns Ok: the program does not come back.
fn become_program(shared: &mut Shared, mut table: DescriptorTable) -> Result<(), Failure> {
    steps::unmark(shared.kept, &mut table)?;
    steps::make_slate(&mut shared.slate, &mut table)?;
    if let Some(variable) = shared.listen_pid {
        let mut cells = variable.iter();
        let mut add = |byte| _ = cells.next().map(|cell| cell.set(byte));
        b"LISTEN_PID=".iter().for_each(|&byte| add(byte));
        each_digit(sys::process(), &mut add);
    }
    shared.state.store(READY, Ordering::Release);
    Err(exec::exec(shared.program, shared.arguments, shared.environment))
}

/// Makes the child and waits until it has let go of this memory. Its number and its pidfd, where the kernel gives one.
fn start(stack: &Stack, shared: &mut Shared) -> io::Result<(RawFd, Option<OwnedFd>)> {
    // The lowest byte, the termination signal, is 0.
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;
    let mut pidfd: RawFd = -1;
    let shared = (&raw mut *shared).cast::<c_void>();
    // SAFETY: the stack is the child's alone and large enough for what it does, with a guard below. CLONE_VFORK keeps
    // this thread, and so everything that it has borrowed, until the child uses neither any more. The child has this
    // thread's thread-local storage, and does not touch it. The pidfd is written to a local variable.
    let id = unsafe { libc::clone(child, stack.top(), flags, shared, &raw mut pidfd) };
    if id == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for us.
    Ok((id, (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) })))
}

/// Reaps a child that did not become the program: nothing where it did, else how it ended where that is known.
fn reap_before_exec(id: i32, shared: &Shared) -> Option<Option<ExitStatus>> {
    let options = WaitOptions::from_bits_retain(libc::__WCLONE as u32);
    loop {
        // Waits where it must: the child lets go of the memory a little before it is dead.
        match waitpid(Pid::from_raw(id), options) {
            Ok(Some((_, status))) => return Some(Some(ExitStatus::from_raw(status.as_raw()))),
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) if shared.state.load(Ordering::Acquire) == READY && shared.failure.is_none() => return None,
            // It is gone, though nobody but us should have been able to reap it.
            Err(_) => return Some(None),
        }
    }
}

/// Every signal blocked, those of the C library included; back to what it was when dropped.
struct Blocked {
    before: SignalSet,
    /// The mask is this thread's.
    _thread: PhantomData<*const ()>,
}

impl Blocked {
    fn new() -> io::Result<Self> {
        let failed = |errno: errno::Errno| io::Error::from_raw_os_error(errno.number() as i32);
        let before = sys::blocked().map_err(failed)?;
        sys::set_blocked(SignalSet::FULL).map_err(failed)?;
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

/// A vector as execve(2) takes it.
struct Vector<'a> {
    pointers: Vec<*const c_char>,
    strings: PhantomData<&'a CStr>,
}

impl<'a> Vector<'a> {
    /// `last` is a string by the time that the vector is read.
    fn new(strings: &'a [impl AsRef<CStr>], last: Option<&'a [Cell<u8>; VARIABLE]>) -> Self {
        let mut pointers = Vec::with_capacity(strings.len() + 2);
        pointers.extend(strings.iter().map(|string| string.as_ref().as_ptr()));
        pointers.extend(last.map(|cells| cells.as_ptr().cast()));
        pointers.push(ptr::null());
        Self { pointers, strings: PhantomData }
    }

    fn strings(&self) -> Strings<'_, '_> {
        // SAFETY: pointers to strings that are borrowed, and the NULL. The one that is written later is all NUL until
        // then, and never longer than what it lies in.
        unsafe { Strings::new(self.pointers.as_ptr()) }
    }
}
