//! Runs the real relay where containers run it, and looks at what the program that it becomes sees there.
//!
//! As root, with runc, crun, buildah, podman, bubblewrap and what else `.ci/run containers` installs. All that a test
//! makes is in temporary directories of its own.

// The harness's own, which uses all that is in them.
#[allow(dead_code)]
#[path = "../harness/host.rs"]
mod host;
#[allow(dead_code)]
#[path = "../harness/sandbox.rs"]
mod sandbox;
#[allow(dead_code)]
#[path = "../harness/slate.rs"]
mod slate;

mod bundle;
mod image;
mod profile;
mod tools;

mod bubble;
mod images;
mod runtimes;
