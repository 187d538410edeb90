//! Documents in the shape that they had before their final one: what is written otherwise now, one sentence per place,
//! and the document as it is written now.
//!
//! The shape's types are not asked. So a document is translated whatever else is wrong with it, and is then read like
//! any other, so that everything is said at once.
//!
//! The text is rewritten by edits, which keep comments, order and quotes. Whether that went right is found out by
//! reading it again: it must be the document of the translated values.

mod edit;
mod old;
mod place;
mod text;

use serde_yaml::Value;

use crate::decode::{BYTE_ORDER_MARK, parse_yaml};
use crate::finding::{FINDINGS_MAX, Finding, Path};
use old::Old;

/// A document in the final shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    pub document: Value,
    /// What was written otherwise, in the order of the document's sections; at most a hundred places. Some are still as
    /// they were: those where only the author can say what is meant.
    pub findings: Vec<Finding>,
}

/// The document with what has another place or spelling now where it belongs. What is of no earlier shape stays as it
/// is, right or wrong.
#[must_use]
pub fn translate(document: &Value) -> Translated {
    translated(document, &old::places(document))
}

fn translated(document: &Value, old: &[Old]) -> Translated {
    let mut document = document.clone();
    old.iter().flat_map(|old| &old.edits).for_each(|edit| edit.apply(&mut document));
    Translated { document, findings: findings(old) }
}

fn findings<'o>(old: impl IntoIterator<Item = &'o Old>) -> Vec<Finding> {
    let said = old.into_iter().take(FINDINGS_MAX);
    said.map(|old| Finding::new(&old.place.path(), old.message.as_str())).collect()
}

/// A document's text in the final shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    pub text: String,
    pub style: Style,
    /// What the author has to change, since only they can say what is meant.
    pub left: Vec<Finding>,
}

/// What became of comments, order and quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// They are the author's.
    Kept,
    /// They are lost: the document was printed from its values.
    Lost,
}

/// The text of a document, or of an override, as it is written now; none if nothing in it is of an earlier shape.
///
/// # Errors
/// What is wrong with a text that can't be read.
pub fn rewrite(text: &str) -> Result<Option<Rewritten>, Vec<Finding>> {
    let document = parse_yaml(text)?;
    let old = old::places(&document);
    if old.is_empty() {
        return Ok(None);
    }
    let right = translated(&document, &old).document;
    let left = findings(old.iter().filter(|old| old.edits.is_empty()));
    let is_right = |text: &String| parse_yaml(text).is_ok_and(|document| document == right);
    let edited = edited(text, &old).filter(is_right).filter(|edited| text::comments(edited) == text::comments(text));
    if let Some(text) = edited {
        return Ok(Some(Rewritten { text, style: Style::Kept, left }));
    }
    // JSON has quotes around each text. YAML in plain style may have one that kubectl takes for something else.
    let printed = [serde_yaml::to_string(&right).ok(), serde_json::to_string_pretty(&right).ok()];
    let mut printed = printed.into_iter().flatten().map(|text| format!("{}\n", text.trim_end_matches('\n')));
    match printed.find(is_right) {
        Some(text) => Ok(Some(Rewritten { text, style: Style::Lost, left })),
        None => Err(vec![Finding::new(&Path::root(), "this document can't be rewritten: change it as is said of it")]),
    }
}

fn edited(text: &str, old: &[Old]) -> Option<String> {
    let edits: Vec<_> = old.iter().flat_map(|old| old.edits.iter().cloned()).collect();
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => Some(format!("{BYTE_ORDER_MARK}{}", text::edited(text, &edits)?)),
        None => text::edited(text, &edits),
    }
}
