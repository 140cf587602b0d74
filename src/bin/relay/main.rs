//! `relay`: makes a clean slate, proves how far it got, and becomes the program. See README.md.
//!
//! Data flows one way: initial stack, arguments, [`Request`], steps, exec.

#![no_std]
#![no_main]

mod line;
mod mem;
mod message;
mod slate;
mod stack;
mod start;
mod texts;

use exec_relay::request::{Action, Request};
use exec_relay::status::{Failure, exit_status};
use exec_relay::steps::{self, exec, report};
use exec_relay::sys;

use stack::InitialStack;

/// What the entry point calls, with the stack as the kernel left it.
#[allow(unsafe_code)]
unsafe extern "C" fn main(stack_pointer: *mut usize) -> ! {
    // SAFETY: the entry point passes the stack pointer on untouched, and nobody else changes what is above it.
    let stack = unsafe { InitialStack::new(stack_pointer) };
    sys::exit(run(stack))
}

/// Does what the arguments ask for. Returns the exit status where that was not to become a program, or failed.
fn run(mut stack: InitialStack) -> u8 {
    let mut request = Request::new(stack.arguments());
    let Err(failure) = attempt(&mut request, &mut stack) else { return 0 };
    let recorded = report::record(request.report, failure);
    if !recorded {
        message::tell(failure, &request, stack.arguments());
    }
    exit_status::of(request.report, failure, recorded)
}

/// Reads the request and carries it out. Even one with a mistake is read first, since it may say where to report that.
///
/// Out of line, so that all failures come back by one path: that makes the file smaller by a hundred bytes.
#[inline(never)]
fn attempt(request: &mut Request, stack: &mut InitialStack) -> Result<(), Failure> {
    let read = request.read(sys::is_open);
    report::handshake(request.report)?;
    read?;
    match request.action {
        Action::Start => start(request, stack),
        Action::Report => slate::print(),
        Action::Help => slate::print_fact(message::HELP, 0),
        Action::Version => slate::print_fact(message::VERSION, 0),
    }
}

/// Makes the slate, by the list of steps in the library, and becomes the program.
fn start(request: &mut Request, stack: &mut InitialStack) -> Result<(), Failure> {
    steps::make_slate(request)?;
    report::ready(request.report)?;
    Err(stack.with_vectors(request, |arguments, environment| exec::exec(request, arguments, environment)))
}

/// No path leads here in a release build: a test looks for this message in the file.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    let _ = sys::write(2, b"relay: a panic, which is a bug in relay\n");
    sys::exit(exit_status::RELAY_FAILED)
}
