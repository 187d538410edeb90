//! What the tests on Kubernetes stand on.
#![allow(clippy::unwrap_used)] // a test harness: what can't go on must panic, with its message

pub mod cluster;
