//! Event-time windows: watermarks decide when one is over, group tables hold what is in it, and state files carry it over a crash.
//!
//! ```text
//! lane ── partials of (window, key) ──▶ merged ──▶ state file (the change)
//!                                          └────▶ panes of open windows ── watermark passes the end ──▶ rows
//! ```

mod change;
mod compaction;
mod group_table;
mod keyed_state;
mod late;
mod order;
mod partials;
pub mod state_file;
pub mod watermark;

#[cfg(test)]
mod tests;

pub use change::Change;
pub use compaction::compact;
pub use group_table::GroupTable;
pub use keyed_state::KeyedState;
pub use late::late_rows;
pub use partials::{LanePartials, Partials, Prepared};
