//! What to launch, and how.

use std::ffi::c_char;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use exec_relay_launcher::{Child, Error, Launch, Stdio, Vehicle};

use crate::cancellation::Uncancelled;
use crate::child::{ExecRelayChild, outcome};
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
    /// 1. Where it is open, the descriptor must stay so for as long as this launch is used.
    unsafe fn lent(&mut self, descriptor: i32) -> Option<BorrowedFd<'static>> {
        // SAFETY: what is returned is used by this launch alone (1).
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
    /// A child that shares this process's memory until it becomes the program. The default, unless only a relay can do what
    /// is asked for: exec_relay_launch_timeout, or "--reset" of coredump-filter, thp, ksm, or all, which belong to the
    /// memory. Then it is the next one, and this one is a mistake.
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
/// 1. Where it is open, it must stay so for as long as what is returned is used.
pub(crate) unsafe fn lent(descriptor: i32) -> Option<BorrowedFd<'static>> {
    // SAFETY: touches no memory.
    if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
        return None;
    }
    // SAFETY: it is open, so not -1, and stays so (1).
    Some(unsafe { BorrowedFd::borrow_raw(descriptor) })
}

/// Reserves descriptors with low numbers for `count` launches at the same time, 32 at the most. Returns 0 or the negative errno:
/// -EMFILE where no number below 64 is free any more.
///
/// It is worth calling in a host that opens thousands of descriptors, early, before it does. Where a sandbox, Yama or
/// PR_SET_DUMPABLE forbids a child to fetch descriptors from its parent (pidfd_getfd(2)), a launch with pipes or descriptors of
/// high numbers otherwise makes the kernel copy all that is open. Each takes two descriptors, close-on-exec, which stay open:
/// one below 64, one above. A host that closes them, or forks, can call it again; launches work without.
#[unsafe(no_mangle)]
pub extern "C" fn exec_relay_reserve(count: i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // What is negative is too many.
    outcome(exec_relay_launcher::reserve_descriptors(usize::try_from(count).unwrap_or(usize::MAX)))
}

/// A launch of the program at this absolute path. Never NULL; to be freed by exec_relay_launch_free.
///
/// # Safety
///
/// 1. `program` must end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_new(program: *const c_char) -> *mut ExecRelayLaunch {
    // SAFETY: it ends with a NUL, and is copied here (1).
    let request = Launch::new(unsafe { text(program) });
    Box::into_raw(Box::new(ExecRelayLaunch { request, mistake: None }))
}

/// Frees a launch. Nothing happens to what it has launched. NULL is let be.
///
/// # Safety
///
/// 1. `launch` must be NULL or a launch that has not been freed, and that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_free(launch: *mut ExecRelayLaunch) {
    let _uncancelled = Uncancelled::new();
    if !launch.is_null() {
        // SAFETY: it was made by exec_relay_launch_new, and is freed once (1).
        drop(unsafe { Box::from_raw(launch) });
    }
}

// What is plain data is an option of relay, and passed as text. These functions remain: for strings that a host computes,
// which it need not glue to an option's name; for descriptors of the host's; and for what relay has no option for.

/// Any option of relay as text, "--name=value" or "--name": "--umask=027", "--setsid", "--nofile=1024:hard",
/// "--ignore=PIPE,HUP", "--keep=5,7-9", "--user=1000:1000", "--caps=none", "--limit=core=0", "--unset=NAME",
/// "--clear-env". What it means is in relay's README and manual.
///
/// It takes effect in the order of the calls. Not those that say where relay reports or that print something; and not
/// "--fd", "--pulse", "--listen-fds" and "--exec-fd", which name descriptors by their numbers: exec_relay_launch_fd,
/// exec_relay_launch_pulse, exec_relay_launch_listen_fd and exec_relay_launch_exec_fd take them.
///
/// As long as a child of EXEC_RELAY_VEHICLE_IN_PLACE that changes its user ("--user") has not become the program, this
/// process is not dumpable, PR_SET_DUMPABLE(2const); the launch sets that back. By a relay there is no such moment.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_option(launch: *mut ExecRelayLaunch, option: *const c_char) {
    // SAFETY: the launch is this thread's (1); strings end with a NUL (2) and are copied here.
    unsafe {
        let launch = &mut *launch;
        launch.request.option(text(option));
    }
}

/// Adds an argument.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_arg(launch: *mut ExecRelayLaunch, argument: *const c_char) {
    // SAFETY: the launch is this thread's (1); strings end with a NUL (2) and are copied here.
    unsafe {
        let launch = &mut *launch;
        launch.request.arg(text(argument));
    }
}

/// Passes this as `argv[0]`.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_argv0(launch: *mut ExecRelayLaunch, name: *const c_char) {
    // SAFETY: the launch is this thread's (1); strings end with a NUL (2) and are copied here.
    unsafe {
        let launch = &mut *launch;
        launch.request.argv0(text(name));
    }
}

/// Sets an environment variable.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_env(
    launch: *mut ExecRelayLaunch,
    name: *const c_char,
    value: *const c_char,
) {
    // SAFETY: the launch is this thread's (1); strings end with a NUL (2) and are copied here.
    unsafe {
        let launch = &mut *launch;
        launch.request.env(text(name), text(value));
    }
}

/// The program's current directory.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_current_dir(launch: *mut ExecRelayLaunch, directory: *const c_char) {
    // SAFETY: the launch is this thread's (1); strings end with a NUL (2) and are copied here.
    unsafe {
        let launch = &mut *launch;
        launch.request.current_dir(text(directory));
    }
}

/// What the program's descriptor `target`, 0 to 2, is: one of EXEC_RELAY_STDIO_INHERIT and the others.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_stdio(launch: *mut ExecRelayLaunch, target: i32, stdio: i32) {
    // SAFETY: the launch is this thread's (1).
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

/// The program's descriptor `target` is what `source` is here. Any permutation works. It is a mistake where `source` is not
/// open by now.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. The descriptor must be open whenever the launch is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_fd(launch: *mut ExecRelayLaunch, target: i32, source: i32) {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the launch is this thread's (1), and the descriptor stays open for it (2).
    unsafe {
        let launch = &mut *launch;
        if let Some(source) = launch.lent(source) {
            launch.request.fd(target, source);
        }
    }
}

/// Adds a listening socket; see sd_listen_fds(3).
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. The descriptor must be open whenever the launch is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_listen_fd(launch: *mut ExecRelayLaunch, socket: i32) {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the launch is this thread's (1), and the descriptor stays open for it (2).
    unsafe {
        let launch = &mut *launch;
        if let Some(socket) = launch.lent(socket) {
            launch.request.listen_fds([socket]);
        }
    }
}

/// The program's cgroup, by a descriptor of its directory. The new process enters it first of all. By a path it is
/// exec_relay_launch_option(launch, "--cgroup=DIR"). The last of both counts. It is a mistake where the descriptor is not
/// open by now.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. The descriptor must be open whenever the launch is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_cgroup(launch: *mut ExecRelayLaunch, directory: i32) {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the launch is this thread's (1), and the descriptor stays open for it (2).
    unsafe {
        let launch = &mut *launch;
        if let Some(directory) = launch.lent(directory) {
            launch.request.cgroup(directory);
        }
    }
}

/// Executes the file that the descriptor is open on. The path given to exec_relay_launch_new is then only the program's
/// `argv[0]`, and need not be absolute. The program does not have the descriptor. A script needs it, under the same number:
/// exec_relay_launch_option(launch, "--keep=5"). It is a mistake where the descriptor is not open by now.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. The descriptor must be open whenever the launch is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_exec_fd(launch: *mut ExecRelayLaunch, file: i32) {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the launch is this thread's (1), and the descriptor stays open for it (2).
    unsafe {
        let launch = &mut *launch;
        if let Some(file) = launch.lent(file) {
            launch.request.exec_fd(file);
        }
    }
}

/// Gives the program one end of a pipe, whose other end hangs up when it is gone.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_pulse(launch: *mut ExecRelayLaunch) {
    // SAFETY: the launch is this thread's (1).
    unsafe {
        let launch = &mut *launch;
        launch.request.pulse();
    }
}

/// Leaves RLIMIT_NOFILE as it is here. The default is a soft limit of 1024, the most that select(2) can handle.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_keep_nofile(launch: *mut ExecRelayLaunch) {
    // SAFETY: the launch is this thread's (1).
    unsafe {
        let launch = &mut *launch;
        launch.request.keep_nofile();
    }
}

/// How many milliseconds the launch may take; a negative number for as long as it takes. Only a relay can keep to a time:
/// where no vehicle is chosen, EXEC_RELAY_VEHICLE_RELAY is taken for it, and EXEC_RELAY_VEHICLE_IN_PLACE is a mistake. Where
/// this is not called, a launch by a relay may take 30,000.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_timeout(launch: *mut ExecRelayLaunch, milliseconds: i64) {
    // SAFETY: the launch is this thread's (1).
    unsafe {
        let launch = &mut *launch;
        launch.request.timeout(u64::try_from(milliseconds).ok().map(Duration::from_millis));
    }
}

/// How to launch it, one of EXEC_RELAY_VEHICLE_IN_PLACE and the others. `path` is that of the relay for EXEC_RELAY_VEHICLE_RELAY_AT, and not looked at otherwise.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. `path` must end with a NUL, or be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_vehicle(launch: *mut ExecRelayLaunch, vehicle: i32, path: *const c_char) {
    // SAFETY: the launch is this thread's (1); strings end with a NUL (2) and are copied here.
    unsafe {
        let launch = &mut *launch;
        let vehicle = match vehicle {
            _ if vehicle == ExecRelayVehicle::InPlace as i32 => Vehicle::InPlace,
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
/// 1. `launch` must be a launch that has not been freed, and that no other thread changes meanwhile.
/// 2. `child` must be a pointer to write to.
/// 3. `error` must be a pointer to write to, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_start(
    launch: *const ExecRelayLaunch,
    child: *mut *mut ExecRelayChild,
    error: *mut ExecRelayError,
) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: a launch that nobody changes (1).
    match unsafe { &*launch }.start() {
        Ok(launched) => {
            let launched = Box::into_raw(Box::new(ExecRelayChild(launched)));
            // SAFETY: it can be written to (2).
            unsafe { *child = launched };
            0
        }
        Err(failure) => {
            if !error.is_null() {
                // SAFETY: it can be written to (3); what was there needs no drop.
                unsafe { error.write(ExecRelayError::from(&failure)) };
            }
            -1
        }
    }
}
