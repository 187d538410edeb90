//! Keys as bytes that are equal for equal keys.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array};
use arrow::datatypes::DataType;
use arrow_row::{Row, RowConverter, RowParser, Rows, SortField};

use crate::failure::{Failure, Result};

/// Keys in arrow's row format.
pub(in crate::keyed) struct KeyFormat {
    converter: RowConverter,
    has_columns: bool,
}

impl KeyFormat {
    pub fn new(types: &[DataType]) -> Result<Self> {
        let has_columns = !types.is_empty();
        // Without key columns all rows have one key, a column of zeros.
        let types = if has_columns { types } else { &[DataType::Int8] };
        let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
        let converter = RowConverter::new(fields).map_err(|e| Failure::bug(format!("keys of types {types:?}: {e}")))?;
        Ok(Self { converter, has_columns })
    }

    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<Rows> {
        let mut keys = self.empty(rows);
        self.append(&mut keys, columns, rows)?;
        Ok(keys)
    }

    /// Adds the keys of more rows to `keys`.
    pub fn append(&self, keys: &mut Rows, columns: &[ArrayRef], rows: usize) -> Result<()> {
        let appended = if self.has_columns {
            self.converter.append(keys, columns)
        } else {
            self.converter.append(keys, &[Arc::new(Int8Array::from(vec![0; rows])) as ArrayRef])
        };
        appended.map_err(|e| Failure::bug(format!("keys into rows: {e}")))
    }

    /// Reads keys that this format has written.
    pub fn parser(&self) -> RowParser {
        self.converter.parser()
    }

    pub fn decode<'r>(&self, rows: impl IntoIterator<Item = Row<'r>>) -> Result<Vec<ArrayRef>> {
        if !self.has_columns {
            return Ok(Vec::new());
        }
        self.converter.convert_rows(rows).map_err(|e| Failure::bug(format!("keys back from rows: {e}")))
    }

    pub fn empty(&self, rows: usize) -> Rows {
        self.converter.empty_rows(rows, 0)
    }
}
