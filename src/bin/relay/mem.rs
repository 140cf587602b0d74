//! The memory functions that the compiler calls on its own, and that nothing else in a freestanding program supplies.
//!
//! The volatile accesses keep LLVM from turning each loop back into a call of the function that it is. All are called
//! for a few bytes at a time.

#![allow(unsafe_code)]

use core::ffi::{c_char, c_int};

/// See memcpy(3).
///
/// # Safety
///
/// 1. `count` bytes must be readable at `source`.
/// 2. `count` bytes must be writable at `target`, and those at `source` must not lie further down among them.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(target: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    for index in 0..count {
        // SAFETY: index is below count (1, 2).
        unsafe { target.add(index).write_volatile(*source.add(index)) };
    }
    target
}

/// See memmove(3).
///
/// # Safety
///
/// 1. `count` bytes must be readable at `source`.
/// 2. `count` bytes must be writable at `target`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(target: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    if target.cast_const() <= source {
        // SAFETY: the same bytes (1, 2). Going up, a byte is read before anything is written over it.
        return unsafe { memcpy(target, source, count) };
    }
    for index in (0..count).rev() {
        // SAFETY: index is below count. Going down, a byte is read before anything is written over it.
        unsafe { target.add(index).write_volatile(*source.add(index)) };
    }
    target
}

/// See memset(3).
///
/// # Safety
///
/// 1. `count` bytes must be writable at `target`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(target: *mut u8, byte: c_int, count: usize) -> *mut u8 {
    for index in 0..count {
        // SAFETY: index is below count.
        unsafe { target.add(index).write_volatile(byte as u8) };
    }
    target
}

/// See memcmp(3).
///
/// # Safety
///
/// 1. `count` bytes must be readable at both.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> c_int {
    for index in 0..count {
        // SAFETY: index is below count.
        let (left, right) = unsafe { (left.add(index).read_volatile(), right.add(index).read_volatile()) };
        if left != right {
            return c_int::from(left) - c_int::from(right);
        }
    }
    0
}

/// See bcmp(3): 0 where the bytes are the same.
///
/// # Safety
///
/// 1. `count` bytes must be readable at both.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> c_int {
    // SAFETY: the same bytes (1).
    unsafe { memcmp(left, right, count) }
}

/// See strlen(3).
///
/// # Safety
///
/// 1. `string` must end with a NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const c_char) -> usize {
    let mut length = 0;
    // SAFETY: no byte after the NUL is looked at.
    while unsafe { string.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}
