//! exec-relay-launcher for C, and for whatever can call C: see `include/exec_relay.h`, which is made of this, in the
//! order of these modules.

pub mod launch;

pub mod child;

pub mod spawn;

pub mod error;

mod cancellation;
mod strings;
