//! The harness of the tests on Kubernetes: a real API server that they start by themselves, with Weir's definition
//! installed, and a whole cluster that must exist already.
#![allow(clippy::unwrap_used)] // a test harness: what can't go on must panic, with its message

pub mod api_server;
pub mod cluster;
pub mod deadline;
pub mod kstatus;
pub mod namespace;
pub mod node;
pub mod operator;
pub mod outage;
