//! Steps of kind `sql`: a query becomes steps of the other kinds, before anything is resolved or lowered. So everything
//! behind sees the document that its author could have written without SQL.
//!
//! Words of the text → clauses ([`select`]) → steps ([`write`]). Expressions stay as their author wrote them, and each
//! part of a step knows its place in the query ([`Places`]).

mod cursor;
mod from;
mod known;
mod made;
mod over;
mod places;
mod scope;
mod select;
mod windows;
mod write;

use weir_plan::expr::{self, TextPlace};
use weir_plan::quote::quoted;

pub(crate) use places::Places;

use cursor::{Cursor, Read, Wrong, check_brackets};
use made::Made;
use places::{Origin, in_query};

use crate::document::{Spec, Sql};
use crate::finding::{Findings, Path};
use crate::lower::{NAMED_MAX, NODE_NAME_CHARS_MAX};

/// The most bytes of a query.
const BYTES_MAX: usize = 16 * 1024;
/// The most inputs of a query.
const INPUTS_MAX: usize = 64;
/// What the texts of expressions call themselves in sentences about words.
const NOT_PARSED: &str = "the expression does not parse: ";

/// A document whose queries are replaced by the steps that they stand for.
pub(crate) struct Expanded {
    pub(crate) spec: Spec,
    /// For each step, the position of the query that it comes from, if it comes from one.
    pub(crate) queries: Vec<Option<usize>>,
}

/// Replaces the queries of a document, if it has any. A query that is wrong stays as it is, and is a finding.
pub(crate) fn expanded(spec: &Spec, at: &Path, out: &mut Findings) -> Option<Expanded> {
    if spec.steps.iter().all(|step| step.sql.is_none()) {
        return None;
    }
    let (mut steps, mut origins, mut queries) = (Vec::new(), Vec::new(), Vec::new());
    let mut late = Vec::new();
    for (i, step) in spec.steps.iter().enumerate() {
        let at = at.field("steps").index(i);
        match step.sql.as_ref().and_then(|sql| made(&step.name, sql, spec, &at, out)) {
            Some(made) => {
                late.push((step.name.clone(), made.with_late_rows));
                for (step, places) in made.steps {
                    steps.push(step);
                    origins.push(Origin::Query(i, places));
                    queries.push(Some(i));
                }
            }
            None => {
                steps.push(step.clone());
                origins.push(Origin::Own(i));
                queries.push(None);
            }
        }
    }
    if steps.len() > NAMED_MAX && spec.steps.len() <= NAMED_MAX {
        let message = format!(
            "the steps, with those that queries become, are {}, and at most {NAMED_MAX} are allowed: split the pipeline",
            steps.len()
        );
        out.add(&at.field("steps"), message);
        return None;
    }
    let mut spec = Spec { steps, ..spec.clone() };
    for (i, sink) in spec.sinks.iter_mut().enumerate() {
        let late = late.iter().find(|(name, _)| sink.from == format!("{name}.Late"));
        match late.map(|(name, steps)| (name, &steps[..])) {
            Some((_, [only])) => sink.from = format!("{only}.Late"),
            Some((name, [_, _, ..])) => {
                let message = format!(
                    "several parts of the query {} have late rows: write them as queries of their own, and read the \
                     late rows of each",
                    quoted(name)
                );
                out.add(&at.field("sinks").index(i).field("from"), message);
            }
            Some((_, [])) | None => {}
        }
    }
    out.expanded(Places::of(origins));
    Some(Expanded { spec, queries })
}

/// The steps that a query becomes; `None` if it is wrong.
fn made(name: &str, sql: &Sql, spec: &Spec, at: &Path, out: &mut Findings) -> Option<Made> {
    let (inputs_at, query_at) = (at.field("sql").field("inputs"), at.field("sql").field("query"));
    if !out.is_sound(at) {
        return None;
    }
    out.length(&inputs_at, sql.inputs.len(), 1..=INPUTS_MAX);
    out.distinct(sql.inputs.iter().enumerate().map(|(i, input)| (inputs_at.index(i), &**input)), "inputs");
    if sql.query.len() > BYTES_MAX {
        let message =
            format!("the query is {} bytes long, and at most {BYTES_MAX} are allowed: split it", sql.query.len());
        out.add(&query_at, message);
        return None;
    }
    let made = match of_text(name, sql, spec) {
        Ok(made) => made,
        Err(Wrong { at, message }) => {
            out.add(&query_at, in_query(at, &message));
            return None;
        }
    };
    for (i, input) in sql.inputs.iter().enumerate().filter(|(i, input)| !sql.inputs[..*i].contains(input)) {
        let reads = |spot: &places::Spot| matches!(spot, places::Spot::Input(read) if *read == i);
        if !made.steps.iter().any(|(_, places)| places.fields.iter().any(|(_, spot)| reads(spot))) {
            out.add(&inputs_at.index(i), format!("the query does not read {}: leave it out", quoted(input)));
        }
    }
    let others = spec.sources.iter().map(|source| &source.name).chain(spec.sinks.iter().map(|sink| &sink.name));
    let others: Vec<_> = others.chain(spec.steps.iter().map(|step| &step.name)).collect();
    let names = made.steps.iter().map(|(step, _)| &step.name).filter(|made| *made != name);
    for made in names {
        if made.len() > NODE_NAME_CHARS_MAX && name.len() <= NODE_NAME_CHARS_MAX {
            out.add(&at.field("name"), made::too_long(name, made, NODE_NAME_CHARS_MAX));
            return None;
        }
        if others.contains(&made) {
            let message = format!(
                "the query becomes steps, one of them {0}, and something else is named {0} too: choose another name",
                quoted(made)
            );
            out.add(&at.field("name"), message);
            return None;
        }
    }
    out.is_sound(at).then_some(made)
}

fn of_text(name: &str, sql: &Sql, spec: &Spec) -> Read<Made> {
    let words = expr::words(&sql.query).map_err(|e| {
        let sentence = e.to_string();
        let (sentence, at) = expr::without_place(&sentence);
        let what = sentence.strip_prefix(NOT_PARSED).unwrap_or(&sentence);
        Wrong {
            at: at.unwrap_or(TextPlace { line: 1, column: 1 }),
            message: format!("the query does not parse: {what}"),
        }
    })?;
    let end = end_of(&sql.query);
    check_brackets(&words, end)?;
    let query = select::whole(Cursor::new(&words, end))?;
    write::write(name, sql, spec, &query)
}

/// The place behind the last word.
fn end_of(text: &str) -> TextPlace {
    let text = text.trim_end();
    let last = text.rsplit('\n').next().unwrap_or_default();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    TextPlace { line: count(text.matches('\n').count()) + 1, column: count(last.chars().count()) + 1 }
}
