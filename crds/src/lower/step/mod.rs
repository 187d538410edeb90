//! Steps: each is checked against the schemas of its inputs, as far as they are known. There is a file per kind of
//! step; the rest of lowering sees each as an [`Operation`].

mod aggregate;
mod deduplicate;
mod map;
mod over;
mod top;
mod union;
mod unnest;
mod window;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use weir_plan::expr::{self, ScalarExpr};
use weir_plan::outputs::Output;
use weir_plan::plan::{self, Input, StepOp};
use weir_plan::quote::quoted;
use weir_plan::types::EVENT_TIME;

use super::graph::Graph;
use super::planning;
use super::source::Sources;
use crate::document::{Step, unions};
use crate::finding::{Findings, Path};

/// The steps by their position in the document.
pub(super) struct Steps {
    by_position: Vec<Lowered>,
    names: Vec<String>,
    order: Vec<usize>,
}

/// What lowering made of a step. A wrong step has no `op`. Its columns may still be known, and then the steps and sinks
/// that read it are checked against them.
#[derive(Default)]
pub(in crate::lower) struct Lowered {
    pub(in crate::lower) op: Option<StepOp>,
    pub(in crate::lower) schema: Option<SchemaRef>,
    /// Whether each row has the bounds of the window that it was made from, in `window_start` and `window_end`, and the
    /// window's last moment as its time.
    pub(in crate::lower) carries_window: bool,
    /// Whether rows come from a keyed step, or from a step behind one, so that they have no place in Kafka.
    pub(in crate::lower) is_behind_keys: bool,
    /// Whether the rows' times come from the clock (`processingTime`).
    pub(in crate::lower) is_timed_by_clock: bool,
    /// The running aggregate whose rows these are, if they change with every epoch.
    pub(in crate::lower) changing: Option<Changing>,
}

/// A running aggregate, as the sinks that get its rows see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lower) struct Changing {
    /// Its position in the document.
    pub(in crate::lower) step: usize,
    /// Whether it forgets groups.
    pub(in crate::lower) expires: bool,
}

impl Steps {
    /// The schema of the rows that `input` gives. Positions are those of the document.
    pub(super) fn schema_of(&self, input: Input, sources: &[Option<SchemaRef>]) -> Option<SchemaRef> {
        match input {
            Input::Source(i) => sources.get(i)?.clone(),
            Input::Step(i) => self.by_position.get(i)?.schema.clone(),
        }
    }

    fn is(&self, input: Option<Input>, what: fn(&Lowered) -> bool) -> bool {
        match input {
            None | Some(Input::Source(_)) => false,
            Some(Input::Step(i)) => self.by_position.get(i).is_some_and(what),
        }
    }

    /// The running aggregate whose rows an input gives.
    pub(super) fn changing(&self, input: Option<Input>) -> Option<Changing> {
        match input? {
            Input::Source(_) => None,
            Input::Step(i) => self.by_position.get(i)?.changing,
        }
    }

    /// The operation of the step at a position of the document, if the step is right.
    pub(super) fn op(&self, position: usize) -> Option<&StepOp> {
        self.by_position.get(position)?.op.as_ref()
    }

    /// The plan's input for an input of the document.
    pub(super) fn in_plan(&self, input: Input) -> Option<Input> {
        match input {
            Input::Source(i) => Some(Input::Source(i)),
            Input::Step(i) => self.order.iter().position(|o| *o == i).map(Input::Step),
        }
    }

    /// The steps in the plan's order; `None` if one of them is wrong.
    pub(super) fn in_order(mut self) -> Option<Vec<plan::Step>> {
        let step = |&i: &usize| {
            let Lowered { op, schema, .. } = std::mem::take(self.by_position.get_mut(i)?);
            Some(plan::Step { name: std::mem::take(self.names.get_mut(i)?), op: op?, schema: schema? })
        };
        self.order.iter().map(step).collect()
    }
}

/// A kind of step, as lowering uses it.
pub(in crate::lower) trait Operation {
    /// What the step reads, in the document's order, each with the path that names it; `at` is the path of the step's
    /// block.
    fn inputs(&self, at: &Path) -> Vec<(Path, &str)>;

    /// The step's expressions, each with its path; `at` is the path of the step's block.
    fn expressions(&self, at: &Path) -> Vec<(Path, &str)>;

    /// Whether the step's rows come from keyed state, so that a row no longer belongs to one record.
    fn is_keyed(&self) -> bool;

    /// Whether the step may read rows that change with every epoch.
    fn takes_changes(&self) -> bool {
        false
    }

    /// Whether the step is an aggregate without a window, and whether it forgets groups.
    fn runs(&self) -> Option<bool> {
        None
    }

    /// Whether a row may be one that the step can't compute.
    fn rejects_rows(&self) -> bool {
        true
    }

    /// The outputs for late rows, in the order of the inputs; none if no row can be late for the step.
    fn late_outputs(&self) -> &'static [LateOutput];

    /// Checks the step against its inputs.
    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Lowered;
}

/// An output for the rows that are late for a step.
pub(in crate::lower) struct LateOutput {
    pub(in crate::lower) output: Output,
    /// The output's columns, from the columns of the input that the late rows came by. The error is one sentence.
    pub(in crate::lower) columns: fn(&Schema) -> Result<SchemaRef, String>,
}

/// The step's operation and the name of its field. This is the one list of the kinds that are built.
pub(in crate::lower) fn operation(step: &Step) -> Option<(&'static str, &dyn Operation)> {
    let kinds: [(&str, Option<&dyn Operation>); 7] = [
        ("map", step.map.as_ref().map(|step| step as _)),
        ("union", step.union.as_ref().map(|step| step as _)),
        ("unnest", step.unnest.as_ref().map(|step| step as _)),
        ("aggregate", step.aggregate.as_ref().map(|step| step as _)),
        ("top", step.top.as_ref().map(|step| step as _)),
        ("over", step.over.as_ref().map(|step| step as _)),
        ("deduplicate", step.deduplicate.as_ref().map(|step| step as _)),
    ];
    let mut there = kinds.into_iter().filter_map(|(name, operation)| Some((name, operation?)));
    there.next().filter(|_| there.next().is_none())
}

/// What a step reads and the path of the field that says so, if the step's kind is built.
pub(super) fn inputs<'s>(step: &'s Step, at: &Path) -> Vec<(Path, &'s str)> {
    let Some((kind, operation)) = operation(step) else { return Vec::new() };
    operation.inputs(&at.field(kind))
}

/// Refuses a step that does not have exactly one operation.
pub(super) fn check_kind(step: &Step, at: &Path, out: &mut Findings) {
    let is_there = [
        step.map.is_some(),
        step.aggregate.is_some(),
        step.union.is_some(),
        step.unnest.is_some(),
        step.deduplicate.is_some(),
        step.top.is_some(),
        step.over.is_some(),
        step.join.is_some(),
        step.lookup.is_some(),
        step.process.is_some(),
        step.pattern.is_some(),
        step.sql.is_some(),
    ];
    out.exactly_one(at, unions::STEP_KINDS, &is_there);
}

/// What to do if there are more expressions than may be planned.
const INSTEAD: &str = "compute what lies deep in a map step of its own, or split the steps over several pipelines";

pub(super) fn lower(steps: &[Step], graph: &Graph, sources: &Sources, at: &Path, out: &mut Findings) -> Steps {
    let mut lowered = Steps {
        by_position: steps.iter().map(|_| Lowered::default()).collect(),
        names: steps.iter().map(|step| step.name.clone()).collect(),
        order: graph.order.clone(),
    };
    let operations: Vec<_> = steps.iter().map(operation).collect();
    let all = operations.iter().flatten().flat_map(|(_, operation)| operation.expressions(at));
    let all: Vec<_> = all.map(|(_, sql)| sql).collect();
    if !planning::is_within_bounds(all.iter().copied(), at, INSTEAD, out) {
        return lowered;
    }
    for &i in &graph.order {
        let Some((kind, operation)) = operations[i] else { continue };
        let upstream = |input: &Option<Input>| Upstream {
            input: input.and_then(|input| lowered.in_plan(input)),
            schema: input.and_then(|input| lowered.schema_of(input, &sources.schemas)),
            carries_window: lowered.is(*input, |step| step.carries_window),
            is_behind_keys: lowered.is(*input, |step| step.is_behind_keys),
            is_timed_by_clock: match input {
                Some(Input::Source(source)) => sources.are_timed_by_clock[*source],
                _ => lowered.is(*input, |step| step.is_timed_by_clock),
            },
        };
        let from: Vec<_> = graph.step_inputs[i].iter().map(upstream).collect();
        let (step_at, at) = (at.index(i), at.index(i).field(kind));
        let Lowered { op, schema, carries_window, .. } = operation.lower(&from, &at, out);
        let is_behind_keys = operation.is_keyed() || from.iter().any(|from| from.is_behind_keys);
        let is_timed_by_clock = from.iter().any(|from| from.is_timed_by_clock);
        if from.iter().any(|from| from.schema.is_none()) {
            for (at, sql) in operation.expressions(&at) {
                out.checked(&at, expr::check_syntax(sql).map_err(|e| e.to_string()));
            }
        }
        let changing = graph.step_inputs[i].iter().find_map(|input| lowered.changing(*input));
        if changing.is_some() && !operation.takes_changes() {
            refuse_changes(operation, &graph.step_inputs[i], &lowered, &at, out);
        }
        let changing = operation.runs().map(|expires| Changing { step: i, expires }).or(changing);
        let op = op.filter(|_| out.is_sound(&step_at));
        lowered.by_position[i] = Lowered { op, schema, carries_window, is_behind_keys, is_timed_by_clock, changing };
    }
    lowered
}

/// Refuses the inputs of a step whose rows change with every epoch.
fn refuse_changes(operation: &dyn Operation, inputs: &[Option<Input>], lowered: &Steps, at: &Path, out: &mut Findings) {
    for ((at, name), _) in
        operation.inputs(at).iter().zip(inputs).filter(|(_, input)| lowered.changing(**input).is_some())
    {
        let message = format!(
            "the rows of {} change with every epoch, since they come of an aggregate without a window, and only a map \
             or a sink may read them; give the aggregate a window",
            quoted(name)
        );
        out.add(at, message);
    }
}

/// An input of a step. Without a schema the input is wrong, and expressions over it can't be checked.
pub(in crate::lower) struct Upstream {
    input: Option<Input>,
    schema: Option<SchemaRef>,
    /// See [`Lowered::carries_window`].
    carries_window: bool,
    /// See [`Lowered::is_behind_keys`].
    is_behind_keys: bool,
    /// See [`Lowered::is_timed_by_clock`].
    is_timed_by_clock: bool,
}

fn compile_all<'a>(
    expressions: impl Iterator<Item = (&'a str, &'a str)>,
    schema: &SchemaRef,
) -> Vec<Result<ScalarExpr, String>> {
    let compiled = expr::compile_all(&expressions.collect::<Vec<_>>(), schema);
    compiled.into_iter().map(|column| column.map_err(|e| e.to_string())).collect()
}

/// The expression that passes a column through unchanged.
fn pass_on(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The columns that documents can refer to.
pub(super) fn user_columns(schema: &Schema) -> impl Iterator<Item = &FieldRef> {
    schema.fields().iter().filter(|f| f.name() != EVENT_TIME)
}
