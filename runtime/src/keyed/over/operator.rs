//! The rows of an over, and the frames of those that leave.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use weir_plan::over::{Frame, Over};
use weir_plan::quote::quoted;

use super::frames::aggregated;
use crate::failure::{Failure, Result};
use crate::keyed::aggregate::due::beyond_type;
use crate::keyed::aggregate::inputs::arguments;
use crate::keyed::rows::waiting::{Waiting, leaving};
use crate::keyed::{KeyedOperator, Leaving, Marks};
use crate::state::{Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows, by_halves, coalesced};

/// About how many rows leave at a time. The rows of a key leave together.
const ROWS_AT_ONCE: usize = 8192;

pub(super) struct Operator {
    over: Arc<Over>,
    /// The columns of the step.
    schema: SchemaRef,
    waiting: Waiting,
    /// The rows with these times (µs) leave: from the first one on, before the second one.
    leaves: (i64, i64),
    /// The keys that still have such rows.
    keys: BTreeSet<Arc<[u8]>>,
}

/// Rows of some keys: for each key those that leave, and before them those that count for them.
#[derive(Default)]
struct Gathered<'t> {
    values: Vec<&'t [u8]>,
    times: Vec<i64>,
    /// The rows that leave, and the first and the last row that count for each.
    leaving: Vec<u32>,
    frames: Vec<(usize, usize)>,
}

impl Operator {
    pub fn new(over: Arc<Over>, schema: SchemaRef, table: Arc<TableSchema>) -> Result<Self> {
        let waiting = Waiting::new(Arc::clone(&over.input_schema), table)?;
        Ok(Self { over, schema, waiting, leaves: (i64::MIN, i64::MIN), keys: BTreeSet::new() })
    }

    /// Adds the rows of a key.
    fn gather<'t>(&'t self, key: &Arc<[u8]>, into: &mut Gathered<'t>) {
        let (from_us, before_us) = self.leaves;
        let until_us = before_us.saturating_sub(1);
        let Some((first, _)) = self.waiting.rows.of_key(key, from_us..=until_us).next() else { return };
        let counts_from_us = first.time_us.saturating_sub(self.over.frame.keeps_us());
        let start = into.times.len();
        for (id, value) in self.waiting.rows.of_key(key, counts_from_us..=until_us) {
            into.times.push(id.time_us);
            into.values.push(value);
        }
        let times = &into.times[start..];
        let of_time = |time_us: i64| times.partition_point(|other| *other < time_us);
        for (row, time_us) in times.iter().enumerate().filter(|(_, time)| **time >= from_us) {
            let oldest = of_time(time_us.saturating_sub(self.over.frame.keeps_us()));
            let (from, to) = match self.over.frame {
                Frame::Range { .. } => (oldest, times.partition_point(|other| other <= time_us) - 1),
                Frame::Rows { preceding, .. } => (oldest.max(row.saturating_sub(preceding)), row),
            };
            // There are fewer rows than 32 bits count: they come from one state table's bytes in memory.
            into.leaving.push(u32::try_from(start + row).unwrap_or(u32::MAX));
            into.frames.push((start + from, start + to));
        }
    }

    fn rows_of(&self, gathered: Gathered<'_>, check: Check<'_>) -> Result<Rows> {
        let columns = &self.over.columns;
        let all = self.waiting.batch(gathered.values, gathered.times)?;
        // They were computed when the rows came, so they can be now.
        let arguments = arguments(&columns.calls, |call| columns.column_of(call), &all).map_err(Failure::bug)?;
        let values = aggregated(&columns.calls, &arguments, all.num_rows(), &gathered.frames)?;
        let leaving = UInt32Array::from(gathered.leaving);
        let taken = |rows: &RecordBatch, which: &UInt32Array| {
            take_record_batch(rows, which).map_err(|e| Failure::bug(format!("rows that leave: {e}")))
        };
        let input = taken(&all, &leaving)?;
        let of_results = input.columns().iter().cloned().chain(values.of_calls).collect();
        let results = RecordBatch::try_new(Arc::clone(&columns.result_schema), of_results)
            .map_err(|e| Failure::bug(format!("rows with aggregates: {e}")))?;
        let mut bad: Vec<(usize, String)> = values
            .beyond_type
            .iter()
            .map(|(row, call)| (*row, beyond_type(&columns.calls[*call], columns.column_of(*call))))
            .collect();
        bad.dedup_by_key(|(row, _)| *row);
        let fit: Vec<u32> = (0u32..)
            .take(results.num_rows())
            .filter(|row| bad.binary_search_by_key(&(*row as usize), |(bad, _)| *bad).is_err())
            .collect();
        let fitting = if bad.is_empty() { results } else { taken(&results, &UInt32Array::from(fit.clone()))? };
        let (good, more) = by_halves(&fitting, &|results| {
            let rows = self.outputs(results)?;
            check(&rows).map(|()| rows)
        });
        bad.extend(more.into_iter().map(|(row, why)| (fit[row] as usize, why)));
        bad.sort_by_key(|(row, _)| *row);
        let mut rows = Rows { good: coalesced(&self.schema, good)?, bad: Vec::new() };
        rows.add_bad(&input, bad)?;
        Ok(rows)
    }

    fn outputs(&self, results: &RecordBatch) -> Result<RecordBatch, String> {
        let of = &self.over.columns;
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for output in &of.outputs {
            columns.push(output.evaluate(results).map_err(|e| format!("column {}: {e}", quoted(output.field.name())))?);
        }
        let event_time = results.num_columns() - of.calls.len() - 1;
        columns.push(Arc::clone(results.column(event_time)));
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| format!("rows: {e}"))
    }
}

impl KeyedOperator for Operator {
    fn take_in(&mut self, _input: usize, entries: Grouped) -> Result<()> {
        self.waiting.arrive(entries);
        Ok(())
    }

    fn close(&mut self, marks: &Marks) -> Result<()> {
        self.waiting.settle()?;
        let after_us = marks.after_us[0].unwrap_or(i64::MIN);
        self.leaves = (marks.before_us[0].unwrap_or(i64::MIN), after_us);
        self.keys = self.waiting.rows.keys_between(self.leaves.0, after_us);
        Ok(())
    }

    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>> {
        let mut keys = std::mem::take(&mut self.keys);
        let mut gathered = Gathered::default();
        while gathered.leaving.len() < ROWS_AT_ONCE
            && let Some(key) = keys.pop_first()
        {
            self.gather(&key, &mut gathered);
        }
        let rows = if gathered.leaving.is_empty() { None } else { Some(self.rows_of(gathered, check)?) };
        self.keys = keys;
        Ok(rows)
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.waiting.rows]
    }

    fn leaves_by(&self, before_us: &[Option<i64>], limit_us: i64) -> Result<Option<Leaving>> {
        // Rows before the watermark have left, and are held for what comes after them.
        let last = self.waiting.last_by(limit_us.saturating_sub(1));
        Ok(last.filter(|time_us| before_us[0].is_none_or(|watermark_us| *time_us >= watermark_us)).map(leaving))
    }

    fn open_windows(&self) -> Option<BTreeSet<(i64, i64)>> {
        None
    }

    fn bytes(&self) -> usize {
        self.waiting.arrived_bytes()
    }
}
