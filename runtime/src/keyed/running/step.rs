//! A running aggregate as a keyed step.

use std::slice;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use weir_plan::aggregate::Aggregate;

use super::operator::Operator;
use super::partials::Partials;
use super::table::table;
use crate::failure::Result;
use crate::keyed::aggregate::due::groups_of;
use crate::keyed::aggregate::inputs::{arguments, keys_of};
use crate::keyed::rows::late::{in_time, late_rows, times};
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Prepared, Sender};
use crate::state::TableSchema;

/// Groups all rows by key. The rows of groups leave whenever an epoch closes.
pub struct RunningAggregate {
    aggregate: Arc<Aggregate>,
    /// How much older (µs) than the watermark a group's last row may become before the group is forgotten.
    expire_after_us: Option<i64>,
    gives: Gives,
    table: Arc<TableSchema>,
}

/// Which groups' rows leave when an epoch closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// Those that the epoch has changed.
    Changed,
    All,
}

impl RunningAggregate {
    #[must_use]
    pub fn new(aggregate: Arc<Aggregate>, expire_after_us: Option<i64>, gives: Gives) -> Self {
        let table = table(&aggregate, expire_after_us);
        Self { aggregate, expire_after_us, gives, table }
    }

    /// Rows with an earlier time are late, and groups whose last row has one are forgotten.
    fn limit_us(&self, before_us: &[Option<i64>]) -> Option<i64> {
        before_us[0].zip(self.expire_after_us).map(|(watermark_us, after_us)| watermark_us.saturating_sub(after_us))
    }
}

impl KeyedStep for RunningAggregate {
    fn tables(&self) -> &[Arc<TableSchema>] {
        slice::from_ref(&self.table)
    }

    /// No step behind goes by event time, since the rows have none.
    fn hold_backs_us(&self) -> &[i64] {
        &[0]
    }

    fn prepare(
        &self,
        _input: usize,
        rows: &RecordBatch,
        _: Option<&ArrayRef>,
        before_us: &[Option<i64>],
    ) -> Result<Prepared, String> {
        let limit_us = self.limit_us(before_us);
        let kept = limit_us.and_then(|limit_us| in_time(rows, Some(limit_us)));
        let on_time = match &kept {
            None => rows.clone(),
            Some(kept) => filter_record_batch(rows, kept).map_err(|e| e.to_string())?,
        };
        let late = (rows.num_rows() - on_time.num_rows()) as u64;
        let aggregate = &*self.aggregate;
        let arguments = arguments(&aggregate.calls, |call| aggregate.column_of(call), &on_time)?;
        let mut keys = keys_of(aggregate, &on_time)?;
        if self.expire_after_us.is_some() {
            keys.push(Arc::new(Int64Array::from(times(&on_time).to_vec())));
        }
        Ok(Prepared { rows: on_time.num_rows(), late, has_missed: late > 0, keys, arguments })
    }

    fn late(
        &self,
        input: usize,
        rows: &RecordBatch,
        before_us: &[Option<i64>],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        match self.expire_after_us {
            Some(expire_after_us) => late_rows(rows, before_us[input], expire_after_us, schema),
            None => Ok(RecordBatch::new_empty(Arc::clone(schema))),
        }
    }

    fn rejected(&self, _input: usize, rows: &RecordBatch) -> Result<RecordBatch> {
        groups_of(&self.aggregate, rows, |_| None)
    }

    fn sender(&self, _input: usize) -> Result<Box<dyn Sender>> {
        Ok(Box::new(Partials::new(Arc::clone(&self.aggregate))?))
    }

    fn leaving_of(&self, _input: usize, time_us: i64) -> Leaving {
        Leaving::at_once(time_us)
    }

    fn operator(&self) -> Result<Box<dyn KeyedOperator>> {
        let (aggregate, table) = (Arc::clone(&self.aggregate), Arc::clone(&self.table));
        Ok(Box::new(Operator::new(aggregate, table, self.expire_after_us, self.gives)?))
    }
}
