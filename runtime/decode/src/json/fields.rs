//! The fields of an object: their columns, and the lookup of a column by a name in the record. Producers write the same
//! names in the same order again and again. So the field that followed last time is tried first, by comparing the raw
//! bytes between the quotes.

use arrow::array::ArrayRef;
use arrow::datatypes::Fields as ArrowFields;
use arrow::error::ArrowError;
use hashbrown::HashMap;
use weir_plan::plan::TimestampNumbers;
use weir_plan::types::Column;

use super::columns::ColumnBuffer;
use super::cursor::Cursor;
use super::text::Text;
use crate::error::Parsed;

/// The columns of a record or a struct.
pub(super) struct Fields {
    pub(super) columns: Vec<ColumnBuffer>,
    pub(super) names: Names,
}

pub(super) struct Names {
    names: Vec<Box<str>>,
    /// Each name in its plainest JSON spelling, quotes included.
    tokens: Vec<Box<[u8]>>,
    /// `followers[i]` is the guess for the field that comes after field `i - 1`, and `followers[0]` for the first one:
    /// the field that was there when the guess was last wrong.
    followers: Vec<usize>,
    by_name: HashMap<Box<[u8]>, usize>,
}

/// What a name in the record stands for.
pub(super) enum Found<'a> {
    Field(usize),
    /// No column has this name.
    Ignored(Text<'a>),
}

impl Fields {
    pub(super) fn new(columns: &[Column], numbers: TimestampNumbers) -> Self {
        Self { columns: columns.iter().map(|c| ColumnBuffer::new(c, numbers)).collect(), names: Names::new(columns) }
    }

    /// Gives a null to each field that the object did not have, or returns the required field that is missing.
    pub(super) fn fill_missing(&mut self, row: usize) -> Result<(), usize> {
        for (field, column) in self.columns.iter_mut().enumerate() {
            if column.len == row {
                if !column.nullable {
                    return Err(field);
                }
                column.push_null();
            }
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        for column in &mut self.columns {
            column.truncate(rows);
        }
    }

    pub(super) fn finish(&mut self, types: &ArrowFields) -> Result<Vec<ArrayRef>, ArrowError> {
        self.columns.iter_mut().zip(types).map(|(column, field)| column.finish(field.data_type())).collect()
    }
}

impl Names {
    fn new(columns: &[Column]) -> Self {
        Self {
            names: columns.iter().map(|c| c.name.as_str().into()).collect(),
            tokens: columns
                .iter()
                .map(|c| serde_json::Value::from(c.name.as_str()).to_string().into_bytes().into())
                .collect(),
            followers: (0..=columns.len()).collect(),
            by_name: columns.iter().enumerate().map(|(i, c)| (c.name.as_bytes().into(), i)).collect(),
        }
    }

    pub(super) fn name(&self, field: usize) -> &str {
        &self.names[field]
    }

    /// Takes the name at the cursor; `previous` is the field that came before it in this object.
    #[inline]
    pub(super) fn take<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        previous: Option<usize>,
        scratch: &mut Vec<u8>,
    ) -> Parsed<Found<'a>> {
        let slot = previous.map_or(0, |field| field + 1);
        let guess = self.followers[slot];
        if self.tokens.get(guess).is_some_and(|token| cursor.eat(token)) {
            return Ok(Found::Field(guess));
        }
        self.look_up(cursor, slot, scratch)
    }

    fn look_up<'a>(&mut self, cursor: &mut Cursor<'a>, slot: usize, scratch: &mut Vec<u8>) -> Parsed<Found<'a>> {
        let name = cursor.string()?;
        match self.by_name.get(name.bytes(scratch)) {
            Some(&field) => {
                self.followers[slot] = field;
                Ok(Found::Field(field))
            }
            None => Ok(Found::Ignored(name)),
        }
    }
}
