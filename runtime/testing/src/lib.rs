//! What unit tests of several crates use: object stores that fail on purpose, a mock Kafka cluster, a folder for a
//! table.

#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, clippy::unwrap_used)]

pub mod faulty;
pub mod kafka;
pub mod lake;
pub mod meddled;
pub mod schemas;
