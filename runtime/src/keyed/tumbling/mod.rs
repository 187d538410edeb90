//! Aggregates over tumbling windows. Watermarks decide when a window is over, and group tables hold what is in it.
//!
//! ```text
//! lane ── partials of (window, key) ──▶ merged ──▶ state file (the change)
//!                                          └────▶ panes of open windows ── watermark passes the end ──▶ rows
//! ```

mod closing;
mod group_table;
mod late;
mod operator;
mod partials;
mod step;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod v1;
mod windows;

pub use step::TumblingAggregate;
