//! What the tests start through relay: prints as JSON the slate that it finds, by system calls of its own.
//!
//! Freestanding like relay itself, so that no runtime changes the slate first, and that it runs in an empty root.
//!
//! Arguments of the form `probe:to=/path` (write there instead of to standard output) and `probe:exit=N` (exit with that
//! status) are meant for the probe; it prints them like all others.

#![no_std]
#![no_main]
#![allow(unsafe_code)]

#[path = "../../src/bin/relay/mem.rs"]
mod mem;
#[path = "../../src/bin/relay/start/mod.rs"]
mod start;

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write};
use core::mem::zeroed;

use exec_relay::call::raw_syscall;
use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_FDCWD, F_GETFD, O_CREAT, O_WRONLY, RLIMIT_NOFILE, SIG_BLOCK, STATX_BASIC_STATS, itimerval,
    kernel_sigaction, rlimit64, statx,
};
use linux_raw_sys::prctl::{PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG};
use syscalls::Sysno;

/// Numbers that are looked at one by one for open descriptors: all that the dirty hosts of the tests may have, and some.
const DESCRIPTORS: usize = 20_480;

unsafe extern "C" fn main(stack_pointer: *const usize) -> ! {
    // Before anything else is opened.
    let mut open = [0_u64; DESCRIPTORS / 64];
    for descriptor in 0..DESCRIPTORS {
        // SAFETY: touches no memory.
        if succeeded(unsafe { raw_syscall!(Sysno::fcntl, descriptor, F_GETFD) }).is_some() {
            open[descriptor / 64] |= 1 << (descriptor % 64);
        }
    }
    // SAFETY: the stack is as execve(2) leaves it: argc, argv, NULL, envp, NULL.
    let (arguments, environment) = unsafe {
        let arguments = stack_pointer.add(1).cast::<*const c_char>();
        (Vector(arguments), Vector(arguments.add(*stack_pointer + 1)))
    };
    let mut output = Output { descriptor: 1, buffer: [0; 4096], filled: 0 };
    let mut status = 0;
    for argument in arguments.clone() {
        let argument = argument.to_bytes_with_nul();
        if let Some(path) = argument.strip_prefix(b"probe:to=") {
            // SAFETY: the path ends with a NUL.
            let opened = unsafe { raw_syscall!(Sysno::openat, AT_FDCWD, path.as_ptr(), O_WRONLY | O_CREAT, 0o600) };
            output.descriptor = succeeded(opened).unwrap_or(1);
        } else if let Some(number) = argument.strip_prefix(b"probe:exit=") {
            status =
                number.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |n, d| n * 10 + (d - b'0') as usize);
        }
    }
    let _ = print(&mut output, arguments, environment, &open);
    output.flush();
    exit(status)
}

fn print(out: &mut Output, arguments: Vector, environment: Vector, open: &[u64]) -> fmt::Result {
    write!(out, "{{\"arguments\":")?;
    print_list(out, arguments, |out, string| print_string(out, string.to_bytes()))?;
    write!(out, ",\"environment\":")?;
    print_list(out, environment, |out, string| print_string(out, string.to_bytes()))?;
    write!(out, ",\"descriptors\":")?;
    let is_open = |&descriptor: &usize| open[descriptor / 64] & 1 << (descriptor % 64) != 0;
    print_list(out, (0..DESCRIPTORS).filter(is_open), |out, descriptor| {
        // SAFETY: the calls write one structure, which is plain numbers; the path is empty.
        let (flags, file) = unsafe {
            let mut file: statx = zeroed();
            raw_syscall!(Sysno::statx, descriptor, c"".as_ptr(), AT_EMPTY_PATH, STATX_BASIC_STATS, &raw mut file);
            (raw_syscall!(Sysno::fcntl, descriptor, F_GETFD), file)
        };
        write!(
            out,
            "{{\"number\":{descriptor},\"close_on_exec\":{},\"device\":[{},{}],\"inode\":{}}}",
            flags == 1,
            file.stx_dev_major,
            file.stx_dev_minor,
            file.stx_ino
        )
    })?;
    write!(out, ",\"not_default\":")?;
    print_list(out, (1..=64_usize).filter(|&signal| !is_default(signal)), |out, signal| write!(out, "{signal}"))?;
    let mut blocked = 0_u64;
    let mut pending = 0_u64;
    // SAFETY: each call writes one 8-byte set.
    unsafe {
        raw_syscall!(Sysno::rt_sigprocmask, SIG_BLOCK, 0, &raw mut blocked, 8);
        raw_syscall!(Sysno::rt_sigpending, &raw mut pending, 8);
    }
    for (name, set) in [("blocked", blocked), ("pending", pending)] {
        write!(out, ",\"{name}\":")?;
        print_list(out, (1..=64).filter(|signal| set & 1 << (signal - 1) != 0), |out, signal| write!(out, "{signal}"))?;
    }
    // SAFETY: each call writes one structure, which is plain numbers.
    let (limit, timers) = unsafe {
        let mut limit: rlimit64 = zeroed();
        raw_syscall!(Sysno::prlimit64, 0, RLIMIT_NOFILE, 0, &raw mut limit);
        let mut timers: [itimerval; 3] = zeroed();
        for (which, timer) in timers.iter_mut().enumerate() {
            raw_syscall!(Sysno::getitimer, which, &raw mut *timer);
        }
        (limit, timers)
    };
    write!(out, ",\"nofile\":[{},{}],\"timers\":", limit.rlim_cur, limit.rlim_max)?;
    print_list(out, timers.iter(), |out, timer| {
        write!(out, "{}", timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0)
    })?;
    let mut directory = [0_u8; 4096];
    // SAFETY: none of them touches memory, but getcwd, which writes into the buffer it is given.
    unsafe {
        let mask = raw_syscall!(Sysno::umask, 0);
        let ids = [
            raw_syscall!(Sysno::getpid),
            raw_syscall!(Sysno::getppid),
            raw_syscall!(Sysno::getpgid, 0),
            raw_syscall!(Sysno::getsid, 0),
        ];
        raw_syscall!(Sysno::getcwd, directory.as_mut_ptr(), directory.len());
        write!(
            out,
            ",\"umask\":{mask},\"pid\":{},\"parent\":{},\"group\":{},\"session\":{}",
            ids[0], ids[1], ids[2], ids[3]
        )?;
    }
    let mut parent_death_signal = 0_u32;
    // SAFETY: the first call writes one int.
    let no_new_privileges = unsafe {
        raw_syscall!(Sysno::prctl, PR_GET_PDEATHSIG, &raw mut parent_death_signal);
        raw_syscall!(Sysno::prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
    };
    write!(out, ",\"no_new_privileges\":{},\"parent_death_signal\":{parent_death_signal}", no_new_privileges == 1)?;
    write!(out, ",\"directory\":")?;
    print_string(out, CStr::from_bytes_until_nul(&directory).map_or(b"", CStr::to_bytes))?;
    writeln!(out, "}}")
}

/// What a call returned, unless that is an error, which the kernel tells by a negative value.
fn succeeded(value: usize) -> Option<usize> {
    (value as isize >= 0).then_some(value)
}

fn is_default(signal: usize) -> bool {
    // SAFETY: zero is a value of the structure, and the call writes one.
    unsafe {
        let mut action: kernel_sigaction = zeroed();
        raw_syscall!(Sysno::rt_sigaction, signal, 0, &raw mut action, 8);
        action.sa_handler_kernel.is_none()
    }
}

fn print_list<T>(
    out: &mut Output,
    items: impl Iterator<Item = T>,
    mut print: impl FnMut(&mut Output, T) -> fmt::Result,
) -> fmt::Result {
    out.write_char('[')?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        print(out, item)?;
    }
    out.write_char(']')
}

/// As a JSON string in which each byte is the character of that number, so that nothing depends on the encoding.
fn print_string(out: &mut Output, bytes: &[u8]) -> fmt::Result {
    out.write_char('"')?;
    for &byte in bytes {
        match byte {
            b'"' | b'\\' | 0..b' ' | 0x7f.. => write!(out, "\\u{byte:04x}")?,
            _ => out.write_char(byte.into())?,
        }
    }
    out.write_char('"')
}

/// A NULL-terminated vector of strings on the initial stack.
#[derive(Clone)]
struct Vector(*const *const c_char);

impl Iterator for Vector {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: the vector ends with a NULL, at which this stays, and what stands before are strings.
        unsafe {
            let string = (*self.0).as_ref()?;
            self.0 = self.0.add(1);
            Some(CStr::from_ptr(string))
        }
    }
}

struct Output {
    descriptor: usize,
    buffer: [u8; 4096],
    filled: usize,
}

impl Output {
    fn flush(&mut self) {
        let mut rest = &self.buffer[..self.filled];
        while !rest.is_empty() {
            // SAFETY: the kernel reads no further than the slice.
            match succeeded(unsafe { raw_syscall!(Sysno::write, self.descriptor, rest.as_ptr(), rest.len()) }) {
                Some(written) => rest = &rest[written..],
                None => exit(98),
            }
        }
        self.filled = 0;
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.filled == self.buffer.len() {
                self.flush();
            }
            self.buffer[self.filled] = byte;
            self.filled += 1;
        }
        Ok(())
    }
}

fn exit(status: usize) -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { raw_syscall!(Sysno::exit_group, status) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(97)
}
