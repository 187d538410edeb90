//! Merges many sorted runs of state into one. Of each run, only the rows that were read and are not merged yet are in
//! memory. Rows up to the least of the runs' last rows read are complete: they become the next stretch of the output.
//!
//! In files of older versions, some keys have other key groups than today. Such a run is not in order, and a key may
//! then appear in the output more than once, until it leaves the state; whoever reads the output merges these entries.
//! A table of rows holds whole values, of which only the newest counts, so it refuses a run that is not in order. No
//! older version has written such a run for a table of rows.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow_row::{OwnedRow, RowConverter, SortField};

use super::change::Change;
use super::schema::{Kind, TableSchema};
use crate::failure::{Failure, Result};

/// A merge of runs, the oldest first. Each run is sorted as state files are.
pub struct Merge {
    table: Arc<TableSchema>,
    /// `None` if there are no key columns.
    keys: Option<RowConverter>,
    runs: Vec<Run>,
    /// True if no file is older than these runs. Their deletes then hide nothing and are dropped.
    are_oldest: bool,
}

struct Run {
    /// The rows that were read and are not merged yet.
    read: VecDeque<Change>,
    is_read: bool,
    /// The place of the last row that was merged.
    merged_to: Option<Place>,
}

/// A place in the order of state files.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    key_group: u16,
    time: i64,
    key: Option<OwnedRow>,
}

impl Merge {
    pub fn new(table: Arc<TableSchema>, runs: usize, are_oldest: bool) -> Result<Self> {
        let fields: Vec<_> = table.keys.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        let keys = if fields.is_empty() { None } else { Some(RowConverter::new(fields).map_err(bug)?) };
        let runs = (0..runs).map(|_| Run { read: VecDeque::new(), is_read: false, merged_to: None }).collect();
        Ok(Self { table, keys, runs, are_oldest })
    }

    /// The numbers of the runs that must be read further before the next stretch can be merged.
    pub fn hungry(&self) -> Vec<usize> {
        let hungry = |(i, run): (usize, &Run)| (run.read.is_empty() && !run.is_read).then_some(i);
        self.runs.iter().enumerate().filter_map(hungry).collect()
    }

    /// Adds what was read next from a run; `None` says that the run has ended.
    pub fn feed(&mut self, run: usize, read: Option<Vec<Change>>) {
        match read {
            Some(read) => self.runs[run].read.extend(read.into_iter().filter(|change| change.rows() > 0)),
            None => self.runs[run].is_read = true,
        }
    }

    /// Whether all runs have been read and merged to their ends.
    pub fn is_done(&self) -> bool {
        self.runs.iter().all(|run| run.is_read && run.read.is_empty())
    }

    /// The next stretch, once no run is [hungry](Self::hungry). It leaves out entries for whose time `keep` is false;
    /// `None` means that no entry remains in it.
    ///
    /// # Errors
    /// A bug, if a run of a table of rows is not in order.
    pub fn next(&mut self, keep: impl Fn(i64) -> bool) -> Result<Option<Change>> {
        let mut end: Option<(usize, Place)> = None;
        for (i, run) in self.runs.iter().enumerate().filter(|(_, run)| !run.is_read) {
            if let Some(last) = run.read.back() {
                let last = self.place(last, last.rows() - 1)?;
                if end.as_ref().is_none_or(|(_, end)| last < *end) {
                    end = Some((i, last));
                }
            }
        }
        let mut parts = Vec::new();
        for i in 0..self.runs.len() {
            while let Some(change) = self.runs[i].read.pop_front() {
                // The run that `end` comes from is taken whole, even if it is not in order, so that each step makes
                // progress.
                let rows = match &end {
                    Some((run, end)) if *run != i => self.rows_up_to(&change, end)?,
                    _ => change.rows(),
                };
                let part = change.slice(0, rows);
                if matches!(self.table.kind, Kind::Rows) {
                    self.go_on(i, &part)?;
                }
                parts.push(part.0.entries.retain(&keep)?);
                if rows < change.rows() {
                    self.runs[i].read.push_front(change.slice(rows, change.rows() - rows));
                    break;
                }
            }
        }
        match Change::of(&self.table, &parts)? {
            Some(stretch) if self.are_oldest => stretch.without_deletes(),
            stretch => Ok(stretch),
        }
    }

    /// Checks that a run is in order up to the end of this part of it.
    fn go_on(&mut self, run: usize, part: &Change) -> Result<()> {
        let Some(last) = part.rows().checked_sub(1) else { return Ok(()) };
        let keys = self
            .keys
            .as_ref()
            .map(|converter| converter.convert_columns(&part.entries.keys))
            .transpose()
            .map_err(bug)?;
        let place =
            |row| (part.key_groups.value(row), part.entries.times.value(row), keys.as_ref().map(|keys| keys.row(row)));
        let first = self.place(part, 0)?;
        let follows = self.runs[run].merged_to.as_ref().is_none_or(|before| *before < first);
        if !follows || (0..last).any(|row| place(row) >= place(row + 1)) {
            return Err(Failure::bug(
                "state files have rows of a table out of order: which of two is newer can't be told",
            ));
        }
        self.runs[run].merged_to = Some(self.place(part, last)?);
        Ok(())
    }

    /// How many rows of a change come at or before `end`.
    fn rows_up_to(&self, change: &Change, end: &Place) -> Result<usize> {
        let (mut least, mut most) = (0, change.rows());
        while least < most {
            let middle = usize::midpoint(least, most);
            match self.compare(change, middle, end)? {
                Ordering::Greater => most = middle,
                Ordering::Less | Ordering::Equal => least = middle + 1,
            }
        }
        Ok(least)
    }

    fn compare(&self, change: &Change, row: usize, place: &Place) -> Result<Ordering> {
        let first = (change.key_groups.value(row), change.entries.times.value(row)).cmp(&(place.key_group, place.time));
        if first.is_ne() { Ok(first) } else { Ok(self.key(change, row)?.cmp(&place.key)) }
    }

    fn place(&self, change: &Change, row: usize) -> Result<Place> {
        let (key_group, time) = (change.key_groups.value(row), change.entries.times.value(row));
        Ok(Place { key_group, time, key: self.key(change, row)? })
    }

    fn key(&self, change: &Change, row: usize) -> Result<Option<OwnedRow>> {
        let Some(converter) = &self.keys else { return Ok(None) };
        let columns: Vec<ArrayRef> = change.entries.keys.iter().map(|column| column.slice(row, 1)).collect();
        Ok(Some(converter.convert_columns(&columns).map_err(bug)?.row(0).owned()))
    }
}

fn bug(e: arrow::error::ArrowError) -> Failure {
    Failure::bug(format!("keys into rows: {e}"))
}
