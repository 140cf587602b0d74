//! The entry point: one file an architecture, which hands the stack pointer to [`crate::main`] and does nothing else.

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(not(target_arch = "x86_64"))]
compile_error!(
    "relay has no entry point for this architecture yet: add src/bin/relay/start/<architecture>.rs, which passes the \
     stack pointer to crate::main, and its line in start/mod.rs"
);
