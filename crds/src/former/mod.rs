//! Translates documents from the shape before the final one: a sentence for each place that is written differently now,
//! and the document in the final shape.
//!
//! This code does not use the types of the final shape. So a document is translated even if it has other errors, and is
//! then read like any other document, so that all errors are reported at once.
//!
//! Edits rewrite the text and keep comments, order and quotes. The result is verified by reading it: it must be the
//! document with the translated values.

mod edit;
mod old;
mod place;
mod text;

use serde_yaml::Value;

use crate::decode::{BYTE_ORDER_MARK, anchored, parse_yaml};
use crate::finding::{FINDINGS_MAX, Finding, Path};
use crate::secrets;
use old::Old;

/// A document in the final shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    pub document: Value,
    /// One finding for each place of the former shape, in the order of the document's sections; at most a hundred.
    /// Places where only the author knows what is meant are not translated.
    pub findings: Vec<Finding>,
}

/// Translates all places of the former shape. Everything else stays as it is, right or wrong.
#[must_use]
pub fn translate(document: &Value) -> Translated {
    translated(document, &old::places(document))
}

/// A finding for each sink of an override that names another node for a sink of the document whose former `output` says
/// which output it reads: once that is part of `from`, the override has to name it.
pub(crate) fn outputs_left(document: &Value, over: &Value) -> Vec<Finding> {
    old::outputs_left(document, over).iter().map(|old| Finding::new(&old.place.path(), old.message.as_str())).collect()
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

/// The text of a document in the final shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    pub text: String,
    pub style: Style,
    /// What the author has to change, since only the author knows what is meant.
    pub left: Vec<Finding>,
}

/// Whether comments, order and quotes survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// They are as the author wrote them.
    Kept,
    /// They are lost: the document was printed from its values.
    Lost,
}

/// Rewrites the text of a document, or of an override, in the final shape; `None` if nothing in it has the former
/// shape.
///
/// # Errors
/// Why the text can't be read.
pub fn rewrite(text: &str) -> Result<Option<Rewritten>, Vec<Finding>> {
    let document = parse_yaml(text)?;
    let old = old::places(&document);
    if old.is_empty() {
        return Ok(None);
    }
    let right = translated(&document, &old).document;
    let hidden = secrets::hidden(&document, Some(&anchored(text)));
    let shown = old::places(hidden.as_ref().map_or(&document, |hidden| &hidden.document));
    let left = findings(shown.iter().filter(|old| old.edits.is_empty()));
    let is_right = |text: &String| parse_yaml(text).is_ok_and(|document| document == right);
    let edited = edited(text, &old).filter(is_right).filter(|edited| text::comments(edited) == text::comments(text));
    if let Some(text) = edited {
        return Ok(Some(Rewritten { text, style: Style::Kept, left }));
    }
    // The second choice is JSON, which quotes every text. YAML without quotes may print a text that kubectl reads
    // differently.
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
