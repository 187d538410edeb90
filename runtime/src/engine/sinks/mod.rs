//! The sinks of a pipeline, of whatever kind they are: how they are opened, the tasks through which lanes write to
//! them, and how what a manifest has decided is committed.

pub mod committing;
pub mod lanes;
pub mod opening;
pub mod task;
