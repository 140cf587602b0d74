//! The vehicle InPlace: a child takes the steps that relay takes, in this process's memory, and becomes the program.
//!
//! src/spawn.rs says what that child may do, and how it is proven that the program began.

use std::path::Path;

use exec_relay::signal::SignalSet;
use exec_relay::slate::{self, Slate};
use exec_relay::status::{Failure, Step};
use exec_relay::steps::{self, exec};
use exec_relay::sys::{self, Descriptor, DescriptorTable};
use exec_relay::text::{Strings, Text};

use crate::child::Process;
use crate::descriptors::open_null;
use crate::dumpable::Dumpable;
use crate::error::Error;
use crate::prepared::Prepared;
use crate::spawn::{Spawned, Work, spawn};
use crate::sys::environment;
use crate::vector::{Listening, Vectors};

/// Vectors that are lent, to be handed on unread in the place of the launch's own.
#[derive(Clone, Copy, Default)]
pub struct Lent<'a> {
    pub arguments: Option<Strings<'a, 'a>>,
    pub environment: Option<Strings<'a, 'a>>,
}

/// Launches the program.
pub fn launch(prepared: &mut Prepared, lent: Lent) -> Result<Process, Error> {
    let launch = prepared.launch;
    let [listen_fds, listen_pid] = &<[Listening; 2]>::default();
    let has_sockets = !launch.listening.is_empty();
    listen_fds.set(b"LISTEN_FDS=", launch.listening.len() as u32);
    let told = has_sockets.then(|| [listen_fds.text(), listen_pid.text()]);
    let argv0 = launch.argv0.as_ref().unwrap_or(&launch.program);
    let arguments = [argv0].into_iter().chain(&launch.arguments).map(|argument| Text::from(&**argument));
    // What is lent is not made.
    let vectors = Vectors::new(
        arguments.take(if lent.arguments.is_some() { 0 } else { usize::MAX }),
        launch.environment.strings(told).filter(|_| lent.environment.is_none()),
    );
    let kept: Vec<_> = prepared.kept().collect();
    let changes_user = prepared.slate.settings.user.is_some();
    let work = InPlace {
        program: slate::Path { path: &launch.program, argument: 0 },
        kept: &kept,
        arguments: lent.arguments.unwrap_or_else(|| vectors.arguments()),
        environment: lent.environment.or_else(|| vectors.environment()).unwrap_or_else(|| environment()),
        listen_pid: has_sockets.then_some(listen_pid),
        slate: &mut prepared.slate,
    };
    let program = || Path::to_owned(launch.program());
    let dumpable = changes_user.then(Dumpable::new);
    let spawned = spawn(work);
    // The child has let go of this memory.
    drop(dumpable);
    match spawned {
        Ok(Spawned::Executes(process)) => Ok(process),
        Ok(Spawned::Failed(failure)) => Err(prepared.step_failed(failure)),
        Ok(Spawned::Gone(status)) => Err(Error::Killed { program: program(), status, may_have_begun: false }),
        Ok(Spawned::NotShared(process)) => {
            process.map(Process::end);
            Err(Error::NotShared { program: program() })
        }
        Err((what, cause)) => Err(Error::of_spawn(program(), what, cause)),
    }
}

struct InPlace<'a, 'l> {
    slate: &'a mut Slate<'l>,
    program: slate::Path<'a>,
    /// Those that the program has under the number they have here, where they are close-on-exec.
    kept: &'a [Descriptor],
    arguments: Strings<'a, 'a>,
    environment: Strings<'a, 'a>,
    /// Nobody can know what it is to say before there is a child.
    listen_pid: Option<&'a Listening>,
}

impl<'l> Work<'l> for InPlace<'_, 'l> {
    const IS_PROVEN: bool = true;

    fn slate(&mut self) -> &mut Slate<'l> {
        self.slate
    }

    fn prepare(&mut self, mut table: DescriptorTable) -> Result<(), Failure> {
        open_null(&mut self.slate.descriptors, &mut table)?;
        steps::unmark(self.kept, &mut table)?;
        steps::make_slate(self.slate, &mut table)?;
        if let Some(variable) = self.listen_pid {
            let process = sys::process().map_err(|errno| Failure::new(Step::Listening, errno, 3))?;
            variable.set(b"LISTEN_PID=", process);
        }
        Ok(())
    }

    fn exec(&self) -> Failure {
        let ignored = self.slate.settings.ignored;
        exec::exec(self.program, self.slate.program, self.arguments, self.environment, |milliseconds| {
            pause(milliseconds, ignored)
        })
    }
}

/// Pauses, and is not stopped by a terminal meanwhile: the host's thread would wait for as long as the child is stopped.
/// `ignored` are the signals that stay ignored after that.
fn pause(milliseconds: u32, ignored: SignalSet) {
    let stopping = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].map(|signal| signal as u32);
    // The step before has set all dispositions, so this is not refused; a signal that stays ignored by mistake could not be
    // told any more.
    stopping.into_iter().for_each(|signal| _ = sys::set_disposition(signal, true));
    sys::pause(milliseconds);
    stopping.into_iter().for_each(|signal| _ = sys::set_disposition(signal, ignored.has(signal)));
}
