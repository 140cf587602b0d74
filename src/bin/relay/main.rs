//! `relay`: makes a clean slate, proves how far it got, and becomes the program. See README.md.
//!
//! Data flows one way: initial stack, arguments, [`Request`], steps, exec.

#![no_std]
#![no_main]

mod inherited;
mod line;
mod mem;
mod message;
mod reason;
mod stack;
mod start;
mod texts;

use exec_relay::options::Name;
use exec_relay::report;
use exec_relay::request::{Action, Request};
use exec_relay::slate::Cgroup;
use exec_relay::status::{Concern, Failure, Report, Step, exit_status};
use exec_relay::steps::{self, exec};
use exec_relay::sys::{self, DescriptorTable};
use exec_relay::text::{Digits, Strings, Text};

use linux_raw_sys::general::SIGXFSZ;

use stack::InitialStack;

// Rust's own error would tell a user to build core. Documents are made with no such setting.
#[cfg(all(panic = "unwind", not(doc)))]
compile_error!(
    "relay needs `panic = \"abort\"`, as its profiles say: build it without settings of your own (CARGO_PROFILE_*, \
     RUSTFLAGS, profiles and flags in a configuration file of Cargo)"
);

/// What the entry point calls, with the stack as the kernel left it.
///
/// # Safety
///
/// 1. It is called once, first of all, with the stack pointer that the kernel has set.
#[allow(unsafe_code)]
unsafe extern "C" fn main(stack_pointer: *mut usize) -> ! {
    // SAFETY: it is that stack pointer (1), and nobody else runs here yet (2).
    let stack = unsafe { InitialStack::new(stack_pointer) };
    // SAFETY: the process has one thread, which is here, and nothing but what is called from here (1). execve(2) has given
    // it a table of its own (2).
    let table = unsafe { DescriptorTable::seize() };
    sys::exit(run(stack, table))
}

/// What is left to be told where relay did not become a program.
struct Complaint {
    failure: Failure,
    /// What it concerns, where that has a name.
    subject: Option<Text<'static>>,
    /// Where to tell it.
    report: Report,
    /// The option that was not used as it should be.
    mistaken: Option<Name>,
    /// Whether the subject is where the program lies.
    is_path: bool,
}

/// Does what the arguments ask for. Returns the exit status where that was not to become a program, or failed.
fn run(stack: InitialStack, table: DescriptorTable) -> u8 {
    let Err(complaint) = carry_out(stack, table) else { return 0 };
    let Complaint { failure, subject, report, mistaken, is_path } = complaint;
    // A limit of file size that was asked for must not end what tells of a failure.
    let _ = sys::set_disposition(SIGXFSZ, true);
    let recorded = report::record(report, failure);
    if !recorded {
        let stderr = if let Report::Message(stderr) = report { stderr } else { 2 };
        // What has no name is called by its number.
        let mut digits = Digits::default();
        let subject = subject.unwrap_or_else(|| digits.of(failure.detail.into(), false));
        message::tell(stderr, failure, subject, mistaken, is_path);
        if report.promises_a_start(failure) {
            // Any exit status would be taken for the program's own. A death by a signal says that it may not have begun.
            sys::die();
        }
    }
    exit_status::of(report, failure, recorded)
}

/// Reads the request and carries it out. Out of line, so that who tells a complaint has no request on the stack any more,
/// which is large.
#[inline(never)]
fn carry_out(stack: InitialStack, mut table: DescriptorTable) -> Result<(), Complaint> {
    let mut request = Request::new();
    // Even of a request with a mistake the handshake is made: it says where the mistake is told.
    let read = request.read(stack.arguments());
    let (failure, subject) = if let Err(failure) = report::handshake(request.slate.report).and(read) {
        let subject = match failure.step().concern() {
            Concern::Argument => stack.arguments().get(failure.detail as usize),
            // The last option lacks its value.
            _ => stack.arguments().last(),
        };
        (failure, subject)
    } else {
        let Err(failure) = act(&mut request, stack, &mut table) else { return Ok(()) };
        let subject = match (failure.step(), request.slate.cgroup) {
            (Step::Directory, _) => request.slate.directory.map(|directory| directory.path.into()),
            (Step::Cgroup, Some(Cgroup::Path(cgroup))) => Some(cgroup.path.into()),
            (Step::Exec | Step::Interpreter, _) => Some(request.program.path.into()),
            (step, _) => step.concern().name(failure.detail),
        };
        (failure, subject)
    };
    Err(Complaint {
        failure,
        subject,
        report: request.slate.report,
        mistaken: request.mistaken_option(failure),
        // One that is executed by its descriptor may not be what is at a path.
        is_path: request.slate.program.is_none(),
    })
}

fn act(request: &mut Request, stack: InitialStack, table: &mut DescriptorTable) -> Result<(), Failure> {
    match request.action {
        Action::Start => start(request, stack, table),
        Action::Report => inherited::print(stack.arguments(), stack.environment()),
        Action::Help => message::print_help(),
        Action::Version => message::print_version(),
    }
}

/// Makes the slate, by the list of steps in the library, and becomes the program. The request was read from this stack.
#[allow(unsafe_code)]
fn start(request: &mut Request, stack: InitialStack, table: &mut DescriptorTable) -> Result<(), Failure> {
    // Before the launcher is told that all is ready.
    let process = if request.listening > 0 {
        sys::process().map_err(|errno| Failure::new(Step::Listening, errno, 3))?
    } else {
        0
    };
    steps::make_slate(&mut request.slate, table)?;
    report::ready(request.slate.report)?;
    let exec = |arguments: Strings, environment: Strings| {
        exec::exec(request.program, request.slate.program, arguments, environment, sys::pause)
    };
    // SAFETY: `carry_out` has read the request from this very stack, and returned where there was a mistake (1).
    Err(unsafe { stack.with_vectors(request, process, exec) })
}

/// No path leads here in a release build: a test looks for this message in the file.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    let _ = sys::write(2, b"relay: a panic, which is a bug in relay\n");
    sys::exit(exit_status::RELAY_FAILED)
}
