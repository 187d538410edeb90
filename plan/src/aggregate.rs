//! Aggregation, compiled: over windows, or running, of all rows so far.
//!
//! A column such as `round(sum(price) / count(*), 2)` is cut in two: the aggregate calls, which keep mergeable partial
//! states per group, and a scalar expression over what the calls give when a row of the group is due. Equal calls are
//! kept once.
//!
//! `sum` and `avg` skip nulls and are null where all values are null; `count` is never null; `sum` of an int is a
//! bigint, `sum` of a float is a double; `sum` of a `decimal(p,s)` is a decimal with ten more digits, at most 38; `avg`
//! of bigints is computed in doubles. An accumulator never gives a value that its type can't hold:
//! [`Accumulator::beyond_type`] names the group instead. The order in which partial states merge changes no result,
//! except for the rounding of sums of doubles.

mod accumulators;
mod calls;
mod compile;
mod fingerprint;
mod functions;
mod keys;
mod parameters;
#[cfg(test)]
mod tests;
mod top;

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion_common::DataFusionError;
use datafusion_physical_expr::aggregate::AggregateFunctionExpr;
use datafusion_physical_expr::utils::collect_columns;

use self::accumulators::Kind;
use crate::expr::ScalarExpr;
use crate::input::Input;
use crate::types::{EVENT_TIME, timestamp_type};
use crate::window::Window;

pub use accumulators::Accumulator;
pub use compile::{compile, compile_over};
pub use fingerprint::{AggregateFingerprint, CallFingerprint};
pub use functions::names;
pub(crate) use functions::{by_name, may_skip_nulls};
pub use top::{Rank, Top, compile_top};

/// The column of a window's output that holds its start.
pub const WINDOW_START: &str = "window_start";
/// The column of a window's output that holds its end (exclusive).
pub const WINDOW_END: &str = "window_end";

/// Groups rows by window and key, keeps mergeable partial states, and computes output columns when a window closes or,
/// without windows, whenever a group has changed.
#[derive(Debug, Clone)]
pub struct Aggregate {
    pub input: Input,
    pub window: Window,
    pub group_by: Vec<Key>,
    /// The distinct aggregate calls of all output columns.
    pub calls: Vec<Call>,
    /// The group columns' fields, in the order of `group_by`.
    pub key_schema: SchemaRef,
    /// The columns before `outputs` are evaluated: `window_start` and `window_end` if there are windows, the group
    /// columns, then one column per call.
    pub result_schema: SchemaRef,
    /// The output columns that follow the window's bounds and the group columns: expressions over `result_schema`.
    pub outputs: Vec<ScalarExpr>,
    pub gives: Gives,
}

/// The rows that come of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gives {
    /// One row: the window's bounds if there are windows, the group columns, the output columns.
    Group,
    /// The rows that the only call has kept, with the window's bounds before their columns if they do not have them.
    Rows { with_window: bool },
}

/// Columns that are computed for each row, with aggregates over rows around it.
#[derive(Debug, Clone)]
pub struct RowColumns {
    /// The distinct aggregate calls of all columns.
    pub calls: Vec<Call>,
    /// The columns of the input, `_event_time` included, then one column per call.
    pub result_schema: SchemaRef,
    /// The columns, as expressions over `result_schema`.
    pub outputs: Vec<ScalarExpr>,
}

impl RowColumns {
    /// The first column that this call's value goes into.
    #[must_use]
    pub fn column_of(&self, call: usize) -> Option<&str> {
        column_of(&self.result_schema, self.calls.len(), &self.outputs, call)
    }
}

/// A column that rows are grouped by.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key's value, an expression over the input's schema. The field has the key's name.
    pub value: ScalarExpr,
    /// `None` if the key is the input's column of that name.
    pub computed: Option<ComputedKey>,
}

/// How saved state identifies a key that is computed by an expression.
#[derive(Debug, Clone)]
pub struct ComputedKey {
    /// The expression in canonical form: however the user spells it, the text is the same.
    pub text: String,
    /// The columns of the input that the expression reads, sorted by name.
    pub reads: Vec<FieldRef>,
}

/// An aggregate call such as `sum(price)` or `count(*) FILTER (WHERE …)`.
#[derive(Debug, Clone)]
pub struct Call {
    /// The call's name in saved state. It depends on the call alone: not on its spelling, nor on the other columns and
    /// their order.
    pub name: String,
    pub function: Arc<AggregateFunctionExpr>,
    /// The arguments, as expressions over the input's schema.
    pub args: Vec<ScalarExpr>,
    pub filter: Option<ScalarExpr>,
    /// The types of the partial state, in the order in which `GroupsAccumulator::state` gives them.
    pub state_fields: Vec<FieldRef>,
    /// How many of the last `state_fields` older versions did not keep. Their state files lack these columns; a missing
    /// column merges as nulls.
    pub added_state: usize,
    /// The columns of the input that the arguments and the filter read, sorted by name.
    pub reads: Vec<FieldRef>,
    kind: Kind,
}

/// A column to group by, as the document gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupColumn {
    pub name: String,
    /// An expression over the input's columns. `None`: the key is the input's column of that name.
    pub expr: Option<String>,
}

impl From<&str> for GroupColumn {
    /// The input's column of this name.
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), expr: None }
    }
}

/// An output column, as the document gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateColumn {
    pub name: String,
    pub expr: String,
    /// A condition for every aggregate call in `expr`, in addition to the call's own `FILTER (WHERE …)`.
    pub filter: Option<String>,
}

/// Why a step is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AggregateError {
    pub at: AggregatePart,
    /// One sentence for the user.
    pub message: String,
}

/// The part of the step that an error is about. Indices are into the arguments of [`compile`].
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
        column_of(&self.result_schema, self.calls.len(), &self.outputs, call)
    }

    /// About how many rows come of a group, and at least one.
    #[must_use]
    pub fn rows_per_group(&self) -> usize {
        self.calls.iter().map(|call| call.kind.rows_max()).max().unwrap_or(1)
    }

    /// The columns that identify a group: the window's bounds if there are windows, the group columns. Computed group
    /// columns may be null here even if they never are in a result: a row whose key can't be computed is reported
    /// without it.
    #[must_use]
    pub fn group_schema(&self) -> SchemaRef {
        let keys = self.group_by.iter().map(|key| match key.computed {
            Some(_) => Arc::new(key.value.field.as_ref().clone().with_nullable(true)),
            None => Arc::clone(&key.value.field),
        });
        Arc::new(Schema::new(self.window.fields().into_iter().chain(keys).collect::<Vec<_>>()))
    }

    /// The columns of the step's rows, with `_event_time` as the last if there are windows. A row of a running
    /// aggregate has no time.
    #[must_use]
    pub fn output_schema(&self) -> SchemaRef {
        let event_time = Arc::new(Field::new(EVENT_TIME, timestamp_type(), false));
        let event_time = Some(event_time).filter(|_| self.window.has_bounds());
        let fields: Vec<FieldRef> = match self.gives {
            Gives::Group => {
                let outputs = self.outputs.iter().map(|o| Arc::clone(&o.field));
                self.window
                    .fields()
                    .into_iter()
                    .chain(self.key_schema.fields().iter().cloned())
                    .chain(outputs)
                    .collect()
            }
            Gives::Rows { with_window } => {
                let bounds = self.window.fields().into_iter().filter(|_| with_window);
                bounds.chain(self.calls.iter().flat_map(|call| call.kind.rows()).cloned()).collect()
            }
        };
        Arc::new(Schema::new(fields.into_iter().chain(event_time).collect::<Vec<_>>()))
    }
}

fn column_of<'o>(results: &Schema, calls: usize, outputs: &'o [ScalarExpr], call: usize) -> Option<&'o str> {
    let index = results.fields().len() - calls + call;
    let reads = |output: &&ScalarExpr| collect_columns(&output.physical).iter().any(|column| column.index() == index);
    outputs.iter().find(reads).map(|output| output.field.name().as_str())
}

impl Call {
    /// An empty table of partial states, one per group.
    ///
    /// # Errors
    /// Never for a compiled call; DataFusion's interface returns a `Result`.
    pub fn accumulator(&self) -> Result<Box<dyn Accumulator>, DataFusionError> {
        let arguments: Vec<_> = self.args.iter().map(|arg| arg.field.data_type()).collect();
        self.kind.accumulator(&self.function, &arguments, &self.state_fields)
    }

    /// The most bytes of values that a group may collect; `None` if the call's value has a size of its own.
    /// [`Accumulator::beyond_type`] names the groups with more.
    #[must_use]
    pub fn collects_max(&self) -> Option<usize> {
        self.kind.collects_max()
    }

    /// The state fields that every version keeps.
    pub(crate) fn first_state(&self) -> &[FieldRef] {
        &self.state_fields[..self.state_fields.len() - self.added_state]
    }
}

impl Window {
    /// Whether each group belongs to a window, whose bounds its rows have.
    #[must_use]
    pub fn has_bounds(self) -> bool {
        !matches!(self, Self::Global { .. })
    }

    /// The columns of the window's bounds.
    fn fields(self) -> Vec<FieldRef> {
        let bound = |name| Arc::new(Field::new(name, timestamp_type(), false));
        if self.has_bounds() { vec![bound(WINDOW_START), bound(WINDOW_END)] } else { Vec::new() }
    }
}
