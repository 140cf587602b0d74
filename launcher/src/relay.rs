//! The vehicles Relay and RelayAt: a child executes the relay program, which cleans, reports, and becomes the program.
//!
//! # Descriptors
//!
//! Everything is close-on-exec from birth, and what the relay is to have it gets in the child alone. So no sibling that
//! another thread spawns ever holds an end of ours, and nothing here takes a lock. The child gives each descriptor the number
//! that it has in the program, by the step that relay itself has for that, and the relay is told to keep it.
//!
//! # What is proven
//!
//! src/spawn.rs makes the child, and tells what failed before it executed the relay. Then the relay reports, by a pipe of
//! packets (O_DIRECT, pipe(2)). A record says what failed. End of file without one means that the relay died, or is no
//! relay. READY and end of file leave open whether the program began or the relay was killed in between, and that is told
//!
//! - by an exit status: after READY the relay exits only with another record, so it was the program that exited;
//! - by its memory: a process that dies lets go of it before it closes its descriptors, and execve(2) closes them when
//!   the process has the program's. So one that has memory after the end of file has the program's;
//! - by the process's name, /proc/PID/comm, which is there until a zombie is reaped: execve(2) changes it from the
//!   relay's to the program's, and the relay never does.
//!
//! A process that is dead by a signal and of which none of these can be told is an error that says so: the program may have
//! begun. One that is still alive where a sandbox hides its memory and there is no /proc counts as begun.
//!
//! # A child whose memory is not shared
//!
//! Emulators make such ones (src/spawn.rs). The relay reports all the same; only what failed before it is not told then.

use std::ffi::{CStr, CString, OsStr};
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant};

use exec_relay::options::Other;
use exec_relay::slate::{self, Slate};
use exec_relay::status::{Failure, Record, Step};
use exec_relay::steps::{self, exec};
use exec_relay::sys::{self, Descriptor, DescriptorTable};
use exec_relay::text::{Strings, Text};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_getpipe_size};
use rustix::process::WaitIdOptions;

use crate::child::Process;
use crate::descriptors::{self, open_null, pipe};
use crate::error::Error;
use crate::launch::Launch;
use crate::prepared::Prepared;
use crate::spawn::{self, Spawned, Work, spawn};
use crate::sys::{environment, has_memory, of_errno, page_size};
use crate::vector::Vectors;
use crate::wait::wait_for;

/// How long a launch may take where nobody says so.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Launches the program by the relay at `path`, or by the embedded one.
pub fn launch(prepared: &mut Prepared, path: Option<&Path>) -> Result<Process, Error> {
    let launch = prepared.launch;
    let timeout = launch.timeout.unwrap_or(Some(TIMEOUT));
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let (reader, writer) = pipe(PipeFlags::DIRECT).map_err(Error::host("a status pipe"))?;
    let (line, writer) = Line::new(prepared, path, Some(writer))?;
    let vectors = line.vectors(launch);
    let names = names_of_program(prepared);
    let work = line.work(&vectors, &mut prepared.slate);
    let spawned = spawn(work).map_err(|(what, cause)| Error::of_spawn(launch.program().to_owned(), what, cause))?;
    drop(writer);

    let process = match spawned {
        Spawned::Executes(process) | Spawned::NotShared(Some(process)) => process,
        Spawned::NotShared(None) => return Err(Error::NotShared { program: launch.program().to_owned() }),
        Spawned::Failed(failure) => return Err(failed_before_relay(prepared, path, failure)),
        Spawned::Gone(status) => {
            return Err(Error::Killed { program: launch.program().to_owned(), status, may_have_begun: false });
        }
    };
    let report = Report { reader, path, timeout, deadline, prepared, arguments: vectors.arguments(), names };
    report.conclude(process, &line.relay)
}

/// Has this process execute the relay, which makes it the program. Returns only where that failed.
pub fn replace(prepared: &mut Prepared, path: Option<&Path>) -> Error {
    let line = match Line::new(prepared, path, None) {
        Ok((line, _)) => line,
        Err(error) => return error,
    };
    let vectors = line.vectors(prepared.launch);
    match spawn::replace(line.work(&vectors, &mut prepared.slate)) {
        Ok(failure) => failed_before_relay(prepared, path, failure),
        Err((what, cause)) => Error::Host { what, cause },
    }
}

/// The relay's command line, and what its process has beside the program's descriptors.
struct Line {
    relay: Relay,
    words: Vec<u8>,
    /// What is to stay open at the exec.
    kept: Vec<Descriptor>,
}

impl Line {
    /// Without a status pipe the relay tells a failure by a message and its exit status.
    ///
    /// Returns also what the child needs of `status`.
    fn new(
        prepared: &mut Prepared,
        path: Option<&Path>,
        status: Option<OwnedFd>,
    ) -> Result<(Self, Option<OwnedFd>), Error> {
        // With room for the pipe, the relay and the program.
        let mut kept = Vec::with_capacity(prepared.wanted.len() + 3);
        kept.extend(prepared.kept());
        // Under numbers that the program does not have: low ones, whatever they are here; their own where the low ones may be
        // those of what the program inherits.
        let has_own_numbers = prepared.slate.settings.keep_inherited;
        let slate = &mut prepared.slate;
        let mut beside = |descriptor: OwnedFd| {
            let (descriptor, least) = if has_own_numbers {
                let descriptor = descriptors::beside(&slate.descriptors, descriptor)?;
                let number = descriptor.as_raw_fd();
                (descriptor, number)
            } else {
                (descriptor, 3)
            };
            let target =
                slate.descriptors.add_beside(descriptor.as_raw_fd(), least, slate.program).map_err(of_errno)?;
            Ok((descriptor, target))
        };
        let status = status.map(&mut beside).transpose().map_err(Error::host("a status pipe"))?;
        let relay = Relay::open(path, &mut beside)?;
        if let Some((writer, number)) = &status
            && writer.as_raw_fd() == *number
        {
            kept.push(*number);
        }
        // Relay would take its own file for what is inherited.
        if let Program::File { file, number, .. } = &relay.program
            && file.as_raw_fd() == *number
            && !has_own_numbers
        {
            kept.push(*number);
        }
        let words = words(prepared, status.as_ref().map(|&(_, number)| number));
        // The file that the relay is to execute has its number.
        kept.extend(prepared.slate.program);
        Ok((Self { relay, words, kept }, status.map(|(writer, _)| writer)))
    }

    /// The relay's arguments, which end with the program's, and the environment.
    fn vectors<'s>(&'s self, launch: &'s Launch) -> Vectors<'s> {
        let own = self.words.split_inclusive(|&byte| byte == 0).map(Text::within);
        let of_program = [&launch.program].into_iter().chain(&launch.arguments).map(|argument| Text::from(&**argument));
        Vectors::new(own.chain(of_program), launch.environment.strings(None))
    }

    fn work<'a, 'l>(&'a self, vectors: &'a Vectors, slate: &'a mut Slate<'l>) -> ExecRelay<'a, 'l> {
        ExecRelay {
            program: &self.relay.program,
            kept: &self.kept,
            arguments: vectors.arguments(),
            environment: vectors.environment().unwrap_or_else(|| environment()),
            slate,
        }
    }
}

/// The relay was not executed, and the child has ended.
fn failed_before_relay(prepared: &Prepared, path: Option<&Path>, failure: Failure) -> Error {
    let errno = failure.errno() as i32;
    match (failure.step(), errno) {
        // The program's arguments are among relay's.
        (Step::Exec, libc::E2BIG) | (Step::Cgroup | Step::Rename | Step::Descriptors, _) => {
            prepared.step_failed(failure)
        }
        _ => Error::Relay { relay: path.map(Path::to_owned), cause: io::Error::from_raw_os_error(errno) },
    }
}

/// What the child does.
struct ExecRelay<'a, 'l> {
    slate: &'a mut Slate<'l>,
    program: &'a Program,
    kept: &'a [Descriptor],
    arguments: Strings<'a, 'a>,
    environment: Strings<'a, 'a>,
}

impl<'l> Work<'l> for ExecRelay<'_, 'l> {
    /// The relay reports, and emulators know no other child.
    const IS_PROVEN: bool = false;

    fn slate(&mut self) -> &mut Slate<'l> {
        self.slate
    }

    fn prepare(&mut self, mut table: DescriptorTable) -> Result<(), Failure> {
        // Here, not in the relay: it is first of all, and the relay has no descriptor of the cgroup.
        steps::enter_cgroup(self.slate.cgroup)?;
        open_null(&mut self.slate.descriptors, &mut table)?;
        steps::give_numbers(self.slate, &mut table)?;
        steps::unmark(self.kept, &mut table)
    }

    fn exec(&self) -> Failure {
        match self.program {
            // A relay that was just installed may be open for writing, as a program may. All signals are still blocked, so
            // that none stops this process while it pauses.
            Program::Path(path) => {
                let path = slate::Path { path, argument: 0 };
                exec::exec(path, None, self.arguments, self.environment, sys::pause)
            }
            Program::File { number, path, .. } => {
                let errno = sys::execve_file(*number, self.arguments, self.environment);
                // Where a sandbox or an emulator does not know that call. Without /proc the first answer counts.
                sys::execve(path, self.arguments, self.environment);
                Failure::new(Step::Exec, errno, 0)
            }
        }
    }
}

/// What is executed as the relay.
enum Program {
    Path(CString),
    /// The file in memory.
    #[cfg_attr(not(feature = "embedded"), allow(dead_code, reason = "there is none"))]
    File {
        /// As it is here.
        file: OwnedFd,
        /// The number that it has in the child.
        number: Descriptor,
        /// Where /proc has it there.
        path: CString,
    },
}

/// Gives a descriptor of this library's the number that it has in the child.
type Beside<'a> = dyn FnMut(OwnedFd) -> io::Result<(OwnedFd, Descriptor)> + 'a;

/// The relay program.
struct Relay {
    program: Program,
    /// The names that its process can have, as the kernel makes them of what is executed.
    names: Vec<Vec<u8>>,
}

impl Relay {
    /// `beside` gives a descriptor its number in the child.
    fn open(path: Option<&Path>, beside: &mut Beside) -> Result<Self, Error> {
        match path {
            Some(path) if !path.is_absolute() => {
                Err(Error::Request { mistake: format!("the relay {path:?} is not an absolute path") })
            }
            Some(path) => {
                let program = CString::new(path.as_os_str().to_owned().into_vec())
                    .map_err(|_| Error::Request { mistake: "the path of the relay holds a NUL byte".to_owned() })?;
                Ok(Self { program: Program::Path(program), names: vec![name_of(path)] })
            }
            None => embedded(beside),
        }
    }
}

/// The embedded relay, beside the descriptors that are asked for.
#[cfg(feature = "embedded")]
fn embedded(beside: &mut Beside) -> Result<Relay, Error> {
    let opened = crate::embedded::open().and_then(beside);
    let (file, number) = opened.map_err(|cause| match cause.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EFBIG) => {
            Error::Host { what: "a file in memory", cause }
        }
        _ => Error::Relay { relay: None, cause },
    })?;
    // Its number, or since Linux 6.14 the file's own name.
    let names = vec![number.to_string().into_bytes(), name_of(Path::new("memfd:relay"))];
    // Of the thread's own table, which is not the process's where this process itself executes it.
    let path = CString::new(format!("/proc/thread-self/fd/{number}")).unwrap_or_default();
    Ok(Relay { program: Program::File { file, number, path }, names })
}

#[cfg(not(feature = "embedded"))]
fn embedded(_: &mut Beside) -> Result<Relay, Error> {
    let mistake = "this library was built without the feature `embedded`, and so without a relay".to_owned();
    Err(Error::Request { mistake })
}

/// Whether the process executes the program, where it can be told. It is the relay or the program, and has let go of the
/// status pipe.
fn has_begun(id: i32, names: &[Vec<u8>], relay: &Relay) -> Option<bool> {
    if has_memory(id) {
        return Some(true);
    }
    // Where both can have the same name it tells nothing.
    let name = name_in_proc(id).filter(|_| !names.iter().any(|name| relay.names.contains(name)))?;
    Some(!relay.names.contains(&name))
}

/// The names that the program's process can have.
fn names_of_program(prepared: &Prepared) -> Vec<Vec<u8>> {
    let Some(number) = prepared.slate.program else { return vec![name_of(prepared.launch.program())] };
    let number = number.to_string();
    // Its number, or since Linux 6.14 the file's own name, behind which this link says where it is deleted.
    let mut names = vec![number.clone().into_bytes()];
    if let Ok(link) = fs::read_link(format!("/proc/self/fd/{number}")) {
        let link = link.as_os_str().as_bytes();
        let all = [link, link.strip_suffix(b" (deleted)").unwrap_or(link)];
        names.extend(all.map(|link| name_of(Path::new(OsStr::from_bytes(link)))));
    }
    names
}

/// The name of a process, where /proc tells it.
fn name_in_proc(id: i32) -> Option<Vec<u8>> {
    let file = open(format!("/proc/{id}/comm"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    // The name, of 15 bytes at the most, and a line feed.
    let mut name = [0; 32];
    let length = rustix::io::read(file, &mut name).ok()?;
    Some(name[..length.saturating_sub(1)].to_vec())
}

/// The name that the kernel gives to a process that executes this: what follows the last slash, 15 bytes at the most.
fn name_of(program: &Path) -> Vec<u8> {
    const LONGEST: usize = 15;
    let name = program.as_os_str().as_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    name[..name.len().min(LONGEST)].to_vec()
}

/// relay's arguments up to the program; see its README. Each ends with a NUL, and none of what is written here holds another.
fn words(prepared: &Prepared, status: Option<RawFd>) -> Vec<u8> {
    let launch = prepared.launch;
    // Room for what most launches ask for.
    let mut words = Vec::with_capacity(256);
    words.extend_from_slice(b"relay");
    if let Some(status) = status {
        let _ = write!(words, "\0--status={status}");
    }
    let kept = prepared.wanted.iter().map(|(target, _)| target).filter(|&&target| target > 2);
    for (index, target) in kept.enumerate() {
        let _ = write!(words, "{}{target}", if index == 0 { "\0--keep=" } else { "," });
    }
    words.push(0);
    let mut add = |word: fmt::Arguments| _ = write!(words, "{word}\0");
    if let Some(program) = prepared.slate.program {
        add(format_args!("--exec-fd={program}"));
    }
    for descriptor in &prepared.closed {
        add(format_args!("--close={descriptor}"));
    }
    if !launch.listening.is_empty() {
        add(format_args!("--listen-fds={}", launch.listening.len()));
    }
    prepared.slate.settings.write(&mut add);
    let mut add_two = |option: Other, value: &CStr| {
        let option = option.text().as_c_str();
        for part in [b"--", option.to_bytes_with_nul(), value.to_bytes_with_nul()] {
            words.extend_from_slice(part);
        }
    };
    if !launch.listening.is_empty() {
        // What of this kind is only inherited, relay removes.
        launch.environment.set_for_sockets().for_each(|variable| add_two(Other::Env, variable));
    }
    if let Some(directory) = &launch.directory {
        add_two(Other::Chdir, directory);
    }
    if let Some(name) = &launch.argv0 {
        add_two(Other::Argv0, name);
    }
    words.extend(c"--".to_bytes_with_nul());
    words
}

/// How the relay's report ended.
enum End {
    /// READY and end of file.
    Ready,
    /// End of file alone.
    Silent,
    Failed(Error),
    TooLate,
}

/// What the relay reports.
struct Report<'p, 'l> {
    reader: OwnedFd,
    path: Option<&'p Path>,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    prepared: &'p Prepared<'l>,
    arguments: Strings<'p, 'p>,
    /// The names that the program's process can have.
    names: Vec<Vec<u8>>,
}

impl Report<'_, '_> {
    /// Reads the report, and gives the process where it has become the program.
    fn conclude(self, mut process: Process, relay: &Relay) -> Result<Process, Error> {
        let program = || Launch::program(self.prepared.launch).to_owned();
        let end = match self.follow() {
            Ok(End::Ready) => self.prove(&mut process, relay),
            Ok(end) => end,
            Err(cause) => End::Failed(Error::host("the relay's report")(cause)),
        };
        if let End::Ready = end {
            return Ok(process);
        }
        let after = self.timeout.unwrap_or_default();
        let path = self.path.map(Path::to_owned);
        // First, since a relay that waits for room in a pipe which nobody reads does not end.
        drop(self.reader);
        match end {
            End::Failed(error) => {
                process.end();
                Err(error)
            }
            End::TooLate => Err(Error::Timeout { program: program(), after, is_left: !process.end() }),
            End::Silent | End::Ready => Err(match process.ends_by_itself() {
                Some(status) if status.is_none_or(|status| status.code().is_none()) => {
                    Error::Killed { program: program(), status, may_have_begun: false }
                }
                ended => {
                    if ended.is_none() {
                        // It has let go of the pipe and goes on.
                        process.end();
                    }
                    Error::Protocol { relay: path, status: ended.flatten() }
                }
            }),
        }
    }

    /// Reads to the end.
    ///
    /// Where there is room for the two records that the relay writes at the most, this thread need not wake up for the first
    /// one: it waits for the hang-up alone.
    fn follow(&self) -> io::Result<End> {
        let has_room = fcntl_getpipe_size(&self.reader).is_ok_and(|size| size >= 2 * page_size());
        let events = if has_room { PollFlags::empty() } else { PollFlags::IN };
        let (mut is_ready, mut is_hung_up) = (false, false);
        // One byte more than a record has, so that a longer packet is told from one.
        let mut packet = [0; Record::SIZE + 1];
        loop {
            if !is_hung_up && !wait_for(&[self.reader.as_fd()], events, self.deadline)?[0] {
                return Ok(End::TooLate);
            }
            // Then nothing that is read makes this thread wait.
            is_hung_up = has_room;
            let record = match rustix::io::read(&self.reader, &mut packet) {
                Err(Errno::INTR) => continue,
                // The program may have begun: what the process is, is told otherwise.
                Err(_) if is_ready => return Ok(End::Ready),
                Err(errno) => return Err(errno.into()),
                Ok(0) => return Ok(if is_ready { End::Ready } else { End::Silent }),
                Ok(Record::SIZE) => packet.first_chunk().and_then(Record::decode),
                Ok(_) => None,
            };
            match record {
                Some(Record::READY) if !is_ready => is_ready = true,
                Some(record) if record != Record::READY => {
                    let record = [record.step, record.errno, record.detail];
                    return Ok(End::Failed(self.prepared.record_failed(record, Some(self.arguments))));
                }
                _ => {
                    let relay = self.path.map(Path::to_owned);
                    return Ok(End::Failed(Error::Protocol { relay, status: None }));
                }
            }
        }
    }

    /// Whether the program began, after READY and end of file.
    fn prove(&self, process: &mut Process, relay: &Relay) -> End {
        let program = self.prepared.launch.program();
        let state = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // Most of what is dead already has exited, and need not be looked at any closer.
        if matches!(process.wait(state), Ok(Some(status)) if status.code().is_some()) {
            return End::Ready;
        }
        loop {
            let has_begun = has_begun(process.id, &self.names, relay);
            // Looked at after that: while this says that it is there, the name was its own.
            let (status, may_have_begun) = match process.wait(state) {
                Ok(Some(status)) if status.code().is_some() => return End::Ready,
                Ok(Some(_)) if process.status.is_none() && has_begun == Some(true) => return End::Ready,
                Ok(None) if has_begun != Some(false) => return End::Ready,
                // All its descriptors are closed, and it is about to be dead.
                Ok(None) => {
                    let soon = Instant::now() + Duration::from_millis(1);
                    let _ = wait_for(&[process.pidfd()], PollFlags::IN, Some(soon));
                    if self.deadline.is_some_and(|deadline| deadline < Instant::now()) {
                        return End::TooLate;
                    }
                    continue;
                }
                Ok(Some(status)) => (Some(status), has_begun != Some(false) || process.status.is_some()),
                Err(_) => (None, true),
            };
            return End::Failed(Error::Killed { program: program.to_owned(), status, may_have_begun });
        }
    }
}
