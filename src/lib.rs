//! The parts of `relay` that its program and its launchers share: reading a request, planning descriptors, the steps
//! that make a clean slate, and the records that prove how far a launch got.
//!
//! Nothing here allocates, takes a lock, panics or touches memory outside the stack, so the same code runs in a
//! freestanding program and between `clone` and `execve` of a multi-threaded host.
//!
//! | module | what it holds |
//! |---|---|
//! | [`request`] | arguments to a checked [`request::Request`]; nothing is touched before it is whole |
//! | [`options`] | relay's own arguments, one by one |
//! | [`fd_plan`] | which descriptor the program has from where, and the moves that bring that about |
//! | [`signal`] | signal numbers, names and sets |
//! | [`status`] | the steps and their public numbers, failures, exit statuses, the records |
//! | [`steps`] | one file a step, in the order in which the program takes them |
//! | [`words`] | texts, numbers and errnos, in tables without pointers |
//! | [`sys`] | one typed function for each system call used |
//! | [`call`] | a system call by its number |

#![no_std]

pub mod call;
pub mod fd_plan;
pub mod options;
pub mod request;
pub mod signal;
pub mod status;
pub mod steps;
pub mod sys;
pub mod words;
