//! From a [`Launch`] to a [`Child`], by the vehicle that was chosen.

use exec_relay::attribute::AttributeSet;

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
        let process = match self.vehicle_for(prepared.slate.settings.reset)? {
            Vehicle::InPlace => in_place::launch(&mut prepared)?,
            Vehicle::Relay => relay::launch(&mut prepared, None)?,
            Vehicle::RelayAt(path) => relay::launch(&mut prepared, Some(path))?,
        };
        Ok(Child::new(process, prepared.pipes, prepared.pulse))
    }

    /// The vehicle, for a program for which these attributes are reset. What belongs to the memory a child that shares this
    /// process's memory would reset for this process too.
    fn vehicle_for(&self, reset: AttributeSet) -> Result<&Vehicle, Error> {
        let mut of_memory = AttributeSet::default();
        reset.attributes().filter(|attribute| attribute.is_of_memory()).for_each(|attribute| of_memory.add(attribute));
        match &self.vehicle {
            None if of_memory == AttributeSet::default() => Ok(&Vehicle::InPlace),
            None if cfg!(feature = "embedded") => Ok(&Vehicle::Relay),
            None => Err(Error::Request {
                mistake: format!(
                    "to reset {of_memory} takes a relay, since in place it would change this process, and this library was \
                     built without the feature `embedded`: use Vehicle::RelayAt with the path of a relay, or name the other \
                     attributes alone"
                ),
            }),
            Some(Vehicle::InPlace) if of_memory != AttributeSet::default() => Err(Error::Request {
                mistake: format!(
                    "to reset {of_memory} by Vehicle::InPlace would change this process, whose memory the child shares: use \
                     Vehicle::Relay or Vehicle::RelayAt, or name the other attributes alone"
                ),
            }),
            Some(vehicle) => Ok(vehicle),
        }
    }
}
