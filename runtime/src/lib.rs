//! The data plane: records from Kafka to Delta, epoch by epoch. The folders are the way of the data: source → decode → transform → window →
//! sink, and `checkpoint` decides.

pub mod checkpoint;
pub mod failpoint;
pub mod failure;

pub use failure::{Failure, Remedy};
