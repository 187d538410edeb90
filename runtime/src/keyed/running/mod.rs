//! Aggregates without windows, which are never final: an epoch gives the rows of the groups that it has changed, or the
//! rows of all groups (`docs/decisions/0027-running-aggregates.md`).
//!
//! ```text
//! lane ── partial values of the epoch ──▶ merged with the groups that they change ──▶ state file (whole groups)
//!                                                └──▶ changed groups, or all ──▶ rows
//! ```

mod groups;
mod operator;
mod partials;
mod step;
mod table;
#[cfg(test)]
mod tests;

pub use step::{Gives, RunningAggregate};
