//! The data plane: records from Kafka to sinks, epoch by epoch. The folders follow the way of the data: source → decode
//! → transform → keyed → sink. `checkpoint` decides what counts. Parts that know nothing of each other are separate
//! crates.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]

mod allocator;
pub mod build;
pub mod engine;
#[cfg(test)]
mod fixtures;
pub mod keyed;
pub mod observe;
mod sizes;
pub mod state;
pub mod transform;

pub use weir_base::failure::{Failure, Remedy};
pub use weir_base::{VERSION, clock, failpoint, failure, memory, random, retry, storage};
pub use {weir_checkpoint as checkpoint, weir_decode as decode, weir_sink as sink, weir_source as source};
