//! Faults at a system call, by ptrace(2): the child stops as it enters each of its calls, and at the one in question it gets
//! an errno in its place, or a signal.

#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::ptr::null_mut;

/// What happens at a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not made, and fails with this errno.
    Errno(i32),
    /// The process is killed.
    Kill,
    /// The process is stopped, and continued after that.
    Stop,
    /// A signal comes that nobody looks at.
    Signal,
}

/// At which of the calls with one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The one with this place among them, from 1 on.
    Nth(usize),
    Every,
}

/// Where a child has stopped.
enum Stop {
    /// It enters a system call, or leaves it.
    Call,
    /// It has become the program.
    Exec,
    /// It is about to get a signal.
    Signal(i32),
    /// It has ended, and can be waited for.
    End,
}

/// A child that was started by [`crate::host::Host::traced`], by this thread.
struct Tracee(i32);

impl Tracee {
    /// Waits for its first stop, before its first instruction. Nothing where it has not come that far.
    fn new(pid: u32) -> Option<Self> {
        let tracee = Self(pid as i32);
        let Stop::Signal(libc::SIGTRAP) = tracee.wait() else { return None };
        let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
        tracee.request(libc::PTRACE_SETOPTIONS, options as usize);
        Some(tracee)
    }

    /// Whether the request was carried out: not where the child has just been killed.
    fn request(&self, request: libc::c_uint, data: usize) -> bool {
        // SAFETY: what the requests here read or write is a number, or the registers at `data`, which live on.
        unsafe { libc::ptrace(request, self.0, null_mut::<u8>(), data) == 0 }
    }

    /// Leaves the child's end to be waited for by others.
    fn wait(&self) -> Stop {
        // SAFETY: zero is a value of the structure, the call writes one, and the last fields are there for a child's end.
        let (code, status) = unsafe {
            let mut found: libc::siginfo_t = zeroed();
            let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | libc::__WALL;
            let waited = libc::waitid(libc::P_PID, self.0 as u32, &raw mut found, flags);
            assert_eq!(waited, 0, "{}", io::Error::last_os_error());
            (found.si_code, found.si_status())
        };
        match (code, status) {
            (libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED, _) => Stop::End,
            (_, status) if status == libc::SIGTRAP | 0x80 => Stop::Call,
            (_, status) if status == libc::SIGTRAP | libc::PTRACE_EVENT_EXEC << 8 => Stop::Exec,
            (_, signal) => Stop::Signal(signal),
        }
    }

    /// Lets the child go on to the next system call that it enters, and returns its number. Nothing where it has ended or
    /// become the program.
    fn next_call(&self, is_inside: &mut bool) -> Option<i64> {
        let mut signal = 0;
        loop {
            self.request(libc::PTRACE_SYSCALL, signal as usize);
            signal = 0;
            match self.wait() {
                Stop::Call => {
                    *is_inside = !*is_inside;
                    if *is_inside {
                        return Some(self.registers().orig_rax as i64);
                    }
                }
                Stop::Signal(given) => signal = given,
                Stop::Exec | Stop::End => return None,
            }
        }
    }

    fn registers(&self) -> libc::user_regs_struct {
        // SAFETY: zero is a value of the structure.
        let mut registers = unsafe { zeroed() };
        self.request(libc::PTRACE_GETREGS, &raw mut registers as usize);
        registers
    }

    /// Has the call that was entered not be made: it fails. The kernel leaves the value alone where there is no call.
    fn fail(&self, errno: i32) {
        let mut registers = self.registers();
        registers.orig_rax = u64::MAX;
        registers.rax = i64::from(-errno) as u64;
        self.request(libc::PTRACE_SETREGS, &raw mut registers as usize);
    }

    fn kill(&self, signal: i32) {
        // SAFETY: touches no memory; nobody has waited for the child yet, so that it still has its number.
        unsafe { libc::kill(self.0, signal) };
    }

    fn detach(self) {
        self.request(libc::PTRACE_DETACH, 0);
    }
}

/// The numbers of the system calls that the child makes until it ends or is the program, the last exec included.
pub fn calls(pid: u32) -> Vec<i64> {
    let Some(tracee) = Tracee::new(pid) else { return Vec::new() };
    let mut is_inside = false;
    let calls = std::iter::from_fn(|| tracee.next_call(&mut is_inside)).collect();
    tracee.detach();
    calls
}

/// Has the child meet a fault. Whether it came that far.
pub fn inject(pid: u32, call: i64, when: When, fault: Fault) -> bool {
    let Some(tracee) = Tracee::new(pid) else { return false };
    let (mut is_inside, mut seen) = (false, 0);
    while let Some(made) = tracee.next_call(&mut is_inside) {
        if made != call {
            continue;
        }
        seen += 1;
        if when == When::Every
            && let Fault::Errno(errno) = fault
        {
            tracee.fail(errno);
            continue;
        }
        if when != When::Nth(seen) {
            continue;
        }
        match fault {
            Fault::Errno(errno) => tracee.fail(errno),
            Fault::Kill => tracee.kill(libc::SIGKILL),
            Fault::Signal => tracee.kill(libc::SIGWINCH),
            Fault::Stop => {
                tracee.kill(libc::SIGSTOP);
                // It stops as any process does: a tracer would resume it by other means than SIGCONT.
                let child = Tracee(tracee.0);
                tracee.detach();
                child.wait();
                child.kill(libc::SIGCONT);
                return true;
            }
        }
        tracee.detach();
        return true;
    }
    tracee.detach();
    seen > 0 && when == When::Every
}
