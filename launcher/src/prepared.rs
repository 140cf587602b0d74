//! All that a launch needs, made before there is a child: nothing is allocated afterwards.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process;

use exec_relay::errno::Errno;
use exec_relay::fd_plan::{self, FdPlan};
use exec_relay::settings::Settings;
use exec_relay::signal::{self, SomeOrAll};
use exec_relay::slate::{self, Slate};
use exec_relay::status::{Failure, Report, Step};
use exec_relay::sys;
use exec_relay::text::Strings;
use exec_relay::value::{Parent, Value};
use rustix::fs::{Mode, OFlags, open};
use rustix::pipe::PipeFlags;

use crate::child::Ends;
use crate::descriptors::{NULL, beside, is_null, limit, open_among, pipe};
use crate::error::Error;
use crate::launch::{Cgroup, Launch};
use crate::source::Stdio;
use crate::sys::{copy_of, of_errno};

/// A launch with its pipes.
pub struct Prepared<'l> {
    pub launch: &'l Launch<'l>,
    /// What the program is to find, with what only a launch can know. On the heap: threads may have small stacks.
    pub slate: Box<Slate<'l>>,
    /// The program's number for each descriptor that was asked for, and the one here.
    pub wanted: Vec<(RawFd, RawFd)>,
    /// Which are closed that the program would have otherwise.
    pub closed: Vec<RawFd>,
    pub ends: Ends,
    /// The program's ends, and what else is to be closed here when the launch is over.
    theirs: Vec<OwnedFd>,
}

impl<'l> Prepared<'l> {
    /// `standard` is what descriptors 0, 1 and 2 are where nobody has asked for anything.
    /// `is_child` tells whether the program is to be a child of this process, or this process itself.
    pub fn new(launch: &'l Launch, standard: &[Stdio; 3], is_child: bool) -> Result<Self, Error> {
        if launch.exec_fd.is_none() && launch.program.as_bytes().first() != Some(&b'/') {
            let mistake = format!(
                "{:?} is not an absolute path: find_program finds one, in the folders of PATH or in the program's directory",
                launch.program
            );
            return Err(Error::Request { mistake });
        }
        // In the child such a number is another file's, or nobody's.
        if launch.exec_fd.is_none() && OWN_DESCRIPTORS.iter().any(|own| launch.program.as_bytes().starts_with(own)) {
            let mistake = format!("{:?} is a descriptor of this process: lend it by exec_fd", launch.program);
            return Err(Error::Request { mistake });
        }
        let mut prepared = Self {
            launch,
            slate: Box::new(Slate {
                settings: settings(launch, is_child)?,
                report: Report::Returned,
                may_have_timers: false,
                cgroup: None,
                program: None,
                directory: launch.directory.as_deref().map(|path| slate::Path { path, argument: 0 }),
                descriptors: FdPlan::default(),
            }),
            wanted: Vec::new(),
            closed: Vec::new(),
            ends: Ends { pipes: [const { None }; 3], pulse: None },
            theirs: Vec::new(),
        };
        // Before anything is opened, which could get the number of one that is closed.
        for (target, source) in sources(launch) {
            sys::is_open(source).map_err(|errno| Error::Source { source, target, cause: of_errno(errno) })?;
        }
        let standard = [0, 1, 2].map(|target| launch.standard[target].as_ref().unwrap_or(&standard[target]));
        if let Some(target) = replaced(launch, standard).find(|target| keeps(launch, *target)) {
            return Err(asked_wrongly(target, Errno::new(libc::EEXIST as u32)));
        }
        prepared.take_lent()?;
        prepared.keep()?;
        for (target, source) in sources(launch) {
            prepared.want(target, source)?;
        }
        for (target, stdio) in (0..).zip(standard) {
            prepared.standard(target, stdio)?;
        }
        launch.closed.iter().try_for_each(|&target| prepared.close(target))?;
        if launch.pulse {
            let (ours, theirs) = pipe(PipeFlags::empty()).map_err(Error::host("a pipe"))?;
            let plan = &prepared.slate.descriptors;
            let (target, theirs) = if prepared.slate.settings.keep_inherited {
                // Any other number may be that of what is inherited.
                let theirs = beside(plan, theirs).map_err(Error::host("a pipe"))?;
                (theirs.as_raw_fd(), theirs)
            } else {
                let is_free = |&number: &RawFd| !plan.is_target(number) && !keeps(launch, number);
                ((3..).find(is_free).unwrap_or(3), theirs)
            };
            prepared.give(target, theirs)?;
            prepared.ends.pulse = Some(ours);
        }
        prepared.set_program_aside()?;
        prepared.open_cgroup()?;
        slate::check(&prepared.slate.settings, &prepared.slate.descriptors)
            .map_err(|failure| prepared.step_failed(failure))?;
        Ok(prepared)
    }

    /// The error that a step is which failed in the child.
    pub fn step_failed(&self, failure: Failure) -> Error {
        if is_null(failure) {
            return Error::host("/dev/null")(io::Error::from_raw_os_error(failure.errno() as i32));
        }
        self.record_failed([failure.step().number().into(), failure.errno(), failure.detail], None)
    }

    /// The error that a record tells, step, errno and detail, of a relay that was started with `arguments`.
    pub fn record_failed(&self, record: [u32; 3], arguments: Option<Strings>) -> Error {
        Error::of_record(self.launch, arguments, record)
    }

    /// Those that the program has under the number that they have here.
    pub fn kept(&self) -> impl Iterator<Item = RawFd> {
        self.wanted.iter().filter(|(target, source)| target == source).map(|&(target, _)| target)
    }

    /// What is kept is the file that is there now, or nothing: a copy of it holds it while others may close the number. One
    /// that lies above the limit, which was lowered since, could not be made from a copy, and stays as it is.
    fn keep(&mut self) -> Result<(), Error> {
        let what = Error::host("a descriptor that is to be kept");
        let mut open = BTreeSet::new();
        // All of them, before a copy gets the number of one that is closed.
        for &(first, last) in &self.launch.kept {
            open.extend(open_among(first, last).map_err(&what)?);
        }
        // What was lent under its own number is kept by that.
        open.retain(|&target| !sources(self.launch).any(|lent| lent == (target, target)));
        // The file that is executed is lent too, and a script's interpreter is to find it under its own number.
        if let Some(program) = self.slate.program
            && open.remove(&program)
        {
            self.want(program, program)?;
        }
        if open.is_empty() {
            return Ok(());
        }
        let limit = limit();
        for target in open {
            if target as u64 >= limit {
                self.want(target, target)?;
                continue;
            }
            match copy_of(target) {
                Ok(copy) => self.give(target, copy)?,
                // It was closed since.
                Err(cause) if cause.raw_os_error() == Some(libc::EBADF) => {}
                Err(cause) => return Err(what(cause)),
            }
        }
        Ok(())
    }

    /// Notes what is lent and no descriptor of the program's.
    fn take_lent(&mut self) -> Result<(), Error> {
        if let Some(file) = &self.launch.exec_fd {
            let number = file.as_raw_fd();
            sys::is_open(number).map_err(|errno| self.step_failed(Failure::new(Step::Exec, errno, 0)))?;
            self.slate.program = Some(number);
        }
        if let Some(Cgroup::Open(directory)) = &self.launch.cgroup {
            let number = directory.as_raw_fd();
            sys::is_open(number).map_err(|errno| self.step_failed(Failure::new(Step::Cgroup, errno, number as u32)))?;
            self.slate.cgroup = Some(slate::Cgroup::Open(number));
        }
        Ok(())
    }

    /// Has the file that is executed open under a number that the program gives to nothing else. A relay is told that
    /// number before descriptors get theirs.
    fn set_program_aside(&mut self) -> Result<(), Error> {
        let plan = &self.slate.descriptors;
        let in_the_way = |&number: &RawFd| plan.is_target(number) && !plan.keeps(number);
        let Some(number) = self.slate.program.filter(in_the_way) else { return Ok(()) };
        let copy = copy_of(number).and_then(|copy| beside(plan, copy));
        let copy = copy.map_err(Error::host("a descriptor of the program's file"))?;
        self.slate.program = Some(copy.as_raw_fd());
        self.theirs.push(copy);
        Ok(())
    }

    /// Opens the directory of a cgroup that is named by its path.
    fn open_cgroup(&mut self) -> Result<(), Error> {
        let Some(Cgroup::Path(path)) = &self.launch.cgroup else { return Ok(()) };
        let opened = open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let opened = opened.map_err(Into::into).and_then(|open| beside(&self.slate.descriptors, open));
        let directory = opened.map_err(|cause: std::io::Error| {
            let errno = Errno::new(cause.raw_os_error().unwrap_or(libc::EINVAL) as u32);
            self.step_failed(Failure::new(Step::Cgroup, errno, 0))
        })?;
        self.slate.cgroup = Some(slate::Cgroup::Open(directory.as_raw_fd()));
        self.theirs.push(directory);
        Ok(())
    }

    fn standard(&mut self, target: RawFd, stdio: &Stdio) -> Result<(), Error> {
        match stdio {
            // What was lent is wanted already.
            Stdio::Inherit | Stdio::Descriptor(_) => Ok(()),
            Stdio::Null => self.want(target, NULL[usize::from(target != 0)]),
            Stdio::Piped => {
                let (reader, writer) = pipe(PipeFlags::empty()).map_err(Error::host("a pipe"))?;
                let (ours, theirs) = if target == 0 { (writer, reader) } else { (reader, writer) };
                self.ends.pipes[target as usize] = Some(ours);
                self.give(target, theirs)
            }
            Stdio::Closed => self.close(target),
        }
    }

    fn close(&mut self, target: RawFd) -> Result<(), Error> {
        self.closed.push(target);
        self.slate.descriptors.close(target).map_err(|errno| asked_wrongly(target, errno))
    }

    /// Has the program's `target` be our `source`.
    fn want(&mut self, target: RawFd, source: RawFd) -> Result<(), Error> {
        self.slate.descriptors.rename(target, source).map_err(|errno| asked_wrongly(target, errno))?;
        self.wanted.push((target, source));
        Ok(())
    }

    fn give(&mut self, target: RawFd, source: OwnedFd) -> Result<(), Error> {
        let wanted = self.want(target, source.as_raw_fd());
        self.theirs.push(source);
        wanted
    }
}

/// Where a path leads to a descriptor of whoever follows it.
const OWN_DESCRIPTORS: [&[u8]; 3] = [b"/proc/self/fd/", b"/proc/thread-self/fd/", b"/dev/fd/"];

/// Whether the program's `target` is to be what has that number here.
fn keeps(launch: &Launch, target: RawFd) -> bool {
    launch.kept.iter().any(|&(first, last)| first <= target && target <= last)
}

/// The program's descriptors that are to be something else than what has their number here.
fn replaced<'a>(launch: &'a Launch, standard: [&'a Stdio; 3]) -> impl Iterator<Item = RawFd> {
    let renamed = sources(launch).filter(|(target, source)| target != source).map(|(target, _)| target);
    let standard = (0..).zip(standard).filter_map(|(target, stdio)| match stdio {
        Stdio::Null | Stdio::Piped | Stdio::Closed => Some(target),
        Stdio::Inherit | Stdio::Descriptor(_) => None,
    });
    renamed.chain(standard).chain(launch.closed.iter().copied())
}

/// What was lent, by the number that it has in the program and the one here.
fn sources(launch: &Launch) -> impl Iterator<Item = (RawFd, RawFd)> {
    let standard = (0..).zip(&launch.standard).filter_map(|(target, stdio)| match stdio {
        Some(Stdio::Descriptor(source)) => Some((target, source)),
        _ => None,
    });
    let numbered = launch.descriptors.iter().map(|(target, source)| (*target, source));
    let all = standard.chain(numbered).chain((3..).zip(&launch.listening));
    all.map(|(target, source)| (target, source.as_raw_fd()))
}

fn asked_wrongly(target: RawFd, errno: Errno) -> Error {
    let mistake = if errno.is(libc::EEXIST as u32) {
        format!("the program's descriptor {target} is asked for twice")
    } else {
        format!("more than {} descriptors are asked for", fd_plan::MOST)
    };
    Error::Request { mistake }
}

/// The settings, with what they say of this process in the place of what it is.
fn settings<'l>(launch: &'l Launch, is_child: bool) -> Result<Settings<'l>, Error> {
    let mut settings: Settings<'l> = launch.settings.clone();
    for (setting, text) in &launch.texts {
        // There is no mistake: it was read before.
        let _ = settings.read(*setting, &mut Value::new(text.as_c_str().into()));
    }
    // Those that are ignored now. A signal that has a handler would run it in a child that kept it.
    let SomeOrAll(kept) = std::mem::take(&mut settings.keep_ignored);
    for signal in kept.signals().filter(|&signal| signal::can_be_changed(signal)) {
        let is_ignored =
            sys::is_ignored(signal).map_err(|errno| Error::host("the dispositions of signals")(of_errno(errno)))?;
        if is_ignored {
            settings.ignored.add(signal);
        }
    }
    if is_child && settings.die_with_parent == Some(Parent::Any) && !is_child_elsewhere() {
        settings.die_with_parent = Some(Parent::from_id(process::id()));
    }
    Ok(settings)
}

/// Whether a child is in another PID namespace, by unshare(2): it cannot know its parent's number there. Not seen where
/// there is no /proc.
fn is_child_elsewhere() -> bool {
    let namespace = |name| std::fs::read_link(format!("/proc/thread-self/ns/{name}")).ok();
    namespace("pid") != namespace("pid_for_children")
}
