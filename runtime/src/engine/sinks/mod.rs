//! The sinks of a pipeline, whatever their kinds: how they are opened, the tasks through which lanes and workers write
//! to them, and how they commit what a manifest has decided.

pub mod committing;
mod epoch;
#[cfg(test)]
pub mod kept;
pub mod opening;
pub mod outputs;
pub mod task;
