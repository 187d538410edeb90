//! What the state room asks of a table of a keyed step.

use std::any::Any;

use super::change::Change;
use super::entries::Entries;
use crate::failure::Result;

/// Entries that an operator keeps from one epoch to the next.
pub trait StateTable: Any + Send {
    /// Puts saved entries back, before the first epoch: those of the oldest file first, without those below the horizon.
    fn restore(&mut self, entries: &Entries) -> Result<()>;

    /// Takes the entries of another table of the same step and schema, which was restored beside this one.
    ///
    /// # Errors
    /// A bug, if it is a table of another kind.
    fn take_over(&mut self, other: &mut dyn StateTable) -> Result<()>;

    /// What the epoch has changed, `None` if nothing. Called after its last rows: what is below the horizon (µs, exclusive) has left by then, or is
    /// forgotten now, and is not in the change.
    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>>;

    fn entries(&self) -> u64;

    /// Heap bytes held.
    fn bytes(&self) -> usize;
}
