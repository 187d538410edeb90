//! A place in a document that can be found in its values and in its text.

use serde_yaml::{Mapping, Value};

use crate::finding::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key(&'static str),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place(Vec<Part>);

impl Place {
    pub(super) fn key(&self, key: &'static str) -> Self {
        self.below(Part::Key(key))
    }

    pub(super) fn index(&self, i: usize) -> Self {
        self.below(Part::Index(i))
    }

    fn below(&self, part: Part) -> Self {
        Self(self.0.iter().copied().chain([part]).collect())
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The mapping that contains this place, and the key there; `None` for the root and for elements of lists.
    pub(super) fn entry(&self) -> Option<(Self, &'static str)> {
        match self.0.split_last() {
            Some((Part::Key(key), parent)) => Some((Self(parent.to_vec()), key)),
            _ => None,
        }
    }

    /// The list that contains this place; `None` if it is not an element of a list.
    pub(super) fn list(&self) -> Option<Self> {
        match self.0.split_last() {
            Some((Part::Index(_), list)) => Some(Self(list.to_vec())),
            _ => None,
        }
    }

    pub(super) fn path(&self) -> Path {
        self.0.iter().fold(Path::root(), |path, part| match part {
            Part::Key(key) => path.field(key),
            Part::Index(i) => path.index(*i),
        })
    }

    pub(super) fn value_in<'v>(&self, document: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(document, |value, part| match part {
            Part::Key(key) => value.get_mut(*key),
            Part::Index(i) => value.get_mut(*i),
        })
    }

    pub(super) fn mapping_in<'v>(&self, document: &'v mut Value) -> Option<&'v mut Mapping> {
        self.value_in(document)?.as_mapping_mut()
    }
}
