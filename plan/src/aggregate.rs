//! Windowed aggregation, compiled.

use std::sync::Arc;

use arrow::datatypes::{FieldRef, SchemaRef};
use datafusion_physical_expr::aggregate::AggregateFunctionExpr;

use crate::expr::ScalarExpr;
use crate::plan::Input;
use crate::window::Tumbling;

/// Groups rows by window and key, keeps mergeable partial states, and computes output columns when a window closes.
#[derive(Debug, Clone)]
pub struct Aggregate {
    pub input: Input,
    pub window: Tumbling,
    /// Where `_event_time` is in the input's schema.
    pub event_time_index: usize,
    /// The group columns, as indices into the input's schema.
    pub group_by: Vec<usize>,
    /// Every distinct aggregate call that occurs in the output columns.
    pub calls: Vec<Call>,
    /// The group columns' fields (same order as `group_by`).
    pub key_schema: SchemaRef,
    /// What a closed window is evaluated to: `window_start`, `window_end`, the group columns, one column per call.
    pub result_schema: SchemaRef,
    /// The output columns that follow `window_start`, `window_end` and the group columns, over `result_schema`.
    pub outputs: Vec<ScalarExpr>,
}

/// One aggregate call, `sum(price)` or `count(*) FILTER (WHERE …)`.
#[derive(Debug, Clone)]
pub struct Call {
    pub function: Arc<AggregateFunctionExpr>,
    /// Arguments over the input's schema.
    pub args: Vec<ScalarExpr>,
    pub filter: Option<ScalarExpr>,
    /// The types of the partial state, in the order in which `GroupsAccumulator::state` gives them.
    pub state_fields: Vec<FieldRef>,
}
