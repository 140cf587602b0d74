//! A system call by its number, as the crate `syscalls` makes it.
//!
//! On powerpc64 it is made in a function of its own: the kernel changes the count register, of which that crate does not
//! tell the compiler, and a loop around an inlined call, counted in that register, would never end or do too much. Across
//! a function call the compiler expects it; see Documentation/arch/powerpc/syscall64-abi.rst of the kernel. qemu-user does
//! not change it.

#![allow(unsafe_code)]

#[cfg(target_arch = "powerpc64")]
pub use crate::raw_syscall;
#[cfg(not(target_arch = "powerpc64"))]
pub use syscalls::raw_syscall;

/// As the macro of `syscalls`: the number of a call and its arguments, six at the most.
#[cfg(target_arch = "powerpc64")]
#[doc(hidden)]
#[macro_export]
macro_rules! raw_syscall {
    ($number:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        $crate::call::system_call(
            $number as usize, $a as usize, $b as usize, $c as usize, $d as usize, $e as usize, $f as usize,
        )
    };
    ($number:expr $(, $argument:expr)*) => {
        $crate::raw_syscall!($number $(, $argument)*, 0)
    };
}

/// Makes a system call. Out of line for correctness; see the top of this file.
///
/// # Safety
///
/// 1. What the call does with these arguments must be sound.
#[cfg(target_arch = "powerpc64")]
#[inline(never)]
#[expect(clippy::too_many_arguments, reason = "as many as a call can have")]
pub unsafe fn system_call(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
    // SAFETY: the same call with the same arguments (1).
    unsafe { syscalls::raw_syscall!(number, a, b, c, d, e, f) }
}
