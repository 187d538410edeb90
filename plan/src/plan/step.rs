//! Steps: what is computed from the rows of a source or of another step. Each says by itself what it reads, whether it
//! needs keys and what its state depends on.

use std::slice;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Input;
use crate::aggregate::Aggregate;
use crate::compat::AggregateFingerprint;
use crate::expr::ScalarExpr;
use crate::types::EVENT_TIME;

#[derive(Debug, Clone)]
pub struct Step {
    pub name: String,
    pub op: StepOp,
    /// Columns in the document's order, then `_event_time` if rows have one.
    pub schema: SchemaRef,
}

impl StepOp {
    /// The columns that name a row which it could not compute, where these are not the columns that it reads.
    #[must_use]
    pub fn rejected_columns(&self) -> Option<SchemaRef> {
        match self {
            Self::Map(_) => None,
            Self::Aggregate(aggregate) => Some(aggregate.group_schema()),
        }
    }

    /// What its state depends on; `None` of a step without state.
    pub(crate) fn fingerprint(&self) -> Option<OperatorFingerprint> {
        match self {
            Self::Map(_) => None,
            Self::Aggregate(aggregate) => Some(OperatorFingerprint::Aggregate(AggregateFingerprint::of(aggregate))),
        }
    }
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

/// What a kind of step makes its state depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operator")]
pub enum OperatorFingerprint {
    Aggregate(AggregateFingerprint),
    /// One that another version of Weir has written.
    #[serde(untagged)]
    Other(OtherOperator),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherOperator {
    pub operator: String,
    #[serde(flatten)]
    pub settings: serde_json::Map<String, Value>,
}

impl OperatorFingerprint {
    fn name(&self) -> &str {
        match self {
            Self::Aggregate(_) => "Aggregate",
            Self::Other(other) => &other.operator,
        }
    }

    /// Why state saved under this does not fit `now`, each beginning with what the step did.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        match (self, now) {
            (Self::Aggregate(saved), Self::Aggregate(now)) => saved.differences(now),
            (saved, now) if saved.name() == now.name() => {
                vec![format!("has saved state as {}, which this version of Weir can't read", saved.name())]
            }
            (saved, now) => vec![format!("was {} and is now {}", saved.name(), now.name())],
        }
    }
}
