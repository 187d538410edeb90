//! Over: each row with aggregates over the row and rows of its key before it.

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::aggregate::RowColumns;
use crate::plan::Input;
use crate::row_keys::{RowKey, columns_of};

/// Each row leaves once the watermark has passed it.
#[derive(Debug, Clone)]
pub struct Over {
    pub input: Input,
    pub key: RowKey,
    pub frame: Frame,
    /// The columns of the input.
    pub input_schema: SchemaRef,
    /// All columns of the step but the event time.
    pub columns: RowColumns,
}

/// The rows of a key that count for a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Those that are at most this much older (µs), and all of the same time.
    Range { preceding_us: i64 },
    /// The row, and this many rows before it, of those that are at most this much older (µs).
    Rows { preceding: usize, expire_after_us: i64 },
}

impl Frame {
    /// How much older (µs) than a row those can be that count for it.
    #[must_use]
    pub fn keeps_us(self) -> i64 {
        match self {
            Self::Range { preceding_us } => preceding_us,
            Self::Rows { expire_after_us, .. } => expire_after_us,
        }
    }
}

/// What the state of the step depends on. It holds rows, so the frame and the aggregates can change: what has left the
/// state does not come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverFingerprint {
    /// `name type` per key column, in order.
    pub key: Vec<String>,
    /// `name type` of each column of the rows, in order.
    pub rows: Vec<String>,
}

impl OverFingerprint {
    pub(crate) fn of(over: &Over) -> Self {
        Self { key: over.key.fingerprint(), rows: columns_of(&over.input_schema) }
    }

    /// The reasons why state saved under this fingerprint does not fit `now`. Each begins with what the step did then.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if now.key != self.key {
            found.push(format!("grouped rows by [{}] and now does by [{}]", self.key.join(", "), now.key.join(", ")));
        }
        if now.rows != self.rows {
            let (then, now) = (self.rows.join(", "), now.rows.join(", "));
            found.push(format!("holds rows with the columns [{then}] and now gets rows with [{now}]"));
        }
        found
    }
}
