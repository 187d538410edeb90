//! Steps: what is computed from the rows of a source or of another step.

use std::slice;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::Input;
use crate::aggregate::Aggregate;
use crate::expr::ScalarExpr;
use crate::types::EVENT_TIME;

#[derive(Debug, Clone)]
pub struct Step {
    pub name: String,
    pub op: StepOp,
    /// Columns in the document's order, then `_event_time` if rows have one.
    pub schema: SchemaRef,
}

impl Step {
    /// What it reads, in the document's order.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        match &self.op {
            StepOp::Map(map) => slice::from_ref(&map.input),
            StepOp::Aggregate(aggregate) => slice::from_ref(&aggregate.input),
        }
    }

    /// Whether rows of one key must come together for it, from whatever partition they are.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        match &self.op {
            StepOp::Map(_) => false,
            StepOp::Aggregate(_) => true,
        }
    }
}

#[derive(Debug, Clone)]
pub enum StepOp {
    Map(Map),
    Aggregate(Arc<Aggregate>),
}

/// Filters and computes columns, row by row.
#[derive(Debug, Clone)]
pub struct Map {
    pub input: Input,
    pub filter: Option<ScalarExpr>,
    /// One expression per output column, in the step's schema order, `_event_time` not included: it is passed on.
    pub columns: Vec<ScalarExpr>,
}

/// Whether a schema's rows carry an event time.
#[must_use]
pub fn has_event_time(schema: &SchemaRef) -> bool {
    schema.fields().last().is_some_and(|f| f.name() == EVENT_TIME)
}
