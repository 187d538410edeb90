//! Steps: each is checked against the schemas of its inputs, as far as they are known. There is a file per kind of
//! step; the rest of lowering sees each as an [`Operation`].

mod aggregate;
mod map;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use weir_plan::expr::{self, ScalarExpr};
use weir_plan::plan::{self, Input, StepOp};
use weir_plan::types::EVENT_TIME;

pub(super) use aggregate::LOCAL_DAYS;

use super::graph::Graph;
use super::planning;
use crate::document::Step;
use crate::finding::{Findings, Path};

/// The steps by their position in the document. A wrong step has no schema.
pub(super) struct Steps {
    by_position: Vec<Option<plan::Step>>,
    order: Vec<usize>,
}

impl Steps {
    /// The schema of the rows that `input` gives. Positions are those of the document.
    pub(super) fn schema_of(&self, input: Input, sources: &[Option<SchemaRef>]) -> Option<SchemaRef> {
        match input {
            Input::Source(i) => sources.get(i)?.clone(),
            Input::Step(i) => self.step(i).map(|s| s.schema.clone()),
        }
    }

    /// The step at a position of the document, if it is right.
    pub(super) fn step(&self, position: usize) -> Option<&plan::Step> {
        self.by_position.get(position)?.as_ref()
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
        self.order.iter().map(|i| self.by_position.get_mut(*i)?.take()).collect()
    }
}

/// A kind of step, as lowering uses it.
pub(in crate::lower) trait Operation {
    /// The fields that name the step's inputs, each with the name, in the document's order.
    fn inputs(&self) -> Vec<(&'static str, &str)>;

    /// The step's expressions as they are written.
    fn expressions(&self) -> Vec<&str>;

    /// Whether rows can be late for the step, so that it has an output `Late`.
    fn has_windows(&self) -> bool;

    /// Checks the step against its inputs. `None` if the step or one of its inputs is wrong.
    fn lower(&self, from: &[Upstream], at: &Path, out: &mut Findings) -> Option<(StepOp, SchemaRef)>;
}

/// The step's operation and the name of its field. This is the one list of the kinds that are built.
pub(in crate::lower) fn operation(step: &Step) -> Option<(&'static str, &dyn Operation)> {
    match (&step.map, &step.aggregate) {
        (Some(map), None) => Some(("map", map)),
        (None, Some(aggregate)) => Some(("aggregate", aggregate)),
        _ => None,
    }
}

/// Refuses a step that does not have exactly one operation, and operations that are not built yet.
pub(super) fn check_kind(step: &Step, at: &Path, out: &mut Findings) {
    let built = [("map", step.map.is_some()), ("aggregate", step.aggregate.is_some())];
    let later = [
        ("union", step.union.is_some()),
        ("unnest", step.unnest.is_some()),
        ("deduplicate", step.deduplicate.is_some()),
        ("top", step.top.is_some()),
        ("over", step.over.is_some()),
        ("join", step.join.is_some()),
        ("lookup", step.lookup.is_some()),
        ("process", step.process.is_some()),
        ("pattern", step.pattern.is_some()),
        ("sql", step.sql.is_some()),
    ];
    let (kinds, is_there): (Vec<_>, Vec<_>) = built.into_iter().chain(later).unzip();
    out.exactly_one(at, &kinds, &is_there);
    for (kind, is_there) in later {
        out.not_yet(at, kind, is_there.then_some(&()));
    }
    out.not_yet(at, "badRecords", step.bad_records.as_ref());
}

/// What to do if there are more expressions than may be planned.
const INSTEAD: &str = "compute what lies deep in a map step of its own, or split the steps over several pipelines";

pub(super) fn lower(
    steps: &[Step],
    graph: &Graph,
    sources: &[Option<SchemaRef>],
    at: &Path,
    out: &mut Findings,
) -> Steps {
    let mut lowered = Steps { by_position: steps.iter().map(|_| None).collect(), order: graph.order.clone() };
    let operations: Vec<_> = steps.iter().map(operation).collect();
    let expressions: Vec<&str> = operations.iter().flatten().flat_map(|(_, op)| op.expressions()).collect();
    if !planning::is_within_bounds(expressions.iter().copied(), at, INSTEAD, out) {
        return lowered;
    }
    for &i in &graph.order {
        let Some((kind, operation)) = operations[i] else { continue };
        let upstream = |input: &Option<Input>| Upstream {
            input: input.and_then(|input| lowered.in_plan(input)),
            schema: input.and_then(|input| lowered.schema_of(input, sources)),
        };
        let from: Vec<_> = graph.step_inputs[i].iter().map(upstream).collect();
        let (step, at) = (&steps[i], at.index(i));
        let op = operation.lower(&from, &at.field(kind), out).filter(|_| out.is_sound(&at));
        lowered.by_position[i] = op.map(|(op, schema)| plan::Step { name: step.name.clone(), op, schema });
    }
    lowered
}

/// An input of a step. Without a schema the input is wrong, and expressions over it can't be checked.
pub(in crate::lower) struct Upstream {
    input: Option<Input>,
    schema: Option<SchemaRef>,
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
