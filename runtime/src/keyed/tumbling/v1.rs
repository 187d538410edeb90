//! Windows in state files of version 1, which have a window's start where entries in memory have their time and a key column: the time follows
//! from the start, by the plan's window.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt16Type};
use weir_plan::aggregate::Aggregate;
use weir_plan::window::Tumbling;

use super::table::times_of;
use crate::failure::{Failure, Result};
use crate::state::file::{KEY_GROUP, V1, WINDOW_START};
use crate::state::{Change, Entries, StateField};

pub(super) struct WindowsV1 {
    window: Tumbling,
    /// `key_group`, `window_start`, one column per group column (`key:<name>`), one per value (`state:<name>`).
    columns: SchemaRef,
    group_columns: usize,
    /// Per value: older files may lack it.
    is_new: Vec<bool>,
}

impl WindowsV1 {
    pub fn new(aggregate: &Aggregate, window: Tumbling, values: &[StateField]) -> Self {
        let mut fields = vec![Field::new(KEY_GROUP, DataType::UInt16, false), Field::new(WINDOW_START, DataType::Int64, false)];
        let keys = aggregate.key_schema.fields();
        fields.extend(keys.iter().map(|f| Field::new(format!("key:{}", f.name()), f.data_type().clone(), true)));
        fields.extend(values.iter().map(|v| Field::new(format!("state:{}", v.field.name()), v.field.data_type().clone(), true)));
        let is_new = values.iter().map(|value| value.is_new).collect();
        Self { window, columns: Arc::new(Schema::new(fields)), group_columns: keys.len(), is_new }
    }
}

impl V1 for WindowsV1 {
    fn schema(&self) -> &SchemaRef {
        &self.columns
    }

    fn may_lack(&self, column: usize) -> bool {
        column.checked_sub(2 + self.group_columns).is_some_and(|value| self.is_new[value])
    }

    fn columns(&self, change: &Change) -> Vec<ArrayRef> {
        let (groups, starts) = change.entries.keys.split_at(self.group_columns);
        let key_groups: ArrayRef = Arc::new(change.key_groups.clone());
        std::iter::once(&key_groups).chain(starts).chain(groups).chain(&change.entries.values).map(Arc::clone).collect()
    }

    fn change(&self, columns: Vec<ArrayRef>) -> Result<Change> {
        let mut columns = columns.into_iter();
        let (Some(key_groups), Some(starts)) = (columns.next(), columns.next()) else {
            return Err(Failure::bug("rows of a state file without key groups and windows"));
        };
        let key_groups = key_groups.as_primitive::<UInt16Type>().clone();
        let times = times_of(self.window, starts.as_primitive::<Int64Type>());
        let keys = columns.by_ref().take(self.group_columns).chain([starts]).collect();
        Ok(Change { key_groups, entries: Entries { times, deleted: None, keys, values: columns.collect() } })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Int64Array, StringArray, UInt16Array};

    use super::super::tests::{SIZE_US, aggregate, table};
    use super::*;

    /// At the ends of time a window's start does not follow from its end, nor the end from the start alone.
    #[test]
    fn windows_anywhere_in_time_come_back_with_their_start_and_their_last_moment() {
        let (aggregate, window) = (aggregate(), Tumbling::new(SIZE_US));
        let table = table(&aggregate);
        let times = [i64::MIN, i64::MIN + 1, i64::MIN + SIZE_US, -1, 0, 9, 10, i64::MAX - SIZE_US, i64::MAX];
        let starts = Int64Array::from_iter_values(times.map(|time| window.start_of(time)));
        let last = times.map(|time| window.end_of(window.start_of(time)) - 1);
        let keys: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from_iter_values(times.map(|time| time.to_string()))), Arc::new(starts.clone())];
        let values = table.values.iter().map(|_| Arc::new(Int64Array::from(times.to_vec())) as ArrayRef).collect();
        let entries = Entries { times: Int64Array::from(last.to_vec()), deleted: None, keys, values };
        let change = Change { key_groups: UInt16Array::from(vec![3; times.len()]), entries };
        let saved = table.v1.columns(&change);
        assert_eq!(saved[1].as_primitive::<Int64Type>(), &starts);
        assert_eq!(saved.len(), table.v1.schema().fields().len());
        let back = table.v1.change(saved).unwrap();
        assert_eq!((back.key_groups, back.entries.times), (change.key_groups, change.entries.times));
        assert_eq!((back.entries.keys, back.entries.values), (change.entries.keys, change.entries.values));
    }
}
