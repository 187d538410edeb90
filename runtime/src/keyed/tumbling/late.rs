//! Rows that miss their window, as the output `Late` has them: the row, its window, and by how much the row came too
//! late.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use weir_plan::aggregate::Aggregate;
use weir_plan::window::Tumbling;

/// The rows of an aggregate's input that are late by this watermark. `schema` comes from
/// [`weir_plan::outputs::late_schema`].
///
/// # Errors
/// A sentence, if the rows do not fit the schema.
pub(super) fn late_rows(
    aggregate: &Aggregate,
    window: Tumbling,
    batch: &RecordBatch,
    watermark_us: i64,
    schema: &SchemaRef,
) -> Result<RecordBatch, String> {
    let times = batch.column(aggregate.event_time_index).as_primitive::<TimestampMicrosecondType>().values();
    // A window that ends at or before the watermark contains no time at or after it.
    let rows = (0u32..)
        .zip(times)
        .filter(|(_, time)| **time < watermark_us && window.is_late(window.start_of(**time), watermark_us));
    let (rows, times): (Vec<u32>, Vec<i64>) = rows.map(|(row, time)| (row, *time)).unzip();
    if rows.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let late = take_record_batch(batch, &UInt32Array::from(rows)).map_err(|e| e.to_string())?;
    let starts: Vec<i64> = times.iter().map(|time| window.start_of(*time)).collect();
    let ends: Vec<i64> = starts.iter().map(|start| window.end_of(*start)).collect();
    let late_by_ms: Int64Array = ends.iter().map(|end| watermark_us.saturating_sub(*end) / 1000).collect();
    let watermarks = vec![watermark_us; times.len()];
    let time = |us: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(us).with_timezone("UTC")) };
    let added = [time(times), time(starts), time(ends), time(watermarks), Arc::new(late_by_ms)];
    let own = late
        .columns()
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != aggregate.event_time_index)
        .map(|(_, column)| Arc::clone(column));
    RecordBatch::try_new(Arc::clone(schema), own.chain(added).collect()).map_err(|e| format!("late rows: {e}"))
}
