//! How far a launch got, and how that is told: the steps and their public numbers, failures, exit statuses, records.

use core::num::NonZeroU32;

use crate::sys::{Descriptor, Errno};

/// The one table of steps: number, name, the attendant's code (0 for what its protocol cannot tell), and the message of
/// a failure, in which `@` stands for the argument whose index is the failure's detail, `#` for the detail as a number,
/// and `$` for the errno.
macro_rules! steps {
    ($($(#[$doc:meta])* $number:literal $name:ident $code:literal $message:literal;)*) => {
        impl Step {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            const ATTENDANT_CODES: &[u8] = &[$($code),*];

            /// The messages of all steps in the order of their numbers, each ended by a NUL.
            pub const MESSAGES: &str = concat!($($message, "\0"),*);
        }
    };
}

/// What the relay was at, by its public number. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(u8);

steps! {
    /// All went well: the program is about to be started.
    0 READY 0 "";
    /// Neither a program nor STATUS_FD is given.
    1 STATUS_MISSING 0 "no program, see relay --help";
    /// STATUS_FD is not a descriptor from 3 up.
    2 STATUS_NUMBER 0 "not a STATUS_FD or an absolute path: @";
    /// The status descriptor, or standard output, cannot be written to. The detail is the descriptor.
    3 WRITE 0 "cannot write to descriptor #: $";
    /// PULSE_FD is missing.
    4 PULSE_MISSING 129 "no PULSE_FD";
    /// PULSE_FD is not a descriptor, is the status descriptor, or is not open.
    5 PULSE 128 "cannot keep PULSE_FD @: $";
    /// An option that relay does not have.
    6 UNKNOWN_OPTION 0 "unknown option @, see relay --help";
    /// No program is given.
    7 PROGRAM_MISSING 123 "no program";
    /// The program is not an absolute path.
    8 PROGRAM_NOT_ABSOLUTE 125 "not an absolute path: @";
    /// Marking descriptors close-on-exec.
    9 DESCRIPTORS 126 "cannot mark descriptors close-on-exec: $";
    /// Disarming the interval timers.
    10 TIMERS 201 "cannot disarm timers: $";
    /// Setting a signal's disposition. The detail is the signal.
    11 DISPOSITIONS 202 "cannot reset signal #: $";
    /// Setting the mask of blocked signals.
    12 MASK 202 "cannot unblock signals: $";
    /// Becoming the program.
    13 EXEC 127 "cannot start @: $";
}

impl Step {
    /// Its public number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The attendant's code for a failure at this step.
    pub fn attendant_code(self) -> u8 {
        Self::ATTENDANT_CODES.get(usize::from(self.0)).copied().unwrap_or(0)
    }
}

/// A step that failed.
///
/// Step and errno share a word, so that `Result<(), Failure>` is a pair of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    step_and_errno: NonZeroU32,
    /// What it concerns: an argument by its index, a descriptor, a signal; 0 where there is nothing to name.
    pub detail: u32,
}

impl Failure {
    /// A system call failed.
    pub fn new(step: Step, errno: Errno, detail: u32) -> Self {
        Self { step_and_errno: errno.number() | u32::from(step.0) << 16, detail }
    }

    /// Something was wrong that no errno tells.
    pub fn without_errno(step: Step, detail: u32) -> Self {
        // READY, the only step whose number is 0, is no failure.
        Self { step_and_errno: NonZeroU32::new(u32::from(step.0) << 16).unwrap_or(NonZeroU32::MAX), detail }
    }

    /// What the relay was at.
    pub fn step(self) -> Step {
        Step((self.step_and_errno.get() >> 16) as u8)
    }

    /// Why it failed; 0 where no errno tells.
    pub fn errno(self) -> u32 {
        self.step_and_errno.get() & 0xffff
    }
}

/// relay's exit statuses, those of env(1), nohup(1) and container engines.
pub mod exit_status {
    use linux_raw_sys::errno::ENOENT;

    use super::{Failure, Report, Step};

    /// relay itself failed.
    pub const RELAY_FAILED: u8 = 125;
    /// The program was found but cannot be run.
    pub const CANNOT_RUN: u8 = 126;
    /// The program, or the interpreter it names, does not exist.
    pub const NOT_FOUND: u8 = 127;
    /// The positional form: the failure is in a record.
    pub const RECORDED: u8 = 1;
    /// The positional form: the status descriptor cannot be used.
    pub const NO_STATUS: u8 = 127;

    /// The exit status that says what failed, where no record could.
    pub fn without_record(report: Report, failure: Failure) -> u8 {
        match (report, failure.step()) {
            (Report::Attendant(_), _) | (_, Step::STATUS_MISSING | Step::STATUS_NUMBER) => NO_STATUS,
            (_, Step::EXEC) if failure.errno() == ENOENT => NOT_FOUND,
            (_, Step::EXEC) => CANNOT_RUN,
            _ => RELAY_FAILED,
        }
    }
}

/// Where the caller wants to hear how far the relay got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// One line on standard error, and an exit status of 125, 126 or 127.
    #[default]
    Stderr,
    /// The attendant's protocol on this descriptor: a handshake, then silence or one record.
    Attendant(Descriptor),
}

/// The attendant's record of a failure: two C ints in native byte order, its code and the errno.
pub fn attendant_record(failure: Failure) -> [u8; 8] {
    let [a, b, c, d] = u32::from(failure.step().attendant_code()).to_ne_bytes();
    let [e, f, g, h] = failure.errno().to_ne_bytes();
    [a, b, c, d, e, f, g, h]
}
