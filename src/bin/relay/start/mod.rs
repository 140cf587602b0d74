//! The entry point: one file an architecture, which hands the stack pointer to [`crate::main`] and does nothing else.
//!
//! What the outermost frame must look like to whoever walks the stack, a debugger for one, differs: each file says in the
//! way of its ABI that there is no caller.

cfg_select! {
    all(target_arch = "aarch64", target_endian = "little") => { mod aarch64; }
    all(target_arch = "arm", target_endian = "little") => { mod arm; }
    target_arch = "loongarch64" => { mod loongarch64; }
    all(target_arch = "powerpc64", target_endian = "little") => { mod powerpc64le; }
    target_arch = "riscv64" => { mod riscv64; }
    target_arch = "s390x" => { mod s390x; }
    target_arch = "x86" => { mod x86; }
    all(target_arch = "x86_64", target_pointer_width = "64") => { mod x86_64; }
    _ => {
        compile_error!(
            "relay has no entry point for this architecture yet: add src/bin/relay/start/<architecture>.rs, which \
             passes the stack pointer to crate::main, and its line in start/mod.rs"
        );
    }
}
