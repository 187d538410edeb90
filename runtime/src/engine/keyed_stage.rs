//! What comes after the first change of key: the operators of keyed steps. Pure but for its memory; the driver gives it what the lanes have of an
//! epoch and the watermarks, and gets the rows for the sinks, a batch at a time, and the change of state ([`EpochRows`]).

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use weir_plan::outputs::Output;
use weir_plan::plan::{Input, StepOp};

use super::epoch_rows::EpochRows;
use crate::build::Graph;
use crate::checkpoint::manifest::StepProgress;
use crate::failure::{Failure, Result};
use crate::keyed::edge::EdgeReport;
use crate::keyed::{Figures, KeyedOperator, Marks};
use crate::sink;
use crate::state::{Change, Entries};
use crate::transform::fitness::Fitness;
use crate::transform::rows::Rows;

/// A source's watermark around an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    pub before_us: Option<i64>,
    pub after_us: Option<i64>,
}

pub struct KeyedStage {
    sinks: Sinks,
    /// Per step of the plan; `None` for steps without keys.
    operators: Vec<Option<Box<dyn KeyedOperator>>>,
}

/// Where rows of the stage go.
struct Sinks {
    graph: Arc<Graph>,
    /// Per sink of the plan.
    fitness: Vec<Arc<dyn Fitness>>,
}

impl KeyedStage {
    pub fn new(graph: Arc<Graph>) -> Result<Self> {
        let operators = (0..graph.plan.steps.len()).map(|step| graph.keyed_step(step).map(|step| step.operator()).transpose());
        let operators = operators.collect::<Result<_>>()?;
        let fitness = graph.plan.sinks.iter().map(sink::fitness).collect();
        Ok(Self { sinks: Sinks { graph, fitness }, operators })
    }

    /// Puts saved entries of a step back.
    pub fn restore(&mut self, step: usize, entries: &Entries) -> Result<()> {
        match self.operator(step)?.tables().into_iter().next() {
            Some(table) => table.restore(entries),
            None => Err(Failure::bug(format!("step {step} keeps no state"))),
        }
    }

    /// Takes the state of another part of the same stage, which has none of our entries' times.
    pub fn take_over(&mut self, other: Self) -> Result<()> {
        for (ours, mut other) in self.operators.iter_mut().flatten().zip(other.operators.into_iter().flatten()) {
            for (ours, other) in ours.tables().into_iter().zip(other.tables()) {
                ours.take_over(other)?;
            }
        }
        Ok(())
    }

    /// Takes an epoch in: `lanes` in the order of [`Stages::lane_edges`](weir_plan::stages::Stages), `watermarks` per source. What it comes to is to
    /// be taken to its end.
    pub fn advance(&mut self, lanes: Vec<EdgeReport>, watermarks: &[Watermarks]) -> Result<EpochRows<'_>> {
        EpochRows::new(self, lanes, watermarks.to_vec())
    }

    pub(super) fn graph(&self) -> &Arc<Graph> {
        &self.sinks.graph
    }

    /// Takes in what an edge brings to a step.
    pub(super) fn take_in(&mut self, step: usize, input: usize, entries: Vec<Entries>) -> Result<()> {
        let operator = self.operator(step)?;
        entries.into_iter().try_for_each(|entries| operator.take_in(input, entries))
    }

    /// Everything of the epoch is in that comes to a step.
    pub(super) fn close(&mut self, step: usize, marks: &Marks) -> Result<()> {
        self.operator(step)?.close(marks)
    }

    /// The next rows of a step.
    pub(super) fn next(&mut self, step: usize) -> Result<Option<Rows>> {
        let Self { sinks, operators } = self;
        operator(operators, step)?.next(&|rows| sinks.check(step, rows))
    }

    /// What the epoch has changed of a step's state.
    pub(super) fn take_change(&mut self, step: usize, after_us: &[Option<i64>]) -> Result<Option<Change>> {
        let Self { sinks, operators } = self;
        let schema = sinks.graph.keyed_step(step).and_then(|step| step.tables().first());
        match (operator(operators, step)?.tables().into_iter().next(), schema) {
            (Some(table), Some(schema)) => table.take_change(schema.horizon_us(after_us)),
            _ => Ok(None),
        }
    }

    /// Where a step is now.
    pub(super) fn progress(&mut self, step: usize, watermark_us: Option<i64>) -> Result<StepProgress> {
        let figures = self.operator(step)?.figures();
        Ok(at_rest(&self.graph().plan.steps[step].name, figures, watermark_us))
    }

    /// Why a row of a step is not fit for one of the tables that it goes to as it is.
    pub(super) fn check(&self, step: usize, rows: &RecordBatch) -> Result<(), String> {
        self.sinks.check(step, rows)
    }

    /// Why a row is not fit for a sink's table.
    pub(super) fn check_for(&self, sink: usize, rows: &RecordBatch) -> Result<(), String> {
        self.sinks.fitness[sink].check(rows)
    }

    /// The sinks, by index into the plan's, that an output of a step goes to.
    pub(super) fn sinks_of(&self, step: usize, output: Output) -> impl Iterator<Item = usize> {
        self.sinks.of(step, output)
    }

    /// Where the steps are while nothing comes in.
    #[must_use]
    pub fn at_rest(&self, watermark_us: Option<i64>) -> Vec<StepProgress> {
        let steps = self.graph().plan.steps.iter().zip(&self.operators);
        steps.filter_map(|(step, operator)| Some(at_rest(&step.name, operator.as_ref()?.figures(), watermark_us))).collect()
    }

    /// The greatest end of a window that is open and ends by `limit_us`.
    #[must_use]
    pub fn greatest_end_up_to(&self, limit_us: i64) -> Option<i64> {
        let leaving = self.operators.iter().flatten().filter_map(|operator| operator.leaves_by(&[None], limit_us));
        leaving.map(|leaving| leaving.at_us).max()
    }

    /// The greatest end of a window that is open, that `lanes` are about to open, or that the rows of these will open in a step behind them.
    #[must_use]
    pub fn greatest_end(&self, lanes: &[EdgeReport]) -> Option<i64> {
        let Graph { plan, stages, .. } = &*self.sinks.graph;
        let mut of_steps: Vec<Option<i64>> = vec![None; plan.steps.len()];
        for (i, step) in plan.steps.iter().enumerate() {
            let of_input = |input: &Input| match input {
                Input::Source(_) => None,
                Input::Step(before) => of_steps[*before],
            };
            let before = step.inputs().iter().filter_map(of_input).max();
            of_steps[i] = match (&step.op, &self.operators[i]) {
                (StepOp::Aggregate(aggregate), Some(operator)) => {
                    let of_lanes = stages.lane_edges.iter().zip(lanes).filter(|(edge, _)| edge.step == i);
                    let entries = of_lanes.flat_map(|(_, report)| &report.entries);
                    let opened = entries.filter_map(|p| p.times.values().iter().max()).map(|last_moment| last_moment.saturating_add(1));
                    // A row of a window has its last moment as event time.
                    let behind = before.map(|end| aggregate.window.end_of(aggregate.window.start_of(end.saturating_sub(1))));
                    opened.chain(behind).chain(operator.leaves_by(&[None], i64::MAX).map(|leaving| leaving.at_us)).max()
                }
                _ => before,
            };
        }
        of_steps.into_iter().max().flatten()
    }

    /// Heap bytes of all state.
    #[must_use]
    pub fn bytes(&mut self) -> usize {
        let of_tables = |operator: &mut Box<dyn KeyedOperator>| operator.tables().into_iter().map(|table| table.bytes()).sum::<usize>();
        self.operators.iter_mut().flatten().map(|operator| operator.bytes() + of_tables(operator)).sum()
    }

    fn operator(&mut self, step: usize) -> Result<&mut dyn KeyedOperator> {
        operator(&mut self.operators, step)
    }
}

impl Sinks {
    fn check(&self, step: usize, rows: &RecordBatch) -> Result<(), String> {
        self.of(step, Output::Main).try_for_each(|sink| self.fitness[sink].check(rows))
    }

    fn of(&self, step: usize, output: Output) -> impl Iterator<Item = usize> {
        let Graph { plan, stages, .. } = &*self.graph;
        let of_step = move |i: &usize| plan.sinks[*i].output == output && plan.sinks[*i].input == Input::Step(step);
        stages.keyed_sinks.iter().copied().filter(of_step)
    }
}

fn operator(operators: &mut [Option<Box<dyn KeyedOperator>>], step: usize) -> Result<&mut dyn KeyedOperator> {
    match &mut operators[step] {
        Some(operator) => Ok(operator.as_mut()),
        None => Err(Failure::bug(format!("step {step} has no keys"))),
    }
}

fn at_rest(name: &str, figures: Figures, watermark_after_us: Option<i64>) -> StepProgress {
    let Figures { open_windows, groups } = figures;
    StepProgress { name: name.to_owned(), watermark_after_us, rows_in: 0, rows_late: 0, rows_out: 0, open_windows, groups }
}
