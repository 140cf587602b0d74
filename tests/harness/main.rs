//! Starts the real relay from dirty hosts and looks at what the program that it becomes sees.

mod fuse;
mod host;
mod sandbox;
mod slate;

mod arguments;
mod calls;
mod clean_slate;
mod descriptors;
mod documents;
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
mod settings;
