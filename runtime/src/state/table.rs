//! What the state room asks of a table of a keyed step.

use super::change::Change;
use super::entries::Entries;
use crate::failure::Result;

/// Entries that an operator keeps from one epoch to the next.
pub trait StateTable: Send {
    /// Puts saved entries back, before the first epoch: those of the oldest file first, without those below the
    /// horizon.
    fn restore(&mut self, entries: &Entries) -> Result<()>;

    /// What the epoch has changed, `None` if nothing. Called after its last rows: what is below the horizon (µs,
    /// exclusive) has left by then, or is forgotten now, and is not in the change.
    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>>;

    fn entries(&self) -> u64;

    /// Heap bytes held.
    fn bytes(&self) -> usize;
}
