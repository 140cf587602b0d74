//! What the relay is asked to do: arguments to a checked [`Request`].
//!
//! Arguments are an allegation until they are checked, and all of them are read and checked before anything is
//! changed. Only the checked type reaches the steps.

use core::ffi::CStr;

use linux_raw_sys::errno::EINVAL;

use crate::fd_plan::FdPlan;
use crate::status::{Failure, Report, Step};
use crate::sys::{Descriptor, Errno, Strings};

/// A request to become a program, or to print something. It is read in place, since it is large.
#[derive(Clone)]
pub struct Request<'a> {
    /// Where to report. Known even of a request that could not be read whole, so that this can be reported there.
    pub report: Report,
    /// What to do.
    pub action: Action,
    /// The program, an absolute path, and its arguments. While the request is read, relay's own from `index` on.
    pub arguments: Strings<'a>,
    /// Where in relay's arguments the first of `arguments` stands.
    pub index: u32,
    /// Which descriptors the program starts with.
    pub descriptors: FdPlan,
}

/// What the arguments ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Become the program.
    #[default]
    Start,
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
}

impl<'a> Request<'a> {
    /// A request that is still to be read from `arguments`, relay's own.
    pub fn new(arguments: Strings<'a>) -> Self {
        Self { report: Report::Stderr, action: Action::Start, arguments, index: 0, descriptors: FdPlan::default() }
    }

    /// Reads the arguments. `is_open` says whether a descriptor is open, by [`crate::sys::is_open`].
    ///
    /// # Errors
    ///
    /// The first mistake, or the first descriptor that is not open. Only a request that was read without one may be
    /// carried out.
    pub fn read(&mut self, is_open: impl Fn(Descriptor) -> Result<(), Errno>) -> Result<(), Failure> {
        let first = self.next().ok_or(self.mistake(Step::STATUS_MISSING))?;
        match first.to_bytes() {
            [b'/', ..] => return Ok(()),
            [b'-', ..] => return self.read_options(first.to_bytes()),
            _ => {}
        }
        let status = descriptor_from(3, first).ok_or(self.mistake(Step::STATUS_NUMBER))?;
        self.report = Report::Attendant(status);

        let pulse = self.next().ok_or(self.mistake(Step::PULSE_MISSING))?;
        let refused = |errno| Failure::new(Step::PULSE, errno, self.index);
        let pulse = descriptor_from(1, pulse).filter(|&pulse| pulse != status).ok_or(refused(Errno::new(EINVAL)))?;
        is_open(pulse).and_then(|()| self.descriptors.keep(pulse)).map_err(refused)?;

        self.read_program()
    }

    /// Reads the option form, from its first argument on.
    fn read_options(&mut self, first: &[u8]) -> Result<(), Failure> {
        if is(first, b"--help") {
            self.action = Action::Help;
        } else if is(first, b"--version") {
            self.action = Action::Version;
        } else if is(first, b"--") {
            return self.read_program();
        } else {
            return Err(self.mistake(Step::UNKNOWN_OPTION));
        }
        Ok(())
    }

    /// Reads the program, the next argument.
    fn read_program(&mut self) -> Result<(), Failure> {
        let program = self.next().ok_or(self.mistake(Step::PROGRAM_MISSING))?;
        match program.to_bytes() {
            [b'/', ..] => Ok(()),
            _ => Err(self.mistake(Step::PROGRAM_NOT_ABSOLUTE)),
        }
    }

    /// Goes on to the next argument.
    #[inline(never)]
    fn next(&mut self) -> Option<&'a CStr> {
        self.index += 1;
        self.arguments.next();
        self.arguments.first()
    }

    /// The failure that the argument at `index` is.
    fn mistake(&self, step: Step) -> Failure {
        Failure::without_errno(step, self.index)
    }
}

/// Byte by byte: `==` would be a call of bcmp.
#[inline(never)]
fn is(argument: &[u8], name: &[u8]) -> bool {
    argument.iter().eq(name)
}

/// A descriptor's number that is at least `least`.
fn descriptor_from(least: Descriptor, text: &CStr) -> Option<Descriptor> {
    decimal(text.to_bytes()).filter(|&descriptor| descriptor >= least)
}

/// A number from 0 to 2,147,483,647 in decimal digits and nothing else: no sign, no space, no suffix.
#[inline(never)]
pub fn decimal(text: &[u8]) -> Option<i32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_i32, |number, &digit| {
        let digit = digit.is_ascii_digit().then(|| i32::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
