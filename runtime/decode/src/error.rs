//! Why a record was refused, and where in it. A fault is created deep inside a value and collects its path on the way
//! out, so that a good record pays nothing for paths.

use std::fmt;

use super::schemas::SchemaId;

/// A record that can't be read, in one sentence: where, what was found there, and what to write instead. The sentence
/// never contains the record's own text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {path}: {reason}")]
pub struct RecordError {
    /// Where in the record: `$` is the record, `$.city` a field, `$.a.b[3]` the fourth element of an array, and `$["a
    /// b"]` a field whose name is not a plain word.
    pub path: String,
    pub reason: String,
}

/// Why a record did not become a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecoded {
    /// The record is bad and never becomes a row.
    #[error(transparent)]
    Bad(RecordError),
    /// The record's value was written with this schema, which the decoder does not have yet.
    #[error("schema {0} is needed")]
    Needs(SchemaId),
}

/// A step of a path, from a value to the value that contains it.
#[derive(Debug)]
enum Segment {
    Field(String),
    Element(usize),
}

/// A `RecordError` whose path is not complete yet. It is boxed, so that results on the hot path stay one word.
#[derive(Debug)]
pub(super) struct Fault {
    reason: String,
    /// The steps of the path, innermost first.
    path: Vec<Segment>,
}

pub(super) type Parsed<T> = Result<T, Box<Fault>>;

/// Paths cut longer names: the producer chooses the name of an ignored field, and it may have megabytes.
pub(super) const NAME_CHARS_MAX: usize = 64;

impl Fault {
    #[cold]
    pub(super) fn new(reason: impl Into<String>) -> Box<Self> {
        Box::new(Self { reason: reason.into(), path: Vec::new() })
    }

    #[cold]
    pub(super) fn in_field(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(Segment::Field(name.chars().take(NAME_CHARS_MAX).collect()));
        self
    }

    #[cold]
    pub(super) fn in_element(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(Segment::Element(index));
        self
    }
}

impl From<Box<Fault>> for Undecoded {
    fn from(fault: Box<Fault>) -> Self {
        Self::Bad(fault.into())
    }
}

impl From<Box<Fault>> for RecordError {
    fn from(fault: Box<Fault>) -> Self {
        let mut path = String::from("$");
        for segment in fault.path.iter().rev() {
            path.push_str(&segment.to_string());
        }
        Self { path, reason: fault.reason }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) if is_plain(name) => write!(f, ".{name}"),
            Self::Field(name) => write!(f, "[{name:?}]"),
            Self::Element(index) => write!(f, "[{index}]"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
