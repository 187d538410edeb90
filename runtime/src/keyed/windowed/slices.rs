//! The slices of time for which one aggregate holds groups. A window's result is made from its slices when the
//! watermark has reached its end. If windows do not overlap, each is one slice, which closes as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, UInt32Array};
use arrow::datatypes::{Int64Type, SchemaRef};
use weir_plan::aggregate::Aggregate;
use weir_plan::window::Bounds;

use super::assign::{Assigner, SliceKey};
use super::pane::{NewTable, Pane};
use crate::failure::{Failure, Result};
use crate::keyed::aggregate::due::{Due, WindowOf};
use crate::keyed::aggregate::group_table::GroupTable;
use crate::state::{Change, Entries, Grouped, StateTable, TableSchema};

/// The slices that lie in an open window.
pub(super) struct Slices {
    aggregate: Arc<Aggregate>,
    assigner: Assigner,
    table: Arc<TableSchema>,
    /// The schema of the step's rows: window bounds, group columns, outputs, event time.
    schema: SchemaRef,
    new_table: NewTable,
    panes: BTreeMap<SliceKey, Pane>,
    /// All windows that end at or before this are closed.
    closed_us: i64,
    /// The change of the open epoch.
    change: Option<Change>,
}

impl Slices {
    pub fn new(aggregate: Arc<Aggregate>, assigner: Assigner, table: Arc<TableSchema>) -> Self {
        let (schema, new_table) = (aggregate.output_schema(), NewTable::of(&aggregate));
        let (panes, closed_us) = (BTreeMap::new(), i64::MIN);
        Self { aggregate, assigner, table, schema, new_table, panes, closed_us, change: None }
    }

    /// Merges what an epoch has brought into the slices. Only slices that lie in a window that stays open are state.
    /// What closed windows were made of is in the rows that this epoch writes.
    pub fn settle(&mut self, arrived: Vec<Grouped>, before_us: Option<i64>, after_us: Option<i64>) -> Result<()> {
        self.closed_us = self.closed_us.max(before_us.unwrap_or(i64::MIN));
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
    pub fn close_next(&mut self, watermark_us: i64) -> Result<Option<Due>> {
        let Some(window) = self.first_open() else { return Ok(None) };
        if window.end_us > watermark_us {
            return Ok(None);
        }
        let groups = if self.assigner.shares_slices() {
            let groups = self.merged(window)?;
            self.closed_us = window.end_us;
            groups
        } else {
            let Some((_, pane)) = self.panes.pop_first() else { return Ok(None) };
            pane.into_table(&self.new_table)?
        };
        Ok(Some(Due::new(Arc::clone(&self.aggregate), Arc::clone(&self.schema), WindowOf::All(window), groups)))
    }

    /// The open window that ends first, of those that hold a group.
    fn first_open(&self) -> Option<Bounds> {
        self.panes.keys().find_map(|slice| self.assigner.window_after(*slice, self.closed_us_for(*slice)))
    }

    /// Windows of slices that are not shared are closed by taking the slice away. Of equal ends there may be several.
    fn closed_us_for(&self, slice: SliceKey) -> i64 {
        if self.assigner.shares_slices() { self.closed_us } else { slice.leaves_us.saturating_sub(1) }
    }

    /// The groups of a window whose slices may lie in other windows too.
    fn merged(&mut self, window: Bounds) -> Result<GroupTable> {
        let is_within = |slice: &&SliceKey| (window.start_us..window.end_us).contains(&slice.start_us);
        let slices: Vec<_> = self.panes.keys().filter(is_within).copied().collect();
        let (leaving, staying): (Vec<_>, Vec<_>) = slices.iter().partition(|slice| slice.leaves_us <= window.end_us);
        let leaving: Vec<_> = leaving.iter().filter_map(|slice| self.panes.remove(slice)).collect();
        // The table with the most groups need not be built anew.
        let largest = (0..leaving.len()).max_by_key(|pane| leaving[*pane].groups());
        let mut leaving: Vec<_> = leaving.into_iter().map(Some).collect();
        let mut merged = match largest.and_then(|pane| leaving[pane].take()) {
            Some(pane) => pane.into_table(&self.new_table)?,
            None => self.new_table.make()?,
        };
        for mut pane in leaving.into_iter().flatten() {
            pane.parts(&self.new_table)?.iter().try_for_each(|part| part.merge_into(&mut merged))?;
        }
        for slice in &staying {
            let Some(pane) = self.panes.get_mut(slice) else { continue };
            pane.parts(&self.new_table)?.iter().try_for_each(|part| part.merge_into(&mut merged))?;
        }
        let lie_in_the_same_windows = staying.iter().all(|slice| slice.leaves_us == staying[0].leaves_us);
        if let ([first, _, ..], true) = (&staying[..], lie_in_the_same_windows && slices.len() == staying.len()) {
            // From now on they always go together: a window that grows is made from its predecessor.
            staying.iter().for_each(|slice| drop(self.panes.remove(slice)));
            let mut pane = Pane::of(merged)?;
            merged = self.new_table.make()?;
            pane.parts(&self.new_table)?.iter().try_for_each(|part| part.merge_into(&mut merged))?;
            self.panes.insert(*first, pane);
        }
        Ok(merged)
    }

    /// Each open window that holds a group, in the order in which they close.
    pub fn open(&self) -> impl Iterator<Item = Bounds> {
        let mut slices = self.panes.keys().copied().peekable();
        let mut closed_us = self.closed_us;
        std::iter::from_fn(move || {
            if !self.assigner.shares_slices() {
                let slice = slices.next()?;
                return self.assigner.window_after(slice, self.closed_us_for(slice));
            }
            loop {
                if let Some(window) = self.assigner.window_after(*slices.peek()?, closed_us) {
                    closed_us = window.end_us;
                    return Some(window);
                }
                slices.next();
            }
        })
    }

    /// The end (µs) of the last window to close by `limit_us`, of those that hold a group.
    pub fn last_end_by(&self, limit_us: i64) -> Option<i64> {
        self.panes.keys().filter_map(|slice| self.assigner.last_end_by(*slice, limit_us)).max()
    }

    /// The end (µs) of the last window to close by `limit_us`, of those that entries lie in.
    pub fn last_end_in(&self, entries: &Entries, limit_us: i64) -> Option<i64> {
        let starts = entries.keys.last()?.as_primitive::<Int64Type>().values();
        let slices = starts.iter().zip(entries.times.values()).map(|(start, last)| SliceKey::of(*start, *last));
        slices.filter_map(|slice| self.assigner.last_end_by(slice, limit_us)).max()
    }

    fn apply(&mut self, entries: &Entries) -> Result<()> {
        for (slice, part) in by_slice(entries)? {
            self.panes.entry(slice).or_default().merge(&part.keys, part.rows(), &part.values, &self.new_table)?;
        }
        Ok(())
    }
}

impl StateTable for Slices {
    fn restore(&mut self, entries: &Entries) -> Result<()> {
        self.apply(entries)
    }

    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>> {
        let first = self.panes.first_key_value().map(|(slice, _)| slice.leaves_us);
        let all_are_open = first.is_none_or(|leaves| horizon_us.is_none_or(|horizon| leaves > horizon));
        debug_assert!(all_are_open, "a window that is over has not given its rows");
        Ok(self.change.take())
    }

    fn entries(&self) -> u64 {
        self.panes.values().map(Pane::groups).sum::<usize>() as u64
    }

    fn bytes(&self) -> usize {
        self.panes.values().map(Pane::bytes).sum()
    }
}

/// One part per slice, in order. The keys of a part are the group columns.
fn by_slice(entries: &Entries) -> Result<Vec<(SliceKey, Entries)>> {
    let Some((starts, groups)) = entries.keys.split_last() else { return Err(Failure::bug("entries without windows")) };
    let entries = Entries { keys: groups.to_vec(), ..entries.clone() };
    let mut places: BTreeMap<SliceKey, usize> = BTreeMap::new();
    let mut rows: Vec<Vec<u32>> = Vec::new();
    // Neighbouring entries mostly share a slice.
    let (mut last, mut place) = (None, 0);
    let slices = starts.as_primitive::<Int64Type>().values().iter().zip(entries.times.values());
    for (row, (start_us, last_moment)) in (0u32..).zip(slices) {
        let slice = SliceKey::of(*start_us, *last_moment);
        if last.replace(slice) != Some(slice) {
            place = *places.entry(slice).or_insert(rows.len());
            rows.resize(rows.len().max(place + 1), Vec::new());
        }
        rows[place].push(row);
    }
    if let (1, Some((slice, _))) = (places.len(), places.first_key_value()) {
        return Ok(vec![(*slice, entries)]);
    }
    let parts = places.into_iter().map(|(slice, place)| (slice, std::mem::take(&mut rows[place])));
    parts.map(|(slice, rows)| Ok((slice, entries.select(&UInt32Array::from(rows))?))).collect()
}
