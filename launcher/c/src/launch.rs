//! What to launch, and how.

use std::ffi::c_char;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use exec_relay_launcher::{Child, Error, Launch, Stdio, Vehicle};

use crate::child::ExecRelayChild;
use crate::error::ExecRelayError;
use crate::strings::text;

/// A program to be launched: an opaque handle.
pub struct ExecRelayLaunch {
    request: Launch<'static>,
    /// The first mistake that only C can make.
    mistake: Option<String>,
}

impl ExecRelayLaunch {
    fn mistake(&mut self, mistake: String) {
        self.mistake.get_or_insert(mistake);
    }

    fn start(&self) -> Result<Child, Error> {
        match &self.mistake {
            Some(mistake) => Err(Error::Request { mistake: mistake.clone() }),
            None => self.request.launch(),
        }
    }

    /// # Safety
    ///
    /// See [`lent`].
    unsafe fn lent(&mut self, descriptor: i32) -> Option<BorrowedFd<'static>> {
        // SAFETY: the caller's.
        let lent = unsafe { lent(descriptor) };
        if lent.is_none() {
            self.mistake(format!("descriptor {descriptor} is not open"));
        }
        lent
    }
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

/// A descriptor of the caller's, where it is open.
///
/// # Safety
///
/// It must stay open for as long as what is returned is used; see the header.
pub(crate) unsafe fn lent(descriptor: i32) -> Option<BorrowedFd<'static>> {
    // SAFETY: touches no memory.
    if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
        return None;
    }
    // SAFETY: it is open, so not -1; the caller's.
    Some(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

/// A launch of the program at this absolute path. Never NULL; to be freed by exec_relay_launch_free.
///
/// # Safety
///
/// `program` must be a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_new(program: *const c_char) -> *mut ExecRelayLaunch {
    // SAFETY: the caller's.
    let request = Launch::new(unsafe { text(program) });
    Box::into_raw(Box::new(ExecRelayLaunch { request, mistake: None }))
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
        launch.request.arg(text(argument));
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
        launch.request.argv0(text(name));
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
        launch.request.env(text(name), text(value));
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
        launch.request.env_remove(text(name));
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
        launch.request.env_clear();
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
        launch.request.current_dir(text(directory));
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
            _ => return launch.mistake(format!("{stdio} is no ExecRelayStdio")),
        };
        match target {
            0 => _ = launch.request.stdin(stdio),
            1 => _ = launch.request.stdout(stdio),
            2 => _ = launch.request.stderr(stdio),
            _ => launch.mistake(format!("{target} is no standard descriptor")),
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
        if let Some(source) = launch.lent(source) {
            launch.request.fd(target, source);
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
        launch.request.keep(descriptor);
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
        if let Some(socket) = launch.lent(socket) {
            launch.request.listen_fds([socket]);
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
        launch.request.pulse();
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
        launch.request.nofile(soft, Some(hard));
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
        launch.request.keep_nofile();
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
        launch.request.umask(mask);
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
        launch.request.session();
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
        launch.request.ctty(terminal);
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
        launch.request.ignore([signal]);
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
        launch.request.block([signal]);
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
        launch.request.keep_ignored([signal]);
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
        launch.request.keep_all_ignored();
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
        launch.request.die_with_parent();
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
        launch.request.no_new_privs();
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
        launch.request.oom_score_adj(score);
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
        launch.request.timeout(u64::try_from(milliseconds).ok().map(Duration::from_millis));
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
            _ => return launch.mistake(format!("this library has no ExecRelayVehicle {vehicle}")),
        };
        launch.request.vehicle(vehicle);
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
    match unsafe { &*launch }.start() {
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
