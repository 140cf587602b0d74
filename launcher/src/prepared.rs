//! All that a launch needs, made before there is a child: nothing is allocated afterwards.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process;

use exec_relay::errno::Errno;
use exec_relay::fd_plan::{self, FdPlan};
use exec_relay::settings::Settings;
use exec_relay::sys;
use exec_relay::value::Parent;

use crate::error::Error;
use crate::launch::{Launch, Stdio};

/// A launch with its pipes and vectors.
pub struct Prepared<'l> {
    pub launch: &'l Launch<'l>,
    /// The settings, with what only a launch can know.
    pub settings: Settings,
    /// `argv`.
    pub arguments: Vec<&'l CStr>,
    /// `envp`.
    pub environment: Vec<CString>,
    /// Which descriptor the program has from where.
    pub plan: FdPlan,
    /// The same as pairs: the program's number, and the one here. What the program inherits unasked is not among them.
    pub wanted: Vec<(RawFd, RawFd)>,
    /// Which of 0, 1 and 2 are closed.
    pub closed: Vec<RawFd>,
    /// Our ends.
    pub pipes: [Option<OwnedFd>; 3],
    pub pulse: Option<OwnedFd>,
    /// The program's ends, and what else is to be closed here when the launch is over.
    _theirs: Vec<OwnedFd>,
}

impl<'l> Prepared<'l> {
    pub fn new(launch: &'l Launch) -> Result<Self, Error> {
        let mut prepared = Self {
            launch,
            settings: settings(launch),
            arguments: Vec::with_capacity(1 + launch.arguments.len()),
            environment: environment(launch),
            plan: FdPlan::default(),
            wanted: Vec::new(),
            closed: Vec::new(),
            pipes: [const { None }; 3],
            pulse: None,
            _theirs: Vec::new(),
        };
        prepared.arguments.push(launch.argv0.as_ref().unwrap_or(&launch.program));
        prepared.arguments.extend(launch.arguments.iter().map(CString::as_c_str));

        // First, while a number that is closed cannot yet have become one of our pipes.
        for &descriptor in launch.kept.iter().filter(|&&descriptor| sys::is_open(descriptor).is_ok()) {
            if !prepared.wanted.contains(&(descriptor, descriptor)) {
                prepared.want(descriptor, descriptor)?;
            }
        }
        for (target, source) in &launch.descriptors {
            prepared.want(*target, source.as_raw_fd())?;
        }
        for (target, socket) in (3..).zip(&launch.listening) {
            prepared.want(target, socket.as_raw_fd())?;
        }
        for (target, stdio) in (0..).zip(&launch.standard) {
            prepared.standard(target, stdio)?;
        }
        if launch.pulse {
            let (ours, theirs) = pipe()?;
            let free = |number: &RawFd| prepared.wanted.iter().all(|(target, _)| target != number);
            let target = (3..).find(free).unwrap_or(3);
            prepared.give(target, theirs)?;
            prepared.pulse = Some(ours);
        }
        Ok(prepared)
    }

    /// The program's path.
    pub fn program(&self) -> &'l Path {
        Path::new(OsStr::from_bytes(self.launch.program.to_bytes()))
    }

    /// The error that a failed step is.
    pub fn step_failed(&self, step: u32, errno: u32, detail: u32) -> Error {
        let directory = self.launch.directory.as_ref();
        let directory = directory.map(|directory| PathBuf::from(OsStr::from_bytes(directory.to_bytes())));
        Error::of_record(self.program(), directory, step, errno, detail)
    }

    fn standard(&mut self, target: RawFd, stdio: &Stdio) -> Result<(), Error> {
        match stdio {
            Stdio::Inherit => Ok(()),
            Stdio::Null => {
                let null = File::options().read(target == 0).write(target != 0).open("/dev/null");
                self.give(target, null.map_err(|cause| Error::Host { what: "/dev/null", cause })?.into())
            }
            Stdio::Piped => {
                let (reader, writer) = pipe()?;
                let (ours, theirs) = if target == 0 { (writer, reader) } else { (reader, writer) };
                self.pipes[target as usize] = Some(ours);
                self.give(target, theirs)
            }
            Stdio::Closed => {
                self.closed.push(target);
                self.plan.close(target).map_err(|errno| asked_wrongly(target, errno))
            }
            Stdio::Descriptor(source) => self.want(target, source.as_raw_fd()),
        }
    }

    /// Has the program's `target` be our `source`.
    fn want(&mut self, target: RawFd, source: RawFd) -> Result<(), Error> {
        self.plan.rename(target, source).map_err(|errno| asked_wrongly(target, errno))?;
        self.wanted.push((target, source));
        Ok(())
    }

    fn give(&mut self, target: RawFd, source: OwnedFd) -> Result<(), Error> {
        let wanted = self.want(target, source.as_raw_fd());
        self._theirs.push(source);
        wanted
    }
}

fn asked_wrongly(target: RawFd, errno: Errno) -> Error {
    let mistake = if errno.is(libc::EEXIST as u32) {
        format!("the program's descriptor {target} is asked for twice")
    } else {
        format!("more than {} descriptors are asked for", fd_plan::MOST)
    };
    Error::Request { mistake }
}

/// The parent that a program is to die with is this process, whichever that is by now.
fn settings(launch: &Launch) -> Settings {
    let mut settings = launch.settings;
    if settings.die_with_parent == Some(Parent::Any) {
        settings.die_with_parent = Some(Parent::from_id(process::id()));
    }
    settings
}

/// Read end and write end, close-on-exec from birth.
fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    let (reader, writer) = io::pipe().map_err(|cause| Error::Host { what: "a pipe", cause })?;
    Ok((reader.into(), writer.into()))
}

/// `envp`; in the order of names where this launch changes it.
fn environment(launch: &Launch) -> Vec<CString> {
    let inherited = (!launch.environment_cleared).then(env::vars_os).into_iter().flatten();
    if launch.environment.is_empty() && launch.listening.is_empty() {
        return inherited.map(|(name, value)| variable(&name, &value)).collect();
    }
    let mut all: BTreeMap<_, _> = inherited
        .map(|(name, value)| {
            let variable = variable(&name, &value);
            (name.into_vec(), variable)
        })
        .collect();
    for (name, variable) in &launch.environment {
        match variable {
            Some(variable) => drop(all.insert(name.clone(), variable.clone())),
            None => drop(all.remove(name)),
        }
    }
    if !launch.listening.is_empty() {
        // LISTEN_PID is added in the new process, which alone knows it.
        let count = variable("LISTEN_FDS".as_ref(), launch.listening.len().to_string().as_ref());
        all.insert(b"LISTEN_FDS".to_vec(), count);
        all.remove(b"LISTEN_PID".as_slice());
    }
    all.into_values().collect()
}

/// `NAME=VALUE`.
fn variable(name: &OsStr, value: &OsStr) -> CString {
    let parts = [name.as_bytes(), b"=", value.as_bytes(), b"\0"];
    // What comes from C strings holds no other NUL.
    CString::from_vec_with_nul(parts.concat()).unwrap_or_default()
}
