//! This process becomes the program.
//!
//! # Why a relay, and not the steps in this process
//!
//! Other threads go on until the kernel has accepted a program. What the steps change belongs to all of them: dispositions,
//! limits, session, timers. Their signals would meet default actions for as long as the program is being loaded, and a failure
//! would leave them all that. So this process executes the relay, having changed nothing, and the relay takes the steps alone.
//!
//! What the relay's process is to have of descriptors needs another table than this one. It is made in a thread that has one of
//! its own (src/spawn.rs), so that no other thread ever sees it, nor hands it on to a child.

use std::io;
use std::path::{Path, PathBuf};

use exec_relay::errno::Errno;
use exec_relay::status::{Failure, Step};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::error::Error;
use crate::find_program::require_executable;
use crate::interpreter::interpreter;
use crate::launch::{Launch, Vehicle};
use crate::prepared::Prepared;
use crate::relay;
use crate::source::Stdio;

impl Launch<'_> {
    /// Replaces this process by the program, on a clean slate, as
    /// [`CommandExt::exec`](std::os::unix::process::CommandExt::exec) does without one. The program has this process's number,
    /// parent and children; all threads end. Nothing is dropped and no exit handler runs: flush what is to be written.
    ///
    /// This process executes a relay, [`Vehicle::Relay`] unless [`Vehicle::RelayAt`] is chosen, and the relay becomes the
    /// program. A build without the feature `embedded` carries none: choose [`Vehicle::RelayAt`] there. Who is not root keeps
    /// only the ambient capabilities.
    ///
    /// Each failure is told in one of two ways:
    ///
    /// - Until the relay runs, this returns the error, and nothing of this process has changed, but for the cgroup where one was
    ///   asked for. Other threads have gone on all the time. That the program, its interpreter and its directory are there
    ///   is looked at first, unless the program is to have another user.
    /// - Then the relay prints a message to the program's descriptor 2, and ends with exit status 127 where the program was
    ///   not found, 126 where it cannot be executed, and 125 for anything else; see relay's README.
    ///
    /// Interval timers (setitimer(2)) are disarmed, unless `option("--keep-timers")` was asked for. [`Self::die_with_parent`] is
    /// about this process's parent.
    ///
    /// ```no_run
    /// # use exec_relay_launcher::Launch;
    /// let error = Launch::new("/usr/bin/server").arg("--serve").exec();
    /// eprintln!("{error}");
    /// std::process::exit(127);
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Request`] for what makes no sense here: [`Vehicle::InPlace`], whose steps would change this process for all its
    /// threads; a pipe or the pulse, whose other end nobody would have; a time. Those of [`Self::launch`] that come before a
    /// relay runs. [`Error::Host`] where it runs under valgrind or qemu-user, which know no such thread.
    pub fn exec(&self) -> Error {
        let mistake = if self.vehicle == Some(Vehicle::InPlace) {
            "Vehicle::InPlace takes its steps in a child: exec takes Vehicle::Relay or Vehicle::RelayAt"
        } else if self.pulse || self.standard.iter().any(|stdio| matches!(stdio, Some(Stdio::Piped))) {
            "exec leaves nobody who could have the other end of a pipe or the pulse"
        } else if self.timeout.flatten().is_some() {
            "exec cannot be given a time, since nobody is left to end it"
        } else {
            let mut prepared = match self.prepare(&[const { Stdio::Inherit }; 3], false) {
                Ok(prepared) => prepared,
                Err(error) => return error,
            };
            if let Err(failure) = self.require_startable(&prepared) {
                return prepared.step_failed(failure);
            }
            let path = match &self.vehicle {
                Some(Vehicle::RelayAt(path)) => Some(&**path),
                _ => None,
            };
            return relay::replace(&mut prepared, path);
        };
        Error::Request { mistake: mistake.to_owned() }
    }

    /// Looks for what can be told of before there is nobody to tell it to. Another user may see other files.
    fn require_startable(&self, prepared: &Prepared) -> Result<(), Failure> {
        if prepared.slate.settings.user.is_some() {
            return Ok(());
        }
        let failed = |step| move |errno: io::Error| Failure::new(step, errno_of(&errno), 0);
        if prepared.slate.program.is_none() {
            require_executable(self.program()).map_err(Into::into).map_err(failed(Step::Exec))?;
            // A relative one depends on the directory.
            let is_missing = |path: PathBuf| path.is_absolute() && path.try_exists().is_ok_and(|is_there| !is_there);
            if interpreter(self.program()).is_some_and(is_missing) {
                return Err(Failure::new(Step::Interpreter, Errno::new(libc::ENOENT as u32), 0));
            }
        }
        if let Some(directory) = self.get_current_dir() {
            require_directory(directory).map_err(failed(Step::Directory))?;
        }
        Ok(())
    }
}

fn require_directory(directory: &Path) -> io::Result<()> {
    accessat(CWD, directory, Access::EXEC_OK, AtFlags::EACCESS)?;
    if directory.metadata()?.is_dir() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOTDIR)) }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::new(error.raw_os_error().unwrap_or(libc::EINVAL) as u32)
}
