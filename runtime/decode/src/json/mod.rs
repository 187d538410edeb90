//! JSON: one object per record. The rules are in docs/reference/json.md. A record passes through the cursor (grammar),
//! the reader (types) and the columns (storage).

mod columns;
mod cursor;
mod date;
mod decimal;
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

use super::Decoder;
use super::error::{Fault, Parsed, Undecoded};
use cursor::Cursor;
use fields::Fields;
use reader::Reader;

/// The greatest offset in Arrow's string and array columns. What a lane fetches for a batch is far below it.
const OFFSET_MAX: usize = i32::MAX as usize;

/// A decoder of JSON objects.
pub struct JsonDecoder {
    /// The schema of every batch.
    schema: SchemaRef,
    fields: Fields,
    rows: usize,
    /// A buffer that is kept from record to record to save allocations.
    scratch: Vec<u8>,
    offset_max: usize,
}

impl JsonDecoder {
    #[must_use]
    pub fn new(columns: &[Column], format: JsonFormat) -> Self {
        Self {
            schema: Arc::new(Schema::new(columns.iter().map(Column::to_field).collect::<Vec<_>>())),
            fields: Fields::new(columns, format.timestamp_numbers),
            rows: 0,
            scratch: Vec::new(),
            offset_max: OFFSET_MAX,
        }
    }

    fn read(&mut self, value: Option<&[u8]>) -> Parsed<()> {
        let value = value.ok_or_else(|| Fault::new("the record has no value (a tombstone), want a JSON object"))?;
        let record = std::str::from_utf8(value)
            .map_err(|error| Fault::new(format!("byte {}: found bytes that are not UTF-8", error.valid_up_to())))?;
        if record.starts_with('\u{feff}') {
            return Err(Fault::new("the record begins with a byte order mark, which JSON does not have"));
        }
        let mut reader =
            Reader { cursor: Cursor::new(record), depth: 0, scratch: &mut self.scratch, offset_max: self.offset_max };
        reader.record(&mut self.fields, self.rows)
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, value: Option<&[u8]>) -> Result<(), Undecoded> {
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

    /// Moves the columns' memory into a batch. The new columns get as much room as this batch needed.
    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let arrays = self.fields.finish(&self.schema.fields)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}
