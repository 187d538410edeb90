//! Aggregates over windows whose bounds follow from a row alone. Watermarks decide when a window is over, and group
//! tables hold what is in it. Rows are aggregated once per slice of time, in whichever windows the slice lies.
//!
//! ```text
//! lane ── partials of (slice, key) ──▶ merged ──▶ state file (the change)
//!                                         └────▶ panes of slices ── watermark passes a window's end ──▶ rows
//! ```

mod assign;
mod operator;
mod pane;
mod partials;
mod slices;
mod step;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod v1;

pub use step::WindowedAggregate;
