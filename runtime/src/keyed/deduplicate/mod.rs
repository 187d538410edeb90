//! Deduplication. Of rows with one key that are close in event time one goes on: in order of arrival at once, or in
//! order of event time when the watermark has passed it.
//!
//! ```text
//! lane ── rows ──▶ Arrival: judged when the epoch closes ──────────────────────────▶ rows
//!           └────▶ EventTime: waiting rows ── the watermark passes them ── judged ──▶ rows
//!                                                                 └── passed: key and time ──▶ state file
//! ```

mod arrival;
mod event_time;
mod passed;
mod step;

pub use step::DeduplicateStep;
