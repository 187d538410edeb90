//! What the code in `state` requires of a table of a keyed step.

use super::change::Change;
use super::entries::Entries;
use crate::failure::Result;

/// Entries that an operator keeps from one epoch to the next.
pub trait StateTable: Send {
    /// Restores saved entries, before the first epoch. The caller begins with the entries of the oldest file, and
    /// leaves out those below the horizon.
    fn restore(&mut self, entries: &Entries) -> Result<()>;

    /// Returns what the epoch has changed; `None` if nothing. Called after the epoch's last rows. Entries below the
    /// horizon (µs, exclusive) have left by then or are dropped now, and are not in the change.
    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>>;

    fn entries(&self) -> u64;

    /// Heap memory held, in bytes.
    fn bytes(&self) -> usize;
}
