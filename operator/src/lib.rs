//! Weir's controller: makes the cluster match each StreamPipeline, and reports the cluster's state in its status.
//!
//! One reconcile is a short chain, a module per link:
//!
//! ```text
//! dereference ─▶ verdict ─▶ desired ─▶ apply ─▶ status
//!   (client)      (pure)     (pure)    (client)  (pure, then client)
//! ```
//!
//! Pods hold no Kubernetes credentials. The operator asks each runtime for its progress over HTTP ([`ask`]).
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]

pub mod apply;
pub mod ask;
pub mod claims;
pub mod clock;
pub mod context;
pub mod controller;
pub mod deletion;
pub mod dereference;
pub mod desired;
pub mod error;
mod events;
#[cfg(test)]
mod fixtures;
pub mod guard;
pub mod health;
pub mod http;
pub mod inputs;
pub mod labels;
pub mod leader;
pub mod looks;
pub mod marks;
pub mod metrics;
pub mod observed;
pub mod ownership;
pub mod planner;
pub mod pod_template;
pub mod pods;
pub mod progress;
pub mod reconcile;
pub mod refusal;
pub mod revision;
pub mod rollback;
pub mod runs;
pub mod secret_changes;
pub mod secrets;
pub mod settings;
pub mod status;
pub mod verdict;
pub mod write;
