//! From a [`Launch`] to a [`Child`], by the vehicle that was chosen.

use exec_relay::attribute::AttributeSet;
use exec_relay::text::Strings;

use crate::child::{Child, reap_left};
use crate::environment::Environment;
use crate::error::Error;
use crate::in_place::{self, Lent};
use crate::launch::{Launch, Vehicle};
use crate::prepared::Prepared;
use crate::relay;
use crate::source::Stdio;

impl Launch<'_> {
    /// Launches the program. Where this is no error, the program's file was found fit and its process executes it.
    ///
    /// ```
    /// # use exec_relay_launcher::Launch;
    /// let mut child = Launch::new("/bin/sleep").arg("0.01").launch()?;
    /// assert!(child.wait()?.success());
    ///
    /// let error = Launch::new("/no/such/program").launch().expect_err("it is missing");
    /// assert_eq!(error.to_string(), "cannot start /no/such/program: no such file (ENOENT)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A thread with a stack of 16 KiB, the smallest that there is, can call this; in a development build, of 48 KiB.
    ///
    /// Another thread that changes user or group, by setuid(3) and the like, waits until this one goes on, since the C library
    /// has every thread change with it: for as long as the kernel takes to map the program, or the relay. So does a garbage
    /// collector that stops all threads by signals. All are blocked here meanwhile, and the kernel would not deliver any.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn launch(&self) -> Result<Child, Error> {
        self.launch_with(&[const { Stdio::Inherit }; 3])
    }

    /// `standard` is what descriptors 0, 1 and 2 are where nobody has asked for anything.
    pub(crate) fn launch_with(&self, standard: &[Stdio; 3]) -> Result<Child, Error> {
        let mut prepared = self.prepare(standard, true)?;
        let process = match self.vehicle_for(prepared.slate.settings.reset)? {
            Vehicle::InPlace => in_place::launch(&mut prepared, Lent::default())?,
            Vehicle::Relay => relay::launch(&mut prepared, None)?,
            Vehicle::RelayAt(path) => relay::launch(&mut prepared, Some(path))?,
        };
        Ok(Child::new(process, prepared.ends, self.kill_on_drop))
    }

    /// For the package for C: the same by [`Vehicle::InPlace`], with vectors of the caller's in the place of those that would
    /// be made of what was asked for. Only the kernel reads them.
    #[doc(hidden)]
    pub fn launch_in_place(&self, argv: Option<Strings>, envp: Option<Strings>) -> Result<Child, Error> {
        let mut prepared = self.prepare(&[const { Stdio::Inherit }; 3], true)?;
        if *self.vehicle_for(prepared.slate.settings.reset)? != Vehicle::InPlace {
            return Err(Error::Request { mistake: "vectors are lent, which Vehicle::InPlace alone takes".to_owned() });
        }
        let process = in_place::launch(&mut prepared, Lent { arguments: argv, environment: envp })?;
        Ok(Child::new(process, prepared.ends, self.kill_on_drop))
    }

    /// For the package for C, whose functions tell a mistake at once: the first one since this was called last, which is
    /// forgotten here.
    #[doc(hidden)]
    pub fn take_mistake(&mut self) -> Option<String> {
        self.mistake.take()
    }

    /// For the package for C: this process's own environment again, whatever it is when the program is launched.
    #[doc(hidden)]
    pub fn env_inherited(&mut self) -> &mut Self {
        self.environment = Environment::default();
        self
    }

    pub(crate) fn prepare(&self, standard: &[Stdio; 3], is_child: bool) -> Result<Prepared<'_>, Error> {
        if let Some(mistake) = &self.mistake {
            return Err(Error::Request { mistake: mistake.clone() });
        }
        reap_left();
        Prepared::new(self, standard, is_child)
    }

    /// The vehicle, for a program for which these attributes are reset. What belongs to the memory a child that shares this
    /// process's memory would reset for this process too; and nobody can end a launch by it that takes too long.
    fn vehicle_for(&self, reset: AttributeSet) -> Result<&Vehicle, Error> {
        let mut of_memory = AttributeSet::default();
        reset.attributes().filter(|attribute| attribute.is_of_memory()).for_each(|attribute| of_memory.add(attribute));
        let resets_memory = of_memory != AttributeSet::default();
        let timeout = self.timeout.flatten();
        let mistake = match &self.vehicle {
            None if !resets_memory && timeout.is_none() => return Ok(&Vehicle::InPlace),
            None if cfg!(feature = "embedded") => return Ok(&Vehicle::Relay),
            None if resets_memory => format!(
                "to reset {of_memory} takes a relay, since in place it would change this process, and this library was \
                 built without the feature `embedded`: use Vehicle::RelayAt with the path of a relay, or name the other \
                 attributes alone"
            ),
            None => {
                "a timeout takes a relay, since a launch in place cannot be ended, and this library was built without \
                 the feature `embedded`: use Vehicle::RelayAt with the path of a relay, or ask for no timeout"
                    .to_owned()
            }
            Some(Vehicle::InPlace) if resets_memory => format!(
                "to reset {of_memory} by Vehicle::InPlace would change this process, whose memory the child shares: use \
                 Vehicle::Relay or Vehicle::RelayAt, or name the other attributes alone"
            ),
            Some(vehicle) => {
                let (Vehicle::InPlace, Some(timeout)) = (vehicle, timeout) else { return Ok(vehicle) };
                format!(
                    "a launch by Vehicle::InPlace cannot be ended after {} ms: choose Vehicle::Relay, Vehicle::RelayAt \
                     or no vehicle, or ask for no timeout",
                    timeout.as_millis()
                )
            }
        };
        Err(Error::Request { mistake })
    }
}
