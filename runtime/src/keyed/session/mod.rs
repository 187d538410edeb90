//! Aggregates over session windows. A session has rows of one key, each at most a gap after the one before, and ends a
//! gap after its last row. Sessions grow and merge, so an epoch writes a changed session as a whole, under its new end,
//! and deletes it under its old one.
//!
//! ```text
//! lane ── fragments of sessions ──▶ joined with the sessions that they meet ──▶ state file (the change)
//!                                          └──▶ open sessions ── watermark passes an end ──▶ rows
//! ```

mod fragments;
mod join;
mod operator;
mod sessions;
mod step;
mod table;

pub use step::SessionAggregate;
