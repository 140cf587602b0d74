//! AArch64: the Procedure Call Standard for the Arm 64-bit Architecture.

#![allow(unsafe_code)]

use core::arch::global_asm;

// The stack pointer is 16-byte aligned here. Frame record and link register of the outermost frame are zero.
global_asm!(
    ".globl _relay_start",
    ".hidden _relay_start",
    "_relay_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "b {main}",
    main = sym crate::main,
);
