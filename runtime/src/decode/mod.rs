//! Records to Arrow: one record's JSON becomes one row of the columns that the document asks for, or an error that says where it is
//! wrong; never half a row. The rules are in docs/reference/json.md. A record goes cursor (grammar) → reader (types) → columns (storage).

mod base64;
mod columns;
mod cursor;
mod date;
mod decimal;
mod error;
mod fields;
mod number;
mod reader;
mod text;
mod timestamp;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use weir_plan::plan::JsonFormat;
use weir_plan::types::Column;

use cursor::Cursor;
pub use error::RecordError;
use error::{Fault, Parsed};
use fields::Fields;
use reader::Reader;

/// Decodes records into the columns of one batch after the other.
///
/// A row is in the batch or it is not: an error leaves no trace, and the next record is decoded as if the bad one had not been there.
pub struct JsonDecoder {
    schema: SchemaRef,
    fields: Fields,
    rows: usize,
    /// Kept from record to record for its room.
    scratch: Vec<u8>,
    offset_max: usize,
}

impl JsonDecoder {
    /// What a batch may hold: Arrow's strings and arrays have 32-bit offsets. While `bytes()` and the next record's length are together
    /// not more than this, no record is refused for want of room.
    pub const BATCH_BYTES_MAX: usize = i32::MAX as usize;

    #[must_use]
    pub fn new(format: &JsonFormat) -> Self {
        Self {
            schema: Arc::new(Schema::new(format.columns.iter().map(Column::to_field).collect::<Vec<_>>())),
            fields: Fields::new(&format.columns, format.timestamp_numbers),
            rows: 0,
            scratch: Vec::new(),
            offset_max: Self::BATCH_BYTES_MAX,
        }
    }

    /// The schema of every batch: the format's columns, without an event time.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Appends one row, or leaves no trace and says why. `None` is a record without a value.
    pub fn decode(&mut self, value: Option<&[u8]>) -> Result<(), RecordError> {
        match self.read(value) {
            Ok(()) => {
                self.rows += 1;
                Ok(())
            }
            Err(fault) => {
                self.fields.truncate(self.rows);
                Err(fault.into())
            }
        }
    }

    /// Rows decoded since the last batch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that the rows fill (room kept for more not counted). Looks at every column, so it is not free.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.fields.bytes()
    }

    /// Drains the rows into a batch. The columns' memory moves into it; new columns are given as much room as this batch had need of.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let arrays = self.fields.finish(&self.schema.fields)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }

    fn read(&mut self, value: Option<&[u8]>) -> Parsed<()> {
        let value = value.ok_or_else(|| Fault::new("the record has no value (a tombstone), want a JSON object"))?;
        let record = std::str::from_utf8(value)
            .map_err(|error| Fault::new(format!("byte {}: found bytes that are not UTF-8", error.valid_up_to())))?;
        if record.starts_with('\u{feff}') {
            return Err(Fault::new("the record begins with a byte order mark, which JSON does not have"));
        }
        let mut reader = Reader { cursor: Cursor::new(record), depth: 0, scratch: &mut self.scratch, offset_max: self.offset_max };
        reader.record(&mut self.fields, self.rows)
    }
}
