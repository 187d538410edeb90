//! All keyed state before workers have it, as a start restores it: one part for each worker.

use std::sync::Arc;

use weir_plan::key_group::KeyRanges;

use super::keyed_stage::{Held, KeyedStage};
use crate::build::Graph;
use crate::checkpoint::manifest::{InputProgress, StepProgress, TableProgress};
use crate::failure::Result;
use crate::keyed::Marks;

pub struct KeyedState {
    pub graph: Arc<Graph>,
    pub ranges: KeyRanges,
    /// One per worker; empty if no step is keyed.
    pub stages: Vec<KeyedStage>,
    pub horizons: Horizons,
}

/// The horizon (µs) of each table: entries with an earlier time are finished. A horizon never falls, whatever
/// watermarks and a changed document would make of it, because what was forgotten in memory must not come back from a
/// file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Horizons(Vec<Option<i64>>);

impl Horizons {
    #[must_use]
    pub fn of(graph: &Graph) -> Self {
        Self(vec![None; graph.tables().len()])
    }

    /// Raises the horizons that are lower.
    pub fn raise(&mut self, to_us: &[Option<i64>]) {
        self.0.iter_mut().zip(to_us).for_each(|(horizon_us, to_us)| *horizon_us = (*horizon_us).max(*to_us));
    }

    #[must_use]
    pub fn us(&self) -> &[Option<i64>] {
        &self.0
    }
}

impl KeyedState {
    /// Empty state for this many workers.
    pub fn new(graph: &Arc<Graph>, workers: usize) -> Result<Self> {
        let ranges = KeyRanges::of(workers);
        let workers = if graph.keyed_steps().is_empty() { 0 } else { ranges.workers() };
        let stages = (0..workers).map(|worker| KeyedStage::new(Arc::clone(graph), ranges.range(worker)));
        Ok(Self {
            graph: Arc::clone(graph),
            ranges,
            stages: stages.collect::<Result<_>>()?,
            horizons: Horizons::of(graph),
        })
    }

    /// The progress of the steps while nothing comes in, by the watermarks of the sources.
    pub fn at_rest(&mut self, sources_us: &[Option<i64>]) -> Result<Vec<StepProgress>> {
        let at_rest = |step: usize| {
            let inputs_us = self.graph.flow().inputs_us(step, sources_us);
            let marks = Marks { before_us: inputs_us.clone(), after_us: inputs_us };
            let mut held = Held::default();
            for stage in &mut self.stages {
                held.add(stage.held(step)?);
            }
            Ok(progress(&self.graph, &self.horizons, step, inputs(&marks, |_| InputProgress::default()), 0, held))
        };
        (0..self.graph.plan.steps.len()).filter(|step| self.graph.keyed_step(*step).is_some()).map(at_rest).collect()
    }

    /// Heap memory, in bytes.
    pub fn bytes(&mut self) -> usize {
        self.stages.iter_mut().map(KeyedStage::bytes).sum()
    }
}

/// What came to a step's inputs: their watermarks, and the rest from `counts`.
pub(super) fn inputs(marks: &Marks, counts: impl Fn(usize) -> InputProgress) -> Vec<InputProgress> {
    let of_inputs = marks.before_us.iter().zip(&marks.after_us).enumerate();
    let input = |(input, (before_us, after_us)): (usize, (&Option<i64>, &Option<i64>))| InputProgress {
        watermark_before_us: *before_us,
        watermark_after_us: *after_us,
        ..counts(input)
    };
    of_inputs.map(input).collect()
}

/// The progress of a step, as a manifest has it.
pub(super) fn progress(
    graph: &Graph,
    horizons: &Horizons,
    step: usize,
    inputs: Vec<InputProgress>,
    rows_out: u64,
    Held { open_windows, entries }: Held,
) -> StepProgress {
    let tables = graph.tables_of(step).zip(entries).map(|(number, entries)| TableProgress {
        name: graph.tables()[number].schema.name.to_owned(),
        entries,
        horizon_us: horizons.us()[number],
    });
    StepProgress {
        name: graph.plan.steps[step].name.clone(),
        inputs,
        rows_out,
        tables: tables.collect(),
        open_windows: open_windows.map(|windows| windows.len() as u64),
    }
}
