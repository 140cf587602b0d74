//! Launches that are waited for at once, as `std::process::Command` has them.

use std::process::{ExitStatus, Output};

use crate::child::Child;
use crate::error::Error;
use crate::launch::Launch;
use crate::source::Stdio;

impl Launch<'_> {
    /// [`Self::launch`], by the name that [`std::process::Command`] has for it.
    ///
    /// # Errors
    ///
    /// Those of [`Self::launch`].
    pub fn spawn(&self) -> Result<Child, Error> {
        self.launch()
    }

    /// Launches the program, waits for its end, and returns its status.
    ///
    /// ```
    /// # use exec_relay_launcher::Launch;
    /// let status = Launch::new("/bin/sh").args(["-c", "exit 3"]).status()?;
    /// assert_eq!(status.code(), Some(3));
    /// # Ok::<(), exec_relay_launcher::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Self::launch`], and [`Error::Wait`] once the program runs.
    pub fn status(&self) -> Result<ExitStatus, Error> {
        self.launch()?.wait().map_err(|cause| self.not_waited_for(cause))
    }

    /// Launches the program, waits for its end, and returns its status with all that it has written. Unless they are set, its
    /// standard input is /dev/null, and its output and error are the pipes that this reads, both at the same time.
    ///
    /// ```
    /// # use exec_relay_launcher::Launch;
    /// let output = Launch::new("/bin/echo").arg("hello").output()?;
    /// assert!(output.status.success());
    /// assert_eq!(output.stdout, b"hello\n");
    /// # Ok::<(), exec_relay_launcher::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Self::launch`], and [`Error::Wait`] once the program runs.
    pub fn output(&self) -> Result<Output, Error> {
        let child = self.launch_with(&[Stdio::Null, Stdio::Piped, Stdio::Piped])?;
        child.wait_with_output().map_err(|cause| self.not_waited_for(cause))
    }

    fn not_waited_for(&self, cause: std::io::Error) -> Error {
        Error::Wait { program: self.program().to_owned(), cause }
    }
}
