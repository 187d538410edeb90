//! The columns of a block. Converts a table's entries to these columns and back.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt16Type};

use super::KEY_GROUP;
use crate::failure::{Failure, Result};
use crate::state::entries::NEVER;
use crate::state::{Change, Entries, Grouped, Kind, TableSchema};

const TIME: &str = "time";
const DELETED: &str = "deleted";

/// `key_group`; `time`, in tables whose entries have one; `deleted`, in tables of rows; `key:<name>`, beginning with
/// the keys that decide the key group; `value:<name>`.
pub struct Columns {
    schema: SchemaRef,
    has_time: bool,
    has_deletes: bool,
    keys: usize,
    /// Per value: whether older versions may not have kept it.
    is_new: Vec<bool>,
}

impl Columns {
    #[must_use]
    pub fn of(table: &TableSchema) -> Self {
        let (has_time, has_deletes) = (table.has_time(), matches!(table.kind, Kind::Rows));
        let mut fields = vec![Field::new(KEY_GROUP, DataType::UInt16, false)];
        fields.extend(has_time.then(|| Field::new(TIME, DataType::Int64, false)));
        fields.extend(has_deletes.then(|| Field::new(DELETED, DataType::Boolean, false)));
        fields.extend(
            table.keys.fields().iter().map(|f| Field::new(format!("key:{}", f.name()), f.data_type().clone(), true)),
        );
        fields.extend(
            table
                .values
                .iter()
                .map(|v| Field::new(format!("value:{}", v.field.name()), v.field.data_type().clone(), true)),
        );
        let is_new = table.values.iter().map(|value| value.is_new).collect();
        Self { schema: Arc::new(Schema::new(fields)), has_time, has_deletes, keys: table.keys.fields().len(), is_new }
    }

    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether a file may lack the column at this index. The column is null then.
    #[must_use]
    pub fn may_lack(&self, column: usize) -> bool {
        let first_value = 1 + usize::from(self.has_time) + usize::from(self.has_deletes) + self.keys;
        column.checked_sub(first_value).is_some_and(|value| self.is_new[value])
    }

    #[must_use]
    pub fn of_change(&self, change: &Change) -> Vec<ArrayRef> {
        let Grouped { key_groups, entries } = &**change;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(key_groups.clone())];
        if self.has_time {
            columns.push(Arc::new(entries.times.clone()));
        }
        if self.has_deletes {
            let none = || BooleanArray::from(vec![false; entries.rows()]);
            columns.push(Arc::new(entries.deleted.clone().unwrap_or_else(none)));
        }
        columns.extend(entries.keys.iter().chain(&entries.values).map(Arc::clone));
        columns
    }

    /// The entries of columns that have the schema.
    ///
    /// # Errors
    /// A bug, if there are fewer columns.
    pub fn change(&self, columns: Vec<ArrayRef>) -> Result<Change> {
        let mut columns = columns.into_iter();
        let mut next =
            || columns.next().ok_or_else(|| Failure::bug("a block of a state file without all of its columns"));
        let key_groups = next()?.as_primitive::<UInt16Type>().clone();
        let times = if self.has_time {
            next()?.as_primitive::<Int64Type>().clone()
        } else {
            Int64Array::from(vec![NEVER; key_groups.len()])
        };
        let deleted = if self.has_deletes { Some(next()?.as_boolean().clone()) } else { None };
        let keys = columns.by_ref().take(self.keys).collect();
        let entries = Entries { times, deleted, keys, values: columns.collect() };
        Ok(Change(Grouped { key_groups, entries }))
    }
}
