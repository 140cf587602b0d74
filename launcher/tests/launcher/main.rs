//! Launches the probe by every vehicle and compares what it sees.

// The harness's own, which uses all that is in it.
#[allow(dead_code)]
#[path = "../../../tests/harness/slate.rs"]
mod slate;

// The harness's own file system that hangs.
#[path = "../../../tests/harness/fuse.rs"]
mod fuse;

// The harness's own cgroups.
#[path = "../../../tests/harness/own_cgroup.rs"]
mod own_cgroup;

mod attributes;
mod calls;
mod command;
mod deadline;
mod descriptors;
mod environment;
mod errors;
mod exec;
mod find_program;
mod hosts;
mod killed;
mod options;
mod pulse;
mod signals;
mod storm;
mod support;
mod tables;
