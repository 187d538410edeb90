//! Rows that miss a window, as the output `Late` has them: the row, the window, and by how much the row came too late.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use weir_plan::window::Bounds;

use crate::keyed::rows::late::times as event_times;

/// The rows of an aggregate's input that have missed a window by this watermark: one for each window that was missed.
/// `windows_of` gives the windows of a row, in the order in which they close; `schema` comes from
/// [`weir_plan::outputs::late_schema`].
///
/// # Errors
/// A sentence, if the rows do not fit the schema.
pub(in crate::keyed) fn late_rows<W: Iterator<Item = Bounds>>(
    batch: &RecordBatch,
    watermark_us: i64,
    schema: &SchemaRef,
    windows_of: impl Fn(usize) -> W,
) -> Result<RecordBatch, String> {
    let of_rows = event_times(batch);
    let (mut rows, mut times, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // A window that ends at or before the watermark contains no time at or after it.
    for (row, time) in (0u32..).zip(of_rows).filter(|(_, time)| **time < watermark_us) {
        let missed = windows_of(row as usize).take_while(|window| window.end_us <= watermark_us);
        for window in missed {
            rows.push(row);
            times.push(*time);
            starts.push(window.start_us);
            ends.push(window.end_us);
        }
    }
    if rows.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    }
    let late = take_record_batch(batch, &UInt32Array::from(rows)).map_err(|e| e.to_string())?;
    let late_by_ms: Int64Array = ends.iter().map(|end| watermark_us.saturating_sub(*end) / 1000).collect();
    let watermarks = vec![watermark_us; times.len()];
    let time = |us: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(us).with_timezone("UTC")) };
    let added = [time(times), time(starts), time(ends), time(watermarks), Arc::new(late_by_ms)];
    let own = late.columns()[..late.num_columns() - 1].iter().cloned();
    RecordBatch::try_new(Arc::clone(schema), own.chain(added).collect()).map_err(|e| format!("late rows: {e}"))
}
