//! PowerPC, 64 bits, little-endian: the OpenPOWER ELF V2 ABI.

#![allow(unsafe_code)]

use core::arch::global_asm;

// The stack pointer is 16-byte aligned here, and r12 is the address of _relay_start, as at every global entry point. From
// it comes the TOC pointer in r2, which a call within the file takes for granted and all data is addressed by. Who calls a
// function reserves 32 bytes below, in which it saves registers; their first word is the back chain, zero here.
global_asm!(
    ".globl _relay_start",
    ".hidden _relay_start",
    ".type _relay_start, @function",
    "_relay_start:",
    "addis 2, 12, .TOC. - _relay_start@ha",
    "addi 2, 2, .TOC. - _relay_start@l",
    ".localentry _relay_start, . - _relay_start",
    "mr 3, 1",
    "li 0, 0",
    "stdu 0, -32(1)",
    "mtlr 0",
    "b {main}",
    main = sym crate::main,
);
