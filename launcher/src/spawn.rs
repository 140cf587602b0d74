//! posix_spawn(3) with file actions. Not by nix, whose file actions (0.31) take the error number that these functions
//! return for success and drop the action: a descriptor that cannot have its number would just be missing.

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;

use exec_relay::signal::{self, SignalSet};

/// What the new process does to its descriptors before it executes its program, in this order.
pub struct FileActions(libc::posix_spawn_file_actions_t);

/// The error that a posix_spawn function returns as a number.
fn outcome(errno: c_int) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

impl FileActions {
    /// None yet.
    pub fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initializes what it is given, where it does not fail.
        unsafe {
            outcome(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(Self(actions.assume_init()))
        }
    }

    /// Makes `target` a copy of `source` that is not close-on-exec, even where both are the same.
    ///
    /// # Errors
    ///
    /// EMFILE where either is no number below the limit of descriptors, ENOMEM.
    pub fn copy(&mut self, source: RawFd, target: RawFd) -> io::Result<()> {
        // SAFETY: the actions are initialized.
        match unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut self.0, source, target) } {
            // Nothing is looked at yet but the limit; relay and InPlace have the same name for this.
            libc::EBADF => outcome(libc::EMFILE),
            returned => outcome(returned),
        }
    }

    /// Starts the program in a new process, whose number is returned. What is not in `ignored` has its default there,
    /// which the C library sets with fewer calls than it takes to find out what it was.
    pub fn spawn(
        &self,
        ignored: SignalSet,
        program: &CStr,
        arguments: &[impl AsRef<CStr>],
        environment: &[impl AsRef<CStr>],
    ) -> io::Result<i32> {
        let (arguments, environment) = (vector(arguments), vector(environment));
        let attributes = Attributes::new(ignored)?;
        let mut id = 0;
        // SAFETY: the strings are borrowed, their vectors end with a NULL, and the C library changes neither. It returns
        // when the new process uses this memory no more.
        outcome(unsafe {
            libc::posix_spawn(
                &raw mut id,
                program.as_ptr(),
                &raw const self.0,
                &raw const attributes.0,
                arguments.as_ptr().cast(),
                environment.as_ptr().cast(),
            )
        })?;
        Ok(id)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: they are initialized, and not used any more.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// What posix_spawn does beside file actions.
struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new(ignored: SignalSet) -> io::Result<Self> {
        let (mut attributes, mut defaults) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: each call initializes what it is given, or changes what has been initialized.
        unsafe {
            outcome(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut attributes = Self(attributes.assume_init());
            libc::sigfillset(defaults.as_mut_ptr());
            for signal in signal::ALL.filter(|&signal| ignored.has(signal)) {
                libc::sigdelset(defaults.as_mut_ptr(), signal as c_int);
            }
            outcome(libc::posix_spawnattr_setsigdefault(&raw mut attributes.0, defaults.as_ptr()))?;
            outcome(libc::posix_spawnattr_setflags(&raw mut attributes.0, libc::POSIX_SPAWN_SETSIGDEF as _))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: they are initialized, and not used any more.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

fn vector(strings: &[impl AsRef<CStr>]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ref().as_ptr()).chain([ptr::null()]).collect()
}
