//! What the tests start through relay: prints as JSON the slate that it finds, by system calls of its own.
//!
//! Freestanding like relay itself, so that no runtime changes the slate first, and that it runs in an empty root.
//!
//! Arguments of the form `probe:to=/path` (write there instead of to standard output), `probe:exit=N` (exit with that
//! status) and `probe:root` (try to become root again, last of all) are meant for the probe; it prints them like all
//! others.

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
    __user_cap_data_struct, __user_cap_header_struct, _LINUX_CAPABILITY_VERSION_3, AT_EMPTY_PATH, AT_FDCWD, F_GETFD,
    F_GETFL, O_CREAT, O_NONBLOCK, O_RDONLY, O_WRONLY, PRIO_PROCESS, RLIM_NLIMITS, RLIMIT_NOFILE, SIG_BLOCK,
    STATX_BASIC_STATS, itimerval, kernel_sigaction, rlimit64, statx,
};
use linux_raw_sys::prctl::{
    PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, PR_CAPBSET_READ, PR_GET_CHILD_SUBREAPER, PR_GET_IO_FLUSHER,
    PR_GET_MEMORY_MERGE, PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG, PR_GET_SECUREBITS, PR_GET_SPECULATION_CTRL,
    PR_GET_THP_DISABLE, PR_GET_TIMERSLACK, PR_GET_TSC, PR_MCE_KILL_GET,
};
use syscalls::Sysno;

/// Numbers that are looked at one by one for open descriptors: all that the dirty hosts of the tests may have, and some.
const DESCRIPTORS: usize = 20_480;

/// Supplementary groups that there is room for. With more of them the probe prints none.
const GROUPS: usize = 1024;

/// Processors that there is room for: as many as a kernel for any of the architectures can be built for.
const PROCESSORS: usize = 8192;

/// `IOPRIO_WHO_PROCESS` of linux/ioprio.h, which `linux-raw-sys` leaves out.
const IOPRIO_WHO_PROCESS: u32 = 1;

/// `KEYCTL_GET_KEYRING_ID` and `KEY_SPEC_SESSION_KEYRING` of linux/keyctl.h, which `linux-raw-sys` leaves out.
const KEYCTL_GET_KEYRING_ID: u32 = 0;
const KEY_SPEC_SESSION_KEYRING: i32 = -3;

/// What personality(2) takes for no change.
const SAME_PERSONALITY: u32 = u32::MAX;

/// The calls whose user and group ids have 32 bits, which two architectures have under other names.
mod ids {
    cfg_select! {
        any(target_arch = "arm", target_arch = "x86") => {
            pub use syscalls::Sysno::{
                getgroups32 as getgroups, getresgid32 as getresgid, getresuid32 as getresuid, setgroups32 as setgroups,
                setresgid32 as setresgid, setresuid32 as setresuid,
            };
        }
        _ => {
            pub use syscalls::Sysno::{getgroups, getresgid, getresuid, setgroups, setresgid, setresuid};
        }
    }
}

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
    let mut tries_root = false;
    for argument in arguments.clone() {
        let argument = argument.to_bytes_with_nul();
        if let Some(path) = argument.strip_prefix(b"probe:to=") {
            // SAFETY: the path ends with a NUL.
            let opened = unsafe { raw_syscall!(Sysno::openat, AT_FDCWD, path.as_ptr(), O_WRONLY | O_CREAT, 0o600) };
            output.descriptor = succeeded(opened).unwrap_or(1);
        } else if let Some(number) = argument.strip_prefix(b"probe:exit=") {
            status =
                number.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |n, d| n * 10 + (d - b'0') as usize);
        } else if argument == b"probe:root\0" {
            tries_root = true;
        }
    }
    let _ = print(&mut output, arguments, environment, &open, tries_root);
    output.flush();
    exit(status)
}

fn print(out: &mut Output, arguments: Vector, environment: Vector, open: &[u64], tries_root: bool) -> fmt::Result {
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
    let does_not_block = |descriptor: &usize| {
        // SAFETY: touches no memory.
        let flags = succeeded(unsafe { raw_syscall!(Sysno::fcntl, *descriptor, F_GETFL) });
        flags.is_some_and(|flags| flags as u32 & O_NONBLOCK != 0)
    };
    print_numbers(out, "nonblocking", (0..3).filter(does_not_block))?;
    print_limits(out)?;
    print_credentials(out)?;
    print_groups(out)?;
    print_scheduling(out)?;
    print_processors(out)?;
    print_attributes(out)?;
    print_files(out)?;
    // Last, since it changes what the others find.
    print_option(out, "regains_root", tries_root.then(regains_root))?;
    writeln!(out, "}}")
}

fn print_limits(out: &mut Output) -> fmt::Result {
    write!(out, ",\"limits\":")?;
    print_list(out, 0..RLIM_NLIMITS, |out, resource| {
        // SAFETY: the call writes one structure, which is plain numbers.
        let limit = unsafe {
            let mut limit: rlimit64 = zeroed();
            raw_syscall!(Sysno::prlimit64, 0, resource, 0, &raw mut limit);
            limit
        };
        write!(out, "[{},{}]", limit.rlim_cur, limit.rlim_max)
    })
}

fn print_credentials(out: &mut Output) -> fmt::Result {
    let mut user = [0_u32; 3];
    let mut group = [0_u32; 3];
    // SAFETY: each call writes three ids.
    unsafe {
        raw_syscall!(ids::getresuid, &raw mut user[0], &raw mut user[1], &raw mut user[2]);
        raw_syscall!(ids::getresgid, &raw mut group[0], &raw mut group[1], &raw mut group[2]);
    }
    print_numbers(out, "user", user)?;
    print_numbers(out, "group_ids", group)?;

    let mut header = __user_cap_header_struct { version: _LINUX_CAPABILITY_VERSION_3, pid: 0 };
    // SAFETY: the structures are plain numbers, of which this version has two, and the call writes no more.
    let words = unsafe {
        let mut words: [__user_cap_data_struct; 2] = zeroed();
        raw_syscall!(Sysno::capget, &raw mut header, words.as_mut_ptr());
        words
    };
    // The lower 32 capabilities come first in every byte order.
    let set = |half: fn(&__user_cap_data_struct) -> u32| u64::from(half(&words[0])) | u64::from(half(&words[1])) << 32;
    let found = |is_set: &dyn Fn(usize) -> i64| {
        (0..64).filter(|&capability| is_set(capability) == 1).fold(0_u64, |set, capability| set | 1 << capability)
    };
    write!(
        out,
        ",\"capabilities\":{{\"effective\":{},\"permitted\":{},\"inheritable\":{},\"bounding\":{},\"ambient\":{}}}",
        set(|word| word.effective),
        set(|word| word.permitted),
        set(|word| word.inheritable),
        found(&|capability| attribute(PR_CAPBSET_READ, [capability, 0])),
        found(&|capability| attribute(PR_CAP_AMBIENT, [PR_CAP_AMBIENT_IS_SET as usize, capability])),
    )?;
    write!(out, ",\"securebits\":{}", attribute(PR_GET_SECUREBITS, [0, 0]) as u32)
}

#[inline(never)]
fn print_groups(out: &mut Output) -> fmt::Result {
    let mut groups = [0_u32; GROUPS];
    // SAFETY: the call writes no more ids than there is room for.
    let count = succeeded(unsafe { raw_syscall!(ids::getgroups, GROUPS, groups.as_mut_ptr()) });
    print_numbers(out, "groups", &groups[..count.unwrap_or(0)])
}

fn print_scheduling(out: &mut Output) -> fmt::Result {
    let mut priority = 0_u32;
    let mut memory_policy = 0_i32;
    // SAFETY: two of them write one int each, and the others touch no memory.
    let (nice, policy, io_priority, returned) = unsafe {
        raw_syscall!(Sysno::sched_getparam, 0, &raw mut priority);
        (
            // The kernel counts the other way round, so that the value is never negative.
            20 - raw_syscall!(Sysno::getpriority, PRIO_PROCESS, 0) as i32,
            raw_syscall!(Sysno::sched_getscheduler, 0) as u32,
            raw_syscall!(Sysno::ioprio_get, IOPRIO_WHO_PROCESS, 0) as u32,
            raw_syscall!(Sysno::get_mempolicy, &raw mut memory_policy, 0, 0, 0, 0),
        )
    };
    let memory_policy = number_or_error(returned, memory_policy);
    write!(
        out,
        ",\"nice\":{nice},\"policy\":{policy},\"priority\":{priority},\"io_priority\":{io_priority}\
         ,\"memory_policy\":{memory_policy}"
    )
}

#[inline(never)]
fn print_processors(out: &mut Output) -> fmt::Result {
    let mut mask = [0_usize; PROCESSORS / usize::BITS as usize];
    // SAFETY: the call writes no further than the mask.
    unsafe { raw_syscall!(Sysno::sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr()) };
    let bits = usize::BITS as usize;
    print_numbers(out, "processors", (0..PROCESSORS).filter(|number| mask[number / bits] & 1 << (number % bits) != 0))
}

fn print_attributes(out: &mut Output) -> fmt::Result {
    // SAFETY: none of them touches memory.
    let (personality, keyring) = unsafe {
        (
            raw_syscall!(Sysno::personality, SAME_PERSONALITY) as u32,
            raw_syscall!(Sysno::keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0),
        )
    };
    // An unsigned long, not an int.
    let timer_slack = attribute(PR_GET_TIMERSLACK, [0, 0]) as usize;
    write!(out, ",\"personality\":{personality},\"timer_slack\":{timer_slack}")?;
    for (name, number) in [
        ("keyring", signed(keyring)),
        ("no_huge_pages", attribute(PR_GET_THP_DISABLE, [0, 0])),
        ("merges_memory", attribute(PR_GET_MEMORY_MERGE, [0, 0])),
        ("time_stamp_counter", attribute_by_address(PR_GET_TSC)),
        ("machine_check", attribute(PR_MCE_KILL_GET, [0, 0])),
        ("subreaper", attribute_by_address(PR_GET_CHILD_SUBREAPER)),
        ("io_flusher", attribute(PR_GET_IO_FLUSHER, [0, 0])),
    ] {
        write!(out, ",\"{name}\":{number}")?;
    }
    print_numbers(out, "speculation", (0..3).map(|which| attribute(PR_GET_SPECULATION_CTRL, [which, 0])))
}

#[inline(never)]
fn print_files(out: &mut Output) -> fmt::Result {
    let mut buffer = [0_u8; 4095];
    let score = read_word(c"/proc/self/oom_score_adj", &mut buffer);
    print_option(out, "oom_score", score.and_then(|score| score.parse::<i32>().ok()))?;
    let filter = read_word(c"/proc/self/coredump_filter", &mut buffer);
    print_option(out, "coredump_filter", filter.and_then(|filter| u32::from_str_radix(filter, 16).ok()))?;
    write!(out, ",\"cgroup\":")?;
    match read_file(c"/proc/self/cgroup", &mut buffer) {
        Some(text) => print_string(out, text),
        None => write!(out, "null"),
    }
}

/// Whether anything of root can be had again, which it then is.
fn regains_root() -> bool {
    let root = [0_u32];
    // SAFETY: reads one id.
    let returned = unsafe {
        [
            raw_syscall!(ids::setresuid, 0, 0, 0),
            raw_syscall!(ids::setresgid, 0, 0, 0),
            raw_syscall!(ids::setgroups, root.len(), root.as_ptr()),
        ]
    };
    returned.into_iter().any(|returned| succeeded(returned).is_some())
}

/// What prctl(2) returns for an option that only asks, a negative errno included. Some insist that the rest is zero.
fn attribute(option: u32, [first, second]: [usize; 2]) -> i64 {
    // SAFETY: the callers pass numbers alone, to options that touch no memory.
    signed(unsafe { raw_syscall!(Sysno::prctl, option, first, second, 0, 0) })
}

/// The int that prctl(2) writes for such an option, or a negative errno.
fn attribute_by_address(option: u32) -> i64 {
    let mut number = 0_i32;
    // SAFETY: the callers pass options that write one int.
    let returned = unsafe { raw_syscall!(Sysno::prctl, option, &raw mut number, 0, 0, 0) };
    number_or_error(returned, number)
}

/// What a call has written, or the negative errno that it returned.
fn number_or_error(returned: usize, written: i32) -> i64 {
    succeeded(returned).map_or(signed(returned), |_| written.into())
}

/// The value of a call with its sign.
fn signed(value: usize) -> i64 {
    value as isize as i64
}

/// What is in a file, as far as there is room; nothing where it cannot be opened or read.
fn read_file<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: the path ends with a NUL.
    let descriptor = succeeded(unsafe { raw_syscall!(Sysno::openat, AT_FDCWD, path.as_ptr(), O_RDONLY) })?;
    let mut filled = 0;
    let end = loop {
        let rest = &mut buffer[filled..];
        // SAFETY: the kernel writes no further than the rest of the buffer.
        match succeeded(unsafe { raw_syscall!(Sysno::read, descriptor, rest.as_mut_ptr(), rest.len()) }) {
            Some(read @ 1..) => filled += read,
            end => break end,
        }
    };
    // SAFETY: it was opened here.
    unsafe { raw_syscall!(Sysno::close, descriptor) };
    end.map(|_| &buffer[..filled])
}

/// The same for one word and the end of its line.
fn read_word<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a str> {
    str::from_utf8(read_file(path, buffer)?).ok().map(str::trim_ascii_end)
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

fn print_numbers(out: &mut Output, name: &str, numbers: impl IntoIterator<Item: fmt::Display>) -> fmt::Result {
    write!(out, ",\"{name}\":")?;
    print_list(out, numbers.into_iter(), |out, number| write!(out, "{number}"))
}

fn print_option(out: &mut Output, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(out, ",\"{name}\":{value}"),
        None => write!(out, ",\"{name}\":null"),
    }
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
