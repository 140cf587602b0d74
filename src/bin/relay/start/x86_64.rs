//! x86-64: the System V ABI.

#![allow(unsafe_code)]

use core::arch::global_asm;

// The System V ABI: the stack pointer is 16-byte aligned here, and the outermost frame's base pointer is zero.
global_asm!(
    ".globl _relay_start",
    ".hidden _relay_start",
    "_relay_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "call {main}",
    main = sym crate::main,
);
