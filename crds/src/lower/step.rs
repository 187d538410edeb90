//! Steps: each is checked against the schema of what it reads, as far as that is known.

use std::sync::Arc;
use weir_plan::quote::quoted;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use weir_plan::aggregate::{self, AggregatePart};
use weir_plan::expr::{self, ScalarExpr};
use weir_plan::plan::{self, Input, StepOp, has_event_time};
use weir_plan::types::EVENT_TIME;
use weir_plan::window::Window;

use super::check::suggestion;
use super::graph::Graph;
use super::source::{COLUMNS_MAX, event_time_field, lift};
use super::{duration, name, planning};
use crate::document::{self, Aggregate, Map, MapColumn, Step, unions};
use crate::finding::{Findings, Path};

/// The steps by their position in the document; those that something is wrong with have no schema.
pub(super) struct Steps {
    by_position: Vec<Option<plan::Step>>,
    order: Vec<usize>,
}

impl Steps {
    /// The schema of what `input` gives, positions being the document's.
    pub(super) fn schema_of(&self, input: Input, sources: &[Option<SchemaRef>]) -> Option<SchemaRef> {
        match input {
            Input::Source(i) => sources.get(i)?.clone(),
            Input::Step(i) => self.by_position.get(i)?.as_ref().map(|s| s.schema.clone()),
        }
    }

    /// Where the plan has what the document has at `input`.
    pub(super) fn in_plan(&self, input: Input) -> Option<Input> {
        match input {
            Input::Source(i) => Some(Input::Source(i)),
            Input::Step(i) => self.order.iter().position(|o| *o == i).map(Input::Step),
        }
    }

    /// The steps as the plan has them; `None` if something is wrong with one.
    pub(super) fn in_order(mut self) -> Option<Vec<plan::Step>> {
        self.order.iter().map(|i| self.by_position.get_mut(*i)?.take()).collect()
    }
}

/// What to do about more expressions than may be planned.
const INSTEAD: &str = "compute what lies deep in a map step of its own, or split the steps over several pipelines";

pub(super) fn lower(
    steps: &[Step],
    graph: &Graph,
    sources: &[Option<SchemaRef>],
    at: &Path,
    out: &mut Findings,
) -> Steps {
    let mut lowered = Steps { by_position: steps.iter().map(|_| None).collect(), order: graph.order.clone() };
    if !planning::is_within_bounds(steps.iter().flat_map(expressions), at, INSTEAD, out) {
        return lowered;
    }
    for &i in &graph.order {
        let input = graph.step_inputs[i];
        let from = Upstream {
            input: input.and_then(|input| lowered.in_plan(input)),
            schema: input.and_then(|input| lowered.schema_of(input, sources)),
        };
        let (step, at) = (&steps[i], at.index(i));
        let op = match (&step.map, &step.aggregate) {
            (Some(map), None) => lower_map(map, &from, &at.field("map"), out),
            (None, Some(aggregate)) => lower_aggregate(aggregate, &from, &at.field("aggregate"), out),
            _ => None,
        };
        lowered.by_position[i] =
            op.filter(|_| out.is_sound(&at)).map(|(op, schema)| plan::Step { name: step.name.clone(), op, schema });
    }
    lowered
}

/// As they are written.
fn expressions(step: &Step) -> impl Iterator<Item = &str> + Clone + Send {
    let map = step.map.iter().flat_map(|map| {
        let columns = map.columns.iter().flatten().map(|c| &c.expr);
        columns.chain([&map.filter])
    });
    let aggregate = step.aggregate.iter().flat_map(|aggregate| aggregate.columns.iter().map(|c| &c.filter));
    let written = step
        .aggregate
        .iter()
        .flat_map(|aggregate| aggregate.columns.iter().map(|c| &c.expr).chain(aggregate.group_by.iter().flatten()));
    map.chain(aggregate).flatten().chain(written).map(String::as_str)
}

/// What a step reads. Without a schema something is wrong there, and what is computed from it can't be judged.
struct Upstream {
    input: Option<Input>,
    schema: Option<SchemaRef>,
}

fn lower_map(map: &Map, from: &Upstream, at: &Path, out: &mut Findings) -> Option<(StepOp, SchemaRef)> {
    let columns_at = at.field("columns");
    if let Some(columns) = &map.columns {
        out.length(&columns_at, columns.len(), 1..=COLUMNS_MAX);
        for (i, column) in columns.iter().enumerate() {
            out.checked(&columns_at.index(i).field("name"), name::check_column(&column.name));
        }
        out.distinct(columns.iter().enumerate().map(|(i, c)| (columns_at.index(i).field("name"), &*c.name)), "columns");
    }
    let schema = from.schema.as_ref()?;
    let filter = map
        .filter
        .as_ref()
        .map(|sql| out.checked(&at.field("where"), expr::compile_predicate(sql, schema).map_err(|e| e.to_string())));
    let columns = match &map.columns {
        Some(columns) => map_columns(columns, &map.from, schema, &columns_at, out),
        None => {
            let passed_on: Vec<_> = user_columns(schema).map(|f| (pass_on(f.name()), f.name().as_str())).collect();
            let compiled = compile_all(passed_on.iter().map(|(sql, name)| (sql.as_str(), *name)), schema);
            compiled.into_iter().map(|column| out.checked(at, column)).collect()
        }
    };
    let columns = columns.into_iter().collect::<Option<Vec<_>>>()?;
    let filter = lift(filter)?;
    let event_time = has_event_time(schema).then(event_time_field);
    let schema =
        Arc::new(Schema::new(columns.iter().map(|c| Arc::clone(&c.field)).chain(event_time).collect::<Vec<_>>()));
    Some((StepOp::Map(plan::Map { input: from.input?, filter, columns }), schema))
}

/// The columns that a map computes or passes on; `None` for each that something is wrong with.
fn map_columns(
    columns: &[MapColumn],
    from: &str,
    schema: &SchemaRef,
    at: &Path,
    out: &mut Findings,
) -> Vec<Option<ScalarExpr>> {
    let names: Vec<_> = user_columns(schema).map(|f| f.name().as_str()).collect();
    let passed_on = |column: &MapColumn| names.contains(&column.name.as_str()).then(|| pass_on(&column.name));
    let written: Vec<_> = columns.iter().map(|column| column.expr.clone().or_else(|| passed_on(column))).collect();
    let mut compiled = compile_all(
        columns.iter().zip(&written).filter_map(|(c, sql)| Some((sql.as_deref()?, c.name.as_str()))),
        schema,
    )
    .into_iter();
    let judged = columns.iter().zip(&written).enumerate().map(|(i, (column, written))| {
        let at = at.index(i);
        match (written.as_ref().and_then(|_| compiled.next()), &column.expr) {
            (Some(computed), Some(_)) => out.checked(&at.field("expr"), computed),
            // One finding is enough for a name.
            _ if !out.is_sound(&at.field("name")) => None,
            (Some(passed_on), None) => out.checked(&at.field("name"), passed_on),
            (None, _) => {
                let message = format!(
                    "{} has no column {}, and there is no expr; {}",
                    quoted(from),
                    quoted(&column.name),
                    suggestion(&column.name, &names)
                );
                out.add(&at.field("name"), message);
                None
            }
        }
    });
    judged.collect()
}

fn compile_all<'a>(
    expressions: impl Iterator<Item = (&'a str, &'a str)>,
    schema: &SchemaRef,
) -> Vec<Result<ScalarExpr, String>> {
    let compiled = expr::compile_all(&expressions.collect::<Vec<_>>(), schema);
    compiled.into_iter().map(|column| column.map_err(|e| e.to_string())).collect()
}

/// The expression for a column as it is.
fn pass_on(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The columns that the document speaks of.
pub(super) fn user_columns(schema: &Schema) -> impl Iterator<Item = &FieldRef> {
    schema.fields().iter().filter(|f| f.name() != EVENT_TIME)
}

fn lower_aggregate(
    aggregate: &Aggregate,
    from: &Upstream,
    at: &Path,
    out: &mut Findings,
) -> Option<(StepOp, SchemaRef)> {
    let window = window(aggregate.window.as_ref(), &at.field("window"), out);
    let group_by = aggregate.group_by.as_deref().unwrap_or_default();
    let columns_at = at.field("columns");
    out.length(&at.field("groupBy"), group_by.len(), 0..=COLUMNS_MAX);
    out.length(&columns_at, aggregate.columns.len(), 1..=COLUMNS_MAX);
    let schema = from.schema.as_ref()?;
    if !has_event_time(schema) {
        let message = format!(
            "a window goes by the event time, and the rows of {} have none; give its source an eventTime",
            quoted(&aggregate.from)
        );
        out.add(&at.field("window"), message);
        return None;
    }
    let columns: Vec<_> = aggregate
        .columns
        .iter()
        .map(|c| aggregate::AggregateColumn { name: c.name.clone(), expr: c.expr.clone(), filter: c.filter.clone() })
        .collect();
    // What is wrong with the columns does not depend on the window: any will do to find it.
    let any = Window::tumbling(1);
    match aggregate::compile(from.input?, schema, window.unwrap_or(any), group_by, &columns) {
        Ok(compiled) => {
            for (i, column) in columns.iter().enumerate() {
                out.checked(&columns_at.index(i).field("name"), name::check_column(&column.name));
            }
            let schema = compiled.output_schema();
            window.map(|_| (StepOp::Aggregate(Arc::new(compiled)), schema))
        }
        Err(errors) => {
            for error in errors {
                out.add(&place_of(error.at, at), error.message);
            }
            None
        }
    }
}

fn place_of(part: AggregatePart, at: &Path) -> Path {
    let column = |i| at.field("columns").index(i);
    match part {
        AggregatePart::Step => at.clone(),
        AggregatePart::GroupBy(i) => at.field("groupBy").index(i),
        AggregatePart::ColumnName(i) => column(i).field("name"),
        AggregatePart::ColumnExpr(i) => column(i).field("expr"),
        AggregatePart::ColumnFilter(i) => column(i).field("filter"),
    }
}

/// Until windows know time zones. What the clock allows must move too: such a row seems to come from the future.
pub(super) const LOCAL_DAYS: &str = "for days of UTC+2 (without summer time) write `tumbling: {size: 24h}` and move \
                                     the event time by as much, \
                                     `eventTime: {expr: ts + interval '2 hours', maxFuture: 3h, …}`: window_start and \
                                     window_end are local times then";

fn window(window: Option<&document::Window>, at: &Path, out: &mut Findings) -> Option<Window> {
    let Some(window) = window else {
        out.add(at, "not supported yet: an aggregate without a window; {tumbling: {size: 5m}} would be right");
        return None;
    };
    let kinds = [
        window.tumbling.is_some(),
        window.sliding.is_some(),
        window.session.is_some(),
        window.cumulate.is_some(),
        window.calendar.is_some(),
    ];
    out.exactly_one(at, unions::WINDOWS, &kinds);
    out.not_yet(at, "sliding", window.sliding.as_ref());
    out.not_yet(at, "session", window.session.as_ref());
    out.not_yet(at, "cumulate", window.cumulate.as_ref());
    for (field, is_there) in [("calendar", window.calendar.is_some()), ("offset", window.offset.is_some())] {
        if is_there {
            out.add(&at.field(field), format!("not supported yet; leave it out; {LOCAL_DAYS}"));
        }
    }
    let size = out.duration(&at.field("tumbling").field("size"), &window.tumbling.as_ref()?.size, "1ms", "99999h")?;
    Some(Window::tumbling(duration::as_us(size)))
}
