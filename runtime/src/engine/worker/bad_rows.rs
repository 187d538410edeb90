//! Handles rows behind a window that cannot be computed. The source's `badRecords` decides, as for records: the rows
//! stop the pipeline, are dropped and counted, or leave through the step's output `Rejected`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::DateTime;
use weir_plan::Plan;
use weir_plan::outputs::Output;
use weir_plan::plan::{BadRecordsPolicy, Input};
use weir_plan::quote::quoted;

use crate::failure::{Failure, Result};
use crate::transform::rows::BadRows;

/// Rows of an epoch that could not be computed.
#[derive(Debug, Default)]
pub struct BadOfEpoch {
    /// By step name.
    pub counts: BTreeMap<String, u64>,
    /// The first one, with the reason.
    pub first: Option<String>,
}

impl BadOfEpoch {
    /// Adds what another worker has counted.
    pub fn add(&mut self, other: Self) {
        other.counts.into_iter().for_each(|(step, rows)| *self.counts.entry(step).or_default() += rows);
        self.first = self.first.take().or(other.first);
    }
}

/// Takes bad rows of a step into `epoch`, by the strictest policy of the sources that they may come from. Returns the
/// rows for the sinks of the step's output `Rejected`, by the sink's index in the plan.
///
/// # Errors
/// `Data`, if the policy is to stop.
pub fn judge(plan: &Plan, step: usize, bad: &BadRows, epoch: &mut BadOfEpoch) -> Result<Vec<(usize, RecordBatch)>> {
    let name = &plan.steps[step].name;
    let sources: Vec<_> = plan.sources_of(Input::Step(step)).into_iter().map(|source| &plan.sources[source]).collect();
    let with = |policy| sources.iter().find(|source| source.bad_records.policy == policy);
    let first =
        || format!("step {}, {}, {}", quoted(name), row_of(&bad.rows), bad.reasons.first().map_or("", String::as_str));
    if let Some(source) = with(BadRecordsPolicy::Fail) {
        return Err(Failure::data(format!(
            "{}; change the expression, or let such rows pass with badRecords: {{policy: Output}} or {{policy: Drop}} \
             in source {}",
            first(),
            quoted(&source.name)
        )));
    }
    *epoch.counts.entry(name.clone()).or_default() += bad.reasons.len() as u64;
    epoch.first.get_or_insert_with(first);
    if with(BadRecordsPolicy::Output).is_none() {
        return Ok(Vec::new());
    }
    let is_for = |output, input| output == Output::Rejected && input == Input::Step(step);
    let sinks = plan.sinks.iter().enumerate().filter(|(_, sink)| is_for(sink.output, sink.input));
    let rejected = sinks.map(|(i, sink)| {
        let own = bad.rows.columns().iter().take(sink.given.fields().len() - 2).cloned();
        let step: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(name, bad.reasons.len())));
        let reasons: ArrayRef = Arc::new(StringArray::from_iter_values(&bad.reasons));
        let rows = RecordBatch::try_new(Arc::clone(&sink.given), own.chain([step, reasons]).collect());
        rows.map(|rows| (i, rows)).map_err(|e| Failure::bug(format!("rows of the output Rejected: {e}")))
    });
    rejected.collect()
}

/// The first row, for a message: `window [2026-01-01T00:00:00Z, 2026-01-01T00:05:00Z), city = `Paris``.
fn row_of(rows: &RecordBatch) -> String {
    let schema = rows.schema();
    let mut parts = Vec::new();
    let mut columns =
        schema.fields().iter().zip(rows.columns()).map(|(field, column)| (field.name().as_str(), column)).peekable();
    if let [start, end, ..] = rows.columns()
        && let [DataType::Timestamp(..), DataType::Timestamp(..)] = [start.data_type(), end.data_type()]
        && schema.field(0).name() == weir_plan::aggregate::WINDOW_START
        && schema.field(1).name() == weir_plan::aggregate::WINDOW_END
    {
        parts.push(format!("window [{}, {})", time(start), time(end)));
        columns.by_ref().take(2).for_each(drop);
    }
    let shown = columns.filter(|(name, _)| *name != weir_plan::types::EVENT_TIME);
    parts.extend(shown.map(|(name, column)| format!("{name} = {}", value(column))));
    parts.join(", ")
}

fn time(column: &ArrayRef) -> String {
    let us = column.as_primitive::<TimestampMicrosecondType>().value(0);
    let time = DateTime::from_timestamp_micros(us);
    time.map_or_else(|| format!("{us} µs from 1970"), |time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

fn value(column: &ArrayRef) -> String {
    if column.is_null(0) {
        return "null".to_owned();
    }
    let options = FormatOptions::default();
    let text =
        ArrayFormatter::try_new(column.as_ref(), &options).and_then(|formatter| formatter.value(0).try_to_string());
    text.map_or_else(|_| "a value that has no text".to_owned(), quoted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Float64Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn a_group_is_named_by_its_window_and_keys() {
        let at = |us: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![us]).with_timezone("UTC")) };
        let rows = RecordBatch::try_from_iter([
            ("window_start", at(1_767_225_600_000_000)),
            ("window_end", at(1_767_225_900_500_000)),
            ("city", Arc::new(StringArray::from(vec!["Paris"])) as ArrayRef),
            ("x", Arc::new(Float64Array::from(vec![None]))),
        ]);
        assert_eq!(
            row_of(&rows.unwrap()),
            "window [2026-01-01T00:00:00Z, 2026-01-01T00:05:00.500Z), city = `Paris`, x = null"
        );
    }
}
