//! Why a program cannot be started: one more look, where an errno stands for several things.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use exec_relay::status::{Failure, Step};
use exec_relay::sys;
use linux_raw_sys::errno::EACCES;
use linux_raw_sys::general::{O_DIRECTORY, O_PATH, O_RDONLY, X_OK};

use crate::line::Line;
use crate::texts::Phrase;

/// Adds what more is found out about `program`, where that is what failed.
pub fn add(line: &mut Line, failure: Failure, program: &CStr) {
    match (failure.step(), failure.errno()) {
        (Step::Exec, EACCES) => {
            if let Some(reason) = why_denied(program) {
                line.add(reason.text());
            }
        }
        (Step::Interpreter, _) => add_interpreter(line, program),
        _ => {}
    }
}

/// Which of the things that EACCES stands for it is; see execve(2). Nothing where it is another one, such as a folder on the
/// way that may not be searched.
fn why_denied(program: &CStr) -> Option<Phrase> {
    let file = sys::open(program, O_PATH).ok()?;
    if sys::open(program, O_PATH | O_DIRECTORY).is_ok() {
        Some(Phrase::IsDirectory)
    } else if sys::file_system(&file).is_ok_and(|system| system.is_noexec) {
        Some(Phrase::IsNoexec)
    } else {
        sys::access(program, X_OK).is_err().then_some(Phrase::NotExecutable)
    }
}

/// Adds the line in which a script names its interpreter. A carriage return at its end is part of the name.
fn add_interpreter(line: &mut Line, program: &CStr) {
    let Ok(file) = sys::open(program, O_RDONLY) else { return };
    // As much as the kernel looks at (execve(2), BINPRM_BUF_SIZE), and a NUL.
    let mut buffer = [MaybeUninit::uninit(); 256 + 1];
    let start = sys::read_text(&file, &mut buffer);
    if start.first() == b'#' {
        line.add(Phrase::Reason.text());
        for byte in start.bytes().take_while(|&byte| byte != b'\n') {
            line.add_byte(if byte.is_ascii_control() { b'?' } else { byte });
        }
    }
}
