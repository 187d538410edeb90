//! The lines of a text, addressed by byte positions. A position outside of the text counts as the end of an empty line.

pub(super) const LF: char = '\n';
const CRLF: &str = "\r\n";
const SPACES: [char; 2] = [' ', '\t'];
/// Characters that may precede the first key of a block mapping on its line. With a dash, the mapping is an element of
/// a list.
const INDENT_OR_DASH: [char; 2] = [' ', '-'];

/// The line break that the text uses.
pub(super) fn line_break(text: &str) -> &'static str {
    if text.contains(CRLF) { CRLF } else { "\n" }
}

pub(super) fn line_start(text: &str, at: usize) -> usize {
    at - line_before(text, at).len()
}

/// The text before a position on its line.
pub(super) fn line_before(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default();
    before.rfind(LF).map_or(before, |i| &before[i + 1..])
}

/// The text behind a position on its line, including the line break.
pub(super) fn line_behind(text: &str, at: usize) -> &str {
    let behind = text.get(at..).unwrap_or_default();
    behind.find(LF).map_or(behind, |i| &behind[..=i])
}

/// The end of the line in which a value ends. A block of text already ends where the next line begins.
pub(super) fn end_of_lines(text: &str, value_end: usize) -> usize {
    if line_before(text, value_end).is_empty() { value_end } else { value_end + line_behind(text, value_end).len() }
}

/// Whether only spaces precede a position on its line.
pub(super) fn is_first(text: &str, at: usize) -> bool {
    line_before(text, at).chars().all(|c| c == ' ')
}

/// The column of a key, if a block mapping begins with it on this line.
pub(super) fn column_of_key(text: &str, at: usize) -> Option<usize> {
    let before = line_before(text, at);
    before.trim_start_matches(INDENT_OR_DASH).is_empty().then_some(before.len())
}

/// The column at which the line's content begins, behind the dash of a list element.
pub(super) fn indent_of_line(text: &str, at: usize) -> usize {
    let line = line_before(text, at);
    line.len() - line.trim_start_matches(INDENT_OR_DASH).len()
}

/// The position of the comment behind `at`, if nothing else follows on the line.
pub(super) fn comment_behind(text: &str, at: usize) -> Option<usize> {
    let behind = line_behind(text, at);
    let comment = behind.trim_start_matches(SPACES);
    comment.starts_with('#').then(|| at + behind.len() - comment.len())
}

/// The column of the comment, if the line contains nothing else.
pub(super) fn column_of_comment(line: &str) -> Option<usize> {
    let comment = line.trim_start_matches(SPACES);
    comment.starts_with('#').then(|| line.len() - comment.len())
}

/// The end of the content behind a position on its line, without spaces and a comment.
pub(super) fn end_of_content(text: &str, at: usize) -> usize {
    let behind = line_behind(text, at);
    let comment = behind.match_indices('#').find(|(i, _)| behind[..*i].ends_with(SPACES));
    at + comment.map_or(behind, |(i, _)| &behind[..i]).trim_end().len()
}

/// The first position from `at` that is not a space or a line break.
pub(super) fn first_thing(text: &str, at: usize) -> usize {
    let behind = text.get(at..).unwrap_or_default();
    at + behind.len() - behind.trim_start().len()
}

/// The first position from `at` that is not in a comment either.
pub(super) fn first_content(text: &str, at: usize) -> usize {
    let mut at = first_thing(text, at);
    while text.get(at..).is_some_and(|behind| behind.starts_with('#')) {
        at = first_thing(text, at + line_behind(text, at).len());
    }
    at
}

/// Lines that begin at the column `from`, indented so that they begin at `to`.
pub(super) fn indented(lines: &str, from: usize, to: usize) -> String {
    lines.split_inclusive(LF).map(|line| line_indented(line, from, to)).collect()
}

/// Like [`indented`], but the first line stays as it is, because it continues another line.
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
