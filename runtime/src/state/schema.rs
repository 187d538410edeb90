//! What the code in `state` has to know about a table of a keyed step.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, FieldRef, SchemaRef};

use super::entries::Entries;
use crate::failure::Result;

/// The columns of a table's entries, and how two entries of one time and key become one.
#[derive(Clone)]
pub struct TableSchema {
    /// Unique within the step. It never changes, because saved files name the table by it.
    pub name: &'static str,
    /// The version of the table's columns, from 1. It goes up when this code could not tell otherwise how to read the
    /// files that were written before.
    pub version: u32,
    pub kind: Kind,
    pub keys: SchemaRef,
    /// How many of the first key columns decide the key group.
    pub hashed: usize,
    pub values: Vec<StateField>,
    /// For each input that entries wait for, how long they are still needed. The longest counts. If this is empty,
    /// entries have no time.
    pub horizon: Vec<Keeps>,
    /// How the table stands in state files of version 1, if they have it.
    pub v1: Option<Arc<dyn V1>>,
}

/// A table of a keyed step. The log numbers tables by their index in a list of these, in the changes that it writes, in
/// the entries that it reads back, and in the horizons.
#[derive(Clone)]
pub struct StepTable {
    /// The step's name, by which files name the step's rows.
    pub step: String,
    pub schema: Arc<TableSchema>,
}

/// How entries of one time and key become one.
#[derive(Clone)]
pub enum Kind {
    /// Partial values, which merge in any order and grouping. There are no deletes.
    Merge(Arc<dyn Combine>),
    /// Whole values, of which the newest counts. It may be a delete.
    Rows,
}

/// An entry is needed until the watermark of an input is greater than the entry's time plus `keeps_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeps {
    pub input: usize,
    pub keeps_us: i64,
}

impl TableSchema {
    /// Whether entries leave the state by their time. If not, their time is [`NEVER`](super::NEVER).
    #[must_use]
    pub fn has_time(&self) -> bool {
        !self.horizon.is_empty()
    }

    /// The horizon (µs), by the watermarks of the step's inputs: entries with an earlier time are finished. `None`
    /// while no entry is.
    #[must_use]
    pub fn horizon_us(&self, inputs_us: &[Option<i64>]) -> Option<i64> {
        let horizons =
            self.horizon.iter().map(|keeps| inputs_us[keeps.input].map(|w| w.saturating_sub(keeps.keeps_us)));
        horizons.min().flatten()
    }
}

/// State files of version 1: what stands in a block of the table of a step, and what it is by now.
pub trait V1: Send + Sync {
    /// A block's columns: the key group, the start of the window, then keys and values.
    fn schema(&self) -> &SchemaRef;
    /// Whether older files may lack the column at this index. The column is null then.
    fn may_lack(&self, column: usize) -> bool;
    /// The entries of columns that have this schema.
    ///
    /// # Errors
    /// A bug, if the columns are not those of the schema.
    fn entries(&self, columns: Vec<ArrayRef>) -> Result<Entries>;
}

/// A column of values.
#[derive(Debug, Clone)]
pub struct StateField {
    /// The field has the name under which the column is saved.
    pub field: FieldRef,
    /// Older versions did not keep this column. It is null where a file lacks it.
    pub is_new: bool,
}

impl StateField {
    #[must_use]
    pub fn new(name: &str, field: &Field, is_new: bool) -> Self {
        Self { field: Arc::new(Field::new(name, field.data_type().clone(), true)), is_new }
    }
}

/// Merges entries of one time and key. The result must be the same in any order and grouping.
pub trait Combine: Send + Sync {
    /// Returns the values of `distinct` entries. `numbers` says for each row which entry it belongs to, in ascending
    /// order.
    ///
    /// # Errors
    /// A bug, since values of these types have been merged before.
    fn combine(&self, values: &[ArrayRef], numbers: &[usize], distinct: usize) -> Result<Vec<ArrayRef>>;
}
