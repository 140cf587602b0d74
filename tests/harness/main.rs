//! Starts the real relay from dirty hosts and looks at what the program that it becomes sees.

mod fuse;
mod host;
mod moves;
mod own_cgroup;
mod refusal;
mod sandbox;
mod slate;

mod arguments;
mod attributes;
mod calls;
mod capabilities;
mod cgroup;
mod clean_slate;
mod descriptors;
mod documents;
mod environment;
mod execution;
mod facts;
mod file;
mod identity;
mod kernel;
mod left_out;
mod limits;
mod options;
mod plan;
mod positional;
mod process;
mod records;
mod report;
mod reset;
mod settings;
