//! The compiled steps of a plan. Only this file knows which kinds of steps and windows there are: all other code sees a
//! step without keys as a [`RowStep`] and a keyed one as a [`KeyedStep`].

use std::sync::Arc;

use weir_plan::Plan;
use weir_plan::aggregate::Aggregate;
use weir_plan::key_group::KeyRanges;
use weir_plan::outputs::Output;
use weir_plan::plan::{Input, Step, StepOp};
use weir_plan::stages::{self, Edge, Stages};
use weir_plan::window::Window;

use crate::failure::{Failure, Result};
use crate::keyed::KeyedStep;
use crate::keyed::deduplicate::DeduplicateStep;
use crate::keyed::edge::EdgeSender;
use crate::keyed::flow::{FlowStep, WatermarkFlow};
use crate::keyed::over::OverStep;
use crate::keyed::running::{Gives, RunningAggregate};
use crate::keyed::session::SessionAggregate;
use crate::keyed::windowed::WindowedAggregate;
use crate::state::StepTable;
use crate::transform::RowStep;
use crate::transform::map::MapStep;
use crate::transform::union::UnionStep;
use crate::transform::unnest::UnnestStep;

/// A plan that can be run: cut into stages, with its steps compiled.
pub struct Graph {
    pub plan: Arc<Plan>,
    pub stages: Stages,
    /// One per step of the plan.
    steps: Vec<Compiled>,
    flow: WatermarkFlow,
    /// The keyed steps, each after those that it reads.
    keyed_steps: Vec<usize>,
    /// The tables of all keyed steps, ordered by step, and within a step in its own order.
    tables: Arc<[StepTable]>,
    /// Per table: its step, and its index among that step's tables.
    owners: Vec<(usize, usize)>,
}

enum Compiled {
    Rows(Box<dyn RowStep>),
    Keyed(Box<dyn KeyedStep>),
}

impl Graph {
    #[must_use]
    pub fn of(plan: Arc<Plan>) -> Arc<Self> {
        let steps: Vec<_> = (0..plan.steps.len()).map(|step| compiled(&plan, step)).collect();
        let stages = stages::cut(&plan);
        let (mut tables, mut owners) = (Vec::new(), Vec::new());
        for (step, compiled) in steps.iter().enumerate() {
            let Compiled::Keyed(keyed) = compiled else { continue };
            for (place, schema) in keyed.tables().iter().enumerate() {
                tables.push(StepTable { step: plan.steps[step].name.clone(), schema: Arc::clone(schema) });
                owners.push((step, place));
            }
        }
        let hold_backs_us = |step: &Compiled| match step {
            Compiled::Rows(_) => Vec::new(),
            Compiled::Keyed(keyed) => keyed.hold_backs_us().to_vec(),
        };
        let of_step = |(step, compiled): (&Step, &Compiled)| FlowStep {
            inputs: step.inputs().to_vec(),
            hold_backs_us: hold_backs_us(compiled),
        };
        let flow = WatermarkFlow::new(plan.steps.iter().zip(&steps).map(of_step).collect());
        let keyed_steps = (0..steps.len()).filter(|step| matches!(steps[*step], Compiled::Keyed(_))).collect();
        Arc::new(Self { plan, stages, steps, flow, keyed_steps, tables: tables.into(), owners })
    }

    /// The step, if it has no keys.
    #[must_use]
    pub fn row_step(&self, step: usize) -> Option<&dyn RowStep> {
        match &self.steps[step] {
            Compiled::Rows(rows) => Some(rows.as_ref()),
            Compiled::Keyed(_) => None,
        }
    }

    /// The step, if it has keys.
    #[must_use]
    pub fn keyed_step(&self, step: usize) -> Option<&dyn KeyedStep> {
        match &self.steps[step] {
            Compiled::Rows(_) => None,
            Compiled::Keyed(keyed) => Some(keyed.as_ref()),
        }
    }

    /// The keyed step that an edge leads to.
    ///
    /// # Errors
    /// A bug if the edge's step has no keys: edges lead to keyed steps only.
    pub fn behind(&self, edge: Edge) -> Result<&dyn KeyedStep> {
        self.keyed_step(edge.step)
            .ok_or_else(|| Failure::bug(format!("step {:?} has no keys", self.plan.steps[edge.step].name)))
    }

    /// The keyed steps, each after those that it reads. They are closed in this order.
    #[must_use]
    pub fn keyed_steps(&self) -> &[usize] {
        &self.keyed_steps
    }

    /// The edges to a keyed step by which rows of other keyed steps come.
    pub(crate) fn edges_from_keyed_steps(&self, step: usize) -> impl Iterator<Item = Edge> {
        self.stages.keyed_edges.iter().filter(move |edge| edge.step == step).copied()
    }

    /// The sinks behind keyed steps that get this output of the step, as indices into the plan's sinks.
    pub(crate) fn keyed_sinks_of(&self, step: usize, output: Output) -> impl Iterator<Item = usize> {
        let is_for = move |sink: &&usize| {
            self.plan.sinks[**sink].output == output && self.plan.sinks[**sink].input == Input::Step(step)
        };
        self.stages.keyed_sinks.iter().filter(is_for).copied()
    }

    /// The sinks, as indices into the plan's, of rows that are late for a step behind other keyed steps.
    pub(crate) fn keyed_sinks_of_late(&self, edge: Edge) -> impl Iterator<Item = usize> {
        let is_for = move |sink: &&usize| {
            let sink = &self.plan.sinks[**sink];
            sink.output.late_input() == Some(edge.input) && sink.input == Input::Step(edge.step)
        };
        self.stages.keyed_sinks.iter().filter(is_for).copied()
    }

    /// Whether a keyed step that gets rows from a source's lanes orders them by where their records are in Kafka.
    #[must_use]
    pub fn needs_origins(&self, source: usize) -> bool {
        let mut edges = self.stages.lanes[source].edges.iter();
        edges.any(|edge| self.keyed_step(edge.step).is_some_and(|step| step.orders_by_origin(edge.input)))
    }

    /// How watermarks flow from the sources to the steps.
    #[must_use]
    pub fn flow(&self) -> &WatermarkFlow {
        &self.flow
    }

    /// A new sending end of an edge, for workers with these key groups.
    pub fn sender(&self, edge: Edge, ranges: KeyRanges) -> Result<EdgeSender> {
        EdgeSender::new(self.behind(edge)?, edge.input, ranges)
    }

    /// The tables of all keyed steps. A table's number is its index in this list.
    #[must_use]
    pub fn tables(&self) -> &Arc<[StepTable]> {
        &self.tables
    }

    /// The step that a table belongs to, and the table's index in [`KeyedStep::tables`].
    #[must_use]
    pub fn owner(&self, table: usize) -> (usize, usize) {
        self.owners[table]
    }

    /// The numbers of a step's tables, in the order of [`KeyedStep::tables`].
    pub(crate) fn tables_of(&self, step: usize) -> impl Iterator<Item = usize> {
        self.owners.iter().enumerate().filter(move |(_, (owner, _))| *owner == step).map(|(table, _)| table)
    }

    /// The horizon (µs) of each table, by the watermarks of the sources. Entries with an earlier time are finished. A
    /// table waits only for the sources that its own step's rows come from.
    #[must_use]
    pub(crate) fn horizons_us(&self, sources_us: &[Option<i64>]) -> Vec<Option<i64>> {
        let horizon = |(table, (step, _)): (&StepTable, &(usize, usize))| {
            table.schema.horizon_us(&self.flow.inputs_us(*step, sources_us))
        };
        self.tables.iter().zip(&self.owners).map(horizon).collect()
    }
}

fn compiled(plan: &Plan, number: usize) -> Compiled {
    let step = &plan.steps[number];
    match &step.op {
        StepOp::Map(map) => Compiled::Rows(Box::new(MapStep::new(map.clone(), Arc::clone(&step.schema)))),
        StepOp::Union(union) => Compiled::Rows(Box::new(UnionStep::new(union.clone(), Arc::clone(&step.schema)))),
        StepOp::Unnest(unnest) => Compiled::Rows(Box::new(UnnestStep::new(unnest.clone(), Arc::clone(&step.schema)))),
        StepOp::Aggregate(aggregate) => {
            let gives = if plan.is_complete(number) { Gives::All } else { Gives::Changed };
            Compiled::Keyed(aggregate_step(aggregate, gives))
        }
        StepOp::Over(over) => Compiled::Keyed(Box::new(OverStep::new(Arc::clone(over), Arc::clone(&step.schema)))),
        StepOp::Deduplicate(step) => Compiled::Keyed(Box::new(DeduplicateStep::new(Arc::clone(step)))),
    }
}

/// The keyed step of an aggregate, by the kind of its window. `gives` is for one without windows.
pub(crate) fn aggregate_step(aggregate: &Arc<Aggregate>, gives: Gives) -> Box<dyn KeyedStep> {
    let of = Arc::clone(aggregate);
    match aggregate.window {
        Window::Aligned(windows) => Box::new(WindowedAggregate::aligned(of, windows)),
        Window::OfInput { starts, ends } => Box::new(WindowedAggregate::of_input(of, [starts, ends])),
        Window::Global { expire_after_us } => Box::new(RunningAggregate::new(of, expire_after_us, gives)),
        Window::Session { gap_us } => Box::new(SessionAggregate::new(of, gap_us)),
    }
}
