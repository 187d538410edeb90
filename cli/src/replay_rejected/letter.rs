//! A dead letter, which is a row of its table: the record as Kafka had it, and why it was not taken in.

use std::fmt;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use weir_plan::outputs::REJECTED_RANGE;
use weir_runtime::failure::{Failure, Result};

/// Where a record was in Kafka: `topic/partition/offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter<'a> {
    pub origin: Origin<'a>,
    /// The record's own timestamp in Kafka, in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp_ms: Option<i64>,
    pub key: Option<&'a [u8]>,
    /// The record's value; `None` for a tombstone.
    pub value: Option<&'a [u8]>,
    pub reason: &'a str,
    pub path: Option<&'a str>,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, offset } = self;
        write!(f, "{topic}/{partition}/{offset}")
    }
}

impl<'a> Letter<'a> {
    /// Whether the row contains a record. A row for a range of unreadable offsets contains none.
    #[must_use]
    pub fn is_record(&self) -> bool {
        self.key.is_some()
            || self.value.is_some()
            || self.timestamp_ms.is_some()
            || !self.reason.starts_with(REJECTED_RANGE)
    }

    /// The letter in a row of a batch with the columns of `weir_plan::outputs::rejected_schema`.
    pub fn of(rows: &'a RecordBatch, row: usize) -> Result<Self> {
        let column = |name: &str| rows.column_by_name(name).ok_or_else(|| odd(name));
        let text = |name: &str| {
            let column = column(name)?.as_string_opt::<i32>().ok_or_else(|| odd(name))?;
            Ok::<_, Failure>(column.is_valid(row).then(|| column.value(row)))
        };
        let bytes = |name: &str| {
            let column = column(name)?.as_binary_opt::<i32>().ok_or_else(|| odd(name))?;
            Ok::<_, Failure>(column.is_valid(row).then(|| column.value(row)))
        };
        let partition =
            column("partition")?.as_primitive_opt::<Int32Type>().ok_or_else(|| odd("partition"))?.value(row);
        let offset = column("offset")?.as_primitive_opt::<Int64Type>().ok_or_else(|| odd("offset"))?.value(row);
        let timestamp =
            column("timestamp")?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| odd("timestamp"))?;
        Ok(Self {
            origin: Origin { topic: text("topic")?.ok_or_else(|| odd("topic"))?, partition, offset },
            timestamp_ms: timestamp.is_valid(row).then(|| timestamp.value(row).div_euclid(1000)),
            key: bytes("key")?,
            value: bytes("value")?,
            reason: text("reason")?.ok_or_else(|| odd("reason"))?,
            path: text("path")?,
        })
    }
}

/// A bug: the reader of the table guarantees these columns with these types.
fn odd(column: &str) -> Failure {
    Failure::bug(format!("the column `{column}` of a dead letter is not what it should be"))
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use weir_plan::outputs::rejected_schema;

    use super::*;

    /// The letters as rows of a table of dead letters.
    pub fn rows(letters: &[Letter<'_>]) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(letters.iter().map(|l| l.origin.topic))),
            Arc::new(Int32Array::from_iter_values(letters.iter().map(|l| l.origin.partition))),
            Arc::new(Int64Array::from_iter_values(letters.iter().map(|l| l.origin.offset))),
            Arc::new(
                TimestampMicrosecondArray::from_iter(letters.iter().map(|l| l.timestamp_ms.map(|t| t * 1000)))
                    .with_timezone("UTC"),
            ),
            Arc::new(BinaryArray::from_iter(letters.iter().map(|l| l.key))),
            Arc::new(BinaryArray::from_iter(letters.iter().map(|l| l.value))),
            Arc::new(StringArray::from_iter_values(letters.iter().map(|l| l.reason))),
            Arc::new(StringArray::from_iter(letters.iter().map(|l| l.path))),
        ];
        RecordBatch::try_new(rejected_schema(), columns).unwrap()
    }

    pub fn letter(offset: i64, reason: &'static str) -> Letter<'static> {
        let origin = Origin { topic: "rides", partition: 3, offset };
        Letter { origin, timestamp_ms: Some(1_500), key: Some(b"k"), value: Some(b"{"), reason, path: None }
    }

    #[test]
    fn a_letter_is_the_row_that_was_written() {
        let letters = [
            letter(7, "no JSON"),
            Letter {
                key: None,
                value: Some(b""),
                timestamp_ms: None,
                path: Some("$.price"),
                ..letter(8, "found a string")
            },
            Letter { key: Some(b""), value: None, timestamp_ms: Some(-1), ..letter(9, "\u{e9}") },
            Letter { value: Some(b"\x00\xff\xfe"), ..letter(10, "no UTF-8") },
        ];
        let rows = rows(&letters);
        for (row, letter) in letters.iter().enumerate() {
            assert_eq!(Letter::of(&rows, row).unwrap(), *letter);
        }
        assert_eq!(letters[0].origin.to_string(), "rides/3/7");
    }
}
