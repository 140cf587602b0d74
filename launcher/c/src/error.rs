//! What went wrong.

use std::ffi::c_char;
use std::mem;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;

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

/// A failure, as far as the caller's structure has room for it. Its members are those of the first release; later ones are
/// appended.
#[repr(C)]
pub struct ExecRelayError {
    /// The size of the caller's structure.
    pub size: usize,
    /// An `ExecRelayKind`.
    pub kind: i32,
    /// The public number of the step that failed, else 0.
    pub step: u32,
    /// What the function returned, without its sign.
    pub error_number: i32,
    /// What it concerns, by its number.
    pub detail: i32,
    /// A sentence that ends with a NUL, cut off where it is too long.
    pub message: [c_char; 512],
}

/// How large the structure was in the first release.
const FIRST_SIZE: usize = mem::offset_of!(ExecRelayError, message) + 512;

/// More than the structure will ever have: whoever says so has not set its size.
const MOST: usize = 4096;

impl ExecRelayError {
    pub(crate) fn none() -> Self {
        Self { size: 0, kind: ExecRelayKind::None as i32, step: 0, error_number: 0, detail: 0, message: [0; 512] }
    }

    pub(crate) fn new(error: &Error, error_number: i32) -> Self {
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
        Self { size: 0, kind: kind as i32, step, error_number, detail, message }
    }

    /// Fills the caller's structure, whatever its release knows of: what it has no room for is left out, and what this one
    /// knows nothing of is 0.
    ///
    /// # Safety
    ///
    /// 1. `error` must be NULL, or have a size that [`has_a_size`] accepts, and that many bytes must be there to write to.
    pub(crate) unsafe fn tell(mut self, error: *mut Self) {
        if error.is_null() {
            return;
        }
        // SAFETY: it is there, and so are that many bytes, since it has that size (1). The structures do not overlap.
        unsafe {
            self.size = (*error).size;
            let known = self.size.min(size_of::<Self>());
            ptr::copy_nonoverlapping((&raw const self).cast::<u8>(), error.cast(), known);
            error.cast::<u8>().add(known).write_bytes(0, self.size - known);
        }
    }
}

/// Whether an error can be told in this structure.
///
/// # Safety
///
/// 1. `error` must be NULL, or have a size to read.
pub(crate) unsafe fn has_a_size(error: *const ExecRelayError) -> bool {
    // SAFETY: there is a size where it is not NULL (1).
    error.is_null() || (FIRST_SIZE..=MOST).contains(unsafe { &(*error).size })
}

/// The errno for a failure, whether or not one tells why.
pub(crate) fn errno_of(error: &Error) -> i32 {
    error.errno().unwrap_or(match error {
        Error::Request { .. } => libc::EINVAL,
        Error::NotShared { .. } => libc::EOPNOTSUPP,
        Error::Timeout { .. } => libc::ETIMEDOUT,
        Error::Protocol { .. } => libc::EPROTO,
        // It is gone, and nobody can wait for it.
        _ => libc::ECHILD,
    })
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
