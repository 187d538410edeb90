//! Steps: what is computed from the rows of a source or another step. Each kind of step states what it reads, whether
//! it needs keys, and what its state depends on.

use std::slice;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Input;
use crate::aggregate::{Aggregate, AggregateFingerprint};
use crate::deduplicate::{Deduplicate, DeduplicateFingerprint};
use crate::expr::ScalarExpr;
use crate::over::{Over, OverFingerprint};

#[derive(Debug, Clone)]
pub struct Step {
    pub name: String,
    pub op: StepOp,
    /// The columns in the document's order, then `_event_time` if the rows have one.
    pub schema: SchemaRef,
}

impl StepOp {
    /// The columns that identify a row which the step could not compute; `None` if they are the columns that it reads.
    #[must_use]
    pub fn rejected_columns(&self) -> Option<SchemaRef> {
        match self {
            Self::Map(_) | Self::Union(_) | Self::Unnest(_) | Self::Deduplicate(_) | Self::Over(_) => None,
            Self::Aggregate(aggregate) => Some(aggregate.group_schema()),
        }
    }

    /// What the step's state depends on; `None` for a step without state.
    pub(crate) fn fingerprint(&self) -> Option<OperatorFingerprint> {
        match self {
            Self::Map(_) | Self::Union(_) | Self::Unnest(_) => None,
            Self::Aggregate(aggregate) => Some(OperatorFingerprint::Aggregate(AggregateFingerprint::of(aggregate))),
            Self::Deduplicate(step) => Some(OperatorFingerprint::Deduplicate(DeduplicateFingerprint::of(step))),
            Self::Over(over) => Some(OperatorFingerprint::Over(OverFingerprint::of(over))),
        }
    }
}

impl Step {
    /// The nodes that the step reads, in the document's order.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        match &self.op {
            StepOp::Map(map) => slice::from_ref(&map.input),
            StepOp::Union(union) => &union.inputs,
            StepOp::Unnest(unnest) => slice::from_ref(&unnest.input),
            StepOp::Aggregate(aggregate) => slice::from_ref(&aggregate.input),
            StepOp::Deduplicate(step) => slice::from_ref(&step.input),
            StepOp::Over(over) => slice::from_ref(&over.input),
        }
    }

    /// Whether the step needs all rows of a key in one place, whatever partition they come from.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        match &self.op {
            StepOp::Map(_) | StepOp::Union(_) | StepOp::Unnest(_) => false,
            StepOp::Aggregate(_) | StepOp::Deduplicate(_) | StepOp::Over(_) => true,
        }
    }
}

#[derive(Debug, Clone)]
pub enum StepOp {
    Map(Map),
    Union(Union),
    Unnest(Unnest),
    Aggregate(Arc<Aggregate>),
    Deduplicate(Arc<Deduplicate>),
    Over(Arc<Over>),
}

/// Filters and computes columns, row by row.
#[derive(Debug, Clone)]
pub struct Map {
    pub input: Input,
    pub filter: Option<ScalarExpr>,
    /// One expression per output column, in the order of the step's schema. `_event_time` has none: it is passed
    /// through.
    pub columns: Vec<ScalarExpr>,
}

/// The rows of several inputs, which have columns of the same names and types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Union {
    pub inputs: Vec<Input>,
    /// Per input: which of its columns is each column of the step's schema, `_event_time` included.
    pub columns: Vec<Vec<usize>>,
}

/// One row for each element of an array.
#[derive(Debug, Clone)]
pub struct Unnest {
    pub input: Input,
    /// Gives the array. The step's schema has the input's columns, the element, and the position if there is one.
    pub array: ScalarExpr,
    /// Whether there is a column for the element's position, from 0.
    pub has_position: bool,
    /// Whether a row whose array is empty or null gives one row without an element.
    pub keeps_empty: bool,
}

/// What the state of a step depends on, by the kind of the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operator")]
pub enum OperatorFingerprint {
    Aggregate(AggregateFingerprint),
    Deduplicate(DeduplicateFingerprint),
    Over(OverFingerprint),
    /// The fingerprint of a kind of step that only another version of Weir knows.
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
            Self::Deduplicate(_) => "Deduplicate",
            Self::Over(_) => "Over",
            Self::Other(other) => &other.operator,
        }
    }

    /// The reasons why state saved under this fingerprint does not fit `now`. Each begins with what the step did then.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        match (self, now) {
            (Self::Aggregate(saved), Self::Aggregate(now)) => saved.differences(now),
            (Self::Deduplicate(saved), Self::Deduplicate(now)) => saved.differences(now),
            (Self::Over(saved), Self::Over(now)) => saved.differences(now),
            (saved, now) if saved.name() == now.name() => {
                vec![format!("has saved state as {}, which this version of Weir can't read", saved.name())]
            }
            (saved, now) => vec![format!("was {} and is now {}", saved.name(), now.name())],
        }
    }
}
