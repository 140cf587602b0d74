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

#![allow(unsafe_code)]

use core::ffi::c_char;

use exec_relay::sys::Strings;

/// The two vectors on the initial stack.
#[derive(Clone, Copy)]
pub struct InitialStack {
    /// `argv`. Empty where the launcher gave none, not even a name for the program (Linux before 5.18).
    pub arguments: Strings<'static>,
    /// `envp`.
    pub environment: Strings<'static>,
}

impl InitialStack {
    /// Finds the vectors.
    ///
    /// # Safety
    ///
    /// `stack_pointer` must be the stack pointer at the program's entry, and no one may change what lies above it.
    pub unsafe fn new(stack_pointer: *const usize) -> Self {
        // SAFETY: the picture above is the contract of execve(2). argc counts the pointers before the first NULL, so
        // both vectors are where this looks and end with their NULL. They stay as long as the process.
        unsafe {
            let argument_count = *stack_pointer;
            let arguments = stack_pointer.add(1).cast::<*const c_char>();
            Self { arguments: Strings::new(arguments), environment: Strings::new(arguments.add(argument_count + 1)) }
        }
    }
}
