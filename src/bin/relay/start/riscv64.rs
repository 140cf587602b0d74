//! RISC-V, 64 bits: the RISC-V ELF psABI.

#![allow(unsafe_code)]

use core::arch::global_asm;

// The stack pointer is 16-byte aligned here. The global pointer is not set: a linker goes by it only where the symbol
// __global_pointer$ is defined, and linker/relay.ld does not define it.
global_asm!(
    ".globl _relay_start",
    ".hidden _relay_start",
    "_relay_start:",
    "mv s0, zero",
    "mv ra, zero",
    "mv a0, sp",
    "tail {main}",
    main = sym crate::main,
);
