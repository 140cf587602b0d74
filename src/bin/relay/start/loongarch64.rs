//! LoongArch, 64 bits: the LoongArch ELF psABI.

#![allow(unsafe_code)]

use core::arch::global_asm;

// The stack pointer is 16-byte aligned here. Frame pointer and return address of the outermost frame are zero.
global_asm!(
    ".globl _relay_start",
    ".hidden _relay_start",
    "_relay_start:",
    "move $fp, $zero",
    "move $ra, $zero",
    "move $a0, $sp",
    "b {main}",
    main = sym crate::main,
);
