//! Starts the real relay from dirty hosts and looks at what the program that it becomes sees.

mod host;
mod sandbox;
mod slate;

mod arguments;
mod clean_slate;
mod descriptors;
mod environment;
mod file;
mod kernel;
mod left_out;
mod options;
mod plan;
mod positional;
mod process;
mod records;
mod report;
