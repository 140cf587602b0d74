//! The vehicle InPlace: a child takes the steps that relay takes, in this process's memory, and becomes the program.
//!
//! src/spawn.rs says what that child may do, and how it is proven that the program began.

use std::path::Path;

use exec_relay::signal::SignalSet;
use exec_relay::slate::{self, Slate};
use exec_relay::status::{Failure, Step};
use exec_relay::steps::{self, exec};
use exec_relay::sys::{self, Descriptor, DescriptorTable};
use exec_relay::text::Strings;

use crate::child::Process;
use crate::descriptors::open_null;
use crate::dumpable::Dumpable;
use crate::error::Error;
use crate::prepared::Prepared;
use crate::spawn::{Spawned, Work, spawn};
use crate::sys::environment;
use crate::vector::{ListenPid, Vector};

/// Launches the program.
pub fn launch(prepared: &mut Prepared) -> Result<Process, Error> {
    let launch = prepared.launch;
    let listen_pid = ListenPid::default();
    let count = prepared.listen_fds();
    let vector = match &count {
        Some(count) => Some(launch.environment.vector_with_sockets(count, &listen_pid)),
        None => launch.environment.vector(),
    };
    let kept = prepared.kept();
    let changes_user = prepared.slate.settings.user.is_some();
    let work = InPlace {
        program: slate::Path { path: &launch.program, argument: 0 },
        kept: &kept,
        arguments: prepared.arguments.strings(),
        environment: vector.as_ref().map_or_else(|| environment(), Vector::strings),
        listen_pid: count.is_some().then_some(&listen_pid),
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
    listen_pid: Option<&'a ListenPid>,
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
            variable.set(process);
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
