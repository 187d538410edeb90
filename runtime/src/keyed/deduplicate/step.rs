//! A deduplication as a keyed step.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use weir_plan::deduplicate::{Deduplicate, RowOrder};

use super::{arrival, event_time};
use crate::failure::{Failure, Result};
use crate::keyed::rows::late::late_rows;
use crate::keyed::rows::sender::{RowSender, columns, prepared};
use crate::keyed::rows::waiting::{self, leaving};
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Prepared, Sender};
use crate::state::{Entries, Keeps, Kind, TableSchema};

pub struct DeduplicateStep {
    step: Arc<Deduplicate>,
    tables: Vec<Arc<TableSchema>>,
}

impl DeduplicateStep {
    #[must_use]
    pub fn new(step: Arc<Deduplicate>) -> Self {
        let passed = Arc::new(TableSchema {
            name: "passed",
            version: 1,
            kind: Kind::Rows,
            keys: Arc::clone(step.key.schema()),
            hashed: step.key.schema().fields().len(),
            values: Vec::new(),
            horizon: vec![Keeps { input: 0, keeps_us: step.within_us }],
            v1: None,
        });
        let tables = match step.order {
            RowOrder::Arrival => vec![passed],
            RowOrder::EventTime => vec![passed, waiting::table(&step.key, &step.schema, 0)],
        };
        Self { step, tables }
    }
}

impl KeyedStep for DeduplicateStep {
    fn tables(&self) -> &[Arc<TableSchema>] {
        &self.tables
    }

    fn hold_backs_us(&self) -> &[i64] {
        &[0]
    }

    fn orders_by_origin(&self, _input: usize) -> bool {
        true
    }

    fn prepare(
        &self,
        input: usize,
        rows: &RecordBatch,
        origins: Option<&ArrayRef>,
        before_us: &[Option<i64>],
    ) -> Result<Prepared, String> {
        prepared(&self.step.key, rows, origins, before_us[input], &|_| Ok(()))
    }

    fn late(
        &self,
        input: usize,
        rows: &RecordBatch,
        before_us: &[Option<i64>],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, String> {
        late_rows(rows, before_us[input], 0, schema)
    }

    fn rejected(&self, _input: usize, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(rows.clone())
    }

    fn sender(&self, _input: usize) -> Result<Box<dyn Sender>> {
        Ok(Box::new(RowSender::default()))
    }

    fn leaving_of(&self, _input: usize, time_us: i64) -> Leaving {
        match self.step.order {
            RowOrder::Arrival => Leaving::at_once(time_us),
            RowOrder::EventTime => leaving(time_us),
        }
    }

    fn operator(&self) -> Result<Box<dyn KeyedOperator>> {
        let step = Arc::clone(&self.step);
        Ok(match step.order {
            RowOrder::Arrival => Box::new(arrival::Operator::new(step, Arc::clone(&self.tables[0]))?),
            RowOrder::EventTime => Box::new(event_time::Operator::new(step, &self.tables)?),
        })
    }
}

/// The rows that have crossed the edge, under the schema of the step.
pub(super) fn batch_of(schema: &SchemaRef, entries: &Entries) -> Result<RecordBatch> {
    let (_, own) = columns(entries, schema.fields().len() - 1);
    let times: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(entries.times.values().to_vec()).with_timezone("UTC"));
    RecordBatch::try_new(Arc::clone(schema), own.iter().cloned().chain([times]).collect())
        .map_err(|e| Failure::bug(format!("rows of an edge: {e}")))
}
