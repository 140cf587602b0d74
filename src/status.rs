//! How far a launch got, and how that is told: the steps and their public numbers, failures, exit statuses, records.

use core::num::NonZeroU32;

use crate::sys::{Descriptor, Errno};

/// The one table of steps: number, name, the attendant's code (0 for what its protocol cannot tell), and the message of
/// a failure, in which `@` stands for the argument whose index is the failure's detail, and `#` for the detail as a
/// number. The errno, where there is one, follows.
macro_rules! steps {
    ($($(#[$doc:meta])* $number:literal $name:ident $code:literal $message:literal;)*) => {
        impl Step {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            const ATTENDANT_CODES: &[u8] = &[$($code),*];

            /// The names of all steps in the order of their numbers.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

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
    1 NOTHING_GIVEN 0 "no program, see relay --help";
    /// STATUS_FD is not a descriptor from 3 up.
    2 STATUS_NUMBER 0 "not a STATUS_FD or an absolute path: @";
    /// The status descriptor, or standard output, cannot be written to. The detail is the descriptor.
    3 WRITE 0 "cannot write to descriptor #";
    /// PULSE_FD is missing.
    4 PULSE_MISSING 129 "no PULSE_FD";
    /// PULSE_FD is not a descriptor, is the status descriptor, or is not open. The detail is the argument's index.
    5 PULSE 128 "cannot keep PULSE_FD @";
    /// An option that relay does not have. The detail is its index.
    6 UNKNOWN_OPTION 0 "unknown option @, see relay --help";
    /// An option lacks its value.
    7 VALUE_MISSING 0 "the last option lacks its value";
    /// An option has a value that takes none. The detail is its index.
    8 VALUE_UNEXPECTED 0 "this option takes no value: @";
    /// An option's value is malformed (EINVAL), asks for a descriptor a second time (EEXIST), for one too many (EMFILE),
    /// or for one that is not open (EBADF). The detail is the index of the argument that holds the value.
    9 VALUE 0 "bad value @";
    /// KILL or STOP cannot be ignored or blocked. The detail is the index of the argument that holds the list.
    10 SIGNAL_FIXED 0 "KILL and STOP cannot be ignored or blocked: @";
    /// The status descriptor is also asked for as one of the program's, which would never see it closed.
    11 STATUS_SHARED 0 "the program cannot have the status descriptor #";
    /// No program is given.
    12 PROGRAM_MISSING 123 "no program";
    /// The program is not an absolute path. The detail is its index.
    13 PROGRAM_NOT_ABSOLUTE 125 "not an absolute path: @";
    /// Marking descriptors close-on-exec.
    14 DESCRIPTORS 126 "cannot mark descriptors close-on-exec";
    /// Giving a descriptor its number. The detail is that number.
    15 RENAME 0 "cannot make descriptor #";
    /// Setting RLIMIT_NOFILE.
    16 NOFILE 0 "cannot set the limit of descriptors";
    /// Beginning a session.
    17 SESSION 0 "cannot begin a session";
    /// Taking a controlling terminal. The detail is its descriptor.
    18 TERMINAL 0 "cannot take descriptor # for the terminal";
    /// Changing the directory. The detail is the index of the argument that names it.
    19 DIRECTORY 0 "cannot change to directory @";
    /// The parent has ended, or relay cannot ask to be killed when it does. The detail is the parent.
    20 PARENT 0 "cannot die with parent #";
    /// Giving up new privileges.
    21 NEW_PRIVILEGES 0 "cannot give up new privileges";
    /// Writing the out-of-memory score.
    22 OOM_SCORE 0 "cannot set the out-of-memory score";
    /// Disarming the interval timers.
    23 TIMERS 201 "cannot disarm timers";
    /// Setting a signal's disposition. The detail is the signal.
    24 DISPOSITIONS 202 "cannot set signal #";
    /// Setting the mask of blocked signals.
    25 MASK 202 "cannot set the signal mask";
    /// Becoming the program. The detail is its index.
    26 EXEC 127 "cannot start @";
    /// The program is there, but the interpreter that it names is not. The detail is the program's index.
    27 INTERPRETER 127 "cannot start @: it is there, but not the interpreter that it names";
    /// One of the descriptors for listening sockets is not open, or one too many. The detail is the descriptor.
    28 LISTENING 0 "cannot pass on listening socket #";
    /// Finding what is to be reported.
    29 SLATE 0 "cannot find out the whole slate";
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

    /// The exit status of a failure that was `recorded`, or told in a line.
    pub fn of(report: Report, failure: Failure, recorded: bool) -> u8 {
        match (report, failure.step()) {
            (Report::Attendant(_), _) if recorded => RECORDED,
            (Report::Attendant(_), _) | (_, Step::NOTHING_GIVEN | Step::STATUS_NUMBER) => NO_STATUS,
            (_, Step::EXEC) if failure.errno() != ENOENT => CANNOT_RUN,
            (_, Step::EXEC | Step::INTERPRETER) => NOT_FOUND,
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
    /// Records on this descriptor, and the same exit statuses.
    Records(Descriptor),
}

/// The attendant's record of a failure: two C ints in native byte order, its code and the errno.
pub fn attendant_record(failure: Failure) -> [u8; 8] {
    let [a, b, c, d] = u32::from(failure.step().attendant_code()).to_ne_bytes();
    let [e, f, g, h] = failure.errno().to_ne_bytes();
    [a, b, c, d, e, f, g, h]
}

/// A record of the option form: `RLY` and the version, then three words in native byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record {
    magic: [u8; 4],
    /// The number of the step.
    pub step: u32,
    /// The errno, 0 where there is none.
    pub errno: u32,
    /// What it concerns; see [`Failure::detail`].
    pub detail: u32,
}

impl Record {
    /// The size of a record in bytes.
    pub const SIZE: usize = 16;
    const MAGIC: [u8; 4] = *b"RLY\x02";

    /// All went well: the program is about to be started.
    pub const READY: Self = Self { magic: Self::MAGIC, step: Step::READY.0 as u32, errno: 0, detail: 0 };

    /// The record of a failure.
    pub fn of(failure: Failure) -> Self {
        Self { magic: Self::MAGIC, step: failure.step().0.into(), errno: failure.errno(), detail: failure.detail }
    }

    /// The four words of the record, each as it is written.
    pub const fn words(self) -> [[u8; 4]; 4] {
        [self.magic, self.step.to_ne_bytes(), self.errno.to_ne_bytes(), self.detail.to_ne_bytes()]
    }

    /// The record as it is written.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (target, byte) in bytes.iter_mut().zip(self.words().as_flattened()) {
            *target = *byte;
        }
        bytes
    }

    /// Reads a record. Nothing where `bytes` are something else, or a record of another version.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let [magic, step, errno, detail] = bytes.as_chunks().0 else { return None };
        let word = |bytes: &[u8; 4]| u32::from_ne_bytes(*bytes);
        (*magic == Self::MAGIC).then(|| Self {
            magic: Self::MAGIC,
            step: word(step),
            errno: word(errno),
            detail: word(detail),
        })
    }
}
