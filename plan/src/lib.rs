//! What a pipeline means, decided before any record is read.
//!
//! Everything here is pure. `weir-crds` builds a [`Plan`] from a document, a plan that exists is right, and
//! `weir-runtime` executes it. Nothing in this crate does I/O, reads a clock or draws a random number.

pub mod aggregate;
pub mod calendar;
pub mod compat;
pub mod deduplicate;
pub mod expr;
pub mod floats;
mod functions;
pub mod ids;
mod input;
pub mod key_group;
pub mod metadata;
pub mod outputs;
pub mod over;
pub mod panics;
pub mod plan;
pub mod quote;
pub mod report;
pub mod row_keys;
pub mod stages;
pub mod topics;
pub mod types;
pub mod window;

pub use plan::Plan;
