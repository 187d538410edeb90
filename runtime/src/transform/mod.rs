//! The stateless part of a pipeline: event time, maps, and the preparation of what goes into windows and sinks, batch by batch. Rows that
//! can't be processed are told apart from the others by [`rows`].

pub mod fitness;
pub mod rows;
#[cfg(test)]
mod tests;
pub mod years;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{filter_record_batch, max};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use weir_plan::Plan;
use weir_plan::outputs::Output;
use weir_plan::plan::{EventTime, Input, Map, StepOp, has_event_time};
use weir_plan::quote::quoted;
use weir_plan::stages::Stages;

use self::fitness::Fitness;
use self::rows::by_halves;
use crate::keyed::tumbling::{LanePartials, Prepared, late_rows};

/// Evaluates the stages before the first change of key for one source.
pub struct Stateless {
    plan: Arc<Plan>,
    stages: Arc<Stages>,
    source: usize,
    /// Per lane sink.
    fitness: Vec<Arc<dyn Fitness>>,
}

/// What became of a batch.
pub struct Evaluated {
    /// Rows that went in.
    pub rows: usize,
    /// The event time of every row that went in, if the source has one.
    pub event_times: Option<TimestampMicrosecondArray>,
    /// Per lane aggregate (in the order of [`Stages::lane_aggregates`]).
    pub prepared: Vec<Prepared>,
    /// Per lane sink (in the order of [`Stages::lane_sinks`]), without event times.
    pub sink_rows: Vec<RecordBatch>,
    /// Rows that a map's `where` left out, over all maps.
    pub filtered: u64,
}

/// A row that can't be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Position in the batch.
    pub row: usize,
    pub why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// An expression fails on it, or it has no event time. One sentence.
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
    /// `fitness` per lane sink.
    #[must_use]
    pub fn new(plan: Arc<Plan>, stages: Arc<Stages>, source: usize, fitness: Vec<Arc<dyn Fitness>>) -> Self {
        Self { plan, stages, source, fitness }
    }

    /// Evaluates a decoded batch. `watermarks_us` has the watermark of each lane aggregate at the start of the epoch; rows with an event time
    /// after `latest_us` are left out as bad. Mostly one result comes back and no bad row; around bad rows the batch comes back in parts.
    #[must_use]
    pub fn evaluate(&self, decoded: &RecordBatch, watermarks_us: &[Option<i64>], latest_us: Option<i64>) -> (Vec<Evaluated>, Vec<BadRow>) {
        let (good, bad) = by_halves(decoded, &|batch| self.attempt(batch, Times { watermarks_us, latest_us }));
        (good, bad.into_iter().map(|(row, why)| BadRow { row, why }).collect())
    }

    fn attempt(&self, decoded: &RecordBatch, times: Times<'_>) -> Result<Evaluated, Why> {
        let source = &self.plan.sources[self.source];
        let event_times = source.event_time.as_ref().map(|e| event_times(e, decoded)).transpose()?;
        if let (Some(found), Some(latest_us)) = (&event_times, times.latest_us)
            && let Some(time_us) = max(found).filter(|time| *time > latest_us)
        {
            return Err(Why::Ahead { time_us });
        }
        let rows = match &event_times {
            None => decoded.clone(),
            Some(times) => with_last(&source.schema, decoded, Arc::new(times.clone()))?,
        };
        let mut filtered = 0;
        let mut of_steps: Vec<Option<RecordBatch>> = vec![None; self.plan.steps.len()];
        for &i in &self.stages.lane_maps {
            let step = &self.plan.steps[i];
            let StepOp::Map(map) = &step.op else { continue };
            let Some(input) = self.batch_of(map.input, &rows, &of_steps) else { continue };
            let output = map_rows(map, &step.schema, input).map_err(|e| format!("step {}, {e}", quoted(&step.name)))?;
            filtered += (input.num_rows() - output.num_rows()) as u64;
            of_steps[i] = Some(output);
        }
        let mut prepared = Vec::with_capacity(self.stages.lane_aggregates.len());
        for (&i, watermark_us) in self.stages.lane_aggregates.iter().zip(times.watermarks_us) {
            let step = &self.plan.steps[i];
            let StepOp::Aggregate(aggregate) = &step.op else { continue };
            let Some(input) = self.batch_of(aggregate.input, &rows, &of_steps) else { continue };
            prepared.push(LanePartials::prepare(aggregate, input, *watermark_us).map_err(|e| format!("step {}, {e}", quoted(&step.name)))?);
        }
        let mut sink_rows = Vec::with_capacity(self.stages.lane_sinks.len());
        for (&i, fitness) in self.stages.lane_sinks.iter().zip(&self.fitness) {
            let sink = &self.plan.sinks[i];
            let of_sink = match (sink.output, sink.input) {
                (Output::Late, Input::Step(step)) => self.late(step, &sink.schema, &rows, &of_steps, times.watermarks_us)?,
                _ => {
                    let Some(input) = self.batch_of(sink.input, &rows, &of_steps) else { continue };
                    for_sink(&sink.schema, input)?
                }
            };
            fitness.check(&of_sink)?;
            sink_rows.push(of_sink);
        }
        Ok(Evaluated { rows: decoded.num_rows(), event_times, prepared, sink_rows, filtered })
    }

    /// The rows that an aggregate in the lanes takes for late.
    fn late(
        &self,
        step: usize,
        schema: &SchemaRef,
        rows: &RecordBatch,
        of_steps: &[Option<RecordBatch>],
        watermarks_us: &[Option<i64>],
    ) -> Result<RecordBatch, String> {
        let watermark_us = self.stages.lane_aggregates.iter().position(|i| *i == step).and_then(|place| watermarks_us[place]);
        match (&self.plan.steps[step].op, watermark_us) {
            (StepOp::Aggregate(aggregate), Some(watermark_us)) => match self.batch_of(aggregate.input, rows, of_steps) {
                Some(input) => late_rows(aggregate, input, watermark_us, schema),
                None => Ok(RecordBatch::new_empty(Arc::clone(schema))),
            },
            _ => Ok(RecordBatch::new_empty(Arc::clone(schema))),
        }
    }

    fn batch_of<'a>(&self, input: Input, rows: &'a RecordBatch, of_steps: &'a [Option<RecordBatch>]) -> Option<&'a RecordBatch> {
        match input {
            Input::Source(i) => (i == self.source).then_some(rows),
            Input::Step(i) => of_steps[i].as_ref(),
        }
    }
}

/// What rows are judged by.
#[derive(Clone, Copy)]
struct Times<'a> {
    watermarks_us: &'a [Option<i64>],
    latest_us: Option<i64>,
}

fn event_times(event_time: &EventTime, decoded: &RecordBatch) -> Result<TimestampMicrosecondArray, String> {
    let times = event_time.expr.evaluate(decoded).map_err(|e| format!("the event time: {e}"))?;
    if times.null_count() > 0 {
        return Err(format!("the event time ({}) is null", event_time.expr.sql));
    }
    Ok(times.as_primitive::<TimestampMicrosecondType>().clone())
}

/// Filters and computes a map's columns. `schema` is that of its output.
///
/// # Errors
/// A sentence that names the column, if an expression fails on some row.
pub fn map_rows(map: &Map, schema: &SchemaRef, input: &RecordBatch) -> Result<RecordBatch, String> {
    let filtered;
    let input = match &map.filter {
        None => input,
        Some(filter) => {
            let mask = filter.evaluate(input).map_err(|e| format!("where: {e}"))?;
            filtered = filter_record_batch(input, mask.as_boolean()).map_err(|e| format!("where ({}): {e}", filter.sql))?;
            &filtered
        }
    };
    let mut columns = Vec::with_capacity(schema.fields().len());
    for column in &map.columns {
        columns.push(column.evaluate(input).map_err(|e| format!("column {}: {e}", quoted(column.field.name())))?);
    }
    if has_event_time(schema) {
        columns.push(Arc::clone(input.column(input.num_columns() - 1)));
    }
    batch(schema, columns, input.num_rows())
}

/// A sink's rows: the input without its event time, under the sink's schema.
pub fn for_sink(schema: &SchemaRef, input: &RecordBatch) -> Result<RecordBatch, String> {
    batch(schema, input.columns()[..schema.fields().len()].to_vec(), input.num_rows())
}

fn with_last(schema: &SchemaRef, rows: &RecordBatch, last: ArrayRef) -> Result<RecordBatch, String> {
    batch(schema, rows.columns().iter().cloned().chain([last]).collect(), rows.num_rows())
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, String> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(|e| e.to_string())
}
