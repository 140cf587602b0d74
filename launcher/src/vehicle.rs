//! From a [`Launch`] to a [`Child`], by the vehicle that was chosen.

use crate::child::{Child, reap_left};
use crate::error::Error;
use crate::launch::{Launch, Vehicle};
use crate::prepared::Prepared;
use crate::{in_place, relay};

impl Launch<'_> {
    /// Launches the program. Where this is no error, the program's file was found fit and its process executes it.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Nothing is left behind then.
    pub fn launch(&self) -> Result<Child, Error> {
        if let Some(mistake) = &self.mistake {
            return Err(Error::Request { mistake: mistake.clone() });
        }
        reap_left();
        let mut prepared = Prepared::new(self)?;
        let process = match &self.vehicle {
            Vehicle::InPlace => in_place::launch(&mut prepared)?,
            #[cfg(feature = "embedded")]
            Vehicle::Relay => relay::launch(&mut prepared, None)?,
            Vehicle::RelayAt(path) => relay::launch(&mut prepared, Some(path))?,
        };
        Ok(Child::new(process, prepared.pipes, prepared.pulse))
    }
}
