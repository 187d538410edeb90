//! An aggregate over sessions as a keyed step.

use std::iter;
use std::slice;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use weir_plan::aggregate::Aggregate;
use weir_plan::window::Bounds;

use super::fragments::Fragments;
use super::operator::{Operator, leaving};
use super::table::table;
use crate::failure::Result;
use crate::keyed::aggregate::due::groups_of;
use crate::keyed::aggregate::inputs::{arguments, keys_of};
use crate::keyed::aggregate::late::late_rows;
use crate::keyed::rows::late::times;
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Prepared, Sender};
use crate::state::TableSchema;

/// Groups rows by key and session. A session's row leaves when the watermark has passed its end.
pub struct SessionAggregate {
    aggregate: Arc<Aggregate>,
    gap_us: i64,
    table: Arc<TableSchema>,
}

impl SessionAggregate {
    #[must_use]
    pub fn new(aggregate: Arc<Aggregate>, gap_us: i64) -> Self {
        let table = table(&aggregate);
        Self { aggregate, gap_us, table }
    }

    /// The session that a row of this time would be alone.
    fn alone(&self, time_us: i64) -> Bounds {
        Bounds { start_us: time_us, end_us: time_us.saturating_add(self.gap_us) }
    }
}

impl KeyedStep for SessionAggregate {
    fn tables(&self) -> &[Arc<TableSchema>] {
        slice::from_ref(&self.table)
    }

    /// A session leaves when its end is less than the watermark, and the time of its row is the moment before its end.
    fn hold_backs_us(&self) -> &[i64] {
        &[1]
    }

    fn prepare(
        &self,
        input: usize,
        rows: &RecordBatch,
        _: Option<&ArrayRef>,
        before_us: &[Option<i64>],
    ) -> Result<Prepared, String> {
        let aggregate = &*self.aggregate;
        let is_late = |time: &i64| before_us[input].is_some_and(|watermark_us| self.alone(*time).end_us < watermark_us);
        let late = times(rows).iter().filter(|time| is_late(time)).count();
        let on_time = if late == 0 {
            rows.clone()
        } else {
            let kept: BooleanArray = times(rows).iter().map(|time| Some(!is_late(time))).collect();
            filter_record_batch(rows, &kept).map_err(|e| e.to_string())?
        };
        let arguments = arguments(&aggregate.calls, |call| aggregate.column_of(call), &on_time)?;
        let mut keys = keys_of(aggregate, &on_time)?;
        keys.push(Arc::new(Int64Array::from(times(&on_time).to_vec())));
        Ok(Prepared { rows: on_time.num_rows(), late: late as u64, has_missed: late > 0, keys, arguments })
    }

    fn late(
        &self,
        input: usize,
        rows: &RecordBatch,
        before_us: &[Option<i64>],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        let Some(watermark_us) = before_us[input] else { return Ok(RecordBatch::new_empty(Arc::clone(schema))) };
        let times = times(rows);
        // A session whose end is the watermark is still open.
        let missed = |row: usize| {
            let alone = self.alone(times[row]);
            iter::once(alone).filter(move |alone| alone.end_us < watermark_us)
        };
        late_rows(rows, watermark_us, schema, missed)
    }

    fn rejected(&self, _input: usize, rows: &RecordBatch) -> Result<RecordBatch> {
        let times = times(rows);
        groups_of(&self.aggregate, rows, |row| Some(self.alone(times[row])))
    }

    fn sender(&self, _input: usize) -> Result<Box<dyn Sender>> {
        Ok(Box::new(Fragments::new(Arc::clone(&self.aggregate), self.gap_us)?))
    }

    fn leaving_of(&self, _input: usize, time_us: i64) -> Leaving {
        leaving(self.alone(time_us).end_us)
    }

    fn operator(&self) -> Result<Box<dyn KeyedOperator>> {
        Ok(Box::new(Operator::new(Arc::clone(&self.aggregate), Arc::clone(&self.table))?))
    }
}
