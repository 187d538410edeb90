//! One epoch of a whole graph, given its rows and the watermarks around it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::marks::Marks;
use super::nodes::{Graph, Mode, Sink, Step};
use super::step::{Around, Kept, Operation, Turn};
use super::tuple::Tuple;

/// What the steps keep, by step.
pub type Held = BTreeMap<String, Kept>;

/// What happened in an epoch.
#[derive(Debug, Clone, Default)]
pub struct Advanced {
    /// The rows of each source and step.
    pub rows: BTreeMap<String, Vec<Tuple>>,
    /// What each keyed step did. Its rows are above.
    pub turns: BTreeMap<String, Turn>,
    /// The rows that each keyed step took in.
    pub came: BTreeMap<String, u64>,
    /// Rows that a map before any keyed step left out, by source.
    pub filtered: BTreeMap<String, u64>,
    /// Rows that could not be computed, by step.
    pub bad: BTreeMap<String, u64>,
    /// The watermarks of sources at which something left.
    pub leaves_at: Vec<i64>,
    /// What must not happen.
    pub contradictions: Vec<String>,
}

impl Graph {
    /// Whether a row of a source can be taken in: no expression fails on it before it has come to a keyed step, or as
    /// that step takes it in.
    #[must_use]
    pub fn takes(&self, node: &str, tuple: &Tuple, before: &Marks) -> bool {
        self.readers(node).all(|step| {
            if step.operation.is_keyed() {
                return step.operation.takes(tuple, self.around(step, before, before));
            }
            let rows = step.operation.each(tuple);
            rows.is_some_and(|rows| rows.iter().all(|row| self.takes(&step.name, row, before)))
        })
    }

    fn around(&self, step: &Step, before: &Marks, after: &Marks) -> Around {
        Around { before: self.input_mark(&step.name, before), after: self.input_mark(&step.name, after) }
    }

    /// Takes the rows of the sources through all steps. `before` and `after` are the watermarks of all nodes.
    #[must_use]
    pub fn advance(
        &self,
        held: &mut Held,
        from_sources: &BTreeMap<String, Vec<Tuple>>,
        before: &Marks,
        after: &Marks,
    ) -> Advanced {
        let mut out = Advanced { rows: from_sources.clone(), ..Advanced::default() };
        for step in &self.steps {
            let inputs = step.operation.inputs();
            let is_union = matches!(step.operation, Operation::Union(_));
            let of_input = |(i, input): (usize, &&str)| {
                let rows = out.rows[*input].iter().cloned();
                rows.map(move |tuple| if is_union { tuple.by_input(i) } else { tuple }).collect::<Vec<_>>()
            };
            let came: Vec<Tuple> = inputs.iter().enumerate().flat_map(of_input).collect();
            let rows = if step.operation.is_keyed() {
                let around = self.around(step, before, after);
                self.take_turn(step, held, came, around, &mut out)
            } else {
                came.iter().flat_map(|tuple| one_by_one(step, tuple, &mut out)).collect()
            };
            out.rows.insert(step.name.clone(), rows);
        }
        out
    }

    fn take_turn(
        &self,
        step: &Step,
        held: &mut Held,
        mut came: Vec<Tuple>,
        around: Around,
        out: &mut Advanced,
    ) -> Vec<Tuple> {
        let count = came.len() as u64;
        // In the order of arrival, which rows behind a keyed step do not have.
        let columns = self.columns(step.operation.inputs()[0]);
        came.sort_by(|a, b| a.origin.cmp(&b.origin).then_with(|| a.by_columns(b, &columns)));
        for tuple in came.iter().filter(|tuple| tuple.origin.is_none()) {
            if let (Some(time), Some(watermark)) = (tuple.time, around.before)
                && time < watermark
            {
                out.contradictions.push(format!("{}: {tuple:?} is behind the watermark {watermark}", step.name));
            }
        }
        let mut turn = step.operation.turn(held.entry(step.name.clone()).or_default(), came, around, &columns);
        let held_back_us = self.held_back_us(&step.name);
        out.leaves_at.extend(turn.leaves_at.iter().map(|at| at + held_back_us));
        if turn.bad > 0 {
            out.bad.insert(step.name.clone(), turn.bad);
        }
        let mut rows = std::mem::take(&mut turn.rows);
        if self.is_complete(&step.name) {
            rows = held[&step.name].shown.values().cloned().collect();
        }
        out.came.insert(step.name.clone(), count - turn.refused);
        out.turns.insert(step.name.clone(), turn);
        rows
    }

    /// Whether a step's rows reach a sink of the mode Complete: it gives the whole result in each epoch.
    fn is_complete(&self, step: &str) -> bool {
        let comes_from = |sink: &&Sink| {
            let mut node = sink.from.as_str();
            while node != step && self.steps.iter().any(|s| s.name == node && !s.operation.is_keyed()) {
                node = self.step(node).operation.inputs()[0];
            }
            node == step
        };
        self.sinks.iter().filter(|sink| sink.mode == Mode::Complete).any(|sink| comes_from(&sink))
    }

    /// The table of a sink that is not in the mode Append: the newest row of each group of the aggregate that it comes
    /// from, through the maps behind it.
    #[must_use]
    pub fn newest(&self, node: &str, held: &Held) -> Vec<Tuple> {
        let step = self.step(node);
        if step.operation.is_keyed() {
            return held.get(node).map(|kept| kept.shown.values().cloned().collect()).unwrap_or_default();
        }
        let inputs = self.newest(step.operation.inputs()[0], held);
        inputs.iter().filter_map(|tuple| step.operation.each(tuple)).flatten().collect()
    }
}

/// The rows of a step without keys for a row of its input.
fn one_by_one(step: &Step, tuple: &Tuple, out: &mut Advanced) -> Vec<Tuple> {
    let Some(rows) = step.operation.each(tuple) else {
        *out.bad.entry(step.name.clone()).or_default() += 1;
        return Vec::new();
    };
    if let (Operation::Map(..), true, Some(origin)) = (&step.operation, rows.is_empty(), &tuple.origin) {
        *out.filtered.entry(origin.source.clone()).or_default() += 1;
    }
    rows
}

/// Rows of the output `Late` of a node.
#[must_use]
pub fn late_of(node: &str, advanced: &Advanced) -> Option<Vec<Json>> {
    Some(advanced.turns.get(node.strip_suffix(".Late")?)?.late.clone())
}
