//! From a [`Launch`] to a [`Child`], by the vehicle that was chosen.

use crate::child::{Child, reap_left};
use crate::error::Error;
use crate::launch::{Launch, Vehicle};
use crate::prepared::Prepared;
use crate::{in_place, relay};

impl Launch<'_> {
    /// Launches the program. Where this is no error, the program's file was found fit and its process executes it.
    ///
    /// A thread with a stack of 16 KiB, the smallest that there is, can call this; in a development build, of 32 KiB.
    ///
    /// Another thread that changes user or group, by setuid(3) and the like, waits until this one goes on, since the C library
    /// has every thread change with it: for as long as the kernel takes to map the program, or the relay. So does a garbage
    /// collector that stops all threads by signals. All are blocked here meanwhile, and the kernel would not deliver any.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn launch(&self) -> Result<Child, Error> {
        if let Some(mistake) = &self.mistake {
            return Err(Error::Request { mistake: mistake.clone() });
        }
        reap_left();
        let mut prepared = Prepared::new(self)?;
        let process = match &self.vehicle {
            Vehicle::InPlace => in_place::launch(&mut prepared)?,
            Vehicle::Relay => relay::launch(&mut prepared, None)?,
            Vehicle::RelayAt(path) => relay::launch(&mut prepared, Some(path))?,
        };
        Ok(Child::new(process, prepared.pipes, prepared.pulse))
    }
}
