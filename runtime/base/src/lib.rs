//! What every part of the data plane stands on: failures sorted by remedy, retries, the memory that there is, object
//! stores, and places at which tests stop or kill the process.

mod allocator;
pub mod failpoint;
pub mod failure;
pub mod memory;
pub mod retry;
pub mod storage;

/// Of Weir, as manifests and state files say who wrote them.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
