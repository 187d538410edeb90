//! The data plane: records from Kafka to sinks, epoch by epoch. The folders are the way of the data: source → decode → transform → keyed →
//! sink, and `checkpoint` decides.

mod allocator;
pub mod build;
pub mod checkpoint;
pub mod decode;
pub mod engine;
pub mod failpoint;
pub mod failure;
#[cfg(test)]
mod fixtures;
pub mod keyed;
pub mod memory;
pub mod observe;
pub mod retry;
pub mod sink;
pub mod source;
pub mod state;
pub mod storage;
pub mod transform;

pub use failure::{Failure, Remedy};

/// Of Weir, as manifests and state files say who wrote them.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
