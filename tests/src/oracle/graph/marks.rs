//! Watermarks: of sources from their partitions and from other sources, and of every node from its inputs.

use std::collections::{BTreeMap, BTreeSet};

use super::Graph;
use super::step::Operation;

/// Watermarks by node. `None`: any row may still come.
pub type Marks = BTreeMap<String, Option<i64>>;

/// A source's watermark without what other sources say, and whether all of its partitions are idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    pub watermark: Option<i64>,
    pub idle: bool,
}

impl Graph {
    /// The sources whose rows, or rows made from them, leave a node.
    #[must_use]
    pub fn sources_of(&self, node: &str) -> BTreeSet<String> {
        if self.source(node).is_some() {
            return BTreeSet::from([node.to_owned()]);
        }
        self.step(node).operation.inputs().iter().flat_map(|input| self.sources_of(input)).collect()
    }

    /// The other sources whose rows meet a source's rows in some step.
    fn meets(&self, source: &str) -> BTreeSet<String> {
        let groups = self.steps.iter().map(|step| self.sources_of(&step.name)).filter(|group| group.contains(source));
        groups.flatten().filter(|other| other != source).collect()
    }

    /// The sources that are connected with a source by steps in which their rows meet, itself included.
    #[must_use]
    pub fn part(&self, source: &str) -> BTreeSet<String> {
        let mut part = BTreeSet::from([source.to_owned()]);
        loop {
            let more: BTreeSet<String> = part.iter().flat_map(|source| self.meets(source)).collect();
            let before = part.len();
            part.extend(more);
            if part.len() == before {
                return part;
            }
        }
    }

    /// A source's watermark with what other sources say: an idle source is raised to the least of the sources that are
    /// not idle and whose rows meet its rows; if all are idle, to the greatest.
    #[must_use]
    pub fn raised_by_others(&self, source: &str, own: &BTreeMap<String, Own>) -> Option<i64> {
        let this = own[source];
        if !this.idle {
            return this.watermark;
        }
        let others: Vec<Own> = self.meets(source).iter().map(|other| own[other]).collect();
        let busy = others.iter().filter(|other| !other.idle).map(|other| other.watermark);
        let all = others.iter().map(|other| other.watermark);
        this.watermark.max(busy.min().or_else(|| all.max()).flatten())
    }

    /// The watermark of every node's rows, from those of the sources.
    #[must_use]
    pub fn marks(&self, sources: &Marks) -> Marks {
        let mut marks = sources.clone();
        for step in &self.steps {
            let watermark = match step.operation.hold_back_us() {
                Some(hold_back) => self.input_mark(&step.name, &marks).map(|watermark| watermark - hold_back),
                None => None,
            };
            marks.insert(step.name.clone(), watermark);
        }
        marks
    }

    /// The watermark of what a step reads: the least over its inputs.
    #[must_use]
    pub fn input_mark(&self, step: &str, marks: &Marks) -> Option<i64> {
        self.step(step).operation.inputs().iter().map(|input| marks[*input]).min().flatten()
    }

    /// By how much the watermark of what a step reads may be behind the least watermark of its sources.
    #[must_use]
    pub fn held_back_us(&self, step: &str) -> i64 {
        let behind = |input: &&str| match self.source(input) {
            Some(_) => 0,
            None => {
                let operation: &Operation = &self.step(input).operation;
                self.held_back_us(input) + operation.hold_back_us().unwrap_or_default()
            }
        };
        self.step(step).operation.inputs().iter().map(behind).max().unwrap_or_default()
    }
}
