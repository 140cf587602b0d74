//! One file a step, in the order in which the program takes them.

pub mod descriptors;

pub mod limits;

pub mod session;

pub mod directory;

pub mod privileges;

pub mod timers;

pub mod signals;

pub mod report;

pub mod exec;
