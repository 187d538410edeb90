//! Entries of mappings in braces.

use std::ops::Range;

use super::Splice;
use super::lines::{
    comment_behind, continued, first_content, first_thing, is_first, line_before, line_behind, line_start,
};
use super::tree::{Held, Mapping};

/// Removes an entry and its comma, and keeps comments beside it.
pub(super) fn cut(text: &str, held: Held<'_>) -> Vec<Splice> {
    let entry = held.entry();
    let (start, end) = (entry.key.start, entry.end);
    let comma_at = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with(',')).then_some(at);
    if let Some(comma) = comma_at(first_content(text, end)) {
        if comma != first_thing(text, end) {
            return vec![Splice::cut(start..end), Splice::cut(comma..comma + 1)];
        }
        let behind = comma + 1;
        let line = line_behind(text, behind);
        // Nothing else is on the line, so the whole line is removed.
        if line.trim().is_empty() && is_first(text, start) {
            return vec![Splice::cut(line_start(text, start)..behind + line.len())];
        }
        let next = match comment_behind(text, behind) {
            Some(comment) if is_first(text, start) => comment,
            None if held.next().is_some() && !line.trim().is_empty() => first_thing(text, behind),
            _ => behind,
        };
        return vec![Splice::cut(start..next)];
    }
    match held.before().and_then(|before| Some((before.end, comma_at(first_content(text, before.end))?))) {
        Some((before, comma)) if first_thing(text, comma + 1) == start && comma == first_thing(text, before) => {
            vec![Splice::cut(before..end)]
        }
        Some((_, comma)) => vec![Splice::cut(comma..comma + 1), Splice::cut(start..end)],
        None => vec![Splice::cut(alone(text, held))],
    }
}

/// The only entry of a mapping, with the spaces around it if the braces contain nothing else.
fn alone(text: &str, held: Held<'_>) -> Range<usize> {
    let entry = held.entry().bytes();
    let (open, close) = (open_brace(text, held.mapping) + 1, held.mapping.node.bytes.end - 1);
    if first_thing(text, open) == entry.start && first_thing(text, entry.end) == close { open..close } else { entry }
}

/// Inserts an entry behind another one, on its own line if the other one is. `column` is where the lines of `new`
/// begin.
pub(super) fn insert(text: &str, mapping: Mapping<'_>, behind: Option<Held<'_>>, new: &str, column: usize) -> Splice {
    let Some(entry) = behind.map(Held::entry) else {
        return Splice::insert(open_brace(text, mapping) + 1, new);
    };
    let line = line_behind(text, entry.end);
    if is_first(text, entry.key.start) && line.trim_start_matches(',').trim().is_empty() {
        let indent = line_before(text, entry.key.start);
        let new = continued(new, column, indent.len());
        let line_break = &line[line.trim_end_matches(['\r', '\n']).len()..];
        return Splice::insert(entry.end, format!(",{line_break}{indent}{new}"));
    }
    Splice::insert(entry.end, format!(", {new}"))
}

/// The mapping's brace is the first one in its bytes: anchors and tags contain none.
fn open_brace(text: &str, mapping: Mapping<'_>) -> usize {
    let start = mapping.node.bytes.start;
    start + text.get(start..).and_then(|mapping| mapping.find('{')).unwrap_or_default()
}
