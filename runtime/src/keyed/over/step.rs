//! An over as a keyed step.

use std::slice;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use weir_plan::over::Over;

use super::operator::Operator;
use crate::failure::Result;
use crate::keyed::aggregate::inputs::arguments;
use crate::keyed::rows::late::late_rows;
use crate::keyed::rows::sender::{RowSender, prepared};
use crate::keyed::rows::waiting::{self, leaving};
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Prepared, Sender};
use crate::state::TableSchema;

pub struct OverStep {
    over: Arc<Over>,
    schema: SchemaRef,
    table: Arc<TableSchema>,
}

impl OverStep {
    /// `schema` has the columns of the step.
    #[must_use]
    pub fn new(over: Arc<Over>, schema: SchemaRef) -> Self {
        let table = waiting::table(&over.key, &over.input_schema, over.frame.keeps_us());
        Self { over, schema, table }
    }
}

impl KeyedStep for OverStep {
    fn tables(&self) -> &[Arc<TableSchema>] {
        slice::from_ref(&self.table)
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
        let columns = &self.over.columns;
        // A row whose aggregates can't be computed is found here, where it is known what it was.
        let check = |rows: &RecordBatch| arguments(&columns.calls, |call| columns.column_of(call), rows).map(drop);
        prepared(&self.over.key, rows, origins, before_us[input], &check)
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
        leaving(time_us)
    }

    fn operator(&self) -> Result<Box<dyn KeyedOperator>> {
        Ok(Box::new(Operator::new(Arc::clone(&self.over), Arc::clone(&self.schema), Arc::clone(&self.table))?))
    }
}
