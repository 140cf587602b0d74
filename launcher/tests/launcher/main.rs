//! Launches the probe by every vehicle and compares what it sees.

mod errors;
mod hosts;
mod killed;
mod options;
mod pulse;
mod storm;
mod support;
