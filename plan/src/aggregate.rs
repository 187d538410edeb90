//! Windowed aggregation, compiled.
//!
//! A column such as `round(sum(price) / count(*), 2)` is cut in two: the aggregate calls, which keep mergeable partial
//! states per group, and a scalar expression over what the calls give when the window closes. Equal calls are kept
//! once.
//!
//! `sum` and `avg` skip nulls and are null where there was nothing but nulls; `count` is never null; `sum` of an int is
//! a bigint, of a float a double, of a `decimal(p,s)` a decimal of ten digits more, at most 38; `avg` of bigints is
//! computed in doubles. A value that its type can't hold is never given: [`Accumulator::beyond_type`] names its group.
//! Nothing depends on the order in which partial states merge, but for the rounding of sums of doubles.

mod accumulators;
mod calls;
mod compile;
mod keys;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion_common::DataFusionError;
use datafusion_physical_expr::aggregate::AggregateFunctionExpr;
use datafusion_physical_expr::utils::collect_columns;

use self::accumulators::Kind;
use crate::expr::ScalarExpr;
use crate::plan::Input;
use crate::types::{EVENT_TIME, timestamp_type};
use crate::window::Window;

pub use accumulators::Accumulator;
pub use compile::compile;

/// The column of a window's output that holds its start.
pub const WINDOW_START: &str = "window_start";
/// The column of a window's output that holds its end (exclusive).
pub const WINDOW_END: &str = "window_end";

/// Groups rows by window and key, keeps mergeable partial states, and computes output columns when a window closes.
#[derive(Debug, Clone)]
pub struct Aggregate {
    pub input: Input,
    pub window: Window,
    /// Where `_event_time` is in the input's schema.
    pub event_time_index: usize,
    pub group_by: Vec<Key>,
    /// Every distinct aggregate call that occurs in the output columns.
    pub calls: Vec<Call>,
    /// The group columns' fields (same order as `group_by`).
    pub key_schema: SchemaRef,
    /// What a closed window is evaluated to: `window_start`, `window_end`, the group columns, one column per call.
    pub result_schema: SchemaRef,
    /// The output columns that follow `window_start`, `window_end` and the group columns, over `result_schema`.
    pub outputs: Vec<ScalarExpr>,
}

/// A column that rows are grouped by.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its value, over the input's schema, under the column's name.
    pub value: ScalarExpr,
    /// `None` if it is the input's column of that name.
    pub computed: Option<ComputedKey>,
}

/// What saved state knows a key by that is not a column of the input as it stands.
#[derive(Debug, Clone)]
pub struct ComputedKey {
    /// The expression: the same text for the same expression, however it is spelled.
    pub text: String,
    /// The columns of the input that it reads, by name.
    pub reads: Vec<FieldRef>,
}

/// One aggregate call, `sum(price)` or `count(*) FILTER (WHERE …)`.
#[derive(Debug, Clone)]
pub struct Call {
    /// What saved state knows it by: the same for the same call, whatever the spelling, the other columns and their
    /// order.
    pub name: String,
    pub function: Arc<AggregateFunctionExpr>,
    /// Arguments over the input's schema.
    pub args: Vec<ScalarExpr>,
    pub filter: Option<ScalarExpr>,
    /// The types of the partial state, in the order in which `GroupsAccumulator::state` gives them.
    pub state_fields: Vec<FieldRef>,
    /// How many of the last of these older versions did not keep: in their files they are not there, which merges as
    /// nulls.
    pub added_state: usize,
    /// The columns of the input that the arguments and the filter read, by name.
    pub reads: Vec<FieldRef>,
    kind: Kind,
}

/// A column to group by, as the document has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupColumn {
    pub name: String,
    /// Over the input's columns. Without it, the input's column of that name.
    pub expr: Option<String>,
}

impl From<&str> for GroupColumn {
    /// A column of the input.
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), expr: None }
    }
}

/// An output column, as the document has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateColumn {
    pub name: String,
    pub expr: String,
    /// Holds for every aggregate call in `expr`, in addition to the call's own `FILTER (WHERE …)`.
    pub filter: Option<String>,
}

/// Why a step is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AggregateError {
    pub at: AggregatePart,
    /// One sentence.
    pub message: String,
}

/// What an error is about. Indices are into the arguments of [`compile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregatePart {
    Step,
    GroupName(usize),
    GroupExpr(usize),
    ColumnName(usize),
    ColumnExpr(usize),
    ColumnFilter(usize),
}

impl Aggregate {
    /// The first output column that this call's value goes into.
    #[must_use]
    pub fn column_of(&self, call: usize) -> Option<&str> {
        let index = self.result_schema.fields().len() - self.calls.len() + call;
        let reads =
            |output: &&ScalarExpr| collect_columns(&output.physical).iter().any(|column| column.index() == index);
        self.outputs.iter().find(reads).map(|output| output.field.name().as_str())
    }

    /// The columns that name a group of a window: `window_start`, `window_end`, the group columns. Those that are
    /// computed may be null there even where they never are in a result: a row whose key fails is named without it.
    #[must_use]
    pub fn group_schema(&self) -> SchemaRef {
        let keys = self.group_by.iter().map(|key| match key.computed {
            Some(_) => Arc::new(key.value.field.as_ref().clone().with_nullable(true)),
            None => Arc::clone(&key.value.field),
        });
        Arc::new(Schema::new(window_fields().into_iter().chain(keys).collect::<Vec<_>>()))
    }

    /// What leaves the step: `window_start`, `window_end`, the group columns, the output columns, `_event_time`.
    #[must_use]
    pub fn output_schema(&self) -> SchemaRef {
        let outputs = self.outputs.iter().map(|o| Arc::clone(&o.field));
        let fields = window_fields().into_iter().chain(self.key_schema.fields().iter().cloned()).chain(outputs);
        let event_time = Arc::new(Field::new(EVENT_TIME, timestamp_type(), false));
        Arc::new(Schema::new(fields.chain([event_time]).collect::<Vec<_>>()))
    }
}

impl Call {
    /// An empty table of partial states, one per group.
    ///
    /// # Errors
    /// None for a call that was compiled; DataFusion's interface has one.
    pub fn accumulator(&self) -> Result<Box<dyn Accumulator>, DataFusionError> {
        let argument = self.args.first().map_or(&DataType::Null, |arg| arg.field.data_type());
        self.kind.accumulator(&self.function, argument, &self.state_fields)
    }

    /// The parts of the state that every version keeps.
    pub fn first_state(&self) -> &[FieldRef] {
        &self.state_fields[..self.state_fields.len() - self.added_state]
    }
}

fn window_fields() -> [FieldRef; 2] {
    [WINDOW_START, WINDOW_END].map(|name| Arc::new(Field::new(name, timestamp_type(), false)))
}
