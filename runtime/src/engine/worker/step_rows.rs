//! The rows that a keyed step gives when it is closed, a batch at a time. Each batch goes to the sinks, and through the
//! steps behind, before the next one is made. However much leaves at once, only one batch of it is in memory a second
//! time. Rows that cannot be computed go where `badRecords` says, with the batch that they belong to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use weir_plan::outputs::Output;
use weir_plan::plan::Input;
use weir_plan::stages::Edge;
use weir_plan::types::has_event_time;

use super::bad_rows::{self, BadOfEpoch};
use super::keyed_stage::KeyedStage;
use crate::build::Graph;
use crate::clock::{since, steady};
use crate::engine::sinks::task::SinkInput;
use crate::failure::{Failure, Result};
use crate::keyed::edge::EdgeSender;
use crate::keyed::{KeyedStep, Marks, Prepared};
use crate::transform::rows::{Rows, by_halves, coalesced};
use crate::transform::{RowStep, for_sink};

pub struct StepRows<'w> {
    stage: &'w mut KeyedStage,
    graph: Arc<Graph>,
    sinks: &'w BTreeMap<usize, SinkInput>,
    /// The sending ends of edges to the steps behind.
    behind: &'w mut BTreeMap<Edge, EdgeSender>,
    /// The sources' watermarks (µs) before and after the epoch.
    sources_us: [&'w [Option<i64>]; 2],
    bad: &'w mut BadOfEpoch,
    given: Given,
}

/// Figures about what a step gave.
#[derive(Default)]
pub struct Given {
    pub rows: u64,
    /// Time spent waiting for room in the queues of sinks.
    pub waited: Duration,
}

impl<'w> StepRows<'w> {
    /// For an epoch before and after which the sources' watermarks are `sources_us`.
    pub fn new(
        stage: &'w mut KeyedStage,
        sinks: &'w BTreeMap<usize, SinkInput>,
        behind: &'w mut BTreeMap<Edge, EdgeSender>,
        sources_us: [&'w [Option<i64>]; 2],
        bad: &'w mut BadOfEpoch,
    ) -> Self {
        let graph = Arc::clone(stage.graph());
        Self { stage, graph, sinks, behind, sources_us, bad, given: Given::default() }
    }

    /// Closes a step, to which everything of the epoch has come, and brings its rows to where they go.
    ///
    /// # Errors
    /// `Data`, for a row that cannot be computed if such rows must stop the pipeline.
    pub fn give(mut self, step: usize) -> Result<Given> {
        let marks = self.marks(step);
        let output_us = self.graph.flow().output_us(step, self.sources_us[0]);
        self.stage.close(step, &marks)?;
        while let Some(rows) = self.stage.next(step)? {
            for rows in self.settle(step, rows)? {
                debug_assert!(
                    are_in_time(&rows, output_us),
                    "step {step} gives rows that are late for the next: its watermark was {output_us:?}"
                );
                self.given.rows += rows.num_rows() as u64;
                self.hand_on(step, &rows)?;
            }
        }
        Ok(self.given)
    }

    fn send(&mut self, sink: usize, rows: RecordBatch) -> Result<()> {
        let Some(input) = self.sinks.get(&sink) else {
            return Err(Failure::bug(format!("rows for the sink {sink}, to which no keyed step writes")));
        };
        let waits = steady();
        input.send(rows)?;
        self.given.waited += since(waits);
        Ok(())
    }

    /// Returns the good rows, and sends the bad ones where `badRecords` says.
    fn settle(&mut self, step: usize, rows: Rows) -> Result<Vec<RecordBatch>> {
        for bad in &rows.bad {
            for (sink, rows) in bad_rows::judge(&self.graph.plan, step, bad, self.bad)? {
                self.send(sink, rows)?;
            }
        }
        Ok(rows.good)
    }

    /// Sends rows of a step to its sinks and to the steps behind it.
    fn hand_on(&mut self, from: usize, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let graph = Arc::clone(&self.graph);
        for sink in graph.keyed_sinks_of(from, Output::Main) {
            self.send(sink, for_sink(&graph.plan.sinks[sink].given, rows).map_err(Failure::bug)?)?;
        }
        for &step in &graph.stages.keyed_steps {
            let inputs = graph.plan.steps[step].inputs().iter().enumerate();
            for (input, _) in inputs.filter(|(_, input)| **input == Input::Step(from)) {
                if let Some(compiled) = graph.row_step(step) {
                    let computed = self.compute(step, input, compiled, rows)?;
                    for computed in self.settle(step, computed)? {
                        self.hand_on(step, &computed)?;
                    }
                }
                if let Some(compiled) = graph.keyed_step(step) {
                    self.take_behind(Edge { step, input }, compiled, rows)?;
                }
            }
        }
        Ok(())
    }

    /// Computes a step without keys. A row that fails is bad, with the columns that came in.
    fn compute(&self, step: usize, input: usize, compiled: &dyn RowStep, rows: &RecordBatch) -> Result<Rows> {
        let (good, bad) = by_halves(rows, &|rows| {
            let computed = compiled.apply(input, rows)?.rows;
            self.stage.check(step, &computed).map(|()| computed)
        });
        let mut computed = Rows { good: coalesced(&self.graph.plan.steps[step].schema, good)?, bad: Vec::new() };
        computed.add_bad(rows, bad)?;
        Ok(computed)
    }

    /// Takes rows into a keyed step that is behind others. Late rows leave through the step's output `Late`. A row that
    /// fails is bad, and is named as the step names its rows.
    fn take_behind(&mut self, edge: Edge, compiled: &dyn KeyedStep, input: &RecordBatch) -> Result<()> {
        let Marks { before_us, .. } = self.marks(edge.step);
        let late_sinks: Vec<usize> = self.graph.keyed_sinks_of_late(edge).collect();
        let (good, bad) = by_halves(input, &|input| {
            let prepared = compiled.prepare(edge.input, input, None, &before_us)?;
            let mut late = Vec::new();
            if prepared.has_missed {
                for &i in &late_sinks {
                    let rows = compiled.late(edge.input, input, &before_us, &self.graph.plan.sinks[i].given)?;
                    self.stage.check_for(i, &rows)?;
                    late.push((i, rows));
                }
            }
            Ok::<(Prepared, _), String>((prepared, late))
        });
        let Some(sender) = self.behind.get_mut(&edge) else { return Err(Failure::bug("rows for a step that is done")) };
        let mut late_rows = Vec::new();
        for (prepared, late) in good {
            sender.take_in(&prepared)?;
            late_rows.extend(late);
        }
        for (sink, rows) in late_rows {
            self.send(sink, rows)?;
        }
        if !bad.is_empty() {
            let mut rows = Rows::default();
            rows.add_bad(&compiled.rejected(edge.input, input)?, bad)?;
            self.settle(edge.step, rows)?;
        }
        Ok(())
    }

    fn marks(&self, step: usize) -> Marks {
        let [before_us, after_us] = self.sources_us.map(|sources_us| self.graph.flow().inputs_us(step, sources_us));
        Marks { before_us, after_us }
    }
}

/// Whether no row is older than a watermark. Rows without an event time always pass.
fn are_in_time(rows: &RecordBatch, watermark_us: Option<i64>) -> bool {
    let Some(watermark_us) = watermark_us else { return true };
    if !has_event_time(&rows.schema()) {
        return true;
    }
    let times = rows.columns().last().map(|times| times.as_primitive::<TimestampMicrosecondType>().values());
    times.is_none_or(|times| times.iter().all(|&us| us >= watermark_us))
}
