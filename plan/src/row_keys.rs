//! Keys of steps that keep rows as they are: columns of the input whose equal values bring rows together.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema, SchemaRef};

use crate::expr::{no_such_column, stored_type};
use crate::floats::normalized;
use crate::quote::quoted;
use crate::types::EVENT_TIME;

/// The columns of a key, by their indices in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowKey {
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl RowKey {
    /// Finds the columns, or returns a sentence for each that is wrong, with its index in `names`.
    ///
    /// # Errors
    /// What is wrong with each name.
    pub fn of(input: &SchemaRef, names: &[String]) -> Result<Self, Vec<(usize, String)>> {
        let (mut columns, mut errors) = (Vec::with_capacity(names.len()), Vec::new());
        for (i, name) in names.iter().enumerate() {
            match column(input, name) {
                Ok(column) => columns.push(column),
                Err(why) => errors.push((i, why)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let fields: Vec<_> = columns.iter().map(|column| Arc::clone(&input.fields()[*column])).collect();
        Ok(Self { columns, schema: Arc::new(Schema::new(fields)) })
    }

    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The key of each row. Floating-point numbers that are equal have equal bits in it.
    #[must_use]
    pub fn of_rows(&self, rows: &RecordBatch) -> Vec<ArrayRef> {
        self.columns.iter().map(|column| normalized(rows.column(*column))).collect()
    }

    /// `name type` per column, in order.
    #[must_use]
    pub(crate) fn fingerprint(&self) -> Vec<String> {
        columns_of(&self.schema)
    }
}

/// `name type` of each column but the event time, in order.
pub(crate) fn columns_of(schema: &Schema) -> Vec<String> {
    let own = schema.fields().iter().filter(|field| field.name() != EVENT_TIME);
    own.map(|field| format!("{} {}", field.name(), stored_type(field.data_type()))).collect()
}

fn column(input: &SchemaRef, name: &str) -> Result<usize, String> {
    if name == EVENT_TIME {
        return Err(format!("the step goes by {} anyway: take another column", quoted(EVENT_TIME)));
    }
    let Some((column, field)) = input.column_with_name(name) else { return Err(no_such_column(name, input)) };
    let what = match field.data_type() {
        DataType::Struct(_) => "a struct",
        DataType::List(_) => "an array",
        DataType::Map(..) => "a map",
        _ => return Ok(column),
    };
    Err(format!(
        "rows cannot be compared by {}, since {what} is no one value: compute a text or a number from it in a map step \
         before",
        quoted(name)
    ))
}
