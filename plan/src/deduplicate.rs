//! Deduplication: of rows with one key that are close in event time, one goes on.

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::plan::Input;
use crate::row_keys::{RowKey, columns_of};

/// A row goes on unless a row of its key has gone on that is at most `within_us` away in event time, in either
/// direction. Null keys are equal to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduplicate {
    pub input: Input,
    pub key: RowKey,
    pub within_us: i64,
    pub order: RowOrder,
    /// The columns of the input, and of the step.
    pub schema: SchemaRef,
}

/// The order in which rows of a key are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowOrder {
    /// As they are read: epoch by epoch, and within an epoch by source, topic, partition, offset.
    Arrival,
    /// By event time, once the watermark has passed them.
    EventTime,
}

/// What the state of a deduplication depends on. How far apart duplicates may be can change: what has left the state
/// does not come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeduplicateFingerprint {
    /// `name type` per key column, in order.
    pub key: Vec<String>,
    pub order: RowOrder,
    /// `name type` of each column of the rows that wait; empty if no rows wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<String>,
}

impl DeduplicateFingerprint {
    pub(crate) fn of(step: &Deduplicate) -> Self {
        let waiting = match step.order {
            RowOrder::Arrival => Vec::new(),
            RowOrder::EventTime => columns_of(&step.schema),
        };
        Self { key: step.key.fingerprint(), order: step.order, waiting }
    }

    /// The reasons why state saved under this fingerprint does not fit `now`. Each begins with what the step did then.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if now.key != self.key {
            found.push(format!("compared rows by [{}] and now does by [{}]", self.key.join(", "), now.key.join(", ")));
        }
        if now.order != self.order {
            found.push(format!("kept rows in the order {:?} and now does in the order {:?}", self.order, now.order));
        } else if now.waiting != self.waiting {
            let (then, now) = (self.waiting.join(", "), now.waiting.join(", "));
            found.push(format!("holds rows with the columns [{then}] and now gets rows with [{now}]"));
        }
        found
    }
}
