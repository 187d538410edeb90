//! The fields of an object: their columns, and finding the one that a name in the record means. Producers write the
//! same names in the same order again and again, so the field that followed last time is tried first, as it stands
//! between its quotes.

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

/// What a record's or a struct's columns are made of.
pub(super) struct Fields {
    pub(super) columns: Vec<ColumnBuffer>,
    pub(super) names: Names,
}

pub(super) struct Names {
    names: Vec<Box<str>>,
    /// Each name as JSON writes it most plainly, quotes included.
    tokens: Vec<Box<[u8]>>,
    /// What followed field `i - 1` when it was last seen to be followed by another than guessed; `[0]`: what came
    /// first.
    followers: Vec<usize>,
    by_name: HashMap<Box<[u8]>, usize>,
}

/// What a name in the record means.
pub(super) enum Found<'a> {
    Field(usize),
    /// No column has this name.
    Ignored(Text<'a>),
}

impl Fields {
    pub(super) fn new(columns: &[Column], numbers: TimestampNumbers) -> Self {
        Self { columns: columns.iter().map(|c| ColumnBuffer::new(c, numbers)).collect(), names: Names::new(columns) }
    }

    /// Gives the fields that the object did not have a null, or says which one may not be missing.
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

    /// Takes the name at the cursor; `previous` is the field before it in this object.
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
