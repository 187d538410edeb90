//! The open windows of one aggregate: a table per window ("pane"), because a window closes as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, UInt32Array};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use weir_plan::aggregate::Aggregate;

use super::closing::ClosedWindow;
use super::group_table::GroupTable;
use super::table::table;
use crate::failure::{Failure, Result};
use crate::state::{Entries, TableSchema};

/// Open windows by start.
pub struct KeyedState {
    aggregate: Arc<Aggregate>,
    table: Arc<TableSchema>,
    schema: SchemaRef,
    key_types: Vec<DataType>,
    panes: BTreeMap<i64, GroupTable>,
}

impl KeyedState {
    /// `schema` is that of the step's rows: window bounds, group columns, outputs, event time.
    #[must_use]
    pub fn new(aggregate: Arc<Aggregate>, schema: SchemaRef) -> Self {
        let key_types = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let table = table(&aggregate);
        Self { aggregate, table, schema, key_types, panes: BTreeMap::new() }
    }

    /// As the state room keeps it.
    #[must_use]
    pub fn table(&self) -> &TableSchema {
        &self.table
    }

    /// Merges an epoch's change into the windows that it touches.
    pub fn apply(&mut self, change: &Entries) -> Result<()> {
        for (window, part) in by_window(change)? {
            let pane = match self.panes.entry(window) {
                std::collections::btree_map::Entry::Occupied(e) => e.into_mut(),
                std::collections::btree_map::Entry::Vacant(e) => e.insert(GroupTable::new(&self.key_types, &self.aggregate.calls)?),
            };
            pane.merge(&part.keys, part.rows(), &part.values)?;
        }
        Ok(())
    }

    /// Takes the windows of another part of the same state, which has none of ours.
    pub fn take_over(&mut self, mut other: Self) {
        self.panes.append(&mut other.panes);
    }

    /// Closes the first window that is open, if the watermark has reached its end.
    pub fn close_next(&mut self, watermark_us: i64) -> Option<ClosedWindow> {
        let first = self.panes.first_entry()?;
        if self.aggregate.window.end_of(*first.key()) > watermark_us {
            return None;
        }
        let (start_us, pane) = first.remove_entry();
        Some(ClosedWindow::new(Arc::clone(&self.aggregate), Arc::clone(&self.schema), start_us, pane))
    }

    /// Of each open window, in the order of time.
    pub fn ends(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.panes.keys().map(|start| self.aggregate.window.end_of(*start))
    }

    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.panes.len()
    }

    #[must_use]
    pub fn groups(&self) -> usize {
        self.panes.values().map(GroupTable::groups).sum()
    }

    /// Heap bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.panes.values().map(GroupTable::bytes).sum()
    }
}

/// One part per window start, in order; its keys are the group columns.
fn by_window(entries: &Entries) -> Result<Vec<(i64, Entries)>> {
    let Some((starts, groups)) = entries.keys.split_last() else { return Err(Failure::bug("entries without windows")) };
    let entries = Entries { keys: groups.to_vec(), ..entries.clone() };
    let mut rows: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, start) in (0u32..).zip(starts.as_primitive::<Int64Type>().values()) {
        rows.entry(*start).or_default().push(row);
    }
    if let (1, Some((start, _))) = (rows.len(), rows.first_key_value()) {
        return Ok(vec![(*start, entries)]);
    }
    rows.into_iter().map(|(start, rows)| Ok((start, entries.select(&UInt32Array::from(rows))?))).collect()
}
