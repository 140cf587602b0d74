//! `relay`: makes a clean slate, proves how far it got, and becomes the program. See README.md.
//!
//! Data flows one way: initial stack, arguments, [`Request`], steps, exec.

#![no_std]
#![no_main]

mod mem;
mod message;
mod stack;
mod start;

use exec_relay::request::{Action, Request};
use exec_relay::status::{Failure, exit_status};
use exec_relay::steps::{descriptors, exec, report, signals, timers};
use exec_relay::sys::{self, Strings};

use stack::InitialStack;

/// What the entry point calls, with the stack as the kernel left it.
#[allow(unsafe_code)]
unsafe extern "C" fn main(stack_pointer: *const usize) -> ! {
    // SAFETY: the entry point passes the stack pointer on untouched, and everything above it is left as it is.
    let stack = unsafe { InitialStack::new(stack_pointer) };
    sys::exit(run(stack))
}

/// Does what the arguments ask for. Returns the exit status where that was not to become a program, or failed.
fn run(stack: InitialStack) -> u8 {
    let mut request = Request::new(stack.arguments);
    let Err(failure) = attempt(&mut request, stack.environment) else { return 0 };
    if report::record(request.report, failure) {
        return exit_status::RECORDED;
    }
    message::tell(failure, stack.arguments);
    exit_status::without_record(request.report, failure)
}

/// Reads the request and carries it out. Even one with a mistake is read first, since it may say where to report that.
///
/// Out of line, so that all failures come back by one path: that makes the file smaller by a hundred bytes.
#[inline(never)]
fn attempt(request: &mut Request, environment: Strings) -> Result<(), Failure> {
    let read = request.read(sys::is_open);
    report::handshake(request.report)?;
    read?;
    let text = match request.action {
        Action::Start => return start(request, environment),
        Action::Help => message::HELP,
        Action::Version => message::VERSION,
    };
    report::tell(1, text)
}

/// The steps, in order. A new one is a file in the library's `steps` and a line here.
fn start(request: &Request, environment: Strings) -> Result<(), Failure> {
    descriptors::close_at_exec(&request.descriptors)?;
    timers::disarm()?;
    signals::reset_dispositions()?;
    signals::unblock()?;
    Err(exec::exec(request, environment))
}

/// No path leads here in a release build: a test looks for this message in the file.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    let _ = sys::write(2, b"relay: a panic, which is a bug in relay\n");
    sys::exit(exit_status::RELAY_FAILED)
}
