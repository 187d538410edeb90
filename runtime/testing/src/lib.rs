//! What unit tests of several crates stand on: stores with a hand before them, a mock cluster, a folder for a table,
//! random inputs, another decoder of JSON.

#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, clippy::unwrap_used)]

pub mod faulty;
pub mod json;
pub mod kafka;
pub mod lake;
pub mod meddled;
pub mod property;
pub mod schemas;
