//! What comes after the first change of key: open windows, and the steps and sinks that read closed ones. Pure but for its memory; the
//! driver gives it one epoch's merged partials and the watermark, and gets the change of state and the rows for the sinks.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use weir_plan::Plan;
use weir_plan::aggregate::Aggregate;
use weir_plan::outputs::Output;
use weir_plan::plan::{Input, StepOp};
use weir_plan::quote::quoted;
use weir_plan::stages::Stages;

use crate::checkpoint::manifest::StepProgress;
use crate::failure::{Failure, Result};
use crate::transform::{for_sink, map_rows};
use crate::window::{Change, KeyedState, LanePartials, Partials, late_rows};

/// A source's watermark around an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    pub before_us: Option<i64>,
    pub after_us: Option<i64>,
}

/// One aggregate's input of an epoch, from all lanes.
#[derive(Default)]
pub struct LaneTotals {
    pub partials: Vec<Partials>,
    pub rows_in: u64,
    pub rows_late: u64,
}

/// What an epoch comes to.
pub struct KeyedEpoch {
    /// Per step that changed: partials of windows that stay open.
    pub changes: Vec<(usize, Change)>,
    /// Rows per keyed sink, by index into the plan's sinks.
    pub sink_rows: Vec<(usize, RecordBatch)>,
    pub steps: Vec<StepProgress>,
}

pub struct KeyedStage {
    plan: Arc<Plan>,
    stages: Arc<Stages>,
    /// Per step of the plan; `None` for maps.
    states: Vec<Option<KeyedState>>,
}

impl KeyedStage {
    #[must_use]
    pub fn new(plan: Arc<Plan>, stages: Arc<Stages>) -> Self {
        let states = plan.steps.iter().map(|step| match &step.op {
            StepOp::Aggregate(a) => Some(KeyedState::new(Arc::clone(a), Arc::clone(&step.schema))),
            StepOp::Map(_) => None,
        });
        Self { states: states.collect(), plan, stages }
    }

    /// Puts saved state back. `partials` belong to windows that are open.
    pub fn restore(&mut self, step: usize, partials: &Partials) -> Result<()> {
        self.state(step)?.apply(partials)
    }

    /// Takes the windows of another part of the same stage, which has none of ours.
    pub fn take_over(&mut self, other: Self) {
        for (state, other) in self.states.iter_mut().zip(other.states) {
            if let (Some(state), Some(other)) = (state, other) {
                state.take_over(other);
            }
        }
    }

    /// Takes an epoch in: `lanes` in the order of [`Stages::lane_aggregates`], `watermarks` per source.
    pub fn advance(&mut self, lanes: Vec<LaneTotals>, watermarks: &[Watermarks]) -> Result<KeyedEpoch> {
        let mut epoch = KeyedEpoch { changes: Vec::new(), sink_rows: Vec::new(), steps: Vec::new() };
        let mut rows: Vec<Option<RecordBatch>> = vec![None; self.plan.steps.len()];
        let stages = Arc::clone(&self.stages);
        for (&step, totals) in stages.lane_aggregates.iter().zip(lanes) {
            rows[step] = self.take_in(step, totals, watermarks, &mut epoch)?;
        }
        let plan = Arc::clone(&self.plan);
        for &i in &stages.keyed_steps {
            let step = &plan.steps[i];
            let input = input_rows(&rows, step.input());
            match &step.op {
                StepOp::Map(map) => {
                    let mapped = input.map(|input| map_rows(map, &step.schema, input)).transpose();
                    rows[i] = mapped.map_err(|e| Failure::data(format!("step {}, {e}", quoted(&step.name))))?;
                }
                StepOp::Aggregate(aggregate) => {
                    let before_us = watermarks[plan.source_of(step.input())].before_us;
                    let totals = input.map(|input| partials_of(aggregate, input, before_us)).transpose();
                    let totals = totals.map_err(|e| e.context(format!("step {}", quoted(&step.name))))?.unwrap_or_default();
                    if totals.rows_late > 0 {
                        self.send_late(i, aggregate, input, before_us, &mut epoch)?;
                    }
                    rows[i] = self.take_in(i, totals, watermarks, &mut epoch)?;
                }
            }
        }
        for &i in &stages.keyed_sinks {
            let sink = &plan.sinks[i];
            if sink.output == Output::Late {
                continue;
            }
            if let Some(rows) = input_rows(&rows, sink.input).filter(|r| r.num_rows() > 0) {
                epoch.sink_rows.push((i, for_sink(&sink.schema, rows).map_err(Failure::bug)?));
            }
        }
        Ok(epoch)
    }

    /// Rows of a step behind another window that missed theirs.
    fn send_late(
        &self,
        step: usize,
        aggregate: &Aggregate,
        input: Option<&RecordBatch>,
        watermark_us: Option<i64>,
        epoch: &mut KeyedEpoch,
    ) -> Result<()> {
        let (Some(input), Some(watermark_us)) = (input, watermark_us) else { return Ok(()) };
        for &i in &self.stages.keyed_sinks {
            let sink = &self.plan.sinks[i];
            if sink.output == Output::Late && sink.input == Input::Step(step) {
                epoch.sink_rows.push((i, late_rows(aggregate, input, watermark_us, &sink.schema).map_err(Failure::bug)?));
            }
        }
        Ok(())
    }

    /// Merges one aggregate's input into its windows, closes those that are over, and gives their rows.
    fn take_in(
        &mut self,
        step: usize,
        totals: LaneTotals,
        watermarks: &[Watermarks],
        epoch: &mut KeyedEpoch,
    ) -> Result<Option<RecordBatch>> {
        let plan = Arc::clone(&self.plan);
        let StepOp::Aggregate(aggregate) = &plan.steps[step].op else {
            return Err(Failure::bug(format!("step {:?} keeps no state", plan.steps[step].name)));
        };
        let after_us = watermarks[plan.source_of(plan.steps[step].input())].after_us;
        let state = self.state(step)?;
        // What a closed window was made of is in the rows that this epoch writes; only open ones are state.
        let mut stay_open = Vec::with_capacity(totals.partials.len());
        for partials in totals.partials {
            let (open, closing) = partials.split(|start| after_us.is_none_or(|w| aggregate.window.end_of(start) > w))?;
            state.apply(&closing)?;
            stay_open.push(open);
        }
        if let Some(change) = Change::of(aggregate, &stay_open)? {
            state.apply(&change.partials)?;
            epoch.changes.push((step, change));
        }
        let closed = after_us.map(|w| state.close_up_to(w)).transpose()?.flatten();
        epoch.steps.push(StepProgress {
            rows_in: totals.rows_in,
            rows_late: totals.rows_late,
            rows_out: closed.as_ref().map_or(0, |c| c.num_rows() as u64),
            ..at_rest(&plan.steps[step].name, state, after_us)
        });
        Ok(closed)
    }

    fn state(&mut self, step: usize) -> Result<&mut KeyedState> {
        self.states[step].as_mut().ok_or_else(|| Failure::bug(format!("step {step} keeps no state")))
    }

    /// Where the steps are while nothing comes in.
    #[must_use]
    pub fn at_rest(&self, watermark_us: Option<i64>) -> Vec<StepProgress> {
        let steps = self.plan.steps.iter().zip(&self.states);
        steps.filter_map(|(step, state)| Some(at_rest(&step.name, state.as_ref()?, watermark_us))).collect()
    }

    /// The greatest end of a window that is open and ends by `limit_us`.
    #[must_use]
    pub fn greatest_end_up_to(&self, limit_us: i64) -> Option<i64> {
        self.states.iter().flatten().filter_map(|state| state.ends().take_while(|end| *end <= limit_us).last()).max()
    }

    /// The greatest end of a window that is open, that `lanes` are about to open, or that the rows of these will open in a step behind them.
    #[must_use]
    pub fn greatest_end(&self, lanes: &[LaneTotals]) -> Option<i64> {
        let mut of_steps: Vec<Option<i64>> = vec![None; self.plan.steps.len()];
        for (i, step) in self.plan.steps.iter().enumerate() {
            let before = match step.input() {
                Input::Source(_) => None,
                Input::Step(before) => of_steps[before],
            };
            of_steps[i] = match (&step.op, &self.states[i]) {
                (StepOp::Aggregate(aggregate), Some(state)) => {
                    let place = self.stages.lane_aggregates.iter().position(|lane| *lane == i);
                    let partials = place.and_then(|place| lanes.get(place)).into_iter().flat_map(|totals| &totals.partials);
                    let opened = partials.filter_map(|p| p.windows.values().iter().max()).map(|start| aggregate.window.end_of(*start));
                    // A row of a window has its last moment as event time.
                    let behind = before.map(|end| aggregate.window.end_of(aggregate.window.start_of(end.saturating_sub(1))));
                    opened.chain(behind).chain(state.ends().next_back()).max()
                }
                _ => before,
            };
        }
        of_steps.into_iter().max().flatten()
    }

    /// Heap bytes of all open windows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.states.iter().flatten().map(KeyedState::bytes).sum()
    }
}

fn at_rest(name: &str, state: &KeyedState, watermark_after_us: Option<i64>) -> StepProgress {
    StepProgress {
        name: name.to_owned(),
        watermark_after_us,
        rows_in: 0,
        rows_late: 0,
        rows_out: 0,
        open_windows: state.open_windows() as u64,
        groups: state.groups() as u64,
    }
}

fn input_rows(rows: &[Option<RecordBatch>], input: Input) -> Option<&RecordBatch> {
    match input {
        Input::Source(_) => None,
        Input::Step(i) => rows[i].as_ref(),
    }
}

fn partials_of(aggregate: &Arc<Aggregate>, input: &RecordBatch, before_us: Option<i64>) -> Result<LaneTotals> {
    let mut partials = LanePartials::new(Arc::clone(aggregate))?;
    let prepared = LanePartials::prepare(aggregate, input, before_us).map_err(Failure::data)?;
    partials.take_in(&prepared)?;
    let (rows_in, rows_late) = (partials.rows_in, partials.rows_late);
    Ok(LaneTotals { partials: partials.drain()?.into_iter().collect(), rows_in, rows_late })
}
