//! What comes after the first change of key: the operators of keyed steps. Pure but for its memory; the driver gives it what the lanes have of an
//! epoch and the watermarks, and gets the rows for the sinks, a batch at a time, and the change of state ([`EpochRows`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use weir_plan::Plan;
use weir_plan::outputs::Output;
use weir_plan::plan::Input;
use weir_plan::stages::Edge;

use super::epoch_rows::EpochRows;
use crate::build::Graph;
use crate::checkpoint::manifest::{InputProgress, StepProgress, TableProgress};
use crate::failure::{Failure, Result};
use crate::keyed::edge::EdgeReport;
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Marks};
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
    /// What the lanes have brought in the epoch in hand; the entries are with the operators.
    of_lanes: BTreeMap<Edge, EdgeReport>,
    /// Per table, as [`Self::horizons_us`] says.
    horizons_us: Vec<Option<i64>>,
}

/// Where rows of the stage go.
struct Sinks {
    graph: Arc<Graph>,
    /// Per sink of the plan.
    fitness: Vec<Arc<dyn Fitness>>,
}

impl KeyedStage {
    pub fn new(graph: Arc<Graph>) -> Result<Self> {
        let operators = (0..graph.plan.steps.len()).map(|step| graph.keyed_step(step).map(KeyedStep::operator).transpose());
        let operators = operators.collect::<Result<_>>()?;
        let horizons_us = vec![None; graph.tables().len()];
        let fitness = graph.plan.sinks.iter().map(sink::fitness).collect();
        Ok(Self { sinks: Sinks { graph, fitness }, operators, of_lanes: BTreeMap::new(), horizons_us })
    }

    /// Puts saved entries of a table back, by its number in [`Graph::tables`].
    pub fn restore(&mut self, table: usize, entries: &Entries) -> Result<()> {
        let (step, place) = self.graph().owner(table);
        match self.operator(step)?.tables().into_iter().nth(place) {
            Some(table) => table.restore(entries),
            None => Err(Failure::bug(format!("step {step} has no table {place}"))),
        }
    }

    /// Takes the state of another part of the same stage, which was restored beside this one.
    pub fn take_over(&mut self, other: Self) -> Result<()> {
        for (ours, mut other) in self.operators.iter_mut().flatten().zip(other.operators.into_iter().flatten()) {
            for (ours, other) in ours.tables().into_iter().zip(other.tables()) {
                ours.take_over(other)?;
            }
        }
        Ok(())
    }

    /// Takes in what the lanes have brought in an epoch. The lanes may wait for it.
    pub fn take_in(&mut self, of_lanes: BTreeMap<Edge, EdgeReport>) -> Result<()> {
        for (edge, mut report) in of_lanes {
            self.bring(edge, std::mem::take(&mut report.entries))?;
            self.of_lanes.insert(edge, report);
        }
        Ok(())
    }

    /// Closes the epoch with these watermarks, per source. What it comes to is to be taken to its end.
    pub fn advance(&mut self, watermarks: &[Watermarks]) -> Result<EpochRows<'_>> {
        let of_lanes = std::mem::take(&mut self.of_lanes);
        let after_us: Vec<_> = watermarks.iter().map(|source| source.after_us).collect();
        self.raise_horizons(&self.graph().horizons_us(&after_us));
        EpochRows::new(self, of_lanes, watermarks)
    }

    /// Per table: entries with a time below it are over. It never falls, whatever watermarks and a changed document would make of it: what was
    /// forgotten in memory must not come back from a file.
    #[must_use]
    pub fn horizons_us(&self) -> &[Option<i64>] {
        &self.horizons_us
    }

    /// Those that are not there yet.
    pub fn raise_horizons(&mut self, to_us: &[Option<i64>]) {
        self.horizons_us.iter_mut().zip(to_us).for_each(|(horizon_us, to_us)| *horizon_us = (*horizon_us).max(*to_us));
    }

    pub(super) fn graph(&self) -> &Arc<Graph> {
        &self.sinks.graph
    }

    pub fn plan(&self) -> &Plan {
        &self.graph().plan
    }

    /// What an edge brings goes to its step.
    pub(super) fn bring(&mut self, edge: Edge, entries: Vec<Entries>) -> Result<()> {
        let operator = self.operator(edge.step)?;
        entries.into_iter().try_for_each(|entries| operator.take_in(edge.input, entries))
    }

    /// Everything of the epoch is in that comes to a step.
    pub(super) fn close(&mut self, step: usize, marks: &Marks) -> Result<()> {
        self.operator(step)?.close(marks)
    }

    /// The next rows of a step.
    pub(super) fn next(&mut self, step: usize) -> Result<Option<Rows>> {
        let Self { sinks, operators, .. } = self;
        operator(operators, step)?.next(&|rows| sinks.check(step, rows))
    }

    /// What the epoch has changed of a step's tables, each with its number in [`Graph::tables`].
    pub(super) fn take_changes(&mut self, step: usize) -> Result<Vec<(usize, Change)>> {
        let Self { sinks, operators, horizons_us, .. } = self;
        let graph = &sinks.graph;
        let mut changes = Vec::new();
        for (number, table) in graph.tables_of(step).zip(operator(operators, step)?.tables()) {
            let change = table.take_change(horizons_us[number])?;
            changes.extend(change.map(|change| (number, change)));
        }
        Ok(changes)
    }

    /// Where a step is now; `inputs` say what came to it.
    pub(super) fn progress(&mut self, step: usize, inputs: Vec<InputProgress>, rows_out: u64) -> Result<StepProgress> {
        let Self { sinks, operators, horizons_us, .. } = self;
        let (graph, operator) = (&sinks.graph, operator(operators, step)?);
        let open_windows = operator.open_windows();
        let tables = graph.tables_of(step).zip(operator.tables()).map(|(number, table)| TableProgress {
            name: graph.tables()[number].schema.name.to_owned(),
            entries: table.entries(),
            horizon_us: horizons_us[number],
        });
        Ok(StepProgress { name: graph.plan.steps[step].name.clone(), inputs, rows_out, tables: tables.collect(), open_windows })
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
    pub fn at_rest(&mut self, sources_us: &[Option<i64>]) -> Result<Vec<StepProgress>> {
        let graph = Arc::clone(self.graph());
        let at_rest =
            |mark_us: Option<i64>| InputProgress { watermark_before_us: mark_us, watermark_after_us: mark_us, ..InputProgress::default() };
        let keyed = (0..graph.plan.steps.len()).filter(|step| graph.keyed_step(*step).is_some());
        keyed.map(|step| self.progress(step, graph.flow().inputs_us(step, sources_us).into_iter().map(at_rest).collect(), 0)).collect()
    }

    /// When the last leaves of what the steps hold or have taken in, and that leaves by `limit_us`: of the steps in the part of the graph that `source` is
    /// in. `sources_us` has the sources' watermarks of the open epoch.
    #[must_use]
    pub fn leaves_by(&self, source: usize, sources_us: &[Option<i64>], limit_us: i64) -> Option<i64> {
        let graph = self.graph();
        let of_step = |(step, operator): (usize, &Option<Box<dyn KeyedOperator>>)| {
            let operator = operator.as_ref().filter(|_| graph.stages.are_of_one_part(source, step))?;
            let leaving = operator.leaves_by(&graph.flow().inputs_us(step, sources_us), limit_us)?;
            Some(graph.flow().sources_for(step, leaving.at_us))
        };
        self.operators.iter().enumerate().filter_map(of_step).max()
    }

    /// When all has left: what the steps in the source's part of the graph hold or have taken in, and what the rows of it come to in the steps behind
    /// them.
    #[must_use]
    pub fn all_leave_by(&self, source: usize, sources_us: &[Option<i64>]) -> Option<i64> {
        let graph = self.graph();
        // Of the rows that a step may still give.
        let mut newest_us: Vec<Option<i64>> = Vec::with_capacity(self.operators.len());
        let mut last_us = None;
        for (step, operator) in self.operators.iter().enumerate() {
            let mut newest = None;
            let mut leaves = |leaving: Leaving| {
                last_us = last_us.max(Some(graph.flow().sources_for(step, leaving.at_us)));
                newest = newest.max(Some(leaving.newest_us));
            };
            if let Some(operator) = operator.as_ref().filter(|_| graph.stages.are_of_one_part(source, step)) {
                operator.leaves_by(&graph.flow().inputs_us(step, sources_us), i64::MAX).into_iter().for_each(&mut leaves);
            }
            let mut at_once = None;
            for (input, of) in graph.plan.steps[step].inputs().iter().enumerate() {
                let Input::Step(before) = of else { continue };
                let Some(time_us) = newest_us[*before] else { continue };
                match graph.keyed_step(step).and_then(|keyed| keyed.leaving_of(input, time_us)) {
                    Some(leaving) => leaves(leaving),
                    None => at_once = at_once.max(Some(time_us)),
                }
            }
            newest_us.push(newest.max(at_once));
        }
        last_us
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

#[cfg(test)]
mod tests;
