//! The steps of a plan, compiled. This is the one place that knows which kinds of steps and windows there are: everything else meets a step
//! without keys as a [`RowStep`] and a keyed one as a [`KeyedStep`].

use std::sync::Arc;

use weir_plan::Plan;
use weir_plan::plan::{Input, Step, StepOp};
use weir_plan::stages::{self, Edge, Stages};
use weir_plan::window::Window;

use crate::failure::{Failure, Result};
use crate::keyed::KeyedStep;
use crate::keyed::edge::EdgeSender;
use crate::keyed::tumbling::TumblingAggregate;
use crate::state::TableSchema;
use crate::transform::RowStep;
use crate::transform::map::MapStep;

/// A plan that can be run: cut into stages, with its steps compiled.
pub struct Graph {
    pub plan: Arc<Plan>,
    pub stages: Stages,
    /// Per step of the plan.
    steps: Vec<Compiled>,
}

enum Compiled {
    Rows(Box<dyn RowStep>),
    Keyed(Box<dyn KeyedStep>),
}

impl Graph {
    #[must_use]
    pub fn of(plan: Arc<Plan>) -> Arc<Self> {
        let (stages, steps) = (stages::cut(&plan), plan.steps.iter().map(compiled).collect());
        Arc::new(Self { plan, stages, steps })
    }

    /// The step, if it has no keys.
    #[must_use]
    pub fn row_step(&self, step: usize) -> Option<&dyn RowStep> {
        match &self.steps[step] {
            Compiled::Rows(rows) => Some(rows.as_ref()),
            Compiled::Keyed(_) => None,
        }
    }

    /// The step, if it is keyed.
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
    /// A bug: edges lead to keyed steps only.
    pub fn behind(&self, edge: Edge) -> Result<&dyn KeyedStep> {
        self.keyed_step(edge.step).ok_or_else(|| Failure::bug(format!("step {:?} has no keys", self.plan.steps[edge.step].name)))
    }

    /// The watermark of each input of a step, by those of the sources: the least of the sources that its rows come from; `None` while one of them has
    /// none.
    #[must_use]
    pub fn inputs_us(&self, step: usize, sources_us: &[Option<i64>]) -> Vec<Option<i64>> {
        let least = |input: &Input| self.plan.sources_of(*input).into_iter().map(|source| sources_us[source]).min().flatten();
        self.plan.steps[step].inputs().iter().map(least).collect()
    }

    /// A new near end of an edge.
    pub fn sender(&self, edge: Edge) -> Result<EdgeSender> {
        self.behind(edge)?.sender(edge.input).map(EdgeSender::new)
    }

    /// What keyed steps keep: place and name of the step, and the table. Version 1 of state files has one table per step.
    pub fn tables(&self) -> impl Iterator<Item = (usize, &str, &Arc<TableSchema>)> {
        let steps = self.plan.steps.iter().enumerate();
        steps.filter_map(|(i, step)| Some((i, step.name.as_str(), self.keyed_step(i)?.tables().first()?)))
    }
}

fn compiled(step: &Step) -> Compiled {
    match &step.op {
        StepOp::Map(map) => Compiled::Rows(Box::new(MapStep::new(map.clone(), Arc::clone(&step.schema)))),
        StepOp::Aggregate(aggregate) => match aggregate.window {
            Window::Tumbling(window) => Compiled::Keyed(Box::new(TumblingAggregate::new(Arc::clone(aggregate), window))),
        },
    }
}
