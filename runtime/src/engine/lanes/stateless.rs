//! What a lane does with decoded rows: event time, maps, and the preparation of rows for windows and sinks, batch by
//! batch. It leaves out the rows that can't be processed.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{concat, concat_batches, max};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use weir_plan::Plan;
use weir_plan::plan::{Clock, Input};
use weir_plan::quote::quoted;
use weir_plan::stages::{Edge, LaneStage};
use weir_plan::types::timestamp_type;

use crate::build::Graph;
use crate::keyed::{KeyedStep, Prepared};
use crate::sink::fitness::Fitness;
use crate::transform::rows::in_parts;
use crate::transform::{Applied, batch, for_sink};

/// Evaluates the stages before the first change of key for one source.
pub struct Stateless {
    graph: Arc<Graph>,
    source: usize,
    /// One per sink of the source's lanes.
    fitness: Vec<Arc<dyn Fitness>>,
    needs_origins: bool,
}

/// The times by which rows are judged, in µs.
#[derive(Clone, Copy)]
pub struct Times<'a> {
    /// Per edge from the source's lanes, the watermarks of its step's inputs at the start of the epoch.
    pub before_us: &'a [Vec<Option<i64>>],
    /// Rows with a later event time are bad.
    pub latest_us: Option<i64>,
    /// The time of every row, if the source takes it from the clock.
    pub now_us: i64,
}

/// The result of a batch.
pub struct Evaluated {
    /// Rows that went in.
    pub rows: usize,
    /// The event time of every row that went in, if the source has one.
    pub event_times: Option<TimestampMicrosecondArray>,
    /// One per edge from the source's lanes, in the order of [`LaneStage::edges`].
    pub prepared: Vec<Prepared>,
    /// One batch per sink of the source's lanes, in the order of [`LaneStage::sinks`], without event times.
    pub sink_rows: Vec<RecordBatch>,
    /// Rows that a map's `where` left out, over all maps.
    pub filtered: u64,
}

/// Why a row can't be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// An expression fails on the row, or the row has no event time. The text is one sentence.
    Unfit(String),
    /// Its event time is later than allowed.
    Ahead { time_us: i64 },
}

impl From<String> for Why {
    fn from(reason: String) -> Self {
        Self::Unfit(reason)
    }
}

impl Stateless {
    /// `fitness` has one entry per sink of the source's lanes.
    #[must_use]
    pub fn new(graph: Arc<Graph>, source: usize, fitness: Vec<Arc<dyn Fitness>>) -> Self {
        let needs_origins = graph.needs_origins(source);
        Self { graph, source, fitness, needs_origins }
    }

    /// Evaluates a decoded batch. `each` gets what comes of the batch in the order of rows, with the index of the first
    /// row that it comes of. Mostly that is one result. If there are bad rows, each comes alone, with the parts of the
    /// batch around them. A batch that becomes too large comes in parts too, so no more than one part is in memory.
    pub fn evaluate(
        &self,
        decoded: &RecordBatch,
        times: Times<'_>,
        each: &mut dyn FnMut(usize, Result<Evaluated, Why>),
    ) {
        in_parts(decoded, &|batch| self.attempt(batch, times), each);
    }

    fn attempt(&self, decoded: &RecordBatch, times: Times<'_>) -> Result<Evaluated, Why> {
        let (plan, stage) = (&self.graph.plan, self.stage());
        let source = &plan.sources[self.source];
        let own_columns = source.schema.fields().len();
        let clock = source.event_time.as_ref().map(|of| &of.clock);
        let event_times = clock.map(|clock| event_times(clock, decoded, own_columns - 1, times.now_us)).transpose()?;
        if let (Some(found), Some(latest_us)) = (&event_times, times.latest_us)
            && let Some(time_us) = max(found).filter(|time| *time > latest_us)
        {
            return Err(Why::Ahead { time_us });
        }
        let mut columns = decoded.columns().to_vec();
        // Where rows are to be ordered, the lane has added their origins as the last column.
        let origins = if self.needs_origins { columns.pop() } else { None };
        if let Some(times) = &event_times {
            columns.truncate(own_columns - 1);
            columns.push(Arc::new(times.clone()));
        }
        let rows = NodeRows { rows: batch(&source.schema, columns, decoded.num_rows())?, origins };
        let mut filtered = 0;
        let mut batches = Batches { source: self.source, rows, of_steps: vec![None; plan.steps.len()] };
        for &i in &stage.steps {
            let Some(step) = self.graph.row_step(i) else { continue };
            let mut of_inputs = Vec::new();
            for input in 0..plan.steps[i].inputs().len() {
                let Some(NodeRows { rows, origins }) = batches.for_step(plan, i, input) else { continue };
                let applied = step.apply(input, rows);
                let Applied { rows, from } =
                    applied.map_err(|e| format!("step {}, {e}", quoted(&plan.steps[i].name)))?;
                filtered += from.filtered();
                let origins = origins.as_ref().map(|origins| from.pick(origins)).transpose()?;
                of_inputs.push(NodeRows { rows, origins });
            }
            batches.of_steps[i] = NodeRows::joined(of_inputs, &plan.steps[i].schema)?;
        }
        let mut prepared = Vec::with_capacity(stage.edges.len());
        for (edge, before_us) in stage.edges.iter().zip(times.before_us) {
            let (step, NodeRows { rows, origins }) = self.edge(*edge, &batches)?;
            let ready = step.prepare(edge.input, rows, origins.as_ref(), before_us);
            prepared.push(ready.map_err(|e| format!("step {}, {e}", quoted(&plan.steps[edge.step].name)))?);
        }
        let mut sink_rows = Vec::with_capacity(stage.sinks.len());
        for (&i, fitness) in stage.sinks.iter().zip(&self.fitness) {
            let sink = &plan.sinks[i];
            let of_sink = match (sink.output.late_input(), sink.input) {
                (Some(input), Input::Step(step)) => {
                    self.late(Edge { step, input }, &sink.given, &batches, times.before_us)?
                }
                _ => {
                    let rows = batches.of(sink.input).ok_or_else(|| not_fed("sink", &sink.name))?;
                    for_sink(&sink.given, &rows.rows)?
                }
            };
            fitness.check(&of_sink)?;
            sink_rows.push(of_sink);
        }
        Ok(Evaluated { rows: decoded.num_rows(), event_times, prepared, sink_rows, filtered })
    }

    fn stage(&self) -> &LaneStage {
        &self.graph.stages.lanes[self.source]
    }

    /// The keyed step that an edge leads to, and the rows that come to it by that edge.
    fn edge<'b>(&self, edge: Edge, batches: &'b Batches) -> Result<(&dyn KeyedStep, &'b NodeRows), String> {
        let rows = batches.for_step(&self.graph.plan, edge.step, edge.input);
        let step = self.graph.keyed_step(edge.step);
        step.zip(rows).ok_or_else(|| not_fed("step", &self.graph.plan.steps[edge.step].name))
    }

    /// The rows that a keyed step counts as late, of those that this source's lanes send to one of its inputs.
    fn late(
        &self,
        edge: Edge,
        schema: &SchemaRef,
        batches: &Batches,
        before_us: &[Vec<Option<i64>>],
    ) -> Result<RecordBatch, String> {
        let mut edges = self.stage().edges.iter().zip(before_us);
        let Some((_, before_us)) = edges.find(|(of, _)| **of == edge) else {
            return Ok(RecordBatch::new_empty(Arc::clone(schema)));
        };
        let (keyed, input) = self.edge(edge, batches)?;
        keyed.late(edge.input, &input.rows, before_us, schema)
    }
}

/// The rows of one batch, from the source and from each step of its lanes.
struct Batches {
    source: usize,
    rows: NodeRows,
    of_steps: Vec<Option<NodeRows>>,
}

/// The rows that a node has made of a batch.
#[derive(Clone)]
struct NodeRows {
    rows: RecordBatch,
    /// Where the record of each row is in Kafka, if a step orders rows by that.
    origins: Option<ArrayRef>,
}

impl NodeRows {
    /// The rows of all inputs of a node, in the order of the inputs; `None` if no rows come by any of them.
    fn joined(mut of_inputs: Vec<Self>, schema: &SchemaRef) -> Result<Option<Self>, String> {
        if of_inputs.len() < 2 {
            return Ok(of_inputs.pop());
        }
        let rows = concat_batches(schema, of_inputs.iter().map(|of| &of.rows)).map_err(|e| e.to_string())?;
        let origins: Option<Vec<_>> = of_inputs.iter().map(|of| of.origins.as_deref()).collect();
        let origins = origins.map(|origins| concat(&origins)).transpose().map_err(|e| e.to_string())?;
        Ok(Some(Self { rows, origins }))
    }
}

impl Batches {
    fn of(&self, input: Input) -> Option<&NodeRows> {
        match input {
            Input::Source(i) => (i == self.source).then_some(&self.rows),
            Input::Step(i) => self.of_steps[i].as_ref(),
        }
    }

    /// The rows that come to a step by one of its inputs.
    fn for_step(&self, plan: &Plan, step: usize, input: usize) -> Option<&NodeRows> {
        self.of(plan.steps[step].inputs()[input])
    }
}

/// The failure if no rows come to a node. The cut into stages gives a source's lanes only the nodes that its rows come
/// to.
fn not_fed(kind: &str, name: &str) -> String {
    format!("{kind} {}: a bug in Weir: no rows of this source come to it", quoted(name))
}

/// The event times of decoded rows. If Kafka gives them, they are the column at `kafka_times`; if the clock does, they
/// are `now_us`.
fn event_times(
    clock: &Clock,
    decoded: &RecordBatch,
    kafka_times: usize,
    now_us: i64,
) -> Result<TimestampMicrosecondArray, String> {
    let (times, null) = match clock {
        Clock::Expr(expr) => (
            expr.evaluate(decoded).map_err(|e| format!("the event time: {e}"))?,
            format!("the event time ({}) is null", expr.sql),
        ),
        Clock::KafkaTimestamp => {
            (Arc::clone(decoded.column(kafka_times)), "the record has no timestamp, which is its event time".to_owned())
        }
        Clock::ProcessingTime => {
            let times = TimestampMicrosecondArray::from_value(now_us, decoded.num_rows());
            return Ok(times.with_data_type(timestamp_type()));
        }
    };
    if times.null_count() > 0 { Err(null) } else { Ok(times.as_primitive::<TimestampMicrosecondType>().clone()) }
}
