//! What every part of the data plane builds on: failures sorted by remedy, retries, the memory limit, object stores,
//! clocks and randomness, and points at which tests stop or kill the process.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]

mod allocator;
pub mod certificates;
pub mod clock;
pub mod failpoint;
pub mod failure;
pub mod memory;
pub mod random;
pub mod retry;
pub mod storage;

/// Weir's version, which manifests and state files name as their writer's.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
