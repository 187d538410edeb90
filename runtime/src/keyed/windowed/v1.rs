//! Windows in state files of version 1. These files have a window's start where entries in memory have their time and a
//! key column. The time follows from the start, by the plan's window.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use weir_plan::aggregate::Aggregate;
use weir_plan::window::Aligned;

use crate::failure::{Failure, Result};
use crate::state::file::v1::{KEY_GROUP, WINDOW_START};
use crate::state::{Entries, StateField, V1};

pub(super) struct WindowsV1 {
    window: Aligned,
    /// `key_group`, `window_start`, one column per group column (`key:<name>`), one per value (`state:<name>`).
    columns: SchemaRef,
    group_columns: usize,
    /// Per value: whether older files may lack it.
    is_new: Vec<bool>,
}

impl WindowsV1 {
    pub fn new(aggregate: &Aggregate, window: Aligned, values: &[StateField]) -> Self {
        let mut fields =
            vec![Field::new(KEY_GROUP, DataType::UInt16, false), Field::new(WINDOW_START, DataType::Int64, false)];
        let keys = aggregate.key_schema.fields();
        fields.extend(keys.iter().map(|f| Field::new(format!("key:{}", f.name()), f.data_type().clone(), true)));
        fields.extend(
            values.iter().map(|v| Field::new(format!("state:{}", v.field.name()), v.field.data_type().clone(), true)),
        );
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

    fn entries(&self, columns: Vec<ArrayRef>) -> Result<Entries> {
        let mut columns = columns.into_iter().skip(1);
        let Some(starts) = columns.next() else { return Err(Failure::bug("rows of a state file without windows")) };
        let times: Int64Array =
            starts.as_primitive::<Int64Type>().unary(|start| self.window.slice_of(start).leaves_us.saturating_sub(1));
        let keys = columns.by_ref().take(self.group_columns).chain([starts]).collect();
        Ok(Entries { times, deleted: None, keys, values: columns.collect() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{StringArray, UInt16Array};

    use weir_plan::window::Tumbling;

    use super::super::tests::{SIZE_US, aggregate, table};
    use super::*;

    /// At the ends of time, a window's start does not follow from its end, and its end does not follow from its start
    /// alone.
    #[test]
    fn windows_anywhere_in_time_come_with_their_start_and_their_last_moment() {
        let (aggregate, window) = (aggregate(), Aligned::Tumbling(Tumbling::new(SIZE_US, 0)));
        let table = table(&aggregate);
        let times = [i64::MIN, i64::MIN + 1, i64::MIN + SIZE_US, -1, 0, 9, 10, i64::MAX - SIZE_US, i64::MAX];
        let starts: ArrayRef = Arc::new(Int64Array::from_iter_values(times.map(|time| window.slice_of(time).start_us)));
        let last = times.map(|time| window.slice_of(time).leaves_us - 1);
        let key: ArrayRef = Arc::new(StringArray::from_iter_values(times.map(|time| time.to_string())));
        let values: Vec<_> =
            table.values.iter().map(|_| Arc::new(Int64Array::from(times.to_vec())) as ArrayRef).collect();
        let groups: ArrayRef = Arc::new(UInt16Array::from(vec![3; times.len()]));
        let saved: Vec<_> = [&groups, &starts, &key].into_iter().chain(&values).map(Arc::clone).collect();
        let v1 = table.v1.as_ref().unwrap();
        assert_eq!(saved.len(), v1.schema().fields().len());
        let entries = v1.entries(saved).unwrap();
        assert_eq!(
            (entries.times.values()[..].to_vec(), entries.keys, entries.values),
            (last.to_vec(), vec![key, starts], values)
        );
    }
}
