//! Finds the line whose indent fits none of the lines before it. The parser often names another line, and never the
//! indent that it expected.

use std::collections::BTreeSet;

use weir_plan::quote::quoted;

use crate::decode::events::{Events, Kind};
use crate::finding::one_of;
use crate::secrets::is_field;

/// The columns of an open mapping or list, counted from 0.
#[derive(Clone)]
struct Level<'a> {
    column: usize,
    is_list: bool,
    /// What stands at the beginning of its last line.
    last: &'a str,
}

/// What to tell the author of the first line, up to `last_line` (from 1), whose indent is wrong; `None` if there is no
/// such line. A line that is hidden may have a secret in it.
pub(super) fn wrong(text: &str, last_line: usize, is_hidden: impl Fn(usize) -> bool) -> Option<String> {
    let inside = lines_inside(text);
    let mut open: Vec<Level<'_>> = Vec::new();
    // Whether the line before leaves its value to the lines below it.
    let mut expects_value = true;
    for (number, line) in (1..=last_line).zip(text.lines()).filter(|(number, _)| !inside.contains(number)) {
        let body = without_comment(line.trim_start_matches(' '));
        let indent = line.len() - line.trim_start_matches(' ').len();
        let Some(first) = first_of(body) else { continue };
        let before = open.clone();
        open.retain(|level| level.column <= indent);
        let is_item = first == "-";
        // A list may stand at the column of the key that it belongs to; a key at that column ends the list.
        if !is_item && open.iter().any(|level| level.column == indent && !level.is_list) {
            open.retain(|level| level.column < indent || !level.is_list);
        }
        let fits = match open.last() {
            None => before.is_empty(),
            Some(level) if level.column == indent => level.is_list == is_item || is_item && expects_value,
            Some(_) => expects_value && open.len() == before.len(),
        };
        if !fits {
            let first = if is_hidden(number) { None } else { Some(first) };
            return Some(sentence(number, first, indent, &before, is_item));
        }
        expects_value = enter(body, indent, &mut open);
    }
    None
}

/// Adds the levels that a line is part of. Returns whether its value is left to the lines below it.
fn enter<'a>(body: &'a str, indent: usize, open: &mut Vec<Level<'a>>) -> bool {
    let Some(first) = first_of(body) else { return body.ends_with('-') };
    let is_list = first == "-";
    match open.last_mut().filter(|level| level.column == indent && level.is_list == is_list) {
        Some(level) => level.last = first,
        None => open.push(Level { column: indent, is_list, last: first }),
    }
    if is_list {
        let rest = body.trim_start_matches('-').trim_start_matches(' ');
        return rest.is_empty() || enter(rest, indent + body.len() - rest.len(), open);
    }
    body.ends_with(':')
}

/// `-` for an element of a list, or the name of a field; `None` for a line that is neither.
fn first_of(body: &str) -> Option<&str> {
    if body == "-" || body.starts_with("- ") {
        return Some("-");
    }
    let (name, rest) = body.split_once(':')?;
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    (is_name && !name.is_empty() && (rest.is_empty() || rest.starts_with(' '))).then_some(name)
}

fn sentence(number: usize, first: Option<&str>, indent: usize, before: &[Level<'_>], is_list: bool) -> String {
    let of_kind = || before.iter().rev().filter(|level| level.is_list == is_list);
    let nearest = of_kind().map(|level| level.column.abs_diff(indent)).min();
    let right: Vec<_> = of_kind().filter(|level| Some(level.column.abs_diff(indent)) == nearest).collect();
    let found = first.map_or_else(|| "what is here".to_owned(), quoted);
    let found = format!("line {number}: {found} is indented by {}", spaces(indent));
    match right[..] {
        [] => format!("{found}, and nothing there is: indent it as the lines before it"),
        [only] => {
            let beside = if is_list { "elements" } else { "fields" };
            format!("{found}, the {beside} beside it by {0}: indent it by {0}", only.column)
        }
        _ => {
            let each = right.iter().map(|level| match is_list {
                true => level.column.to_string(),
                false if !is_field(level.last) => level.column.to_string(),
                false => format!("{} (as {})", level.column, quoted(level.last)),
            });
            format!("{found}, and no line before it is: indent it by {}", one_of(&each.collect::<Vec<_>>()))
        }
    }
}

fn spaces(indent: usize) -> String {
    if indent == 1 { "1 space".to_owned() } else { format!("{indent} spaces") }
}

/// The lines that begin inside a text or inside brackets: their indent means nothing.
fn lines_inside(text: &str) -> BTreeSet<usize> {
    let mut inside = BTreeSet::new();
    let mut brackets: Vec<(bool, usize)> = Vec::new();
    for event in Events::of(text).into_iter().flatten() {
        let line = usize::try_from(event.line).unwrap_or(usize::MAX);
        match event.kind {
            Kind::Scalar { .. } => {
                // A colon behind the text: its last line is a field, which the parser took for the rest of the text.
                let is_key =
                    text.get(event.bytes.end..).is_some_and(|rest| rest.trim_start_matches(' ').starts_with(':'));
                let breaks = text.get(event.bytes).map_or(0, |scalar| scalar.trim_end().matches('\n').count());
                inside.extend(line + 1..=line + breaks - usize::from(is_key && breaks > 0));
            }
            Kind::ListStart { is_flow } | Kind::MappingStart { is_flow } => brackets.push((is_flow, line)),
            Kind::ListEnd | Kind::MappingEnd => {
                if let Some((true, began)) = brackets.pop() {
                    inside.extend(began + 1..=line);
                }
            }
            Kind::Alias(_) | Kind::Outline => {}
        }
    }
    inside
}

fn without_comment(line: &str) -> &str {
    if line.starts_with('#') {
        return "";
    }
    line.find(" #").map_or(line, |at| &line[..at]).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "spec:
  trigger: {type: Interval,
    interval: 5s}
  # a comment
  sources:
  - name: rides
    kafka:
      topics:
      - a
      - b
    note: |
      any
       indent
    format: more
      of it
  steps:
    - name: a
      map:
        from: rides
    -
      name: b
";

    /// What is said once the line with `old` is written as `new`.
    fn said(old: &str, new: &str) -> Option<String> {
        assert_eq!(RIGHT.matches(old).count(), 1, "{old:?}");
        wrong(&RIGHT.replace(old, new), usize::MAX, |_| false)
    }

    #[test]
    fn a_right_text_has_no_wrong_line() {
        assert_eq!(wrong(RIGHT, usize::MAX, |_| false), None);
    }

    #[test]
    fn a_line_that_fits_nothing_is_told_with_the_indents_that_would_fit() {
        for (old, new, right) in [
            (
                "    kafka:\n",
                "     kafka:\n",
                "line 7: `kafka` is indented by 5 spaces, the fields beside it by 4: indent it by 4",
            ),
            (
                "    kafka:\n",
                "   kafka:\n",
                "line 7: `kafka` is indented by 3 spaces, and no line before it is: indent it by 4 (as `name`) or 2 \
                 (as `sources`)",
            ),
            (
                "      - b",
                "     - b",
                "line 10: `-` is indented by 5 spaces, the elements beside it by 6: indent it by 6",
            ),
            (
                "        from: rides",
                "        from: rides\n       where: x",
                "line 20: `where` is indented by 7 spaces, and no line before it is: indent it by 8 (as `from`) or 6 \
                 (as `map`)",
            ),
        ] {
            assert_eq!(said(old, new).as_deref(), Some(right), "{new}");
        }
    }
}
