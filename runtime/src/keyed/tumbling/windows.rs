//! The open windows of one aggregate. Each window has a table of its own (a "pane"), because a window closes as a
//! whole.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{AsArray, UInt32Array};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use weir_plan::aggregate::Aggregate;
use weir_plan::window::Tumbling;

use super::closing::ClosedWindow;
use super::group_table::GroupTable;
use crate::failure::{Failure, Result};
use crate::state::{Change, Entries, Grouped, StateTable, TableSchema};

/// Open windows by start.
pub(super) struct Windows {
    aggregate: Arc<Aggregate>,
    window: Tumbling,
    table: Arc<TableSchema>,
    /// The schema of the step's rows: window bounds, group columns, outputs, event time.
    schema: SchemaRef,
    key_types: Vec<DataType>,
    panes: BTreeMap<i64, GroupTable>,
    /// The change of the open epoch.
    change: Option<Change>,
}

impl Windows {
    pub fn new(aggregate: Arc<Aggregate>, window: Tumbling, table: Arc<TableSchema>) -> Self {
        let key_types = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let schema = aggregate.output_schema();
        Self { aggregate, window, table, schema, key_types, panes: BTreeMap::new(), change: None }
    }

    /// Merges what an epoch has brought into the windows. Only windows that stay open are state. What a closed window
    /// was made of is in the rows that this epoch writes.
    pub fn settle(&mut self, arrived: Vec<Grouped>, after_us: Option<i64>) -> Result<()> {
        let mut stay_open = Vec::with_capacity(arrived.len());
        for entries in arrived {
            let Some(watermark_us) = after_us else {
                stay_open.push(entries);
                continue;
            };
            let (open, closing) = entries.split(|time| time >= watermark_us)?;
            self.apply(&closing)?;
            stay_open.push(open);
        }
        let change = Change::of_grouped(&self.table, &stay_open)?;
        if let Some(change) = &change {
            self.apply(&change.entries)?;
        }
        self.change = change;
        Ok(())
    }

    /// Closes the first open window, if the watermark has reached its end.
    pub fn close_next(&mut self, watermark_us: i64) -> Option<ClosedWindow> {
        let first = self.panes.first_entry()?;
        let end_us = self.window.end_of(*first.key());
        if end_us > watermark_us {
            return None;
        }
        let (start_us, pane) = first.remove_entry();
        Some(ClosedWindow::new(Arc::clone(&self.aggregate), Arc::clone(&self.schema), [start_us, end_us], pane))
    }

    /// The end (µs) of each open window, in the order of time.
    pub fn ends(&self) -> impl DoubleEndedIterator<Item = i64> {
        self.panes.keys().map(|start| self.window.end_of(*start))
    }

    /// The start (µs) of each open window.
    pub fn starts(&self) -> impl Iterator<Item = i64> {
        self.panes.keys().copied()
    }

    fn apply(&mut self, entries: &Entries) -> Result<()> {
        for (window, part) in by_window(entries)? {
            let pane = match self.panes.entry(window) {
                Entry::Occupied(e) => e.into_mut(),
                Entry::Vacant(e) => e.insert(GroupTable::new(&self.key_types, &self.aggregate.calls)?),
            };
            pane.merge(&part.keys, part.rows(), &part.values)?;
        }
        Ok(())
    }
}

impl StateTable for Windows {
    fn restore(&mut self, entries: &Entries) -> Result<()> {
        self.apply(entries)
    }

    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>> {
        let all_are_open = self.ends().next().is_none_or(|end| horizon_us.is_none_or(|horizon| end > horizon));
        debug_assert!(all_are_open, "a window that is over has not given its rows");
        Ok(self.change.take())
    }

    fn entries(&self) -> u64 {
        self.panes.values().map(GroupTable::groups).sum::<usize>() as u64
    }

    fn bytes(&self) -> usize {
        self.panes.values().map(GroupTable::bytes).sum()
    }
}

/// One part per window start, in order. The keys of a part are the group columns.
fn by_window(entries: &Entries) -> Result<Vec<(i64, Entries)>> {
    let Some((starts, groups)) = entries.keys.split_last() else { return Err(Failure::bug("entries without windows")) };
    let entries = Entries { keys: groups.to_vec(), ..entries.clone() };
    let mut places: BTreeMap<i64, usize> = BTreeMap::new();
    let mut rows: Vec<Vec<u32>> = Vec::new();
    // Neighbouring entries mostly share a window.
    let (mut last, mut place) = (None, 0);
    for (row, start) in (0u32..).zip(starts.as_primitive::<Int64Type>().values()) {
        if last.replace(*start) != Some(*start) {
            place = *places.entry(*start).or_insert(rows.len());
            rows.resize(rows.len().max(place + 1), Vec::new());
        }
        rows[place].push(row);
    }
    if let (1, Some((start, _))) = (places.len(), places.first_key_value()) {
        return Ok(vec![(*start, entries)]);
    }
    let parts = places.into_iter().map(|(start, place)| (start, std::mem::take(&mut rows[place])));
    parts.map(|(start, rows)| Ok((start, entries.select(&UInt32Array::from(rows))?))).collect()
}
