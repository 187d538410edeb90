//! The operators of keyed steps, for a range of key groups. Pure but for its memory: it is given the watermarks and
//! what comes to the steps, and returns rows, a batch at a time, and the change of state.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::UInt16Array;
use arrow::record_batch::RecordBatch;
use weir_plan::outputs::Output;
use weir_plan::stages::Edge;

use crate::build::Graph;
use crate::failure::{Failure, Result};
use crate::keyed::{KeyedOperator, KeyedStep, Leaving, Marks};
use crate::sink;
use crate::sink::fitness::Fitness;
use crate::state::{Change, Entries, Grouped};
use crate::transform::rows::Rows;

pub struct KeyedStage {
    key_groups: Range<u16>,
    sinks: Sinks,
    /// Per step of the plan; `None` for steps without keys.
    operators: Vec<Option<Box<dyn KeyedOperator>>>,
}

/// How much a step holds.
#[derive(Debug, Default)]
pub struct Held {
    /// For a step with windows: the bounds (µs) of each open window.
    pub open_windows: Option<BTreeSet<(i64, i64)>>,
    /// The number of entries, per table of the step.
    pub entries: Vec<u64>,
}

impl Held {
    /// Adds what another worker holds of the step: other keys of the same windows.
    pub fn add(&mut self, other: Self) {
        if let Some(others) = other.open_windows {
            self.open_windows.get_or_insert_default().extend(others);
        }
        self.entries.resize(self.entries.len().max(other.entries.len()), 0);
        self.entries.iter_mut().zip(other.entries).for_each(|(ours, others)| *ours += others);
    }
}

/// The sinks that rows of the stage go to.
struct Sinks {
    graph: Arc<Graph>,
    /// One per sink of the plan.
    fitness: Vec<Arc<dyn Fitness>>,
}

impl KeyedStage {
    /// A stage without any state.
    pub fn new(graph: Arc<Graph>, key_groups: Range<u16>) -> Result<Self> {
        let operators =
            (0..graph.plan.steps.len()).map(|step| graph.keyed_step(step).map(KeyedStep::operator).transpose());
        let operators = operators.collect::<Result<_>>()?;
        let fitness = graph.plan.sinks.iter().map(sink::fitness).collect();
        Ok(Self { key_groups, sinks: Sinks { graph, fitness }, operators })
    }

    /// Restores saved entries of a table, which is given by its number in [`Graph::tables`]. `key_groups` are those of
    /// the batch that the entries come from.
    pub fn restore(&mut self, table: usize, key_groups: &UInt16Array, entries: &Entries) -> Result<()> {
        self.check_groups(key_groups)?;
        let (step, place) = self.graph().owner(table);
        match self.operator(step)?.tables().into_iter().nth(place) {
            Some(table) => table.restore(entries),
            None => Err(Failure::bug(format!("step {step} has no table {place}"))),
        }
    }

    /// Checks that these key groups belong to this worker.
    ///
    /// # Errors
    /// A bug, if one does not: another worker has other entries of these keys, and neither would have the whole value.
    fn check_groups(&self, key_groups: &UInt16Array) -> Result<()> {
        match key_groups.values().iter().find(|group| !self.key_groups.contains(group)) {
            Some(group) => {
                Err(Failure::bug(format!("the worker of the key groups {:?} got an entry of {group}", self.key_groups)))
            }
            None => Ok(()),
        }
    }

    pub(super) fn graph(&self) -> &Arc<Graph> {
        &self.sinks.graph
    }

    /// Gives a step what an edge brings to it.
    pub(super) fn bring(&mut self, edge: Edge, entries: Vec<Grouped>) -> Result<()> {
        entries.iter().try_for_each(|entries| self.check_groups(&entries.key_groups))?;
        let operator = self.operator(edge.step)?;
        entries.into_iter().try_for_each(|entries| operator.take_in(edge.input, entries))
    }

    /// Closes a step. Everything of the epoch that comes to it is in.
    pub(super) fn close(&mut self, step: usize, marks: &Marks) -> Result<()> {
        self.operator(step)?.close(marks)
    }

    /// Returns the next rows of a step.
    pub(super) fn next(&mut self, step: usize) -> Result<Option<Rows>> {
        let Self { sinks, operators, .. } = self;
        operator(operators, step)?.next(&|rows| sinks.check(step, rows))
    }

    /// Returns what the epoch has changed in a step's tables, each with its number in [`Graph::tables`]. Per table,
    /// entries below its horizon (µs) are finished.
    pub(super) fn take_changes(&mut self, step: usize, horizons_us: &[Option<i64>]) -> Result<Vec<(usize, Change)>> {
        let Self { sinks, operators, .. } = self;
        let graph = &sinks.graph;
        let mut changes = Vec::new();
        for (number, table) in graph.tables_of(step).zip(operator(operators, step)?.tables()) {
            let change = table.take_change(horizons_us[number])?;
            changes.extend(change.map(|change| (number, change)));
        }
        Ok(changes)
    }

    /// Returns how much a step holds.
    pub(super) fn held(&mut self, step: usize) -> Result<Held> {
        let operator = self.operator(step)?;
        Ok(Held {
            open_windows: operator.open_windows(),
            entries: operator.tables().into_iter().map(|table| table.entries()).collect(),
        })
    }

    /// Checks a step's rows for the tables to which they go unchanged. The error says why a row does not fit.
    pub(super) fn check(&self, step: usize, rows: &RecordBatch) -> Result<(), String> {
        self.sinks.check(step, rows)
    }

    /// Checks rows for a sink's table. The error says why a row does not fit.
    pub(super) fn check_for(&self, sink: usize, rows: &RecordBatch) -> Result<(), String> {
        self.sinks.fitness[sink].check(rows)
    }

    /// Per step of the plan: when the last entry leaves, of those that the step holds or has taken in and that leave by
    /// `limit_us`. `sources_us` has the sources' watermarks of the open epoch.
    pub(super) fn leaves_by(&self, sources_us: &[Option<i64>], limit_us: i64) -> Result<Vec<Option<Leaving>>> {
        let flow = self.graph().flow();
        let of_step = |(step, operator): (usize, &Option<Box<dyn KeyedOperator>>)| {
            let Some(operator) = operator else { return Ok(None) };
            operator.leaves_by(&flow.inputs_us(step, sources_us), limit_us)
        };
        self.operators.iter().enumerate().map(of_step).collect()
    }

    /// Heap memory of all state, in bytes.
    #[must_use]
    pub fn bytes(&mut self) -> usize {
        let of_tables = |operator: &mut Box<dyn KeyedOperator>| {
            operator.tables().into_iter().map(|table| table.bytes()).sum::<usize>()
        };
        self.operators.iter_mut().flatten().map(|operator| operator.bytes() + of_tables(operator)).sum()
    }

    fn operator(&mut self, step: usize) -> Result<&mut dyn KeyedOperator> {
        operator(&mut self.operators, step)
    }
}

impl Sinks {
    fn check(&self, step: usize, rows: &RecordBatch) -> Result<(), String> {
        self.graph.keyed_sinks_of(step, Output::Main).try_for_each(|sink| self.fitness[sink].check(rows))
    }
}

fn operator(operators: &mut [Option<Box<dyn KeyedOperator>>], step: usize) -> Result<&mut dyn KeyedOperator> {
    match &mut operators[step] {
        Some(operator) => Ok(operator.as_mut()),
        None => Err(Failure::bug(format!("step {step} has no keys"))),
    }
}
