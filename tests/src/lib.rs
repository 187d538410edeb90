//! The harness of the system tests: real servers, a proxy that injects faults, an oracle, readers of tables, and the
//! engine as an operating-system process. It shares no crate with the engine.
#![allow(clippy::unwrap_used)] // a test harness: what can't go on must panic, with its message

pub mod certificates;
pub mod deadline;
pub mod disk;
pub mod engine;
pub mod forwarder;
pub mod openmetrics;
pub mod oracle;
pub mod proxy;
pub mod rides;
pub mod rig;
pub mod segment;
pub mod services;
pub mod skip;
pub mod table;
pub mod token_server;
pub mod topic;
pub mod wall_clock;
pub mod web;
