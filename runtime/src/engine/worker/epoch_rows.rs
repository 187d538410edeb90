//! What one epoch gives to the sinks behind the first change of key, a batch at a time: keyed steps are closed one after the other, and each batch
//! of a step's rows goes through the steps behind it before the next one is made. However much leaves at once, no more than a batch of it is
//! there a second time. Rows that can't be computed go where `badRecords` says, with the batch that they belong to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use weir_plan::outputs::Output;
use weir_plan::plan::Input;
use weir_plan::stages::Edge;

use super::bad_rows::{self, BadOfEpoch};
use super::keyed_stage::{KeyedStage, Watermarks};
use crate::build::Graph;
use crate::checkpoint::manifest::{InputProgress, StepProgress};
use crate::failure::{Failure, Result};
use crate::keyed::edge::{EdgeReport, EdgeSender};
use crate::keyed::{KeyedStep, Marks, Prepared};
use crate::state::Change;
use crate::transform::rows::{Rows, by_halves, coalesced};
use crate::transform::{RowStep, for_sink};

/// What an epoch comes to, beside the rows for the sinks.
#[derive(Default)]
pub struct KeyedEpoch {
    /// Per table that changed, by its number in [`Graph::tables`].
    pub changes: Vec<(usize, Change)>,
    pub steps: Vec<StepProgress>,
    pub bad: BadOfEpoch,
}

/// An epoch that is being taken apart.
pub struct EpochRows<'s> {
    stage: &'s mut KeyedStage,
    graph: Arc<Graph>,
    /// Per source: the watermarks before and after the epoch.
    before_us: Vec<Option<i64>>,
    after_us: Vec<Option<i64>>,
    /// Keyed steps whose turn has not come yet, each after those that it reads.
    to_come: VecDeque<usize>,
    /// What lanes have brought to them.
    of_lanes: BTreeMap<Edge, EdgeReport>,
    /// What other keyed steps have for them so far.
    behind: BTreeMap<Edge, EdgeSender>,
    closing: Option<Closing>,
    /// Rows that wait to be taken, per sink by index into the plan's sinks: of one batch.
    ready: VecDeque<(usize, RecordBatch)>,
    epoch: KeyedEpoch,
}

/// The keyed step that gives its rows.
struct Closing {
    step: usize,
    inputs: Vec<InputProgress>,
    rows_out: u64,
}

impl<'s> EpochRows<'s> {
    pub(super) fn new(stage: &'s mut KeyedStage, of_lanes: BTreeMap<Edge, EdgeReport>, watermarks: &[Watermarks]) -> Result<Self> {
        let graph = Arc::clone(stage.graph());
        let Graph { plan, stages, .. } = &*graph;
        let is_behind = |edge: &Edge| stages.keyed_steps.contains(&edge.step);
        let mut to_come: Vec<_> = stages.lane_edges.iter().filter(|edge| !is_behind(edge)).map(|edge| edge.step).collect();
        to_come.dedup();
        let mut behind = BTreeMap::new();
        for &step in stages.keyed_steps.iter().filter(|step| plan.steps[**step].is_keyed()) {
            to_come.push(step);
            for edge in (0..plan.steps[step].inputs().len()).map(|input| Edge { step, input }) {
                if !stages.lane_edges.contains(&edge) {
                    behind.insert(edge, graph.sender(edge)?);
                }
            }
        }
        let (before_us, after_us) = watermarks.iter().map(|source| (source.before_us, source.after_us)).unzip();
        let (ready, epoch) = (VecDeque::new(), KeyedEpoch::default());
        Ok(Self { stage, graph, before_us, after_us, to_come: to_come.into(), of_lanes, behind, closing: None, ready, epoch })
    }

    /// The next rows for a sink; `None` when the epoch is done.
    ///
    /// # Errors
    /// `Data`, for a row that can't be computed where such rows are to stop the pipeline.
    pub fn next(&mut self) -> Result<Option<(usize, RecordBatch)>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            let Some(mut closing) = self.closing.take() else {
                if !self.begin_next()? {
                    return Ok(None);
                }
                continue;
            };
            let step = closing.step;
            let Some(rows) = self.stage.next(step)? else {
                self.end(closing)?;
                continue;
            };
            for rows in self.settle(step, rows)? {
                closing.rows_out += rows.num_rows() as u64;
                self.hand_on(step, &rows)?;
            }
            self.closing = Some(closing);
        }
    }

    /// After the last rows.
    pub fn finish(self) -> KeyedEpoch {
        self.epoch
    }

    /// Closes the next keyed step: all that comes to it is there by now. Gives whether there is one.
    fn begin_next(&mut self) -> Result<bool> {
        let Some(step) = self.to_come.pop_front() else { return Ok(false) };
        let marks = self.marks(step);
        let mut inputs = Vec::new();
        for input in 0..self.graph.plan.steps[step].inputs().len() {
            let edge = Edge { step, input };
            let report = match self.behind.remove(&edge) {
                Some(mut sender) => sender.end_epoch()?,
                None => self.of_lanes.remove(&edge).unwrap_or_default(),
            };
            inputs.push(InputProgress {
                watermark_before_us: marks.before_us[input],
                watermark_after_us: marks.after_us[input],
                rows_in: report.rows_in,
                rows_late: report.rows_late,
            });
            self.stage.bring(edge, report.entries)?;
        }
        self.stage.close(step, &marks)?;
        self.closing = Some(Closing { step, inputs, rows_out: 0 });
        Ok(true)
    }

    fn end(&mut self, closing: Closing) -> Result<()> {
        let Closing { step, inputs, rows_out } = closing;
        self.epoch.changes.extend(self.stage.take_changes(step)?);
        self.epoch.steps.push(self.stage.progress(step, inputs, rows_out)?);
        Ok(())
    }

    /// The good rows; the bad ones go where `badRecords` says.
    fn settle(&mut self, step: usize, rows: Rows) -> Result<Vec<RecordBatch>> {
        for bad in &rows.bad {
            self.ready.extend(bad_rows::judge(&self.graph.plan, step, bad, &mut self.epoch.bad)?);
        }
        Ok(rows.good)
    }

    /// Rows of a step go to its sinks and to the steps behind it.
    fn hand_on(&mut self, from: usize, rows: &RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let graph = Arc::clone(&self.graph);
        for i in self.stage.sinks_of(from, Output::Main) {
            self.ready.push_back((i, for_sink(&graph.plan.sinks[i].schema, rows).map_err(Failure::bug)?));
        }
        for &step in &graph.stages.keyed_steps {
            let inputs = graph.plan.steps[step].inputs().iter().enumerate();
            for (input, _) in inputs.filter(|(_, input)| **input == Input::Step(from)) {
                if let Some(compiled) = graph.row_step(step) {
                    let computed = self.compute(step, compiled, rows)?;
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

    /// What a step without keys makes of rows. A row that fails is bad with the columns that came in.
    fn compute(&self, step: usize, compiled: &dyn RowStep, input: &RecordBatch) -> Result<Rows> {
        let (good, bad) = by_halves(input, &|input| {
            let computed = compiled.apply(input)?;
            self.stage.check(step, &computed).map(|()| computed)
        });
        let mut rows = Rows { good: coalesced(&self.graph.plan.steps[step].schema, good)?, bad: Vec::new() };
        rows.add_bad(input, bad)?;
        Ok(rows)
    }

    /// A keyed step behind others takes rows in; those that are late leave by its output `Late`. A row that fails is bad, and is named as the step
    /// names its rows.
    fn take_behind(&mut self, edge: Edge, compiled: &dyn KeyedStep, input: &RecordBatch) -> Result<()> {
        let Marks { before_us, .. } = self.marks(edge.step);
        let late_sinks: Vec<usize> = self.stage.sinks_of(edge.step, Output::Late).collect();
        let (good, bad) = by_halves(input, &|input| {
            let prepared = compiled.prepare(edge.input, input, &before_us)?;
            let mut late = Vec::new();
            if prepared.late > 0 {
                for &i in &late_sinks {
                    let rows = compiled.late(edge.input, input, &before_us, &self.graph.plan.sinks[i].schema)?;
                    self.stage.check_for(i, &rows)?;
                    late.push((i, rows));
                }
            }
            Ok::<(Prepared, _), String>((prepared, late))
        });
        let Some(sender) = self.behind.get_mut(&edge) else { return Err(Failure::bug("rows for a step that is done")) };
        for (prepared, late) in good {
            sender.take_in(&prepared)?;
            self.ready.extend(late);
        }
        if !bad.is_empty() {
            let mut rows = Rows::default();
            rows.add_bad(&compiled.rejected(edge.input, input)?, bad)?;
            self.settle(edge.step, rows)?;
        }
        Ok(())
    }

    fn marks(&self, step: usize) -> Marks {
        let (before_us, after_us) = (self.graph.flow().inputs_us(step, &self.before_us), self.graph.flow().inputs_us(step, &self.after_us));
        Marks { before_us, after_us }
    }
}

#[cfg(test)]
mod tests;
