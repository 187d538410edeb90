//! The sinks of a pipeline, of whatever kind they are: the tasks through which lanes write to them.

pub mod lanes;
pub mod task;
