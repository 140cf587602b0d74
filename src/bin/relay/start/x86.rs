//! x86, 32 bits: the System V ABI.

#![allow(unsafe_code)]

use core::arch::global_asm;

// Arguments go on the stack, which must be 16-byte aligned at the call. The outermost frame's base pointer is zero.
global_asm!(
    ".globl _relay_start",
    ".hidden _relay_start",
    "_relay_start:",
    "xor ebp, ebp",
    "mov eax, esp",
    "and esp, -16",
    "sub esp, 12",
    "push eax",
    "call {main}",
    main = sym crate::main,
);
