//! Lines of a text, by places in it. A place that is in no line is at the end of an empty one.

pub(super) const LF: char = '\n';
const CRLF: &str = "\r\n";
const SPACES: [char; 2] = [' ', '\t'];
/// What may stand before the first key of a block mapping on its line: it is an element of a list then.
const INDENT_OR_DASH: [char; 2] = [' ', '-'];

/// How the lines of a text end.
pub(super) fn line_break(text: &str) -> &'static str {
    if text.contains(CRLF) { CRLF } else { "\n" }
}

pub(super) fn line_start(text: &str, at: usize) -> usize {
    at - line_before(text, at).len()
}

/// What stands before a place on its line.
pub(super) fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    before.rfind(LF).map_or(before, |i| &before[i + 1..])
}

/// What stands behind a place on its line, with the line break.
pub(super) fn line_behind(text: &str, at: usize) -> &str {
    let behind = text.get(at..).unwrap_or_default();
    behind.find(LF).map_or(behind, |i| &behind[..=i])
}

/// Where the line ends in which a value ends. A block of text ends where the next line begins.
pub(super) fn end_of_lines(text: &str, value_end: usize) -> usize {
    if line_before(text, value_end).is_empty() { value_end } else { value_end + line_behind(text, value_end).len() }
}

/// Whether nothing but spaces stands before a place on its line.
pub(super) fn is_first(text: &str, at: usize) -> bool {
    line_before(text, at).chars().all(|c| c == ' ')
}

/// The column at which a block mapping begins with this key, if that is what it does.
pub(super) fn column_of_key(text: &str, at: usize) -> Option<usize> {
    let before = line_before(text, at);
    before.trim_start_matches(INDENT_OR_DASH).is_empty().then_some(before.len())
}

/// The column at which the line of a place begins, or the element of a list in it.
pub(super) fn indent_of_line(text: &str, at: usize) -> usize {
    let line = line_before(text, at);
    line.len() - line.trim_start_matches(INDENT_OR_DASH).len()
}

/// The comment behind a place on its line if there is nothing else: where it begins.
pub(super) fn comment_behind(text: &str, at: usize) -> Option<usize> {
    let behind = line_behind(text, at);
    let comment = behind.trim_start_matches(SPACES);
    comment.starts_with('#').then(|| at + behind.len() - comment.len())
}

/// A line that is a comment: the column at which it begins.
pub(super) fn column_of_comment(line: &str) -> Option<usize> {
    let comment = line.trim_start_matches(SPACES);
    comment.starts_with('#').then(|| line.len() - comment.len())
}

/// Where what stands behind a place on its line ends, without spaces and a comment.
pub(super) fn end_of_content(text: &str, at: usize) -> usize {
    let behind = line_behind(text, at);
    let comment = behind.match_indices('#').find(|(i, _)| behind[..*i].ends_with(SPACES));
    at + comment.map_or(behind, |(i, _)| &behind[..i]).trim_end().len()
}

/// The first thing behind a place that is no space and no line break.
pub(super) fn first_thing(text: &str, at: usize) -> usize {
    let behind = text.get(at..).unwrap_or_default();
    at + behind.len() - behind.trim_start().len()
}

/// The first thing behind a place that is no comment either.
pub(super) fn first_content(text: &str, at: usize) -> usize {
    let mut at = first_thing(text, at);
    while text.get(at..).is_some_and(|behind| behind.starts_with('#')) {
        at = first_thing(text, at + line_behind(text, at).len());
    }
    at
}

/// Lines that begin at the column `from`, moved so that they begin at `to`.
pub(super) fn indented(lines: &str, from: usize, to: usize) -> String {
    lines.split_inclusive(LF).map(|line| line_indented(line, from, to)).collect()
}

/// The same for a text whose first line goes on where something else stands.
pub(super) fn continued(text: &str, from: usize, to: usize) -> String {
    let first = line_behind(text, 0);
    format!("{first}{}", indented(&text[first.len()..], from, to))
}

fn line_indented(line: &str, from: usize, to: usize) -> String {
    if line.trim().is_empty() {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start_matches(' ').len();
    let column = (indent + to).saturating_sub(from);
    format!("{:column$}{}", "", &line[indent..])
}
