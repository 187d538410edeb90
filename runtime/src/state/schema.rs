//! What a table of a keyed step holds, as far as the state room has to know it.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, FieldRef, SchemaRef};

use super::file::v1::V1;
use crate::failure::Result;

/// The columns of a table's entries, and how two entries of one time and key become one.
#[derive(Clone)]
pub struct TableSchema {
    /// Unique within the step, for good.
    pub name: &'static str,
    /// Of its columns, from 1: goes up where files that were written before it could not be read by what is here
    /// otherwise.
    pub version: u32,
    pub kind: Kind,
    pub keys: SchemaRef,
    /// How many of the first key columns decide the key group.
    pub hashed: usize,
    pub values: Vec<StateField>,
    /// How long entries have something left to do, per input that they wait for; the longest counts. Without any,
    /// entries have no time.
    pub horizon: Vec<Keeps>,
    /// How state files of version 1 have it, if they do.
    pub v1: Option<Arc<dyn V1>>,
}

/// What becomes of entries of one time and key.
#[derive(Clone)]
pub enum Kind {
    /// Partial values: they merge, in any order and grouping. There are no deletes.
    Merge(Arc<dyn Combine>),
    /// Whole values: the newest one counts, and may say that there is none any more.
    Rows,
}

/// An entry has something left to do until the watermark of an input is more than its time plus `keeps_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeps {
    pub input: usize,
    pub keeps_us: i64,
}

impl TableSchema {
    /// Whether entries leave by their time. Otherwise that is [`NEVER`](super::NEVER).
    #[must_use]
    pub fn has_time(&self) -> bool {
        !self.horizon.is_empty()
    }

    /// Entries with a time below it are over, by the watermarks of the step's inputs; `None` while none is.
    #[must_use]
    pub fn horizon_us(&self, inputs_us: &[Option<i64>]) -> Option<i64> {
        let horizons =
            self.horizon.iter().map(|keeps| inputs_us[keeps.input].map(|w| w.saturating_sub(keeps.keeps_us)));
        horizons.min().flatten()
    }
}

/// A column of values.
#[derive(Debug, Clone)]
pub struct StateField {
    /// Under the name that it is saved by.
    pub field: FieldRef,
    /// Older versions did not keep it: it is null where a file lacks it.
    pub is_new: bool,
}

impl StateField {
    #[must_use]
    pub fn new(name: &str, field: &Field, is_new: bool) -> Self {
        Self { field: Arc::new(Field::new(name, field.data_type().clone(), true)), is_new }
    }
}

/// Merges entries of one time and key. In any order and grouping the result must be the same.
pub trait Combine: Send + Sync {
    /// `numbers` says of each row which entry it belongs to, in order, and `distinct` how many entries there are. Gives
    /// their values.
    ///
    /// # Errors
    /// A bug: such values have been merged before.
    fn combine(&self, values: &[ArrayRef], numbers: &[usize], distinct: usize) -> Result<Vec<ArrayRef>>;
}
