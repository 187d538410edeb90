//! Entries of block mappings, which consist of lines.

use std::ops::Range;

use super::Splice;
use super::lines::{
    column_of_comment, column_of_key, comment_behind, end_of_lines, first_thing, is_first, line_before, line_behind,
    line_start,
};
use super::tree::Held;

/// The lines of an entry that is moved elsewhere.
pub(super) struct Moved {
    pub(super) lines: String,
    /// The column at which the lines begin.
    pub(super) column: usize,
    /// The edit that removes the lines from their old place.
    pub(super) cut: Splice,
}

/// The entry with the comments that belong to it.
pub(super) fn moved(text: &str, held: Held<'_>) -> Moved {
    let extent = extent(text, held);
    let key = held.entry().key.start;
    let column = line_before(text, key).len();
    let lines = text.get(extent.clone()).unwrap_or_default();
    if is_first(text, key) {
        return Moved { lines: lines.to_owned(), column, cut: cut_lines(text, extent) };
    }
    // What follows takes the entry's place behind the dash.
    let cut = Splice::cut(key..first_thing(text, extent.end));
    Moved { lines: format!("{:column$}{lines}", ""), column, cut }
}

/// Removes an entry and keeps its comments.
pub(super) fn cut(text: &str, held: Held<'_>) -> Splice {
    let entry = held.entry();
    let key = entry.key.start;
    match comment_behind(text, entry.end) {
        _ if !is_first(text, key) => Splice::cut(key..first_thing(text, entry.end)),
        Some(comment) => Splice::cut(key..comment),
        None => cut_lines(text, line_start(text, key)..end_of_lines(text, entry.end)),
    }
}

/// Removes lines. If there are empty lines on both sides, the one above is removed too.
fn cut_lines(text: &str, lines: Range<usize>) -> Splice {
    let above = lines.start.checked_sub(1).map_or(0, |line_break| line_start(text, line_break));
    let is_empty = |bytes: Range<usize>| text.get(bytes).is_some_and(|line| line.trim().is_empty());
    let behind = lines.end..lines.end + line_behind(text, lines.end).len();
    if !behind.is_empty() && is_empty(above..lines.start) && is_empty(behind) {
        return Splice::cut(above..lines.end);
    }
    Splice::cut(lines)
}

/// The column of the mapping's first key; `None` if it is not a block mapping on a line of its own.
pub(super) fn column(text: &str, held: Held<'_>) -> Option<usize> {
    column_of_key(text, held.mapping.entries.first()?.key.start)
}

/// The bytes of an entry with its comments: comments on the lines above that begin at its column, and comments below
/// that are indented deeper, or as deep if no later entry could own them. The range begins and ends with a line, unless
/// something else begins the line.
pub(super) fn extent(text: &str, held: Held<'_>) -> Range<usize> {
    let entry = held.entry();
    let column = column_of_key(text, held.mapping.entries.first().map_or(entry.key.start, |first| first.key.start));
    let column = column.unwrap_or_default();
    let mut start = entry.key.start;
    if is_first(text, start) {
        start = line_start(text, start);
        while let Some(above) = start.checked_sub(1).map(|line_break| line_start(text, line_break))
            && text.get(above..start).and_then(column_of_comment) == Some(column)
        {
            start = above;
        }
    }
    let column_min = if held.next().is_none() { column } else { column + 1 };
    let mut end = end_of_lines(text, entry.end);
    let mut at = end;
    loop {
        let line = line_behind(text, at);
        at += line.len();
        match column_of_comment(line) {
            Some(column) if column >= column_min => end = at,
            None if !line.is_empty() && line.trim().is_empty() => {}
            _ => break start..end,
        }
    }
}
