//! What comes after the first change of key: open windows. Pure but for its memory; the driver gives it one epoch's merged partials and the
//! watermark, and gets the rows for the sinks, a batch at a time, and the change of state ([`EpochRows`]).

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use weir_plan::outputs::Output;
use weir_plan::plan::{Input, StepOp};

use super::epoch_rows::EpochRows;
use crate::build::Graph;
use crate::checkpoint::manifest::StepProgress;
use crate::failure::{Failure, Result};
use crate::keyed::edge::EdgeReport;
use crate::keyed::tumbling::{ClosedWindow, KeyedState};
use crate::sink;
use crate::state::{Change, Entries};
use crate::transform::fitness::Fitness;

/// A source's watermark around an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    pub before_us: Option<i64>,
    pub after_us: Option<i64>,
}

pub struct KeyedStage {
    graph: Arc<Graph>,
    /// Per step of the plan; `None` for maps.
    states: Vec<Option<KeyedState>>,
    /// Per sink of the plan.
    fitness: Vec<Arc<dyn Fitness>>,
}

impl KeyedStage {
    #[must_use]
    pub fn new(graph: Arc<Graph>) -> Self {
        let plan = &graph.plan;
        let states = plan.steps.iter().map(|step| match &step.op {
            StepOp::Aggregate(a) => Some(KeyedState::new(Arc::clone(a), Arc::clone(&step.schema))),
            StepOp::Map(_) => None,
        });
        let fitness = plan.sinks.iter().map(sink::fitness).collect();
        Self { states: states.collect(), fitness, graph }
    }

    /// Puts saved state back. `partials` belong to windows that are open.
    pub fn restore(&mut self, step: usize, partials: &Entries) -> Result<()> {
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

    /// Takes an epoch in: `lanes` in the order of [`Stages::lane_edges`](weir_plan::stages::Stages), `watermarks` per source. What it comes to is to be taken to its
    /// end.
    pub fn advance(&mut self, lanes: Vec<EdgeReport>, watermarks: &[Watermarks]) -> Result<EpochRows<'_>> {
        EpochRows::new(self, lanes, watermarks.to_vec())
    }

    pub(super) fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// Merges one aggregate's input into its windows. Gives the change of those that stay open.
    pub(super) fn take_in(&mut self, step: usize, partials: Vec<Entries>, after_us: Option<i64>) -> Result<Option<Change>> {
        let state = self.state(step)?;
        // What a closed window was made of is in the rows that this epoch writes; only open ones are state.
        let mut stay_open = Vec::with_capacity(partials.len());
        for partials in partials {
            let (open, closing) = partials.split(|time| after_us.is_none_or(|w| time >= w))?;
            state.apply(&closing)?;
            stay_open.push(open);
        }
        let change = Change::of(state.table(), &stay_open)?;
        if let Some(change) = &change {
            state.apply(&change.entries)?;
        }
        Ok(change)
    }

    /// Closes the next window of a step that is over.
    pub(super) fn close_next(&mut self, step: usize, watermark_us: Option<i64>) -> Result<Option<ClosedWindow>> {
        let state = self.state(step)?;
        Ok(watermark_us.and_then(|watermark_us| state.close_next(watermark_us)))
    }

    /// Where a step is now.
    pub(super) fn progress(&mut self, step: usize, watermark_us: Option<i64>) -> Result<StepProgress> {
        let graph = Arc::clone(&self.graph);
        Ok(at_rest(&graph.plan.steps[step].name, self.state(step)?, watermark_us))
    }

    /// Why a row of a step is not fit for one of the tables that it goes to as it is.
    pub(super) fn check(&self, step: usize, rows: &RecordBatch) -> Result<(), String> {
        self.sinks_of(step, Output::Main).try_for_each(|sink| self.check_for(sink, rows))
    }

    /// Why a row is not fit for a sink's table.
    pub(super) fn check_for(&self, sink: usize, rows: &RecordBatch) -> Result<(), String> {
        self.fitness[sink].check(rows)
    }

    /// The sinks, by index into the plan's, that an output of a step goes to.
    pub(super) fn sinks_of(&self, step: usize, output: Output) -> impl Iterator<Item = usize> {
        let Graph { plan, stages, .. } = &*self.graph;
        let of_step = move |i: &usize| plan.sinks[*i].output == output && plan.sinks[*i].input == Input::Step(step);
        stages.keyed_sinks.iter().copied().filter(of_step)
    }

    fn state(&mut self, step: usize) -> Result<&mut KeyedState> {
        self.states[step].as_mut().ok_or_else(|| Failure::bug(format!("step {step} keeps no state")))
    }

    /// Where the steps are while nothing comes in.
    #[must_use]
    pub fn at_rest(&self, watermark_us: Option<i64>) -> Vec<StepProgress> {
        let steps = self.graph.plan.steps.iter().zip(&self.states);
        steps.filter_map(|(step, state)| Some(at_rest(&step.name, state.as_ref()?, watermark_us))).collect()
    }

    /// The greatest end of a window that is open and ends by `limit_us`.
    #[must_use]
    pub fn greatest_end_up_to(&self, limit_us: i64) -> Option<i64> {
        self.states.iter().flatten().filter_map(|state| state.ends().take_while(|end| *end <= limit_us).last()).max()
    }

    /// The greatest end of a window that is open, that `lanes` are about to open, or that the rows of these will open in a step behind them.
    #[must_use]
    pub fn greatest_end(&self, lanes: &[EdgeReport]) -> Option<i64> {
        let mut of_steps: Vec<Option<i64>> = vec![None; self.graph.plan.steps.len()];
        for (i, step) in self.graph.plan.steps.iter().enumerate() {
            let of_input = |input: &Input| match input {
                Input::Source(_) => None,
                Input::Step(before) => of_steps[*before],
            };
            let before = step.inputs().iter().filter_map(of_input).max();
            of_steps[i] = match (&step.op, &self.states[i]) {
                (StepOp::Aggregate(aggregate), Some(state)) => {
                    let of_lanes = self.graph.stages.lane_edges.iter().zip(lanes).filter(|(edge, _)| edge.step == i);
                    let partials = of_lanes.flat_map(|(_, report)| &report.entries);
                    let opened = partials.filter_map(|p| p.times.values().iter().max()).map(|last_moment| last_moment.saturating_add(1));
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
