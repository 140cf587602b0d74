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

use exec_relay::report;
use exec_relay::request::{Action, Request};
use exec_relay::status::{Concern, Failure, Report, Step, exit_status};
use exec_relay::steps::{self, exec};
use exec_relay::sys::{self, DescriptorTable};
use exec_relay::text::{Strings, Text};

use stack::InitialStack;

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

/// Does what the arguments ask for. Returns the exit status where that was not to become a program, or failed.
fn run(stack: InitialStack, mut table: DescriptorTable) -> u8 {
    let mut request = Request::new();
    // Even of a request with a mistake the handshake is made: it says where the mistake is told.
    let read = request.read(stack.arguments());
    if let Err(failure) = report::handshake(request.slate.report).and(read) {
        let subject = match failure.step().concern() {
            Concern::Argument => stack.arguments().get(failure.detail as usize),
            // The last option lacks its value.
            _ => stack.arguments().last(),
        };
        return fail(failure, subject, &request);
    }
    let Err(failure) = carry_out(&mut request, stack, &mut table) else { return 0 };
    let subject = match failure.step() {
        Step::Directory => request.slate.directory.map(|directory| directory.path.into()),
        _ => Some(request.program.path.into()),
    };
    fail(failure, subject, &request)
}

fn carry_out(request: &mut Request, stack: InitialStack, table: &mut DescriptorTable) -> Result<(), Failure> {
    match request.action {
        Action::Start => start(request, stack, table),
        Action::Report => inherited::print(),
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
    let exec =
        |arguments: Strings, environment: Strings| exec::exec(request.program, arguments, environment, sys::pause);
    // SAFETY: `run` has read the request from this very stack, and returned where there was a mistake (1).
    Err(unsafe { stack.with_vectors(request, process, exec) })
}

/// Tells what failed, in a record or a line. Returns the exit status.
#[inline(never)]
fn fail(failure: Failure, subject: Option<Text>, request: &Request) -> u8 {
    let report = request.slate.report;
    let recorded = report::record(report, failure);
    if !recorded {
        let stderr = if let Report::Message(stderr) = report { stderr } else { 2 };
        message::tell(stderr, failure, subject.unwrap_or_default(), request.mistaken_option(failure));
        if report.promises_a_start(failure) {
            // Any exit status would be taken for the program's own. A death by a signal says that it may not have begun.
            sys::die();
        }
    }
    exit_status::of(report, failure, recorded)
}

/// No path leads here in a release build: a test looks for this message in the file.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    let _ = sys::write(2, b"relay: a panic, which is a bug in relay\n");
    sys::exit(exit_status::RELAY_FAILED)
}
