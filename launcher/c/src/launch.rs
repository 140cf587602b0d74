//! What to launch, and how.

use std::ffi::{CStr, OsStr, c_char};
use std::os::fd::BorrowedFd;
use std::ptr;
use std::time::Duration;

use exec_relay_launcher::{Child, Error, Launch, Stdio, Vehicle};

use crate::cancellation::Uncancelled;
use crate::child::{ExecRelayChild, outcome};
use crate::error::{ExecRelayError, errno_of, has_a_size};
use crate::strings::{each, strings, text};

/// A program to be launched.
pub struct ExecRelayLaunch {
    request: Launch<'static>,
    /// The first mistake, and the errno that was returned for it.
    mistake: Option<(i32, String)>,
}

impl ExecRelayLaunch {
    /// Notes a mistake for the launch to tell, and returns what tells of it at once.
    fn mistake(&mut self, errno: i32, mistake: String) -> i32 {
        self.mistake.get_or_insert((errno, mistake));
        -errno
    }

    /// Changes the request. Returns 0, or -EINVAL where that was a mistake.
    fn with(&mut self, change: impl FnOnce(&mut Launch<'static>)) -> i32 {
        change(&mut self.request);
        match self.request.take_mistake() {
            None => 0,
            Some(mistake) => self.mistake(libc::EINVAL, mistake),
        }
    }

    /// Changes it by a string, which NULL is none.
    ///
    /// # Safety
    ///
    /// 1. `string` must be NULL, or end with a NUL.
    unsafe fn with_text(&mut self, string: *const c_char, change: impl FnOnce(&mut Launch<'static>, &OsStr)) -> i32 {
        // SAFETY: it ends with a NUL (1), and is used here alone.
        match unsafe { text(string) } {
            Some(string) => self.with(|launch| change(launch, string)),
            None => self.mistake(libc::EINVAL, "NULL is no string".to_owned()),
        }
    }

    /// Changes it by a descriptor, or returns -EBADF where that is not open.
    ///
    /// # Safety
    ///
    /// 1. Where it is open, the descriptor must stay so for as long as this launch is used.
    unsafe fn with_descriptor(
        &mut self,
        descriptor: i32,
        change: impl FnOnce(&mut Launch<'static>, BorrowedFd<'static>),
    ) -> i32 {
        // SAFETY: what is returned is used by this launch alone (1).
        match unsafe { lent(descriptor) } {
            Some(descriptor) => self.with(|launch| change(launch, descriptor)),
            None => self.mistake(libc::EBADF, format!("descriptor {descriptor} is not open")),
        }
    }

    fn start(&self) -> Result<Child, (i32, Error)> {
        match &self.mistake {
            Some((errno, mistake)) => Err((*errno, Error::Request { mistake: mistake.clone() })),
            None => self.request.launch().map_err(|error| (errno_of(&error), error)),
        }
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

/// Reserves descriptors with low numbers for `count` launches at the same time.
#[unsafe(no_mangle)]
pub extern "C" fn exec_relay_reserve(count: i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // What is negative is too many.
    outcome(exec_relay_launcher::reserve_descriptors(usize::try_from(count).unwrap_or(usize::MAX)))
}

/// A launch of the program at this absolute path.
///
/// # Safety
///
/// 1. `program` must be NULL, or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_new(program: *const c_char) -> *mut ExecRelayLaunch {
    // SAFETY: it ends with a NUL, and is copied here (1). NULL is no absolute path either.
    let request = Launch::new(unsafe { text(program) }.unwrap_or_default());
    Box::into_raw(Box::new(ExecRelayLaunch { request, mistake: None }))
}

/// Frees a launch.
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

/// Any option of relay as text.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must be NULL, or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_option(launch: *mut ExecRelayLaunch, option: *const c_char) -> i32 {
    // SAFETY: the launch is this thread's (1); the string ends with a NUL (2) and is copied here.
    unsafe { (*launch).with_text(option, |launch, option| _ = launch.option(option)) }
}

/// Adds an argument.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must be NULL, or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_arg(launch: *mut ExecRelayLaunch, argument: *const c_char) -> i32 {
    // SAFETY: the launch is this thread's (1); the string ends with a NUL (2) and is copied here.
    unsafe { (*launch).with_text(argument, |launch, argument| _ = launch.arg(argument)) }
}

/// Passes this as `argv[0]`.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must be NULL, or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_argv0(launch: *mut ExecRelayLaunch, name: *const c_char) -> i32 {
    // SAFETY: the launch is this thread's (1); the string ends with a NUL (2) and is copied here.
    unsafe { (*launch).with_text(name, |launch, name| _ = launch.argv0(name)) }
}

/// Sets an environment variable.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must be NULL, or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_env(
    launch: *mut ExecRelayLaunch,
    name: *const c_char,
    value: *const c_char,
) -> i32 {
    // SAFETY: the launch is this thread's (1); strings end with a NUL (2) and are copied here.
    unsafe {
        match text(name) {
            Some(name) => (*launch).with_text(value, |launch, value| _ = launch.env(name, value)),
            None => (*launch).mistake(libc::EINVAL, "NULL is no name".to_owned()),
        }
    }
}

/// The whole environment, string by string.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. `envp` must be NULL, or a vector of strings that ends with a NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_environment(launch: *mut ExecRelayLaunch, envp: *const *mut c_char) -> i32 {
    // SAFETY: a vector, or NULL (2), which is read here.
    let strings = unsafe { strings(envp) };
    // SAFETY: the launch is this thread's (1).
    unsafe { &mut *launch }.with(|launch| match strings {
        Some(strings) => _ = launch.env_exactly(each(strings).map(CStr::to_owned)),
        None => _ = launch.env_inherited(),
    })
}

/// The program's current directory.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. Each string must be NULL, or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_current_dir(launch: *mut ExecRelayLaunch, directory: *const c_char) -> i32 {
    // SAFETY: the launch is this thread's (1); the string ends with a NUL (2) and is copied here.
    unsafe { (*launch).with_text(directory, |launch, directory| _ = launch.current_dir(directory)) }
}

/// What the program's descriptor `target`, 0 to 2, is.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_stdio(launch: *mut ExecRelayLaunch, target: i32, stdio: i32) -> i32 {
    // SAFETY: the launch is this thread's (1).
    let launch = unsafe { &mut *launch };
    // C passes any number.
    let stdio = match stdio {
        _ if stdio == ExecRelayStdio::Inherit as i32 => Stdio::Inherit,
        _ if stdio == ExecRelayStdio::Null as i32 => Stdio::Null,
        _ if stdio == ExecRelayStdio::Piped as i32 => Stdio::Piped,
        _ if stdio == ExecRelayStdio::Closed as i32 => Stdio::Closed,
        _ => return launch.mistake(libc::EINVAL, format!("{stdio} is no ExecRelayStdio")),
    };
    match target {
        0 => launch.with(|launch| _ = launch.stdin(stdio)),
        1 => launch.with(|launch| _ = launch.stdout(stdio)),
        2 => launch.with(|launch| _ = launch.stderr(stdio)),
        _ => launch.mistake(libc::EINVAL, format!("{target} is no standard descriptor")),
    }
}

/// The program's descriptor `target` is what `source` is here.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. The descriptor must be open whenever the launch is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_fd(launch: *mut ExecRelayLaunch, target: i32, source: i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the launch is this thread's (1), and the descriptor stays open for it (2).
    unsafe { (*launch).with_descriptor(source, |launch, source| _ = launch.fd(target, source)) }
}

/// Adds a listening socket.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. The descriptor must be open whenever the launch is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_listen_fd(launch: *mut ExecRelayLaunch, socket: i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the launch is this thread's (1), and the descriptor stays open for it (2).
    unsafe { (*launch).with_descriptor(socket, |launch, socket| _ = launch.listen_fds([socket])) }
}

/// The program's cgroup, by a descriptor of its directory.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. The descriptor must be open whenever the launch is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_cgroup(launch: *mut ExecRelayLaunch, directory: i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the launch is this thread's (1), and the descriptor stays open for it (2).
    unsafe { (*launch).with_descriptor(directory, |launch, directory| _ = launch.cgroup(directory)) }
}

/// Executes the file that the descriptor is open on.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. The descriptor must be open whenever the launch is started.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_exec_fd(launch: *mut ExecRelayLaunch, file: i32) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: the launch is this thread's (1), and the descriptor stays open for it (2).
    unsafe { (*launch).with_descriptor(file, |launch, file| _ = launch.exec_fd(file)) }
}

/// Gives the program one end of a pipe.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_pulse(launch: *mut ExecRelayLaunch) -> i32 {
    // SAFETY: the launch is this thread's (1).
    unsafe { &mut *launch }.with(|launch| _ = launch.pulse())
}

/// Leaves RLIMIT_NOFILE as it is here.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_keep_nofile(launch: *mut ExecRelayLaunch) -> i32 {
    // SAFETY: the launch is this thread's (1).
    unsafe { &mut *launch }.with(|launch| _ = launch.keep_nofile())
}

/// How many milliseconds the launch may take.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_timeout(launch: *mut ExecRelayLaunch, milliseconds: i64) -> i32 {
    // SAFETY: the launch is this thread's (1).
    unsafe { &mut *launch }.with(|launch| {
        launch.timeout(u64::try_from(milliseconds).ok().map(Duration::from_millis));
    })
}

/// How to launch it.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread uses meanwhile.
/// 2. `path` must end with a NUL, or be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_vehicle(
    launch: *mut ExecRelayLaunch,
    vehicle: i32,
    path: *const c_char,
) -> i32 {
    // SAFETY: the launch is this thread's (1).
    let launch = unsafe { &mut *launch };
    let vehicle = match vehicle {
        _ if vehicle == ExecRelayVehicle::InPlace as i32 => Vehicle::InPlace,
        _ if vehicle == ExecRelayVehicle::Relay as i32 => Vehicle::Relay,
        _ if vehicle == ExecRelayVehicle::RelayAt as i32 => {
            // SAFETY: the string ends with a NUL (2) and is copied here.
            return unsafe { launch.with_text(path, |launch, path| _ = launch.vehicle(Vehicle::RelayAt(path.into()))) };
        }
        _ => return launch.mistake(libc::EINVAL, format!("this library has no ExecRelayVehicle {vehicle}")),
    };
    launch.with(|launch| _ = launch.vehicle(vehicle))
}

/// Launches the program.
///
/// # Safety
///
/// 1. `launch` must be a launch that has not been freed, and that no other thread changes meanwhile.
/// 2. `child` must be a pointer to write to.
/// 3. `error` must be NULL, or a structure whose size is set, with that many bytes to write to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn exec_relay_launch_start(
    launch: *const ExecRelayLaunch,
    child: *mut *mut ExecRelayChild,
    error: *mut ExecRelayError,
) -> i32 {
    let _uncancelled = Uncancelled::new();
    // SAFETY: a size is there to read (3).
    if !unsafe { has_a_size(error) } {
        return -libc::EINVAL;
    }
    // SAFETY: a launch that nobody changes (1).
    let (launched, errno, told) = match unsafe { &*launch }.start() {
        Ok(launched) => (Box::into_raw(Box::new(ExecRelayChild(launched))), 0, ExecRelayError::none()),
        Err((errno, failure)) => (ptr::null_mut(), errno, ExecRelayError::new(&failure, errno)),
    };
    // SAFETY: both can be written to (2, 3), the second one as much as its size says, which was looked at.
    unsafe {
        *child = launched;
        told.tell(error);
    }
    -errno
}
