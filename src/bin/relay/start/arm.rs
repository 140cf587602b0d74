//! 32-bit Arm: the Procedure Call Standard for the Arm Architecture.

#![allow(unsafe_code)]

use core::arch::global_asm;

// The stack pointer is 8-byte aligned here. The type says in which of the two instruction sets the kernel is to begin:
// the one that the compiler assembles for.
global_asm!(
    ".globl _relay_start",
    ".hidden _relay_start",
    ".type _relay_start, %function",
    "_relay_start:",
    "mov r11, #0",
    "mov lr, #0",
    "mov r0, sp",
    "b {main}",
    main = sym crate::main,
);
