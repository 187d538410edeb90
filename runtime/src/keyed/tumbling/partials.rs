//! Partial aggregates of one epoch. Lanes make them row by row; the driver merges them into the windows, and those of windows that stay open
//! into the change of state that goes into the checkpoint.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use weir_plan::aggregate::Aggregate;
use weir_plan::floats::normalized;

use super::group_table::{Arguments, GroupTable};
use super::table::times_of;
use crate::failure::{Failure, Result};
use crate::state::Entries;

/// Rows of one batch, ready to be taken in: windows assigned, late ones gone, arguments computed. Making one changes nothing, so that a row
/// that fails can be found and left out.
pub struct Prepared {
    /// The group columns and the window's start.
    keys: Vec<ArrayRef>,
    rows: usize,
    arguments: Arguments,
    late: u64,
}

impl Prepared {
    /// Rows that missed their window.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }
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
        let arguments = Arguments::of(aggregate, &batch)?;
        let mut keys = keys_of(aggregate, &batch);
        keys.push(Arc::new(Int64Array::from(windows)));
        Ok(Prepared { keys, rows: batch.num_rows(), arguments, late })
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
    pub fn drain(&mut self) -> Result<Option<Entries>> {
        let fresh = new_table(&self.aggregate)?;
        (self.rows_in, self.rows_late) = (0, 0);
        let full = std::mem::replace(&mut self.table, fresh);
        if full.groups() == 0 {
            return Ok(None);
        }
        let (keys, values) = full.drain()?;
        let Some(starts) = keys.last() else { return Err(Failure::bug("partial aggregates without windows")) };
        let times = times_of(self.aggregate.window, starts.as_primitive::<Int64Type>());
        Ok(Some(Entries { times, keys, values }))
    }
}

/// The group columns of rows of the input. Floating-point numbers that are equal have equal bits there.
pub(super) fn keys_of(aggregate: &Aggregate, batch: &RecordBatch) -> Vec<ArrayRef> {
    aggregate.group_by.iter().map(|i| normalized(batch.column(*i))).collect()
}

fn new_table(aggregate: &Aggregate) -> Result<GroupTable> {
    let keys = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone());
    GroupTable::new(&keys.chain([DataType::Int64]).collect::<Vec<_>>(), &aggregate.calls)
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
