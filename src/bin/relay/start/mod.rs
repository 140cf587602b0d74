//! The entry point: one file an architecture, which hands the stack pointer to [`crate::main`] and does nothing else.
//!
//! What the outermost frame must look like to whoever walks the stack, a debugger for one, differs: each file says in the
//! way of its ABI that there is no caller.

/// One of these files, by the target. A `cfg_select!` would do, but needs Rust 1.95.
macro_rules! entry_point {
    ($($target:meta => $file:ident,)*) => {
        $(#[cfg($target)] mod $file;)*
        #[cfg(not(any($($target),*)))]
        compile_error!(
            "relay has no entry point for this architecture yet: add src/bin/relay/start/<architecture>.rs, which \
             passes the stack pointer to crate::main, and its line in start/mod.rs"
        );
    };
}

entry_point! {
    all(target_arch = "aarch64", target_endian = "little") => aarch64,
    all(target_arch = "arm", target_endian = "little") => arm,
    target_arch = "loongarch64" => loongarch64,
    all(target_arch = "powerpc64", target_endian = "little") => powerpc64le,
    target_arch = "riscv64" => riscv64,
    target_arch = "s390x" => s390x,
    target_arch = "x86" => x86,
    all(target_arch = "x86_64", target_pointer_width = "64") => x86_64,
}
