//! Values as byte strings in memory, in which equal values have equal bytes and the order of the bytes is that of the
//! values. Saved state never has these bytes, but the values themselves.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::DataType;
use arrow_row::{RowConverter, Rows, SortField};
use datafusion_common::Result;

use crate::floats::normalized;

/// Turns columns into byte strings, one per row, and back. Nulls come first, and floating-point numbers are in the
/// order of [`crate::floats`].
pub(super) struct Format {
    converter: RowConverter,
    types: Vec<DataType>,
}

impl Format {
    pub fn new(types: &[DataType]) -> Result<Self> {
        Self::ordered(types.iter().map(|data_type| (data_type, SortOptions::default())))
    }

    /// A format whose columns are each in an order of their own.
    pub fn ordered<'t>(columns: impl Iterator<Item = (&'t DataType, SortOptions)>) -> Result<Self> {
        let (types, orders): (Vec<_>, Vec<_>) = columns.map(|(data_type, order)| (held(data_type), order)).unzip();
        let fields = types.iter().cloned().zip(orders).map(|(of, order)| SortField::new_with_options(of, order));
        Ok(Self { converter: RowConverter::new(fields.collect())?, types })
    }

    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        let held = columns.iter().zip(&self.types).map(|(column, data_type)| {
            let column = normalized(column);
            if column.data_type() == data_type { Ok(column) } else { cast(&column, data_type) }
        });
        Ok(self.converter.convert_columns(&held.collect::<Result<Vec<_>, _>>()?)?)
    }

    /// The columns, of the types of [`held`].
    pub fn decode<'r>(&self, rows: impl IntoIterator<Item = &'r [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        // The converter's rows borrow the parser.
        let rows: Vec<_> = rows.into_iter().collect();
        Ok(self.converter.convert_rows(rows.iter().map(|row| parser.parse(row)))?)
    }

    /// A row of nulls.
    pub fn nulls(&self) -> Result<Box<[u8]>> {
        let columns: Vec<_> = self.types.iter().map(|data_type| new_null_array(data_type, 1)).collect();
        Ok(self.converter.convert_columns(&columns)?.row(0).data().into())
    }
}

/// The type in which partial states hold values of a type. An array of these may have more than 2 GiB of text.
pub(super) fn held(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 => DataType::LargeUtf8,
        DataType::Binary => DataType::LargeBinary,
        other => other.clone(),
    }
}

/// The values in the type of a result.
pub(super) fn shown(held: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if held.data_type() == data_type { Ok(Arc::clone(held)) } else { Ok(cast(held, data_type)?) }
}

/// What a value weighs against [`super::COLLECTED_BYTES_MAX`]: its bytes and 8 more, so that empty texts weigh
/// something. It does not depend on how the value is held.
pub(super) fn weight(values: &dyn Array, row: usize) -> usize {
    8 + bytes_of(values, row)
}

fn bytes_of(values: &dyn Array, row: usize) -> usize {
    if values.is_null(row) {
        return 0;
    }
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => values.as_string::<i64>().value(row).len(),
        DataType::Binary => values.as_binary::<i32>().value(row).len(),
        DataType::LargeBinary => values.as_binary::<i64>().value(row).len(),
        DataType::List(_) => {
            let items = values.as_list::<i32>().value(row);
            (0..items.len()).map(|item| weight(&items, item)).sum()
        }
        DataType::Map(..) => {
            let entries = values.as_map().value(row);
            (0..entries.len()).map(|entry| weight(&entries, entry)).sum()
        }
        DataType::Struct(_) => values.as_struct().columns().iter().map(|field| weight(field, row)).sum(),
        other => other.primitive_width().unwrap_or(1),
    }
}
