//! An aggregate over windows as a keyed step.

use std::slice;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::SchemaRef;
use weir_plan::aggregate::Aggregate;
use weir_plan::window::Aligned;

use super::assign::Assigner;
use super::operator::{Operator, leaving};
use super::partials::Partials;
use super::table::table;
use crate::failure::Result;
use crate::keyed::aggregate::due::groups_of;
use crate::keyed::aggregate::inputs::{arguments, keys_of};
use crate::keyed::aggregate::late::late_rows;
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Prepared, Sender};
use crate::state::TableSchema;

/// Groups rows by window and key. A window's rows leave when the watermark has reached its end.
pub struct WindowedAggregate {
    aggregate: Arc<Aggregate>,
    assigner: Assigner,
    table: Arc<TableSchema>,
}

impl WindowedAggregate {
    /// An aggregate over the windows that each row's time lies in.
    #[must_use]
    pub fn aligned(aggregate: Arc<Aggregate>, windows: Aligned) -> Self {
        let assigner = Assigner::ByTime(windows);
        Self { table: table(&aggregate, assigner), aggregate, assigner }
    }

    /// An aggregate over the windows that rows carry, whose bounds are the columns with these indices.
    #[must_use]
    pub fn of_input(aggregate: Arc<Aggregate>, [starts, ends]: [usize; 2]) -> Self {
        let assigner = Assigner::ByBounds { starts, ends };
        Self { table: table(&aggregate, assigner), aggregate, assigner }
    }
}

impl KeyedStep for WindowedAggregate {
    fn tables(&self) -> &[Arc<TableSchema>] {
        slice::from_ref(&self.table)
    }

    /// The time of a window's rows is the window's end minus 1 µs, and the watermark that closes the window has passed
    /// that.
    fn hold_backs_us(&self) -> &[i64] {
        &[0]
    }

    fn prepare(
        &self,
        input: usize,
        rows: &RecordBatch,
        _: Option<&ArrayRef>,
        before_us: &[Option<i64>],
    ) -> Result<Prepared, String> {
        let aggregate = &*self.aggregate;
        let assigned = self.assigner.assign(rows, before_us[input]);
        let late = assigned.is_late.as_ref().map_or(0, |is_late| is_late.iter().filter(|late| **late).count());
        let (mut starts, mut leaves) = (Int64Array::from(assigned.starts), assigned.leaves.map(Int64Array::from));
        let mut on_time = rows.clone();
        if let Some(is_late) = assigned.is_late {
            let kept = BooleanArray::from_iter(is_late.iter().map(|late| Some(!late)));
            let of = |times: &Int64Array| filter(times, &kept).map(|times| times.as_primitive().clone());
            starts = of(&starts).map_err(|e| e.to_string())?;
            leaves = leaves.as_ref().map(of).transpose().map_err(|e| e.to_string())?;
            on_time = filter_record_batch(rows, &kept).map_err(|e| e.to_string())?;
        }
        let arguments = arguments(&aggregate.calls, |call| aggregate.column_of(call), &on_time)?;
        let mut keys = keys_of(aggregate, &on_time)?;
        keys.push(Arc::new(starts));
        keys.extend(leaves.map(|leaves| Arc::new(leaves) as ArrayRef));
        Ok(Prepared { rows: on_time.num_rows(), late: late as u64, has_missed: assigned.has_missed, keys, arguments })
    }

    fn late(
        &self,
        input: usize,
        rows: &RecordBatch,
        before_us: &[Option<i64>],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        match before_us[input] {
            Some(watermark_us) => late_rows(rows, watermark_us, schema, |row| self.assigner.windows_of(rows, row)),
            None => Ok(RecordBatch::new_empty(Arc::clone(schema))),
        }
    }

    fn rejected(&self, _input: usize, rows: &RecordBatch) -> Result<RecordBatch> {
        groups_of(&self.aggregate, rows, |row| self.assigner.windows_of(rows, row).next())
    }

    fn sender(&self, _input: usize) -> Result<Box<dyn Sender>> {
        Ok(Box::new(Partials::new(Arc::clone(&self.aggregate), self.assigner)?))
    }

    fn leaving_of(&self, _input: usize, time_us: i64) -> Leaving {
        leaving(self.assigner.leaves_at(time_us))
    }

    fn operator(&self) -> Result<Box<dyn KeyedOperator>> {
        Ok(Box::new(Operator::new(Arc::clone(&self.aggregate), self.assigner, Arc::clone(&self.table))))
    }
}
