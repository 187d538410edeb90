//! The steps that a query becomes, and their names.
//!
//! State is saved by a step's name, so these names are a promise: the steps with keys are `x-1`, `x-2`, … for a step
//! `x`, in the order in which the query reads, and what comes last is `x`, which has no state. A clause that needs no
//! state, such as HAVING, moves no other name.

use weir_plan::expr::TextPlace;
use weir_plan::quote::quoted;

use super::cursor::{Read, wrong};
use super::known::Known;
use super::places::{Spot, StepPlaces};
use crate::document::{Aggregate, Map, Over, Step, Top, Union, Unnest};
use crate::finding::Path;
use crate::lower::NAMED_MAX;

/// A node that a part of the query stands for.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) node: String,
    /// Its position in the inputs of the step, if it is one of them.
    pub(super) input: Option<usize>,
    pub(super) known: Known,
}

#[derive(Debug)]
pub(super) enum Operation {
    Map(Map),
    Aggregate(Aggregate),
    Union(Union),
    Unnest(Unnest),
    Over(Over),
    Top(Top),
}

impl Operation {
    fn kind(&self) -> &'static str {
        match self {
            Self::Map(_) => "map",
            Self::Aggregate(_) => "aggregate",
            Self::Union(_) => "union",
            Self::Unnest(_) => "unnest",
            Self::Over(_) => "over",
            Self::Top(_) => "top",
        }
    }

    fn is_keyed(&self) -> bool {
        matches!(self, Self::Aggregate(_) | Self::Over(_) | Self::Top(_))
    }

    /// Whether the step has an output for late rows that is not always empty.
    fn has_late_rows(&self) -> bool {
        match self {
            Self::Over(_) => true,
            Self::Aggregate(step) => step.window.as_ref().is_none_or(|window| window.of_input.is_none()),
            Self::Top(step) => step.window.is_some(),
            Self::Map(_) | Self::Union(_) | Self::Unnest(_) => false,
        }
    }
}

/// The steps of one query, in the order in which they read each other.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) steps: Vec<(Step, StepPlaces)>,
    /// The names of those that have late rows.
    pub(super) with_late_rows: Vec<String>,
    keyed: usize,
    others: usize,
}

impl Made {
    /// Adds a step to those of the query `name`, and returns its name. `fields` are paths within its operation.
    pub(super) fn add(
        &mut self,
        name: &str,
        is_last: bool,
        operation: Operation,
        at: TextPlace,
        fields: Vec<(Path, Spot)>,
    ) -> Read<String> {
        if self.steps.len() >= NAMED_MAX {
            return wrong(at, format!("the query becomes more than {NAMED_MAX} steps: split it"));
        }
        let name = if is_last {
            name.to_owned()
        } else if operation.is_keyed() {
            self.keyed += 1;
            format!("{name}-{}", self.keyed)
        } else {
            self.others += 1;
            format!("{name}-rows-{}", self.others)
        };
        if operation.has_late_rows() {
            self.with_late_rows.push(name.clone());
        }
        let kind = Path::root().field(operation.kind());
        let fields = fields.into_iter().map(|(field, spot)| (kind.with(&field), spot)).collect();
        self.steps.push((step(name.clone(), operation), StepPlaces { at, fields }));
        Ok(name)
    }
}

fn step(name: String, operation: Operation) -> Step {
    let mut step = Step {
        name,
        map: None,
        aggregate: None,
        union: None,
        unnest: None,
        deduplicate: None,
        top: None,
        over: None,
        join: None,
        lookup: None,
        process: None,
        pattern: None,
        sql: None,
        bad_records: None,
    };
    match operation {
        Operation::Map(it) => step.map = Some(it),
        Operation::Aggregate(it) => step.aggregate = Some(it),
        Operation::Union(it) => step.union = Some(it),
        Operation::Unnest(it) => step.unnest = Some(it),
        Operation::Over(it) => step.over = Some(it),
        Operation::Top(it) => step.top = Some(it),
    }
    step
}

/// A column's name as an expression.
pub(super) fn as_expression(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The sentence for a name that is too long.
pub(super) fn too_long(name: &str, made: &str, most: usize) -> String {
    format!(
        "the query becomes steps, one of them {}, and a name has at most {most} characters: write a shorter name than {}",
        quoted(made),
        quoted(name)
    )
}
