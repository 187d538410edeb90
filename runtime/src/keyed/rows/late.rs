//! Rows that are late for a step without windows: those with a time before the watermark, or so much before it that
//! what they belong to is forgotten.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};

/// The event times (µs) of rows, which have one.
pub(in crate::keyed) fn times(rows: &RecordBatch) -> &[i64] {
    rows.column(rows.num_columns() - 1).as_primitive::<TimestampMicrosecondType>().values()
}

/// Which rows are in time, if not all of them are. Rows with a time before `limit_us` are late.
pub(in crate::keyed) fn in_time(rows: &RecordBatch, limit_us: Option<i64>) -> Option<BooleanArray> {
    let (times, limit_us) = (times(rows), limit_us?);
    let is_late = |time: &i64| *time < limit_us;
    times.iter().any(is_late).then(|| times.iter().map(|time| Some(!is_late(time))).collect())
}

/// The late rows as the output `Late` has them: the row, its time, the watermark, and by how much it came too late.
/// Rows may be `allowed_us` older than the watermark. `schema` comes from [`weir_plan::outputs::late_rows_schema`].
///
/// # Errors
/// A sentence, if the rows do not fit the schema.
pub(in crate::keyed) fn late_rows(
    rows: &RecordBatch,
    watermark_us: Option<i64>,
    allowed_us: i64,
    schema: &SchemaRef,
) -> Result<RecordBatch, String> {
    let limit_us = watermark_us.map(|watermark_us| watermark_us.saturating_sub(allowed_us));
    let Some(((watermark_us, limit_us), in_time)) = watermark_us.zip(limit_us).zip(in_time(rows, limit_us)) else {
        return Ok(RecordBatch::new_empty(Arc::clone(schema)));
    };
    let is_late: BooleanArray = in_time.iter().map(|in_time| in_time.map(|in_time| !in_time)).collect();
    let late = filter_record_batch(rows, &is_late).map_err(|e| e.to_string())?;
    let times = times(&late);
    let late_by_ms: Int64Array = times.iter().map(|time| limit_us.saturating_sub(*time) / 1000).collect();
    let time = |us: Vec<i64>| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(us).with_timezone("UTC")) };
    let added = [time(times.to_vec()), time(vec![watermark_us; times.len()]), Arc::new(late_by_ms)];
    let own = late.columns()[..late.num_columns() - 1].iter().cloned();
    RecordBatch::try_new(Arc::clone(schema), own.chain(added).collect()).map_err(|e| format!("late rows: {e}"))
}
