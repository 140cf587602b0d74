//! What went wrong.

use std::ffi::c_char;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use exec_relay_launcher::{Concern, Error};

/// What kind of failure it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecRelayKind {
    /// None.
    None = 0,
    /// The request contradicts itself or cannot be expressed; nothing was tried.
    Request = 1,
    /// This process lacks what a launch needs, for instance a descriptor (EMFILE).
    Host = 2,
    /// No process could be made (EAGAIN, ENOMEM).
    Process = 3,
    /// The relay program is missing or cannot be run.
    Relay = 4,
    /// A step failed in the new process.
    Step = 5,
    /// The new process was gone before the program began.
    Killed = 6,
    /// The launch took too long.
    Timeout = 7,
    /// The relay program is of another version, or something else.
    Protocol = 8,
    /// Another one, which this header has no number for.
    Other = 9,
    /// The new process was gone, and nobody can tell whether the program had begun.
    MayHaveBegun = 10,
}

/// A failure. Nothing is left behind, no process and no descriptor, but for what EXEC_RELAY_KIND_TIMEOUT says.
#[repr(C)]
pub struct ExecRelayError {
    /// What kind of failure it is.
    pub kind: ExecRelayKind,
    /// The public number of the step that failed, as relay's README lists them; else 0.
    pub step: u32,
    /// The errno that tells why, else 0.
    pub error_number: i32,
    /// The descriptor, signal, process, user, group, resource, capability or attribute that it concerns, by its number, or
    /// for a step that this library does not know whatever the
    /// relay's record says; for EXEC_RELAY_KIND_KILLED and EXEC_RELAY_KIND_MAY_HAVE_BEGUN how the process ended, as
    /// waitpid(2) has it; for EXEC_RELAY_KIND_TIMEOUT 1 where the process was killed but is not dead yet, inside a call that
    /// the kernel does not give up; else 0.
    pub detail: i32,
    /// A sentence fit for a user, ended by a NUL, cut off where it is too long.
    pub message: [c_char; 512],
}

impl From<&Error> for ExecRelayError {
    fn from(error: &Error) -> Self {
        let mut message = [0; 512];
        let (sentence, room) = (error.to_string(), message.len() - 1);
        for (target, byte) in message.iter_mut().take(room).zip(sentence.bytes()) {
            *target = byte as c_char;
        }
        let (kind, detail) = match error {
            Error::Request { .. } => (ExecRelayKind::Request, 0),
            Error::Source { source, .. } => (ExecRelayKind::Request, *source),
            Error::Host { .. } | Error::NotShared { .. } => (ExecRelayKind::Host, 0),
            Error::Process { .. } => (ExecRelayKind::Process, 0),
            Error::Relay { .. } => (ExecRelayKind::Relay, 0),
            Error::Step { concern, .. } => (ExecRelayKind::Step, number_of(concern)),
            Error::UnknownStep { detail, .. } => (ExecRelayKind::Step, *detail as i32),
            Error::Killed { status, may_have_begun, .. } => {
                let kind = if *may_have_begun { ExecRelayKind::MayHaveBegun } else { ExecRelayKind::Killed };
                (kind, status.map_or(0, ExitStatus::into_raw))
            }
            Error::Timeout { is_left, .. } => (ExecRelayKind::Timeout, (*is_left).into()),
            Error::Protocol { .. } => (ExecRelayKind::Protocol, 0),
            _ => (ExecRelayKind::Other, 0),
        };
        let step = match error {
            Error::UnknownStep { number, .. } => *number,
            _ => error.step().map_or(0, |step| step.number().into()),
        };
        Self { kind, step, error_number: error.errno().unwrap_or(0), detail, message }
    }
}

fn number_of(concern: &Concern) -> i32 {
    match *concern {
        Concern::Descriptor(number) => number,
        Concern::Signal(number)
        | Concern::Process(number)
        | Concern::Identity(number)
        | Concern::Limit { resource: number, .. }
        | Concern::Capability { number, .. }
        | Concern::Attribute { number, .. } => number as i32,
        _ => 0,
    }
}
