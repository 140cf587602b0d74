//! The vehicles Relay and RelayAt: posix_spawn(3) of the relay program, which cleans, reports, and becomes the program.
//!
//! # Descriptors
//!
//! Everything is close-on-exec from birth, and what the relay is to have it gets by a file action, which takes place in
//! the child alone. So no sibling that another thread spawns ever holds an end of ours, and nothing here takes a lock.
//! The moves are those that relay itself would make, planned by the same [`exec_relay::fd_plan`]: the relay finds every
//! descriptor under the number that the program has, and is told to keep it.
//!
//! # The gate
//!
//! The status pipe is one of packets (O_DIRECT, pipe(2)) with room for one, and that is taken by us before the relay
//! starts. So it cannot say that it is ready, nor become the program, before we have opened its pidfd and made room. Its
//! first record is thus the proof that the pidfd is its own, even in a host that ignores SIGCHLD, where the number of a
//! dead child is free at once.
//!
//! # What is proven
//!
//! A record says what failed. End of file without one means that the relay died. READY and end of file leave open
//! whether the program began or the relay was killed in between, and that is told
//!
//! - by an exit status: after READY the relay exits only with another record, so it was the program that exited;
//! - by its memory: a process that dies lets go of it before it closes its descriptors, and execve(2) closes them when
//!   the process has the program's. So one that has memory after the end of file has the program's;
//! - by the process's name, /proc/PID/comm, which is there until a zombie is reaped: execve(2) changes it from the
//!   relay's to the program's, and the relay never does.
//!
//! A process that is dead by a signal and of which none of these can be told counts as killed before it began. One that
//! is still alive where a sandbox hides its memory and there is no /proc counts as begun.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant};

use exec_relay::fd_plan::Move;
use exec_relay::status::{Record, Step};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::param::page_size;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::WaitIdOptions;

use crate::child::{Process, wait_for};
use crate::error::Error;
use crate::prepared::Prepared;
use crate::spawn::FileActions;
use crate::sys;

/// Launches the program by the relay at `path`, or by the embedded one.
pub fn launch(prepared: &Prepared, path: Option<&Path>) -> Result<Process, Error> {
    let deadline = prepared.launch.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let lacks = |what| move |cause: io::Error| Error::Host { what, cause };

    let relay = Relay::open(prepared, path)?;
    let (reader, writer) = gate().map_err(lacks("a status pipe"))?;
    let (actions, status) = actions(prepared, &relay, &writer)?;
    let arguments = arguments(prepared, status);
    let id = actions.spawn(prepared.settings.keep_ignored.0, &relay.path, &arguments, &prepared.environment).map_err(
        |cause| match cause.raw_os_error() {
            Some(libc::EAGAIN | libc::ENOMEM) => Error::Process { program: prepared.program().to_owned(), cause },
            _ => Error::Relay { relay: path.map(Path::to_owned), cause },
        },
    )?;
    drop(writer);

    let mut process = Process::adopt(id).map_err(|cause| match cause.raw_os_error() {
        Some(libc::ESRCH) => Error::Killed { program: prepared.program().to_owned(), status: None },
        _ => lacks("a descriptor for the new process")(cause),
    })?;
    let records = Records { reader, path, deadline, prepared };
    match records.follow() {
        Ok(End::Failed(error)) => {
            process.end();
            Err(error)
        }
        // It is dying by itself, and the pidfd has not been proven to be its own: it is not killed by that.
        Ok(End::Silent) => {
            let status = process.wait(WaitIdOptions::EXITED).unwrap_or(None);
            Err(Error::Killed { program: prepared.program().to_owned(), status })
        }
        Ok(End::Ready) => match records.prove(&mut process, &relay) {
            Ok(()) => Ok(process),
            Err(error) => {
                process.end();
                Err(error)
            }
        },
        Err(cause) => {
            process.end();
            Err(lacks("the relay's report")(cause))
        }
    }
}

/// The relay program.
struct Relay {
    path: CString,
    /// The file in memory, which must not be overwritten before it is executed.
    file: Option<OwnedFd>,
}

impl Relay {
    fn open(prepared: &Prepared, path: Option<&Path>) -> Result<Self, Error> {
        let (path, file) = match path {
            Some(path) if !path.is_absolute() => {
                return Err(Error::Request { mistake: format!("the relay {path:?} is not an absolute path") });
            }
            Some(path) => (path.as_os_str().to_owned(), None),
            None => {
                let file = embedded(prepared).map_err(|cause| match cause.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Error::Host { what: "a file in memory", cause },
                    _ => Error::Relay { relay: None, cause },
                })?;
                (OsString::from(format!("/proc/self/fd/{}", file.as_raw_fd())), Some(file))
            }
        };
        let path = CString::new(path.into_vec())
            .map_err(|_| Error::Request { mistake: "the path of the relay holds a NUL byte".to_owned() })?;
        Ok(Self { path, file })
    }
}

/// Opens the embedded relay beside the descriptors that are asked for.
#[cfg(feature = "embedded")]
fn embedded(prepared: &Prepared) -> io::Result<OwnedFd> {
    let mut least = 3;
    loop {
        let file = crate::embedded::open(least)?;
        if !prepared.plan.is_target(file.as_raw_fd()) {
            return Ok(file);
        }
        least = file.as_raw_fd() + 1;
    }
}

#[cfg(not(feature = "embedded"))]
fn embedded(_: &Prepared) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the process executes the program, where it can be told. It is the relay or the program, and has let go of the
/// status pipe.
fn has_begun(id: i32, program: &Path, relay: &Relay) -> Option<bool> {
    if sys::has_memory(id) {
        return Some(true);
    }
    let relay = name_of(Path::new(OsStr::from_bytes(relay.path.to_bytes())));
    // Where both have the same name it tells nothing.
    let name = name_in_proc(id).filter(|_| name_of(program) != relay)?;
    Some(name != relay)
}

/// The name of a process, where /proc tells it.
fn name_in_proc(id: i32) -> Option<Vec<u8>> {
    let file = open(format!("/proc/{id}/comm"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    // The name, of 15 bytes at the most, and a line feed.
    let mut name = [0; 32];
    let length = rustix::io::read(file, &mut name).ok()?;
    Some(name[..length.saturating_sub(1)].to_vec())
}

/// The name of a process that executes `path`, the last part of that; see PR_SET_NAME(2const).
fn name_of(path: &Path) -> Vec<u8> {
    const LONGEST: usize = 15;
    let name = path.file_name().unwrap_or(OsStr::new("")).as_bytes();
    name[..name.len().min(LONGEST)].to_vec()
}

/// A status pipe that is full.
fn gate() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT)?;
    // Rounded up to one page, which is one packet.
    fcntl_setpipe_size(&writer, 1)?;
    rustix::io::write(&writer, b".")?;
    Ok((reader, writer))
}

/// The file actions that bring each descriptor to its number, and the number that the status pipe gets.
fn actions(prepared: &Prepared, relay: &Relay, writer: &OwnedFd) -> Result<(FileActions, RawFd), Error> {
    let mut taken: BTreeSet<RawFd> = prepared.wanted.iter().flat_map(|&(target, source)| [target, source]).collect();
    taken.extend([writer.as_raw_fd()]);
    taken.extend(relay.file.as_ref().map(AsRawFd::as_raw_fd));
    // Whatever else has that number here: the relay would only close it.
    let mut free = (3..).filter(|number| !taken.contains(number));
    let mut next = || free.next().unwrap_or(RawFd::MAX);

    let (status, mut plan) = (next(), prepared.plan.clone());
    let failed = |target: RawFd| {
        move |cause: io::Error| {
            let errno = cause.raw_os_error().unwrap_or(0) as u32;
            prepared.step_failed(Step::Rename.number().into(), errno, target as u32)
        }
    };
    let mut actions = FileActions::new().map_err(|cause| Error::Host { what: "memory", cause })?;
    // First, while nothing has been moved over it.
    actions.copy(writer.as_raw_fd(), status).map_err(failed(status))?;
    // The C library takes a copy onto itself for what clears the close-on-exec mark, as POSIX has it.
    for &(target, _) in prepared.wanted.iter().filter(|(target, source)| target == source) {
        actions.copy(target, target).map_err(failed(target))?;
    }
    while let Some(next_move) = plan.next_move() {
        match next_move {
            Move::Copy { target, source } => {
                actions.copy(source, target).map_err(failed(target))?;
                plan.copied(target);
            }
            Move::SetAside(source) => {
                let aside = next();
                actions.copy(source, aside).map_err(failed(source))?;
                plan.set_aside(source, aside);
            }
        }
    }
    Ok((actions, status))
}

/// relay's arguments; see its README.
fn arguments(prepared: &Prepared, status: RawFd) -> Vec<CString> {
    let launch = prepared.launch;
    let mut all = vec![c"relay".to_owned()];
    // None of what is added here holds a NUL.
    let mut add = |option: String| all.push(CString::new(option).unwrap_or_default());
    add(format!("--status={status}"));
    let kept: Vec<_> =
        prepared.wanted.iter().filter(|(target, _)| *target > 2).map(|(target, _)| target.to_string()).collect();
    if !kept.is_empty() {
        add(format!("--keep={}", kept.join(",")));
    }
    for descriptor in &prepared.closed {
        add(format!("--close={descriptor}"));
    }
    if !launch.listening.is_empty() {
        add(format!("--listen-fds={}", launch.listening.len()));
    }
    prepared.settings.write(&mut |option| add(option.to_string()));
    let mut add_two = |option: &std::ffi::CStr, value: &CString| all.extend([option.to_owned(), value.clone()]);
    if let Some(directory) = &launch.directory {
        add_two(c"--chdir", directory);
    }
    if let Some(name) = &launch.argv0 {
        add_two(c"--argv0", name);
    }
    add_two(c"--", &launch.program);
    all.extend(launch.arguments.iter().cloned());
    all
}

/// How the relay's report ended.
enum End {
    /// READY and end of file.
    Ready,
    /// End of file alone.
    Silent,
    Failed(Error),
}

/// What the relay reports.
struct Records<'l> {
    reader: OwnedFd,
    path: Option<&'l Path>,
    deadline: Option<Instant>,
    prepared: &'l Prepared<'l>,
}

impl Records<'_> {
    /// Opens the gate and reads to the end.
    ///
    /// There is then room for the two records that the relay writes at the most, so that this thread need not wake up
    /// for the first one: it waits for the hang-up alone.
    fn follow(&self) -> io::Result<End> {
        fcntl_setpipe_size(&self.reader, 2 * page_size())?;
        rustix::io::read(&self.reader, &mut [0; 1])?;
        if !wait_for(&[self.reader.as_fd()], PollFlags::empty(), self.deadline)?[0] {
            return Ok(End::Failed(self.too_late()));
        }
        let mut is_ready = false;
        // One byte more than a record has, so that a longer packet is told from one.
        let mut packet = [0; Record::SIZE + 1];
        loop {
            let record = match rustix::io::read(&self.reader, &mut packet) {
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
                Ok(0) => return Ok(if is_ready { End::Ready } else { End::Silent }),
                Ok(Record::SIZE) => packet.first_chunk().and_then(Record::decode),
                Ok(_) => None,
            };
            match record {
                Some(Record::READY) if !is_ready => is_ready = true,
                Some(record) => {
                    return Ok(End::Failed(self.prepared.step_failed(record.step, record.errno, record.detail)));
                }
                None => return Ok(End::Failed(Error::Protocol { relay: self.path.map(Path::to_owned) })),
            }
        }
    }

    /// Whether the program began, after READY and end of file.
    fn prove(&self, process: &mut Process, relay: &Relay) -> Result<(), Error> {
        let program = self.prepared.program();
        loop {
            let has_begun = has_begun(process.id, program, relay);
            // Looked at after that: while this says that it is there, the name was its own.
            match process.wait(WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT) {
                Ok(Some(status)) if status.code().is_some() => return Ok(()),
                Ok(Some(_)) if process.status.is_none() && has_begun == Some(true) => return Ok(()),
                Ok(None) if has_begun != Some(false) => return Ok(()),
                // All its descriptors are closed, and it is about to be dead.
                Ok(None) => {
                    let soon = Instant::now() + Duration::from_millis(1);
                    let _ = wait_for(&[process.pidfd.as_fd()], PollFlags::IN, Some(soon));
                    if self.deadline.is_some_and(|deadline| deadline < Instant::now()) {
                        return Err(self.too_late());
                    }
                }
                Ok(Some(status)) => {
                    return Err(Error::Killed { program: program.to_owned(), status: Some(status) });
                }
                Err(_) => return Err(Error::Killed { program: program.to_owned(), status: None }),
            }
        }
    }

    fn too_late(&self) -> Error {
        let after = self.prepared.launch.timeout.unwrap_or_default();
        Error::Timeout { program: self.prepared.program().to_owned(), after }
    }
}
