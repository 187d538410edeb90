//! Partial aggregates of one epoch. Lanes make them row by row; the driver merges them into the windows, and those of windows that stay open
//! into the change of state that goes into the checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use weir_plan::aggregate::Aggregate;

use super::group_table::{Arguments, GroupTable, with_first};
use crate::failure::{Failure, Result};

/// Partial states by window and key. All arrays have one length.
#[derive(Debug, Clone)]
pub struct Partials {
    /// Window starts, µs.
    pub windows: Int64Array,
    pub keys: Vec<ArrayRef>,
    /// Per call, the columns of its state.
    pub states: Vec<Vec<ArrayRef>>,
}

impl Partials {
    #[must_use]
    pub fn rows(&self) -> usize {
        self.windows.len()
    }

    /// A stretch of the rows, not copied.
    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Self {
        let cut = |a: &ArrayRef| a.slice(from, rows);
        Self {
            windows: self.windows.slice(from, rows),
            keys: self.keys.iter().map(cut).collect(),
            states: self.states.iter().map(|s| s.iter().map(cut).collect()).collect(),
        }
    }

    /// The rows at `indices`, in that order.
    pub(super) fn select(&self, indices: &UInt32Array) -> Result<Self> {
        let pick = |a: &ArrayRef| take(a, indices, None).map_err(|e| Failure::bug(format!("select partials: {e}")));
        let windows: ArrayRef = Arc::new(self.windows.clone());
        Ok(Self {
            windows: pick(&windows)?.as_primitive::<Int64Type>().clone(),
            keys: self.keys.iter().map(pick).collect::<Result<_>>()?,
            states: self.states.iter().map(|s| s.iter().map(pick).collect::<Result<_>>()).collect::<Result<_>>()?,
        })
    }

    /// Only the windows that `keep` holds for.
    pub fn retain(self, keep: impl Fn(i64) -> bool) -> Result<Self> {
        self.split(keep).map(|(kept, _)| kept)
    }

    /// The windows that `first` holds for, and the others.
    pub fn split(self, first: impl Fn(i64) -> bool) -> Result<(Self, Self)> {
        let (mut these, mut those) = (Vec::new(), Vec::new());
        for (row, window) in (0u32..).zip(self.windows.values()) {
            if first(*window) { &mut these } else { &mut those }.push(row);
        }
        let none = || self.select(&UInt32Array::from(Vec::<u32>::new()));
        match (these.is_empty(), those.is_empty()) {
            (_, true) => none().map(|none| (self.clone(), none)),
            (true, _) => none().map(|none| (none, self.clone())),
            _ => Ok((self.select(&UInt32Array::from(these))?, self.select(&UInt32Array::from(those))?)),
        }
    }

    /// One part per window, in the order of time.
    pub fn by_window(&self) -> Result<Vec<(i64, Self)>> {
        let mut rows: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, window) in (0u32..).zip(self.windows.values()) {
            rows.entry(*window).or_default().push(row);
        }
        if let (1, Some((window, _))) = (rows.len(), rows.first_key_value()) {
            return Ok(vec![(*window, self.clone())]);
        }
        rows.into_iter().map(|(window, rows)| Ok((window, self.select(&UInt32Array::from(rows))?))).collect()
    }

    fn drained(table: GroupTable) -> Result<Self> {
        let (mut keys, states) = table.drain()?;
        let windows = keys.remove(0).as_primitive::<Int64Type>().clone();
        Ok(Self { windows, keys, states })
    }
}

/// Rows of one batch, ready to be taken in: windows assigned, late ones gone, arguments computed. Making one changes nothing, so that a row
/// that fails can be found and left out.
pub struct Prepared {
    keys: Vec<ArrayRef>,
    rows: usize,
    arguments: Arguments,
    late: u64,
}

/// What one lane, or one step after another window, has seen of an aggregate's input in the epoch in hand.
pub struct LanePartials {
    aggregate: Arc<Aggregate>,
    table: GroupTable,
    pub rows_in: u64,
    pub rows_late: u64,
}

impl LanePartials {
    pub fn new(aggregate: Arc<Aggregate>) -> Result<Self> {
        let table = new_table(&aggregate)?;
        Ok(Self { aggregate, table, rows_in: 0, rows_late: 0 })
    }

    /// Assigns windows and computes arguments. `watermark_us` is the step's watermark at the start of the epoch.
    ///
    /// # Errors
    /// A sentence, if an expression fails on some row.
    pub fn prepare(aggregate: &Aggregate, batch: &RecordBatch, watermark_us: Option<i64>) -> Result<Prepared, String> {
        let times = batch.column(aggregate.event_time_index).as_primitive::<TimestampMicrosecondType>().values();
        let (windows, late) = assign(aggregate, times, watermark_us);
        let (batch, windows) = if late == 0 {
            (batch.clone(), windows)
        } else {
            let watermark_us = watermark_us.unwrap_or(i64::MIN);
            let on_time: Vec<bool> = windows.iter().map(|w| !aggregate.window.is_late(*w, watermark_us)).collect();
            let kept = filter_record_batch(batch, &BooleanArray::from(on_time.clone())).map_err(|e| e.to_string())?;
            (kept, windows.into_iter().zip(on_time).filter(|(_, keep)| *keep).map(|(w, _)| w).collect())
        };
        let arguments = Arguments::of(&aggregate.calls, &batch)?;
        let keys: Vec<_> = aggregate.group_by.iter().map(|i| Arc::clone(batch.column(*i))).collect();
        let rows = batch.num_rows();
        Ok(Prepared { keys: with_first(Arc::new(Int64Array::from(windows)), &keys), rows, arguments, late })
    }

    pub fn take_in(&mut self, prepared: &Prepared) -> Result<()> {
        self.rows_in += prepared.rows as u64 + prepared.late;
        self.rows_late += prepared.late;
        if prepared.rows == 0 {
            return Ok(());
        }
        self.table.update(&prepared.keys, prepared.rows, &prepared.arguments)
    }

    /// Heap bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Hands out what was taken in and starts over. `None` if there was nothing.
    pub fn drain(&mut self) -> Result<Option<Partials>> {
        let fresh = new_table(&self.aggregate)?;
        (self.rows_in, self.rows_late) = (0, 0);
        let full = std::mem::replace(&mut self.table, fresh);
        if full.groups() == 0 { Ok(None) } else { Partials::drained(full).map(Some) }
    }
}

fn new_table(aggregate: &Aggregate) -> Result<GroupTable> {
    let keys = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone());
    GroupTable::new(&std::iter::once(DataType::Int64).chain(keys).collect::<Vec<_>>(), &aggregate.calls)
}

/// The window of each row, and how many are late. Neighbours mostly share a window, so the division is done when it changes.
fn assign(aggregate: &Aggregate, times: &[i64], watermark_us: Option<i64>) -> (Vec<i64>, u64) {
    let window = aggregate.window;
    let mut windows = Vec::with_capacity(times.len());
    let (mut start, mut end, mut is_late, mut late) = (0, 0, false, 0u64);
    for time in times {
        if *time < start || *time >= end {
            start = window.start_of(*time);
            end = window.end_of(start);
            is_late = watermark_us.is_some_and(|w| window.is_late(start, w));
        }
        late += u64::from(is_late);
        windows.push(start);
    }
    (windows, late)
}
