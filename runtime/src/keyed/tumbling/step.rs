//! An aggregate over tumbling windows as a keyed step.

use std::slice;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use weir_plan::aggregate::Aggregate;
use weir_plan::expr::ExprError;
use weir_plan::quote::quoted;
use weir_plan::window::Tumbling;

use super::closing::groups_of;
use super::late::late_rows;
use super::operator::{Operator, leaving};
use super::partials::{Partials, keys_of};
use super::table::table;
use crate::failure::Result;
use crate::keyed::{Argument, KeyedOperator, KeyedStep, Leaving, Prepared, Sender};
use crate::state::TableSchema;

/// Groups rows by window and key. A window's rows leave when the watermark has reached its end.
pub struct TumblingAggregate {
    aggregate: Arc<Aggregate>,
    /// The aggregate's window.
    window: Tumbling,
    table: Arc<TableSchema>,
}

impl TumblingAggregate {
    #[must_use]
    pub fn new(aggregate: Arc<Aggregate>, window: Tumbling) -> Self {
        let table = table(&aggregate, window);
        Self { aggregate, window, table }
    }
}

impl KeyedStep for TumblingAggregate {
    fn tables(&self) -> &[Arc<TableSchema>] {
        slice::from_ref(&self.table)
    }

    /// The time of a window's rows is the window's end minus 1 µs, and the watermark that closes the window has passed
    /// that.
    fn hold_backs_us(&self) -> &[i64] {
        &[0]
    }

    fn prepare(&self, input: usize, rows: &RecordBatch, before_us: &[Option<i64>]) -> Result<Prepared, String> {
        let aggregate = &*self.aggregate;
        let times = rows.column(aggregate.event_time_index).as_primitive::<TimestampMicrosecondType>().values();
        let before_us = before_us[input];
        let (windows, late) = assign(self.window, times, before_us);
        let (on_time, windows) = if late == 0 {
            (rows.clone(), windows)
        } else {
            let watermark_us = before_us.unwrap_or(i64::MIN);
            let on_time: Vec<bool> = windows.iter().map(|w| !self.window.is_late(*w, watermark_us)).collect();
            let kept = filter_record_batch(rows, &BooleanArray::from(on_time.clone())).map_err(|e| e.to_string())?;
            (kept, windows.into_iter().zip(on_time).filter(|(_, keep)| *keep).map(|(w, _)| w).collect())
        };
        let arguments = arguments(aggregate, &on_time)?;
        let mut keys = keys_of(aggregate, &on_time)?;
        keys.push(Arc::new(Int64Array::from(windows)));
        Ok(Prepared { rows: on_time.num_rows(), late, keys, arguments })
    }

    fn late(
        &self,
        input: usize,
        rows: &RecordBatch,
        before_us: &[Option<i64>],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        match before_us[input] {
            Some(watermark_us) => late_rows(&self.aggregate, self.window, rows, watermark_us, schema),
            None => Ok(RecordBatch::new_empty(Arc::clone(schema))),
        }
    }

    fn rejected(&self, _input: usize, rows: &RecordBatch) -> Result<RecordBatch> {
        groups_of(&self.aggregate, self.window, rows)
    }

    fn sender(&self, _input: usize) -> Result<Box<dyn Sender>> {
        Ok(Box::new(Partials::new(Arc::clone(&self.aggregate), self.window)?))
    }

    fn leaving_of(&self, _input: usize, time_us: i64) -> Option<Leaving> {
        Some(leaving(self.window.end_of(self.window.start_of(time_us))))
    }

    fn operator(&self) -> Result<Box<dyn KeyedOperator>> {
        Ok(Box::new(Operator::new(Arc::clone(&self.aggregate), self.window, Arc::clone(&self.table))))
    }
}

/// The window start of each row, and how many rows are late. Neighbouring rows mostly share a window, so the division
/// is done only when the window changes.
fn assign(window: Tumbling, times: &[i64], watermark_us: Option<i64>) -> (Vec<i64>, u64) {
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

fn arguments(aggregate: &Aggregate, rows: &RecordBatch) -> Result<Vec<Argument>, String> {
    let calls = aggregate.calls.iter().enumerate();
    let arguments = calls.map(|(i, call)| {
        let failed = |e: ExprError| format!("column {}: {e}", quoted(aggregate.column_of(i).unwrap_or(&call.name)));
        // The filter comes first, since an argument need not be computable for rows that do not count.
        let filter = call.filter.as_ref().map(|f| f.evaluate(rows)).transpose().map_err(failed)?;
        let filter = filter.map(|mask| mask.as_boolean().clone());
        let values = call.args.iter().map(|e| match &filter {
            Some(counts) => e.evaluate_where(rows, counts),
            None => e.evaluate(rows),
        });
        Ok(Argument { values: values.collect::<Result<_, _>>().map_err(failed)?, filter })
    });
    arguments.collect()
}
