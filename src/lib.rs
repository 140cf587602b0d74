//! Internal to `relay` and its launcher, and of no use to others: what it offers changes with every version.
//!
//! It holds what the program and its launchers share, so that they cannot drift apart: the settings and their texts,
//! reading a request, planning descriptors, the steps that make a clean slate, and the records that prove how far a launch
//! got.
//!
//! Nothing here allocates, takes a lock, panics or touches memory outside the stack, so the same code runs in a
//! freestanding program and between `clone` and `execve` of a multi-threaded host.
//!
//! Data flows one way: arguments, [`request`], [`slate`], [`steps`], execve.
//!
//! | module | what it holds |
//! |---|---|
//! | [`request`] | arguments to a checked [`request::Request`]; nothing is touched before it is whole |
//! | [`options`] | relay's own arguments, one by one |
//! | [`settings`] | the one description of each setting |
//! | [`value`], [`signal`], [`limit`], [`scheduling`], [`identity`], [`capability`], [`attribute`] | the kinds of values: their range, reading and writing |
//! | [`slate`] | what the steps make |
//! | [`fd_plan`] | which descriptor the program has from where, and the moves that bring that about |
//! | [`steps`] | one file a step, in the order in which the program takes them |
//! | [`sweep`] | finding all descriptors |
//! | [`report`] | telling the launcher how far the relay got |
//! | [`status`] | the steps' public numbers, failures, exit statuses, the records |
//! | [`own_file`] | files of /proc/self |
//! | [`sys`] | one typed function for each system call used |
//! | [`call`] | a system call by its number |
//! | [`errno`], [`text`] | errnos in words; strings, and tables of them without pointers |
//!
//! `#[inline(never)]` has one rule here and in the program. It stands where the file would be larger without it (a
//! function that is called from several places, or whose caller the compiler then treats worse; each was measured), or
//! where a frame is large and would otherwise be part of its caller's, whose pages every launch touches. In [`call`] alone
//! it stands for correctness.

#![no_std]
#![doc(hidden)]

pub mod attribute;
pub mod call;
pub mod capability;
pub mod errno;
pub mod fd_plan;
pub mod identity;
pub mod limit;
pub mod options;
pub mod own_file;
pub mod report;
pub mod request;
pub mod scheduling;
pub mod settings;
pub mod signal;
pub mod slate;
pub mod status;
pub mod steps;
pub mod sweep;
pub mod sys;
pub mod text;
pub mod value;
