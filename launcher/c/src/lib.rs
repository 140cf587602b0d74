//! exec-relay-launcher for C, and for whatever can call C. `include/exec_relay.h` tells what each function does, and what
//! C programmers must see to; here stands what the code goes by.

pub mod version;

pub mod launch;

pub mod child;

pub mod spawn;

pub mod find_program;

pub mod error;

mod cancellation;
mod strings;
