//! The sinks of a pipeline, of whatever kind they are: how they are opened, and the tasks through which lanes write to them.

pub mod lanes;
pub mod opening;
pub mod task;
