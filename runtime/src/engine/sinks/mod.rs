//! The sinks of a pipeline, whatever their kinds: how they are opened, the tasks through which lanes and workers write
//! to them, and how they commit what a manifest has decided.

pub(super) mod committing;
mod epoch;
#[cfg(test)]
pub(super) mod kept;
pub(super) mod opening;
pub mod outputs;
pub mod task;
