//! Launches programs on a clean slate from multi-threaded hosts, with a result that never lies.
//!
//! A host with threads, libraries and plugins leaks: open descriptors, ignored signals, a blocked mask, a raised limit.
//! [`Launch`] starts a program with what it was asked for and nothing else, and says exactly what failed where it could
//! not.
//!
//! ```
//! use exec_relay_launcher::{Launch, Stdio};
//! use std::io::Read;
//!
//! let mut child = Launch::new("/bin/echo").arg("hello").stdout(Stdio::Piped).launch()?;
//! let mut said = String::new();
//! child.stdout.take().expect("it is piped").read_to_string(&mut said)?;
//! assert_eq!(said, "hello\n");
//! assert!(child.wait()?.success());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which vehicle
//!
//! | | [`Vehicle::InPlace`], the default | [`Vehicle::Relay`], [`Vehicle::RelayAt`] |
//! |---|---|---|
//! | what runs between clone and exec | the steps of `exec_relay`, on a stack of their own | the moves of descriptors |
//! | how often is exec called | once | twice: relay, then the program |
//! | what it needs | nothing | a file, or memfd_create(2) and execveat(2) with the right to execute memory |
//! | the calling thread is stopped | until the program's file is mapped | until relay's small file is mapped |
//! | [`Launch::timeout`] | an error; where no vehicle is chosen, Relay is taken | ends a launch that hangs |
//! | `--reset` of what belongs to the memory | an error; where no vehicle is chosen, Relay is taken | works |
//! | another user or group | this process is not dumpable until the program runs: [`Launch::uid`] | nothing happens to this process |
//! | privileges of a host that is not root | all that it has | those that it keeps at an exec: the ambient set |
//! | killed before the program began | told apart, but where a thread of the host waits with `__WALL` and reaps the program too | told apart where nobody else reaps the process and its memory or name can be looked at |
//!
//! InPlace is the default because it needs nothing that a sandbox may lack, is the faster one, and can prove more. Ask for a
//! [`Launch::timeout`] where the program lies on a disk that may hang: then Relay is taken, since the calling thread waits for
//! the disk otherwise. Take Relay where the least code may run in a child that shares the host's memory.
//!
//! Under an emulator that gives a child no share in its parent's memory, valgrind for one, InPlace is an error and Relay
//! works. The thread sanitizer ends a host that launches unless it is told `die_after_fork=0`.
//!
//! Linux 5.4 and newer: a [`Child`] is a pidfd that can be waited for.

#[cfg(not(target_os = "linux"))]
compile_error!("exec-relay-launcher is for Linux");

mod child;
mod descriptors;
mod dumpable;
#[cfg(feature = "embedded")]
mod embedded;
mod environment;
mod error;
mod exec;
mod find_program;
mod in_place;
mod inspect;
mod interpreter;
mod launch;
mod output;
mod prepared;
mod relay;
mod reserved;
mod source;
#[allow(unsafe_code, reason = "clone, on a stack of its own")]
mod spawn;
#[allow(unsafe_code, reason = "calls on processes that no safe crate has whole, and the host's environment")]
mod sys;
#[cfg(feature = "tokio")]
pub mod tokio;
#[allow(unsafe_code, reason = "vectors of pointers to strings that are borrowed")]
mod vector;
mod vehicle;
mod wait;

pub use child::Child;
pub use error::{Concern, Error};
#[doc(inline)]
pub use exec_relay::status::Step;
/// For the package for C.
#[doc(hidden)]
pub use exec_relay::text::Strings;
pub use find_program::find_program;
pub use launch::{HARD_LIMIT, Launch, Limit, Vehicle};
pub use reserved::reserve_descriptors;
pub use source::{Source, Stdio};

/// Threads may share them and hand them on.
const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Launch>();
    is_send_and_sync::<Child>();
    is_send_and_sync::<Error>();
};

/// The examples of the README are run as the others are.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
