//! What each step gives, one file per kind.

mod aggregate;
mod deduplicate;
mod over;
mod top;
mod union;
mod unnest;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::tuple::Tuple;
use crate::oracle::pipeline::Map;
use crate::oracle::replay::to_json;
use crate::oracle::value::Value;

pub use aggregate::{Aggregation, Span};
pub use deduplicate::{Deduplicate, Order};
pub use over::{Frame, Over};
pub use top::{Rank, Top};
pub use union::Union;
pub use unnest::Unnest;

#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// The input, and the map.
    Map(String, Map),
    Union(Union),
    Unnest(Unnest),
    Aggregate(Aggregation),
    Deduplicate(Deduplicate),
    Over(Over),
    Top(Top),
}

/// The watermark of what a step reads, before and after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    pub before: Option<i64>,
    pub after: Option<i64>,
}

/// What a keyed step keeps from one epoch to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// All rows that may still matter, or more.
    pub rows: Vec<Tuple>,
    /// For an aggregate without a window: the newest row of each group that there ever was, by the group's key.
    pub shown: BTreeMap<String, Tuple>,
}

/// What a keyed step does in one epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Turn {
    pub rows: Vec<Tuple>,
    /// Rows of the output `Late`.
    pub late: Vec<Json>,
    /// Late rows: in a step with windows, those that missed all of theirs.
    pub rows_late: u64,
    /// Rows that came and that gave no row because one like them had passed.
    pub duplicates: u64,
    /// Rows that could not be computed.
    pub bad: u64,
    /// The bad rows among those that came. Manifests do not count them as rows that went in.
    pub refused: u64,
    /// For each thing that left because of the watermark, the watermark at which it leaves.
    pub leaves_at: Vec<i64>,
    /// The number of things that still wait for the watermark.
    pub waiting: u64,
    /// The number of groups in open windows, where the windows do not overlap.
    pub groups: Option<u64>,
    /// The number of open windows.
    pub open_windows: Option<u64>,
}

impl Turn {
    /// A row came that the step can't compute.
    fn refuse(&mut self) {
        self.bad += 1;
        self.refused += 1;
    }
}

impl Around {
    /// Whether a row of a step without windows is late.
    #[must_use]
    pub fn is_late(self, time: i64) -> bool {
        self.before.is_some_and(|watermark| time < watermark)
    }

    /// Whether a row that was in time leaves in this epoch.
    #[must_use]
    pub fn releases(self, time: i64) -> bool {
        !self.is_late(time) && !self.waits(time)
    }

    /// Whether a row waits for a later watermark.
    #[must_use]
    pub fn waits(self, time: i64) -> bool {
        self.after.is_none_or(|watermark| time >= watermark)
    }
}

impl Operation {
    #[must_use]
    pub fn inputs(&self) -> Vec<&str> {
        match self {
            Self::Union(union) => union.inputs.iter().map(String::as_str).collect(),
            Self::Map(from, _)
            | Self::Unnest(Unnest { from, .. })
            | Self::Aggregate(Aggregation { from, .. })
            | Self::Deduplicate(Deduplicate { from, .. })
            | Self::Over(Over { from, .. })
            | Self::Top(Top { from, .. }) => vec![from],
        }
    }

    /// Whether the step brings rows of one key together.
    #[must_use]
    pub fn is_keyed(&self) -> bool {
        !matches!(self, Self::Map(..) | Self::Union(_) | Self::Unnest(_))
    }

    /// The columns of the step's rows, given those of its first input.
    #[must_use]
    pub fn columns(&self, input: Vec<String>) -> Vec<String> {
        match self {
            Self::Map(_, map) => map.columns.iter().map(|(name, _)| name.clone()).collect(),
            Self::Union(_) | Self::Deduplicate(_) => input,
            Self::Unnest(unnest) => unnest.columns(input),
            Self::Aggregate(aggregation) => aggregation.columns(),
            Self::Over(over) => over.columns(input),
            Self::Top(top) => top.columns(input),
        }
    }

    /// How much older than the watermark of its input a row of the step may be; `None` if it may have any time.
    #[must_use]
    pub fn hold_back_us(&self) -> Option<i64> {
        match self {
            Self::Aggregate(aggregation) => aggregation.hold_back_us(),
            _ => Some(0),
        }
    }

    /// The longest time after its own that a row, or what was made of it, stays in the step.
    #[must_use]
    pub fn stays_us(&self) -> i64 {
        match self {
            Self::Map(..) | Self::Union(_) | Self::Unnest(_) => 0,
            Self::Aggregate(Aggregation { span: Span::Window(window), .. })
            | Self::Top(Top { window: Some(window), .. }) => 2 * window.size_us(),
            Self::Aggregate(_) | Self::Deduplicate(_) | Self::Over(_) | Self::Top(_) => 1,
        }
    }

    /// The rows that a step without keys gives for one row of its input; `None` if an expression has no value for it.
    #[must_use]
    pub fn each(&self, tuple: &Tuple) -> Option<Vec<Tuple>> {
        match self {
            Self::Map(_, map) => {
                let row = map.apply(&tuple.scope()).ok()?;
                Some(row.map(|row| Tuple { row, ..tuple.clone() }).into_iter().collect())
            }
            Self::Union(_) => Some(vec![tuple.clone()]),
            Self::Unnest(unnest) => unnest.each(tuple),
            keyed => panic!("{keyed:?} has keys"),
        }
    }

    /// Whether a keyed step can take in a row: no expression fails on it. A late row is not evaluated.
    #[must_use]
    pub fn takes(&self, tuple: &Tuple, around: Around) -> bool {
        match self {
            Self::Aggregate(aggregation) => aggregation.takes(tuple, around),
            Self::Deduplicate(_) => true,
            Self::Over(over) => around.is_late(tuple.at()) || over.evaluates(tuple),
            Self::Top(top) => top.takes(tuple, around),
            stateless => panic!("{stateless:?} has no keys"),
        }
    }

    /// What a keyed step does with the rows of one epoch, which are in order of arrival if they come from sources.
    /// `columns` are those of its input.
    #[must_use]
    pub fn turn(&self, kept: &mut Kept, came: Vec<Tuple>, around: Around, columns: &[String]) -> Turn {
        match self {
            Self::Aggregate(aggregation) => aggregation.turn(kept, came, around),
            Self::Deduplicate(deduplicate) => deduplicate.turn(kept, came, around, columns),
            Self::Over(over) => over.turn(kept, came, around, columns),
            Self::Top(top) => top.turn(kept, came, around, columns),
            stateless => panic!("{stateless:?} has no keys"),
        }
    }

    pub(super) fn document(&self) -> Json {
        match self {
            Self::Map(from, map) => json!({"map": map.document(from)}),
            Self::Union(union) => json!({"union": {"inputs": union.inputs}}),
            Self::Unnest(unnest) => unnest.document(),
            Self::Aggregate(aggregation) => aggregation.document(),
            Self::Deduplicate(deduplicate) => deduplicate.document(),
            Self::Over(over) => over.document(),
            Self::Top(top) => top.document(),
        }
    }
}

/// A row of the output `Late` of a step without windows, whose rows may be so much older than the watermark.
fn late_row(tuple: &Tuple, watermark: i64, allowed_us: i64) -> Json {
    let mut row = tuple.row.clone();
    row.insert("event_time".to_owned(), Value::Time(tuple.at()));
    row.insert("watermark".to_owned(), Value::Time(watermark));
    row.insert("late_by_ms".to_owned(), Value::Int((watermark - allowed_us - tuple.at()).div_euclid(1_000)));
    to_json(&row)
}
