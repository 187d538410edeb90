//! Aggregates over tumbling windows: watermarks decide when one is over, and group tables hold what is in it.
//!
//! ```text
//! lane ── partials of (window, key) ──▶ merged ──▶ state file (the change)
//!                                          └────▶ panes of open windows ── watermark passes the end ──▶ rows
//! ```

mod closing;
mod group_table;
mod keyed_state;
mod late;
mod partials;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod v1;

pub use closing::{ClosedWindow, groups_of};
pub use group_table::GroupTable;
pub use keyed_state::KeyedState;
pub use late::late_rows;
pub use partials::{LanePartials, Prepared};
pub use table::table;
