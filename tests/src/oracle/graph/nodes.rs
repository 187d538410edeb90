//! A graph as the tests describe it: sources, steps in an order in which each comes after its inputs, and sinks.

use super::source::Source;
use super::step::Operation;
use crate::oracle::site::Site;

#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub name: String,
    pub sources: Vec<Source>,
    /// Each step comes after its inputs.
    pub steps: Vec<Step>,
    pub sinks: Vec<Sink>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub name: String,
    pub operation: Operation,
}

/// A table, or a console for results that change.
#[derive(Debug, Clone, PartialEq)]
pub struct Sink {
    pub name: String,
    /// A source or step, or `step.Late`.
    pub from: String,
    pub mode: Mode,
    pub partition_by: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Append,
    /// The result has one row per key.
    Update {
        key: Vec<String>,
    },
    Complete,
}

impl Sink {
    #[must_use]
    pub fn append(name: &str, from: &str) -> Self {
        Self { name: name.to_owned(), from: from.to_owned(), mode: Mode::Append, partition_by: Vec::new() }
    }
}

impl Graph {
    /// The name of a source's topic at this site. Sources with the same `topic` read the same one.
    #[must_use]
    pub fn topic(site: &Site, source: &Source) -> String {
        format!("{}-{}", site.topic, source.topic)
    }

    /// # Panics
    /// If there is no such step.
    #[must_use]
    pub fn step(&self, name: &str) -> &Step {
        self.steps.iter().find(|step| step.name == name).unwrap_or_else(|| panic!("no step {name}"))
    }

    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The steps that read a node.
    pub fn readers(&self, node: &str) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.operation.inputs().contains(&node))
    }

    /// The columns of a node's rows, in the document's order.
    #[must_use]
    pub fn columns(&self, node: &str) -> Vec<String> {
        if let Some(source) = self.source(node) {
            return source.columns.iter().map(|column| column.name.clone()).collect();
        }
        let operation = &self.step(node).operation;
        operation.columns(self.columns(operation.inputs()[0]))
    }
}
