//! Rows that a table can't hold.
//!
//! One case is an empty string in a partition column that can't be null, because it would be read back as null. The
//! other is a date or timestamp outside the years 1 to 9999, because readers such as Python's refuse the whole file or
//! the whole table.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::DataType;
use weir_plan::plan::{DeltaSink, Sink};
use weir_plan::quote::quoted;

use crate::fitness::Fitness;
use crate::years::outside_of_years;

/// The columns to check, as indices into the rows that the sink gets.
#[derive(Debug)]
pub struct Fit {
    sink: String,
    /// String partition columns that can't be null.
    never_empty: Vec<usize>,
    /// Columns that contain dates or timestamps.
    with_times: Vec<usize>,
}

impl Fit {
    #[must_use]
    pub fn of(sink: &Sink, delta: &DeltaSink) -> Self {
        let fields = sink.schema.fields();
        let places = |wanted: &dyn Fn(usize) -> bool| {
            (0..fields.len()).filter(|i| wanted(*i)).map(|i| sink.place_in_given(i)).collect()
        };
        Self {
            sink: sink.name.clone(),
            never_empty: places(&|i| {
                fields[i].data_type() == &DataType::Utf8
                    && !fields[i].is_nullable()
                    && delta.partition_by.contains(fields[i].name())
            }),
            with_times: places(&|i| has_times(fields[i].data_type())),
        }
    }
}

impl Fitness for Fit {
    fn check(&self, rows: &RecordBatch) -> Result<(), String> {
        let at = |column: usize| {
            format!("column {} of sink {}", quoted(rows.schema_ref().field(column).name()), quoted(&self.sink))
        };
        for &column in &self.never_empty {
            let offsets = rows.column(column).as_string::<i32>().value_offsets();
            if offsets.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(format!(
                    "{}: found an empty string, which a Delta table reads back as null in a partition column, and the \
                     column can't be \
                     null; write another text for it, or make the column nullable with `nullif(…, '')`",
                    at(column)
                ));
            }
        }
        for &column in &self.with_times {
            if let Some(found) = outside_of_years(rows.column(column)) {
                return Err(format!(
                    "{}: {found} is outside the years 1 to 9999, which readers of tables can't take",
                    at(column)
                ));
            }
        }
        Ok(())
    }
}

fn has_times(data_type: &DataType) -> bool {
    match data_type {
        DataType::Date32 | DataType::Timestamp(..) => true,
        DataType::Struct(fields) => fields.iter().any(|f| has_times(f.data_type())),
        DataType::List(item) | DataType::Map(item, _) => has_times(item.data_type()),
        _ => false,
    }
}
