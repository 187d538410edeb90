//! The sinks of a pipeline, of whatever kind they are: how they are opened, the tasks through which lanes and workers
//! write to them, and how what a manifest has decided is committed.

pub mod committing;
#[cfg(test)]
pub mod kept;
pub mod opening;
pub mod outputs;
pub mod task;
