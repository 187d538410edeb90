//! Manifests of graphs: the whole, and each node's part.

use std::collections::BTreeMap;
use std::path::Path;

use super::Graph;
use crate::oracle::manifest::{self, all_of_it, of_object};

#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub whole: manifest::Manifest,
    /// The manifest reduced to one node, by the node's name: a source, a step or a sink.
    pub of: BTreeMap<String, manifest::Manifest>,
}

impl Manifest {
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.whole.epoch
    }
}

impl Graph {
    /// All manifests of a checkpoint in a local folder, by number.
    ///
    /// # Panics
    /// If one can't be read.
    #[must_use]
    pub fn manifests(&self, checkpoint: &Path) -> Vec<Manifest> {
        let objects = manifest::objects(checkpoint);
        objects.iter().map(|(name, bytes)| self.manifest(name, bytes)).collect()
    }

    fn manifest(&self, name: &str, bytes: &[u8]) -> Manifest {
        let names = self.sources.iter().map(|source| &source.name);
        let names = names.chain(self.steps.iter().map(|step| &step.name)).chain(self.sinks.iter().map(|s| &s.name));
        let part = |node: &String| of_object(name, bytes, &|other| (other == node).then(|| other.to_owned()));
        Manifest {
            whole: of_object(name, bytes, &all_of_it),
            of: names.map(|node| (node.clone(), part(node))).collect(),
        }
    }
}
