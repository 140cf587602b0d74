//! s390x: the ELF Application Binary Interface of Linux on z/Architecture.

#![allow(unsafe_code)]

use core::arch::global_asm;

// The stack pointer is 8-byte aligned here. Who calls a function reserves 160 bytes below, in which it saves registers;
// their first word is the back chain, zero in the outermost frame, and so is its return address.
global_asm!(
    ".globl _relay_start",
    ".hidden _relay_start",
    "_relay_start:",
    "lgr %r2, %r15",
    "aghi %r15, -160",
    "xc 0(8,%r15), 0(%r15)",
    "lghi %r14, 0",
    "jg {main}",
    main = sym crate::main,
);
