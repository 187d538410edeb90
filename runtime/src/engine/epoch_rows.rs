//! What one epoch gives to the sinks behind the first change of key, a batch at a time: windows that are over are taken apart one after the
//! other, and each batch of their rows goes through the steps behind them before the next one is made. However much closes at once, no more
//! than a batch of it is there a second time. Rows that can't be computed go where `badRecords` says, with the batch that they belong to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use weir_plan::Plan;
use weir_plan::aggregate::Aggregate;
use weir_plan::outputs::Output;
use weir_plan::plan::{Input, Map, StepOp};
use weir_plan::stages::Stages;

use super::bad_rows::{self, BadOfEpoch};
use super::keyed_stage::{KeyedStage, LaneTotals, Watermarks};
use crate::checkpoint::manifest::StepProgress;
use crate::failure::{Failure, Result};
use crate::keyed::tumbling::{ClosedWindow, LanePartials, groups_of, late_rows};
use crate::state::Change;
use crate::transform::rows::{Rows, by_halves, coalesced};
use crate::transform::{for_sink, map_rows};

/// What an epoch comes to, beside the rows for the sinks.
#[derive(Default)]
pub struct KeyedEpoch {
    /// Per step that changed: partials of windows that stay open.
    pub changes: Vec<(usize, Change)>,
    pub steps: Vec<StepProgress>,
    pub bad: BadOfEpoch,
}

/// An epoch that is being taken apart.
pub struct EpochRows<'s> {
    stage: &'s mut KeyedStage,
    plan: Arc<Plan>,
    stages: Arc<Stages>,
    /// Per source.
    watermarks: Vec<Watermarks>,
    /// Aggregates whose turn has not come yet: those of the lanes with what these had, then those behind windows.
    to_come: VecDeque<(usize, Option<LaneTotals>)>,
    /// What aggregates behind windows have taken in so far.
    behind: BTreeMap<usize, LanePartials>,
    closing: Option<Closing>,
    /// Rows that wait to be taken, per sink by index into the plan's sinks: of one batch.
    ready: VecDeque<(usize, RecordBatch)>,
    epoch: KeyedEpoch,
}

/// The aggregate whose windows are being closed.
struct Closing {
    step: usize,
    window: Option<ClosedWindow>,
    rows_in: u64,
    rows_late: u64,
    rows_out: u64,
}

impl<'s> EpochRows<'s> {
    pub(super) fn new(stage: &'s mut KeyedStage, lanes: Vec<LaneTotals>, watermarks: Vec<Watermarks>) -> Result<Self> {
        let (plan, stages) = (Arc::clone(stage.plan()), Arc::clone(stage.stages()));
        let mut to_come: VecDeque<_> = stages.lane_aggregates.iter().copied().zip(lanes.into_iter().map(Some)).collect();
        let mut behind = BTreeMap::new();
        for &step in &stages.keyed_steps {
            if let StepOp::Aggregate(aggregate) = &plan.steps[step].op {
                to_come.push_back((step, None));
                behind.insert(step, LanePartials::new(Arc::clone(aggregate))?);
            }
        }
        let (ready, epoch) = (VecDeque::new(), KeyedEpoch::default());
        Ok(Self { stage, plan, stages, watermarks, to_come, behind, closing: None, ready, epoch })
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
            if closing.window.is_none() {
                closing.window = self.stage.close_next(step, self.after_us(step))?;
            }
            let Some(window) = &mut closing.window else {
                self.end(&closing)?;
                continue;
            };
            let next = window.next(&|rows| self.stage.check(step, rows))?;
            match next {
                Some(rows) => {
                    for rows in self.settle(step, rows)? {
                        closing.rows_out += rows.num_rows() as u64;
                        self.hand_on(step, &rows)?;
                    }
                }
                None => closing.window = None,
            }
            self.closing = Some(closing);
        }
    }

    /// After the last rows.
    pub fn finish(self) -> KeyedEpoch {
        self.epoch
    }

    /// Merges the input of the next aggregate; whether there is one.
    fn begin_next(&mut self) -> Result<bool> {
        let Some((step, of_lanes)) = self.to_come.pop_front() else { return Ok(false) };
        let totals = match of_lanes {
            Some(totals) => totals,
            None => self.behind.remove(&step).map(drained).transpose()?.unwrap_or_default(),
        };
        let change = self.stage.take_in(step, totals.partials, self.after_us(step))?;
        self.epoch.changes.extend(change.map(|change| (step, change)));
        self.closing = Some(Closing { step, window: None, rows_in: totals.rows_in, rows_late: totals.rows_late, rows_out: 0 });
        Ok(true)
    }

    fn end(&mut self, closing: &Closing) -> Result<()> {
        let Closing { step, rows_in, rows_late, rows_out, .. } = *closing;
        let at_rest = self.stage.progress(step, self.after_us(step))?;
        self.epoch.steps.push(StepProgress { rows_in, rows_late, rows_out, ..at_rest });
        Ok(())
    }

    /// The good rows; the bad ones go where `badRecords` says.
    fn settle(&mut self, step: usize, rows: Rows) -> Result<Vec<RecordBatch>> {
        for bad in &rows.bad {
            self.ready.extend(bad_rows::judge(&self.plan, step, bad, &mut self.epoch.bad)?);
        }
        Ok(rows.good)
    }

    /// Rows of a step go to its sinks and to the steps behind it.
    fn hand_on(&mut self, from: usize, rows: &RecordBatch) -> Result<()> {
        let (plan, stages) = (Arc::clone(&self.plan), Arc::clone(&self.stages));
        if rows.num_rows() == 0 {
            return Ok(());
        }
        for i in self.stage.sinks_of(from, Output::Main) {
            self.ready.push_back((i, for_sink(&plan.sinks[i].schema, rows).map_err(Failure::bug)?));
        }
        for &i in &stages.keyed_steps {
            let step = &plan.steps[i];
            if !step.inputs().contains(&Input::Step(from)) {
                continue;
            }
            match &step.op {
                StepOp::Map(map) => {
                    let mapped = self.map(i, map, rows)?;
                    for mapped in self.settle(i, mapped)? {
                        self.hand_on(i, &mapped)?;
                    }
                }
                StepOp::Aggregate(aggregate) => self.take_behind(i, aggregate, rows)?,
            }
        }
        Ok(())
    }

    /// What a map makes of rows. A row that fails is bad with the columns that came in.
    fn map(&self, step: usize, map: &Map, input: &RecordBatch) -> Result<Rows> {
        let schema = &self.plan.steps[step].schema;
        let (good, bad) = by_halves(input, &|input| {
            let mapped = map_rows(map, schema, input)?;
            self.stage.check(step, &mapped).map(|()| mapped)
        });
        let mut rows = Rows { good: coalesced(schema, good)?, bad: Vec::new() };
        rows.add_bad(input, bad)?;
        Ok(rows)
    }

    /// An aggregate behind a window takes rows in; those that missed their windows leave by its output `Late`. A row that fails is bad with the
    /// bounds and keys of the group that it belongs to.
    fn take_behind(&mut self, step: usize, aggregate: &Arc<Aggregate>, input: &RecordBatch) -> Result<()> {
        let before_us = self.least(step, |source| source.before_us);
        let late_sinks: Vec<usize> = self.stage.sinks_of(step, Output::Late).collect();
        let (good, bad) = by_halves(input, &|input| {
            let prepared = LanePartials::prepare(aggregate, input, before_us)?;
            let mut late = Vec::new();
            if let Some(watermark_us) = before_us.filter(|_| prepared.late() > 0) {
                for &i in &late_sinks {
                    let rows = late_rows(aggregate, input, watermark_us, &self.plan.sinks[i].schema)?;
                    self.stage.check_for(i, &rows)?;
                    late.push((i, rows));
                }
            }
            Ok::<_, String>((prepared, late))
        });
        let Some(partials) = self.behind.get_mut(&step) else { return Err(Failure::bug("rows for a step that is done")) };
        for (prepared, late) in good {
            partials.take_in(&prepared)?;
            self.ready.extend(late);
        }
        if !bad.is_empty() {
            let mut rows = Rows::default();
            rows.add_bad(&groups_of(aggregate, input)?, bad)?;
            self.settle(step, rows)?;
        }
        Ok(())
    }

    fn after_us(&self, step: usize) -> Option<i64> {
        self.least(step, |source| source.after_us)
    }

    /// The least watermark of the sources that a step's rows come from; `None` while one of them has none.
    fn least(&self, step: usize, watermark: impl Fn(&Watermarks) -> Option<i64>) -> Option<i64> {
        self.plan.sources_of(Input::Step(step)).into_iter().map(|source| watermark(&self.watermarks[source])).min().flatten()
    }
}

fn drained(mut partials: LanePartials) -> Result<LaneTotals> {
    let (rows_in, rows_late) = (partials.rows_in, partials.rows_late);
    Ok(LaneTotals { partials: partials.drain()?.into_iter().collect(), rows_in, rows_late })
}

#[cfg(test)]
mod tests;
