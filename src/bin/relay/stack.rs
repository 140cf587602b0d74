//! The initial stack, as the kernel lays it out for a new program:
//!
//! ```text
//! stack pointer -> argc
//!                  argv[0] .. argv[argc - 1]   pointers to strings further up
//!                  NULL
//!                  envp[0] ..
//!                  NULL
//!                  auxv ..
//! ```
//!
//! and the editing of the two vectors in place. What is added to the environment is kept in the slots of relay's own
//! arguments that have been read. There is always room, and nothing is copied elsewhere: each `--env` has a slot, and
//! `--listen-fds`, which adds two variables, has its own and that of relay's name.

#![allow(unsafe_code)]

use core::ffi::c_char;
use core::ptr::{null, swap};

use exec_relay::options::{Arguments, Name, Other};
use exec_relay::request::Request;
use exec_relay::sys;
use exec_relay::text::{Strings, Text};

use crate::line::Line;
use crate::texts::Phrase;

/// The two vectors on the initial stack, and the right to change them.
pub struct InitialStack {
    arguments: *mut *const c_char,
    environment: *mut *const c_char,
    /// How many variables stand in the first slots of the arguments.
    added: usize,
}

impl InitialStack {
    /// Finds the vectors.
    ///
    /// # Safety
    ///
    /// 1. `stack_pointer` must be the stack pointer at the program's entry.
    /// 2. Nobody else may change what lies above it.
    pub unsafe fn new(stack_pointer: *mut usize) -> Self {
        // SAFETY: the picture above is the contract of execve(2), and argc counts the pointers before the first NULL (1).
        unsafe {
            let arguments = stack_pointer.add(1).cast::<*const c_char>();
            Self { arguments, environment: arguments.add(*stack_pointer + 1), added: 0 }
        }
    }

    /// `argv`. Empty where the launcher gave none, not even a name for the program (Linux before 5.18).
    pub fn arguments(&self) -> Strings<'_, 'static> {
        // SAFETY: the vector ends with its NULL (1). Its slots change in `with_vectors` alone, which ends this loan (2).
        // The strings stay as long as the process (3): nobody writes to them.
        unsafe { Strings::new(self.arguments) }
    }

    /// Edits both vectors as the request asks, and calls `exec` with those of the program.
    ///
    /// This is the end of the stack: where `exec` returns, the vectors hold pointers to what is gone.
    pub fn with_vectors<T>(mut self, request: &Request, exec: impl FnOnce(Strings, Strings) -> T) -> T {
        // SAFETY: as in `arguments`, but for the slots that change below: those that this reading has left behind (2).
        let mut arguments = Arguments::new(unsafe { Strings::new(self.arguments) });
        while let Ok(Some(given)) = arguments.take_option() {
            match given.name {
                // SAFETY: the vector has at least its NULL.
                Name::Other(Other::ClearEnv) => unsafe { *self.environment = null() },
                Name::Other(Other::Unset) => self.remove(given.value),
                Name::Other(Other::Env) => self.add(given.value),
                _ => {}
            }
        }
        let (mut count, mut process) = ([0; _], [0; _]);
        if request.listening > 0 {
            self.add(variable(Phrase::ListenFds, request.listening, &mut count));
            self.add(variable(Phrase::ListenPid, sys::process(), &mut process));
            // What was inherited names the sockets of another launch.
            self.remove(c"LISTEN_FDNAMES".into());
            self.remove(c"LISTEN_PIDFDID".into());
        }
        let first = request.program.argument as usize;
        // SAFETY: the program's arguments begin at `first`, no more than argc; what is before that is relay's own, and has
        // at least as many slots as were added (see the top of this file).
        unsafe {
            if let Some(name) = request.argv0 {
                *self.arguments.add(first) = name.as_ptr();
            }
            self.insert(first);
            let arguments = Strings::new(self.arguments.add(first).sub(self.added));
            exec(arguments, Strings::new(self.environment.sub(self.added)))
        }
    }

    /// Adds a variable in the place of what has its name. It stands in one of the first slots of relay's own arguments
    /// until the end; the picture above says why there are enough of them.
    #[inline(never)]
    fn add(&mut self, variable: Text) {
        self.remove(variable);
        let mut slot = 0;
        // SAFETY: the slots before `added` hold strings, and the one after them has been read.
        unsafe {
            while slot < self.added && !is_named(*self.arguments.add(slot), variable) {
                slot += 1;
            }
            *self.arguments.add(slot) = variable.as_ptr();
        }
        self.added = self.added.max(slot + 1);
    }

    /// Removes what was inherited under this name; what follows a `=` in it does not count.
    #[inline(never)]
    fn remove(&mut self, name: Text) {
        let (mut from, mut to) = (self.environment, self.environment);
        // SAFETY: `from` stops at the NULL that ends the vector, once that is moved too; `to` never overtakes it.
        unsafe {
            loop {
                *to = *from;
                if (*from).is_null() {
                    return;
                }
                to = to.add(usize::from(!is_named(*from, name)));
                from = from.add(1);
            }
        }
    }

    /// Moves the first `added` slots between the program's arguments, which begin at `first`, and the environment.
    ///
    /// # Safety
    ///
    /// 1. `self.added` must be no more than `first`.
    /// 2. `first` must be no more than argc.
    unsafe fn insert(&mut self, first: usize) {
        if self.added == 0 {
            return;
        }
        // SAFETY: all slots are those from the vector's first (1) to the NULL after the program's arguments (2), behind which
        // the environment begins.
        unsafe {
            let mut end = self.arguments.add(first);
            while !(*end).is_null() {
                end = end.add(1);
            }
            // From "added, free, program" to "free, added, program" to "free, program, added". The order of those that
            // were added is no matter.
            let program = self.arguments.add(first);
            reverse(self.arguments, program);
            reverse(program, end.add(1));
            reverse(program.sub(self.added), end.add(1));
        }
    }
}

/// The size of one of the variables that name a number, and its NUL.
const VARIABLE: usize = 24;

/// The phrase with its number, in `buffer`. Out of line: the line has room for a path, and its pages would be touched at
/// every start otherwise.
#[inline(never)]
fn variable(phrase: Phrase, number: u32, buffer: &mut [u8; VARIABLE]) -> Text<'_> {
    let mut line = Line::about(number, Text::default());
    line.add(phrase.text());
    buffer.iter_mut().zip(line.as_text().bytes()).for_each(|(to, byte)| *to = byte);
    Text::within(buffer)
}

/// Whether a variable has this name; what follows a `=` in it does not count.
///
/// # Safety
///
/// 1. The variable must be a string.
unsafe fn is_named(variable: *const c_char, name: Text) -> bool {
    // SAFETY: it is a string (1), and nobody writes to it during this function.
    let mut variable = unsafe { Text::new(variable) }.bytes();
    for byte in name.bytes() {
        if byte == b'=' {
            break;
        }
        if variable.next() != Some(byte) {
            return false;
        }
    }
    variable.next() == Some(b'=')
}

/// Reverses the slots from `first` to before `end`.
///
/// # Safety
///
/// 1. They must be in one vector, which nobody else reads or changes.
unsafe fn reverse(mut first: *mut *const c_char, mut end: *mut *const c_char) {
    // SAFETY: the two stay in the vector (1), since they go towards each other and stop where they meet.
    unsafe {
        while first < end {
            end = end.sub(1);
            swap(first, end);
            first = first.add(1);
        }
    }
}
