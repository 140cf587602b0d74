//! The same for C: see `include/exec_relay.h`.

use std::ffi::{CStr, OsStr, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::{Child, Concern, Error, Launch, Stdio, Vehicle};

/// A program to be launched: an opaque handle.
pub struct ExecRelayLaunch(Launch<'static>);

/// A program that was launched: an opaque handle.
pub struct ExecRelayChild(Child);

/// What kind of failure it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecRelayKind {
    /// None.
    None = 0,
    /// The request contradicts itself or cannot be expressed; nothing was tried.
    Request = 1,
    /// This process lacks what a launch needs, for instance a descriptor (EMFILE).
    Host = 2,
    /// No process could be made (EAGAIN, ENOMEM).
    Process = 3,
    /// The relay program is missing or cannot be run.
    Relay = 4,
    /// A step failed in the new process.
    Step = 5,
    /// The new process was gone before the program began.
    Killed = 6,
    /// The launch took too long.
    Timeout = 7,
    /// The relay program is of another version, or something else.
    Protocol = 8,
}

/// A failure. Nothing is left behind: no process and no descriptor.
#[repr(C)]
pub struct ExecRelayError {
    /// What kind of failure it is.
    pub kind: ExecRelayKind,
    /// The public number of the step that failed, as relay's README lists them; else 0.
    pub step: u32,
    /// The errno that tells why, else 0.
    pub error_number: i32,
    /// The descriptor, signal or process that it concerns; for EXEC_RELAY_KIND_KILLED how the process ended, as
    /// waitpid(2) has it; else 0.
    pub detail: i32,
    /// A sentence fit for a user, ended by a NUL, cut off where it is too long.
    pub message: [c_char; 512],
}

/// What one of the program's descriptors 0, 1 and 2 is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecRelayStdio {
    /// This process's own.
    Inherit = 0,
    /// /dev/null.
    Null = 1,
    /// A pipe; see exec_relay_child_take_pipe.
    Piped = 2,
    /// Closed.
    Closed = 3,
}

/// How a program gets from this process to its own.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecRelayVehicle {
    /// A child that shares this process's memory until it becomes the program. The default.
    InPlace = 0,
    /// The relay program that this library carries, from a file in memory.
    Relay = 1,
    /// The relay program at a path.
    RelayAt = 2,
}

/// # Safety
///
/// NULL, or a string that lasts for as long as what is returned is used.
unsafe fn text<'a>(text: *const c_char) -> &'a OsStr {
    // SAFETY: the caller's.
    OsStr::from_bytes(if text.is_null() { b"" } else { unsafe { CStr::from_ptr(text) }.to_bytes() })
}

/// # Safety
///
/// The descriptor must stay open for as long as the launch is used; see the header.
unsafe fn lent(launch: &mut ExecRelayLaunch, descriptor: i32) -> Option<BorrowedFd<'static>> {
    if exec_relay::sys::is_open(descriptor).is_err() {
        launch.0.mistake(format!("descriptor {descriptor} is not open"));
        return None;
    }
    // SAFETY: it is open, so not -1; the caller's.
    Some(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

/// 0, or the negative errno.
fn outcome(result: io::Result<()>) -> i32 {
    result.map_or_else(|error| -error.raw_os_error().unwrap_or(libc::EIO), |()| 0)
}

/// A launch of the program at this absolute path. Never NULL; to be freed by exec_relay_launch_free.
///
/// # Safety
///
/// `program` must be a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_new(program: *const c_char) -> *mut ExecRelayLaunch {
    // SAFETY: the caller's.
    Box::into_raw(Box::new(ExecRelayLaunch(Launch::new(unsafe { text(program) }))))
}

/// Frees a launch. Nothing happens to what it has launched. NULL is let be.
///
/// # Safety
///
/// `launch` must be NULL or a launch that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_free(launch: *mut ExecRelayLaunch) {
    if !launch.is_null() {
        // SAFETY: it was made by exec_relay_launch_new, and the caller gives it back.
        drop(unsafe { Box::from_raw(launch) });
    }
}

// One function for each setting. A mistake in a value is told by exec_relay_launch_start. They are written out because
// cbindgen does not look into macros.

/// Adds an argument.
///
/// # Safety
///
/// `launch` must be a launch, strings must be strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_arg(launch: *mut ExecRelayLaunch, argument: *const c_char) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.arg(text(argument));
    }
}

/// Passes this as `argv[0]`.
///
/// # Safety
///
/// `launch` must be a launch, strings must be strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_argv0(launch: *mut ExecRelayLaunch, name: *const c_char) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.argv0(text(name));
    }
}

/// Sets an environment variable.
///
/// # Safety
///
/// `launch` must be a launch, strings must be strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_env(
    launch: *mut ExecRelayLaunch,
    name: *const c_char,
    value: *const c_char,
) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.env(text(name), text(value));
    }
}

/// Removes an environment variable.
///
/// # Safety
///
/// `launch` must be a launch, strings must be strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_env_remove(launch: *mut ExecRelayLaunch, name: *const c_char) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.env_remove(text(name));
    }
}

/// Passes on no environment variable but those that are set from now on.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_env_clear(launch: *mut ExecRelayLaunch) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.env_clear();
    }
}

/// The program's current directory.
///
/// # Safety
///
/// `launch` must be a launch, strings must be strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_current_dir(launch: *mut ExecRelayLaunch, directory: *const c_char) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.current_dir(text(directory));
    }
}

/// What the program's descriptor `target`, 0 to 2, is: one of EXEC_RELAY_STDIO_INHERIT and the others.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_stdio(launch: *mut ExecRelayLaunch, target: i32, stdio: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        // C passes any number.
        let stdio = match stdio {
            _ if stdio == ExecRelayStdio::Inherit as i32 => Stdio::Inherit,
            _ if stdio == ExecRelayStdio::Null as i32 => Stdio::Null,
            _ if stdio == ExecRelayStdio::Piped as i32 => Stdio::Piped,
            _ if stdio == ExecRelayStdio::Closed as i32 => Stdio::Closed,
            _ => return launch.0.mistake(format!("{stdio} is no ExecRelayStdio")),
        };
        match target {
            0 => _ = launch.0.stdin(stdio),
            1 => _ = launch.0.stdout(stdio),
            2 => _ = launch.0.stderr(stdio),
            _ => launch.0.mistake(format!("{target} is no standard descriptor")),
        }
    }
}

/// The program's descriptor `target` is what `source` is here. Any permutation works.
///
/// # Safety
///
/// `launch` must be a launch, and the descriptor must stay open until it is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_fd(launch: *mut ExecRelayLaunch, target: i32, source: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        if let Some(source) = lent(launch, source) {
            launch.0.fd(target, source);
        }
    }
}

/// Leaves a descriptor open as it is, where it is open.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_keep(launch: *mut ExecRelayLaunch, descriptor: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.keep(descriptor);
    }
}

/// Adds a listening socket; see sd_listen_fds(3).
///
/// # Safety
///
/// `launch` must be a launch, and the descriptor must stay open until it is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_listen_fd(launch: *mut ExecRelayLaunch, socket: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        if let Some(socket) = lent(launch, socket) {
            launch.0.listen_fds([socket]);
        }
    }
}

/// Gives the program one end of a pipe, whose other end hangs up when it is gone.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_pulse(launch: *mut ExecRelayLaunch) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.pulse();
    }
}

/// RLIMIT_NOFILE, by default 1024 and the hard limit as it is, which UINT32_MAX stands for in both.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_nofile(launch: *mut ExecRelayLaunch, soft: u32, hard: u32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.nofile(soft, Some(hard));
    }
}

/// Leaves RLIMIT_NOFILE as it is here.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_keep_nofile(launch: *mut ExecRelayLaunch) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.keep_nofile();
    }
}

/// The mask of the permissions of new files.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_umask(launch: *mut ExecRelayLaunch, mask: u32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.umask(mask);
    }
}

/// Begins a session.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_session(launch: *mut ExecRelayLaunch) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.session();
    }
}

/// Begins a session whose controlling terminal is the program's descriptor with this number.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_ctty(launch: *mut ExecRelayLaunch, terminal: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.ctty(terminal);
    }
}

/// Starts the program with this signal ignored.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_ignore(launch: *mut ExecRelayLaunch, signal: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.ignore([signal]);
    }
}

/// Starts the program with this signal blocked.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_block(launch: *mut ExecRelayLaunch, signal: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.block([signal]);
    }
}

/// Leaves this signal ignored, where it is ignored here.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_keep_ignored(launch: *mut ExecRelayLaunch, signal: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.keep_ignored([signal]);
    }
}

/// Leaves all signals ignored that are ignored here.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_keep_all_ignored(launch: *mut ExecRelayLaunch) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.keep_all_ignored();
    }
}

/// Has the program killed when the thread that launches it ends.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_die_with_parent(launch: *mut ExecRelayLaunch) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.die_with_parent();
    }
}

/// Has execve(2) grant no privileges any more.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_no_new_privs(launch: *mut ExecRelayLaunch) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.no_new_privs();
    }
}

/// The out-of-memory score, -1000 to 1000.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_oom_score_adj(launch: *mut ExecRelayLaunch, score: i32) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.oom_score_adj(score);
    }
}

/// How many milliseconds a launch by a relay may take, 30,000 by default; a negative number for as long as it takes.
///
/// # Safety
///
/// `launch` must be a launch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_timeout(launch: *mut ExecRelayLaunch, milliseconds: i64) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        launch.0.timeout(u64::try_from(milliseconds).ok().map(Duration::from_millis));
    }
}

/// How to launch it, one of EXEC_RELAY_VEHICLE_IN_PLACE and the others. `path` is that of the relay for EXEC_RELAY_VEHICLE_RELAY_AT, and not looked at otherwise.
///
/// # Safety
///
/// `launch` must be a launch, strings must be strings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_vehicle(launch: *mut ExecRelayLaunch, vehicle: i32, path: *const c_char) {
    // SAFETY: the caller's.
    unsafe {
        let launch = &mut *launch;
        let vehicle = match vehicle {
            _ if vehicle == ExecRelayVehicle::InPlace as i32 => Vehicle::InPlace,
            #[cfg(feature = "embedded")]
            _ if vehicle == ExecRelayVehicle::Relay as i32 => Vehicle::Relay,
            _ if vehicle == ExecRelayVehicle::RelayAt as i32 => Vehicle::RelayAt(PathBuf::from(text(path))),
            _ => return launch.0.mistake(format!("this library has no ExecRelayVehicle {vehicle}")),
        };
        launch.0.vehicle(vehicle);
    }
}

/// Launches the program. Returns 0 and a child in `*child`, to be freed by exec_relay_child_free, or -1, and says why in
/// `*error`, unless that is NULL.
///
/// # Safety
///
/// `launch` must be a launch, `child` a pointer to write to, `error` one or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_start(
    launch: *const ExecRelayLaunch,
    child: *mut *mut ExecRelayChild,
    error: *mut ExecRelayError,
) -> i32 {
    // SAFETY: the caller's.
    match unsafe { &*launch }.0.launch() {
        Ok(launched) => {
            let launched = Box::into_raw(Box::new(ExecRelayChild(launched)));
            // SAFETY: the caller's.
            unsafe { *child = launched };
            0
        }
        Err(failure) => {
            if !error.is_null() {
                // SAFETY: the caller's; what was there needs no drop.
                unsafe { error.write(ExecRelayError::from(&failure)) };
            }
            -1
        }
    }
}

impl From<&Error> for ExecRelayError {
    fn from(error: &Error) -> Self {
        let mut message = [0; 512];
        let (sentence, room) = (error.to_string(), message.len() - 1);
        for (target, byte) in message.iter_mut().take(room).zip(sentence.bytes()) {
            *target = byte as c_char;
        }
        let (kind, detail) = match error {
            Error::Request { .. } => (ExecRelayKind::Request, 0),
            Error::Host { .. } => (ExecRelayKind::Host, 0),
            Error::Process { .. } => (ExecRelayKind::Process, 0),
            Error::Relay { .. } => (ExecRelayKind::Relay, 0),
            Error::Step { concern, .. } => (ExecRelayKind::Step, number_of(concern)),
            Error::Killed { status, .. } => (ExecRelayKind::Killed, status.map_or(0, ExitStatus::into_raw)),
            Error::Timeout { .. } => (ExecRelayKind::Timeout, 0),
            Error::Protocol { .. } => (ExecRelayKind::Protocol, 0),
        };
        let step = error.step().map_or(0, |step| step.number());
        Self { kind, step, error_number: error.errno().unwrap_or(0), detail, message }
    }
}

fn number_of(concern: &Concern) -> i32 {
    match *concern {
        Concern::Descriptor(number) => number,
        Concern::Signal(number) | Concern::Process(number) | Concern::Detail(number) => number as i32,
        _ => 0,
    }
}

/// Frees a child and closes its descriptors. The process goes on; one that has ended is reaped. NULL is let be.
///
/// # Safety
///
/// `child` must be NULL or a child that has not been freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_free(child: *mut ExecRelayChild) {
    if !child.is_null() {
        // SAFETY: it was made by exec_relay_launch_start, and the caller gives it back.
        drop(unsafe { Box::from_raw(child) });
    }
}

/// Its process identifier.
///
/// # Safety
///
/// `child` must be a child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_id(child: *const ExecRelayChild) -> i32 {
    // SAFETY: the caller's.
    unsafe { &*child }.0.id() as i32
}

/// Its pidfd, readable once the program has ended. It is the child's: do not close it.
///
/// # Safety
///
/// `child` must be a child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_pidfd(child: *const ExecRelayChild) -> i32 {
    // SAFETY: the caller's.
    unsafe { &*child }.0.pidfd().as_raw_fd()
}

/// Takes the other end of the pulse; -1 where it was not asked for or has been taken. It is the caller's to close.
///
/// # Safety
///
/// `child` must be a child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_take_pulse(child: *mut ExecRelayChild) -> i32 {
    // SAFETY: the caller's.
    unsafe { &mut *child }.0.take_pulse().map_or(-1, IntoRawFd::into_raw_fd)
}

/// Takes the other end of the pipe that the program has as its descriptor `target`, 0 to 2; -1 where it was not asked for
/// or has been taken. It is the caller's to close.
///
/// # Safety
///
/// `child` must be a child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_take_pipe(child: *mut ExecRelayChild, target: i32) -> i32 {
    // SAFETY: the caller's.
    let child = unsafe { &mut (*child).0 };
    let pipe = match target {
        0 => child.stdin.take().map(OwnedFd::from),
        1 => child.stdout.take().map(OwnedFd::from),
        2 => child.stderr.take().map(OwnedFd::from),
        _ => None,
    };
    pipe.map_or(-1, IntoRawFd::into_raw_fd)
}

/// Waits for the program's end, `milliseconds` at the most, or for as long as it takes where that is negative. Returns 1
/// and its status in `*status`, as waitpid(2) has it; 0 where it still runs; or the negative errno.
///
/// # Safety
///
/// `child` must be a child, `status` a pointer to write to or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_wait(child: *mut ExecRelayChild, milliseconds: i64, status: *mut i32) -> i32 {
    // SAFETY: the caller's.
    let child = unsafe { &mut (*child).0 };
    let ended = match u64::try_from(milliseconds) {
        Ok(milliseconds) => child.wait_timeout(Duration::from_millis(milliseconds)),
        Err(_) => child.wait().map(Some),
    };
    match ended {
        Ok(Some(ended)) => {
            if !status.is_null() {
                // SAFETY: the caller's.
                unsafe { *status = ended.into_raw() };
            }
            1
        }
        Ok(None) => 0,
        Err(error) => outcome(Err(error)),
    }
}

/// Sends a signal by the pidfd. Returns 0 or the negative errno.
///
/// # Safety
///
/// `child` must be a child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_child_signal(child: *const ExecRelayChild, signal: i32) -> i32 {
    // SAFETY: the caller's.
    outcome(unsafe { &*child }.0.signal(signal))
}

/// One call that does it all: launches the program at `path` with these vectors, each ended by a NULL; its descriptor `i`
/// is what `fds[i]` is here, or closed where that is -1, and it has no others. An `envp` of NULL is this process's, and so
/// are all limits.
///
/// Returns the number of the process, which the caller reaps by waitpid(2), or the negative errno; EINVAL for a request
/// that cannot be expressed, ECHILD where the process was gone before the program began.
///
/// # Safety
///
/// `path` must be a string, `argv` and `envp` vectors of strings, `fds` an array of `fd_count` descriptors that are open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_spawn(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    fds: *const i32,
    fd_count: usize,
) -> i32 {
    // SAFETY: the caller's.
    let (mut arguments, variables) = unsafe { (strings(argv), strings(envp)) };
    // SAFETY: the caller's.
    let mut launch = ExecRelayLaunch(Launch::new(unsafe { text(path) }));
    if let Some(name) = arguments.next() {
        launch.0.argv0(name);
    }
    launch.0.args(arguments).keep_nofile();
    if !envp.is_null() {
        launch.0.env_clear();
        for variable in variables {
            let mut parts = variable.as_bytes().splitn(2, |&byte| byte == b'=').map(OsStr::from_bytes);
            let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            launch.0.env(name, value);
        }
    }
    launch.0.stdin(Stdio::Closed).stdout(Stdio::Closed).stderr(Stdio::Closed);
    for index in 0..fd_count {
        // SAFETY: the caller's.
        let source = unsafe { *fds.add(index) };
        if source == -1 {
            continue;
        }
        // SAFETY: the caller's.
        let Some(source) = (unsafe { lent(&mut launch, source) }) else { return -libc::EBADF };
        match index {
            0 => _ = launch.0.stdin(source),
            1 => _ = launch.0.stdout(source),
            2 => _ = launch.0.stderr(source),
            _ => _ = launch.0.fd(i32::try_from(index).unwrap_or(-1), source),
        }
    }
    match launch.0.launch() {
        Ok(child) => child.into_id() as i32,
        Err(Error::Request { .. }) => -libc::EINVAL,
        Err(error) => -error.errno().unwrap_or(libc::ECHILD),
    }
}

/// # Safety
///
/// NULL, or a vector of strings, ended by a NULL, that lasts for as long as what is returned is used.
unsafe fn strings<'a>(vector: *const *const c_char) -> impl Iterator<Item = &'a OsStr> {
    let mut next = vector;
    std::iter::from_fn(move || {
        // SAFETY: the caller's; it goes no further than the NULL.
        unsafe {
            let string = *next.as_ref()?;
            next = next.add(1);
            if string.is_null() { None } else { Some(text(string)) }
        }
    })
    .fuse()
}
