//! One file a step, in the order in which the program takes them.

pub mod report;

pub mod descriptors;

pub mod timers;

pub mod signals;

pub mod exec;
