//! How far a launch got, and how that is told: the steps and their public numbers, failures, exit statuses, records.

use core::num::NonZeroU32;

use linux_raw_sys::errno::EINVAL;

use crate::attribute::Attribute;
use crate::errno::Errno;
use crate::sys::Descriptor;
use crate::text::Text;
use crate::{capability, enum_of_texts, limit};

/// A row: number, name, the attendant's code (0 for what its protocol cannot tell), what the detail of a failure is, and
/// the message, in which `@` stands for what the detail names as text, and `#` for the detail as a number. The errno,
/// where there is one, follows.
macro_rules! steps {
    ($($(#[$doc:meta])* $number:literal $name:ident $code:literal $concern:ident $message:literal;)*) => {
        enum_of_texts! {
            /// What the relay was at, by its public number. Numbers are never reused.
            #[non_exhaustive]
            pub enum Step { $($(#[$doc])* $name = $message,)* }
        }

        // Numbers are positions, so that a row cannot be moved or left out.
        const _: () = {
            $(assert!(Step::$name as u8 == $number, concat!("the row of ", stringify!($name)));)*
        };

        impl Step {
            /// The attendant's code for a failure at this step, 0 for what its protocol cannot tell.
            #[doc(hidden)]
            #[inline(never)]
            pub const fn attendant_code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// What the detail of a failure at this step is.
            #[doc(hidden)]
            pub const fn concern(self) -> Concern {
                match self {
                    $(Self::$name => Concern::$concern,)*
                }
            }
        }
    };
}

/// What the detail of a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// There is none: it is 0.
    Nothing,
    /// The index of an argument.
    Argument,
    /// A descriptor.
    Descriptor,
    /// A signal.
    Signal,
    /// A process, or a group of processes.
    Process,
    /// A user or a group, by its number.
    Identity,
    /// A resource that has limits, by its number; see [`crate::limit::name`].
    Resource,
    /// A capability, by its number; see [`crate::capability::name`].
    Capability,
    /// An attribute, by its public number; see [`crate::attribute::Attribute`].
    Attribute,
}

impl Concern {
    /// The name of what the detail of a failure concerns, where it has one that relay knows.
    pub fn name(self, detail: u32) -> Option<Text<'static>> {
        match self {
            Self::Resource => Some(limit::name(detail)),
            // One that is newer than relay has none.
            Self::Capability => Some(capability::name(detail)).filter(|name| name.first() != 0),
            Self::Attribute => Attribute::from_number(detail).map(Attribute::text),
            _ => None,
        }
    }
}

steps! {
    /// All went well: the program is about to be started.
    0 Ready 0 Nothing "";
    /// Neither a program nor STATUS_FD is given.
    1 NothingGiven 0 Nothing "no program, see relay --help";
    /// STATUS_FD is not a descriptor from 3 up.
    2 StatusNumber 0 Argument "not a STATUS_FD from 3 up, or a full path: @";
    /// The status descriptor, or standard output, cannot be written to.
    3 Write 0 Descriptor "cannot write to descriptor #";
    /// PULSE_FD is missing.
    4 PulseMissing 129 Nothing "no PULSE_FD";
    /// PULSE_FD is not a descriptor, is the status descriptor, or is not open.
    5 Pulse 128 Argument "cannot keep PULSE_FD @";
    /// An option that relay does not have.
    6 UnknownOption 0 Argument "unknown option @, see relay --help";
    /// An option lacks its value.
    7 ValueMissing 0 Nothing "@ lacks its value";
    /// An option has a value that takes none.
    8 ValueUnexpected 0 Argument "this option takes no value: @";
    /// An option's value is malformed (EINVAL), asks for a descriptor a second time (EEXIST), for one too many (EMFILE),
    /// or for one that is not open (EBADF).
    9 Value 0 Argument "bad value @";
    /// KILL or STOP cannot be ignored or blocked.
    10 SignalFixed 0 Argument "KILL and STOP cannot be ignored or blocked: @";
    /// The status descriptor is also asked for as one of the program's, which would never see it closed.
    11 StatusShared 0 Descriptor "the program cannot have the status descriptor #";
    /// No program is given.
    12 ProgramMissing 123 Nothing "no program";
    /// The program is not an absolute path.
    13 ProgramNotAbsolute 125 Argument "PATH is not searched: give the full path of @, as /bin/ls";
    /// Marking descriptors close-on-exec.
    14 Descriptors 126 Nothing "cannot mark descriptors close-on-exec";
    /// Giving a descriptor its number, which is the detail.
    15 Rename 0 Descriptor "cannot make descriptor #";
    /// Setting RLIMIT_NOFILE.
    16 Nofile 0 Nothing "cannot set the limit of descriptors";
    /// Beginning a session.
    17 Session 0 Nothing "cannot begin a session";
    /// Taking a controlling terminal.
    18 Terminal 0 Descriptor "cannot take descriptor # for the terminal";
    /// Changing the directory.
    19 Directory 0 Argument "cannot change to directory @";
    /// The parent has ended, or relay cannot ask to be killed when it does.
    20 Parent 0 Process "cannot die with parent #";
    /// Giving up new privileges.
    21 NewPrivileges 0 Nothing "cannot give up new privileges";
    /// Writing the out-of-memory score.
    22 OomScore 0 Nothing "cannot set the out-of-memory score by /proc";
    /// Disarming the interval timers.
    23 Timers 201 Nothing "cannot disarm timers";
    /// Setting a signal's disposition.
    24 Dispositions 202 Signal "cannot set signal #";
    /// Setting the mask of blocked signals.
    25 Mask 202 Nothing "cannot set the signal mask";
    /// Becoming the program.
    26 Exec 127 Argument "cannot start @";
    /// The program is there, but the interpreter that it names is not.
    27 Interpreter 127 Argument "cannot start @: it is there, but its interpreter is not";
    /// One of the descriptors for listening sockets is not open, or one too many.
    28 Listening 0 Descriptor "cannot pass on listening socket #";
    /// Finding what is to be reported.
    29 Slate 0 Nothing "cannot find out the whole slate";
    /// Setting the mask of the permissions of new files.
    30 Umask 0 Nothing "cannot set the umask";
    /// Entering a cgroup.
    31 Cgroup 0 Argument "cannot enter cgroup @";
    /// Joining a process group, which is the detail; 0 is one of its own.
    32 ProcessGroup 0 Process "cannot join process group #";
    /// Setting the nice value.
    33 Nice 0 Nothing "cannot set the nice value";
    /// Setting the scheduling policy.
    34 Scheduling 0 Nothing "cannot set the scheduling policy";
    /// Setting the processors.
    35 Processors 0 Nothing "cannot set the processors";
    /// Setting the I/O class.
    36 IoClass 0 Nothing "cannot set the I/O class";
    /// Setting the timer slack.
    37 TimerSlack 0 Nothing "cannot set the timer slack";
    /// Giving an attribute its default back.
    38 Reset 0 Attribute "cannot reset @";
    /// Setting the limits of a resource.
    39 Limit 0 Resource "cannot set limit @";
    /// Replacing the supplementary groups.
    40 Groups 0 Nothing "cannot set the supplementary groups";
    /// Changing to a group, which is the detail.
    41 Group 0 Identity "cannot become group #";
    /// Changing to a user, which is the detail.
    42 User 0 Identity "cannot become user #";
    /// The program could become root again.
    43 RootKept 0 Nothing "root can be had again: give --caps too";
    /// Taking a capability from the bounding set.
    44 BoundingSet 0 Capability "cannot drop capability @";
    /// Setting the capabilities.
    45 Capabilities 0 Nothing "cannot set capabilities";
    /// Giving the program a capability.
    46 Capability 0 Capability "cannot give capability @";
    /// Beginning a session keyring.
    47 Keyring 0 Nothing "cannot begin a session keyring";
}

impl Step {
    /// Its public number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The step with this public number; nothing where this version has none.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// A step that failed.
///
/// Step and errno share a word, so that `Result<(), Failure>` is a pair of registers: as three fields it makes the file
/// larger by a tenth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The errno, 0 where none tells, in the lower half; the step's number above it; and one more bit, so that it is
    /// never 0.
    step_and_errno: NonZeroU32,
    /// What it concerns, in the way of [`Step::concern`].
    pub detail: u32,
}

impl Failure {
    /// A system call failed.
    pub const fn new(step: Step, errno: Errno, detail: u32) -> Self {
        Self::with_number(step, errno.number(), detail)
    }

    /// Something was wrong that no errno tells.
    pub const fn without_errno(step: Step, detail: u32) -> Self {
        Self::with_number(step, 0, detail)
    }

    const fn with_number(step: Step, errno: u32, detail: u32) -> Self {
        let step_and_errno = 1 << 31 | (step as u32) << 16 | errno & 0xffff;
        // A bit is set. Not by a panic, of which the compiler would not always see that nothing leads to it.
        let step_and_errno = match NonZeroU32::new(step_and_errno) {
            Some(number) => number,
            None => NonZeroU32::MAX,
        };
        Self { step_and_errno, detail }
    }

    /// What the relay was at.
    #[inline(never)]
    pub fn step(self) -> Step {
        Step::from_number(self.step_and_errno.get() << 1 >> 17).unwrap_or(Step::Ready)
    }

    /// Why it failed, as a number; 0 where no errno tells.
    pub const fn errno(self) -> u32 {
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
    /// There is no program: it, or the interpreter it names, does not exist; or what is given is no full path.
    pub const NOT_FOUND: u8 = 127;
    /// The positional form: the failure is in a record.
    pub const RECORDED: u8 = 1;
    /// The positional form: the status descriptor cannot be used.
    pub const NO_STATUS: u8 = 127;

    /// The exit status of a failure that was `recorded`, or told in a line.
    #[inline(never)]
    pub fn of(report: Report, failure: Failure, recorded: bool) -> u8 {
        match (report, failure.step()) {
            (Report::Attendant(_), _) if recorded => RECORDED,
            (Report::Attendant(_), _) => NO_STATUS,
            (_, Step::NothingGiven | Step::StatusNumber | Step::ProgramNotAbsolute) => NOT_FOUND,
            (_, Step::Exec) if failure.errno() != ENOENT => CANNOT_RUN,
            (_, Step::Exec | Step::Interpreter) => NOT_FOUND,
            _ => RELAY_FAILED,
        }
    }
}

/// Where the caller wants to hear how far the relay got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// From whoever takes the steps, by the failure that they return.
    Returned,
    /// One line on this descriptor, and an exit status of 125, 126 or 127. It is standard error, 2, or a copy where the
    /// program's own standard error is another file.
    Message(Descriptor),
    /// The attendant's protocol on this descriptor: a handshake, then silence or one record.
    Attendant(Descriptor),
    /// Records on this descriptor, and the same exit statuses.
    Records(Descriptor),
}

impl Report {
    /// Whether the caller takes the program for started when this failure is not told: it has heard all that it hears of
    /// a good start.
    pub fn promises_a_start(self, failure: Failure) -> bool {
        match self {
            Self::Records(_) => matches!(failure.step(), Step::Exec | Step::Interpreter),
            // The handshake itself failed.
            Self::Attendant(_) => failure.step() != Step::Write,
            Self::Returned | Self::Message(_) => false,
        }
    }
}

/// The attendant's record of a failure: two C ints in native byte order, its code and the errno.
pub fn attendant_record(failure: Failure) -> [[u8; 4]; 2] {
    [u32::from(failure.step().attendant_code()).to_ne_bytes(), failure.errno().to_ne_bytes()]
}

/// A record of the option form: `RLY` and the version, then three words in native byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The number of the step.
    pub step: u32,
    /// The errno; EINVAL for a mistake that none tells, so that nobody takes it for success; 0 for READY.
    pub errno: u32,
    /// What it concerns; see [`Failure::detail`].
    pub detail: u32,
}

impl Record {
    /// The size of a record in bytes.
    pub const SIZE: usize = 16;
    const MAGIC: [u8; 4] = *b"RLY\x02";

    /// All went well: the program is about to be started.
    pub const READY: Self = Self { step: Step::Ready as u32, errno: 0, detail: 0 };

    /// The record of a failure.
    pub fn of(failure: Failure) -> Self {
        let errno = if failure.errno() == 0 { EINVAL } else { failure.errno() };
        Self { step: failure.step().number().into(), errno, detail: failure.detail }
    }

    /// The record as it is written, in words of four bytes.
    pub const fn encode(self) -> [[u8; 4]; Self::SIZE / 4] {
        [Self::MAGIC, self.step.to_ne_bytes(), self.errno.to_ne_bytes(), self.detail.to_ne_bytes()]
    }

    /// Reads a record. Nothing where `bytes` are something else, or a record of another version.
    pub fn decode(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let [magic, step, errno, detail] = bytes.as_chunks().0 else { return None };
        let word = |bytes: &[u8; 4]| u32::from_ne_bytes(*bytes);
        (*magic == Self::MAGIC).then(|| Self { step: word(step), errno: word(errno), detail: word(detail) })
    }
}
