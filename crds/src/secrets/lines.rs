//! Whether a line may have a secret in it. A text that is not YAML has no values yet, so its places are guessed from
//! the keys on the line, and from the lines that it belongs to by its indent or as the rest of a value.

use super::{FIELDS, Place, address};
use crate::decode::LINE_BYTES_MAX;

/// Whether what a message shows of a line (from 1) may be a secret.
pub(crate) fn has_secret(text: &str, number: usize) -> bool {
    let lines: Vec<_> = text.lines().take(number).map(Line::of).collect();
    let Some((line, before)) = lines.split_last() else { return false };
    Read::of(line.body, around(line, before)).has_secret
        || address::is_in_a_word(line.body)
        || is_rest_of_secret(line, before)
}

#[derive(Clone, Copy)]
struct Line<'a> {
    indent: usize,
    body: &'a str,
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let body = line.trim_start_matches([' ', '\t']);
        Self { indent: line.len() - body.len(), body: body.trim_end() }
    }

    fn is_said(&self) -> bool {
        !self.body.is_empty() && !self.body.starts_with('#')
    }

    fn is_item(&self) -> bool {
        self.body == "-" || self.body.starts_with("- ")
    }

    /// The column of the line's first key.
    fn key_column(&self) -> usize {
        self.indent + self.body.len() - self.body.trim_start_matches(['-', ' ']).len()
    }

    /// Whether the line begins with a field of the document.
    fn begins_with_field(&self) -> bool {
        key_at(self.body.trim_start_matches(['-', ' ', '{', '['])).is_some_and(|(name, rest)| {
            let is_key = rest.starts_with(':') || !place_of(Place::Open, name).is_shown();
            is_key && (FIELDS.contains(name) || !place_of(Place::Open, name).is_shown())
        })
    }
}

/// The place of what stands in the line, by the lines around it.
fn around(line: &Line<'_>, before: &[Line<'_>]) -> Place {
    let (mut column, mut is_item) = (line.indent, line.is_item());
    let mut outer = Vec::new();
    // The braces and brackets that lines below have closed.
    let mut closed = 0;
    for above in before.iter().rev().filter(|line| line.is_said()) {
        let Read { opens, closes, .. } = Read::of(above.body, Place::Open);
        let is_open = opens > closed;
        closed = closed.saturating_sub(opens) + closes;
        // A list may stand at the column of the key that it belongs to.
        let is_list_of = above.indent == column && is_item && !above.is_item();
        let is_around = is_open || above.indent < column || is_list_of;
        if !is_around {
            continue;
        }
        // The first key of an element stands beside the keys in the lines below it.
        if !above.is_item() || above.key_column() < column || is_open {
            outer.push(above.body);
        }
        (column, is_item) = (above.indent.min(column), above.is_item());
    }
    outer.iter().rev().fold(Place::Open, |place, line| Read::of(line, place).end)
}

/// Whether a line that begins with no field of the document is the rest of a secret that the field before it has.
fn is_rest_of_secret(line: &Line<'_>, before: &[Line<'_>]) -> bool {
    if line.begins_with_field() {
        return false;
    }
    let Some(at) = before.iter().rposition(|line| line.is_said() && line.begins_with_field()) else { return false };
    let read = Read::of(before[at].body, around(&before[at], &before[..at]));
    read.has_secret || !read.end.is_shown()
}

/// The place of a field, by what a name may mean in a text that could not be read.
fn place_of(place: Place, name: &str) -> Place {
    match place.field(name) {
        Place::Open if ["key", "keys", "value"].contains(&name) => Place::Secret,
        of_name => of_name,
    }
}

/// The name at the beginning of a text, and what follows it; `None` if there is no name.
fn key_at(text: &str) -> Option<(&str, &str)> {
    let quote = text.starts_with(['"', '\'']);
    let body = if quote { &text[1..] } else { text };
    let end = body.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)).unwrap_or(body.len());
    let rest = body[end..].strip_prefix(['"', '\'']).filter(|_| quote).unwrap_or(&body[end..]);
    (end > 0).then_some((&body[..end], rest))
}

/// A line as far as its keys say what stands in it.
struct Read {
    has_secret: bool,
    /// The place of what follows the line.
    end: Place,
    /// How many braces and brackets are open at its end, and how many it closes that it does not open.
    opens: usize,
    closes: usize,
}

impl Read {
    fn of(body: &str, around: Place) -> Self {
        if body.len() > LINE_BYTES_MAX {
            return Self { has_secret: true, end: around, opens: 0, closes: 0 };
        }
        let mut has_secret = false;
        let mut open = vec![around];
        let mut closes = 0;
        let mut place = around;
        let mut first = None;
        // Brackets and quotes inside an expression.
        let (mut brackets, mut is_quoted) = (0_i64, false);
        // Whether a key may begin here: at the beginning of the line or an element, or behind a space.
        let (mut begins, mut is_behind_space) = (true, true);
        let mut at = body.len() - body.trim_start_matches(['-', ' ']).len();
        while let Some(c) = body[at..].chars().next() {
            let is_inside = place == Place::Expression && (brackets > 0 || is_quoted);
            let name = key_at(&body[at..]).filter(|_| (begins || is_behind_space) && !is_inside);
            if let Some((name, rest)) = name {
                let field = place_of(open.last().copied().unwrap_or(around), name);
                let is_key = rest.trim_start().starts_with(':') || rest.starts_with('=');
                // A secret's name whose colon is missing.
                let is_secret = begins && !is_key && !place_of(Place::Open, name).is_shown();
                if is_key || is_secret && !rest.trim_start().starts_with([',', ']', '}']) {
                    has_secret |= is_secret && !place.is_shown();
                    place = field;
                    first = first.or(Some(field));
                    (brackets, is_quoted) = (0, false);
                    at = body.len() - rest.len() + rest.find([':', '=']).filter(|_| is_key).map_or(0, |at| at + 1);
                    (begins, is_behind_space) = (false, false);
                    let value = body[at..].trim_start();
                    let is_text =
                        !value.trim_start_matches(['}', ']']).is_empty() && !value.starts_with(['{', '[', ',']);
                    let is_text = is_text && !value.trim_start_matches(['}', ']', ' ']).starts_with(',');
                    has_secret |= is_text && (!place.is_shown() || shows_secret(value, place));
                    continue;
                }
                if begins {
                    has_secret |= !place.is_shown() || shows_secret(&body[at..], place);
                }
                at = body.len() - rest.len();
                (begins, is_behind_space) = (false, false);
                continue;
            }
            match c {
                '{' | '[' if !is_inside => {
                    open.push(place);
                    begins = true;
                }
                '}' | ']' if !is_inside => {
                    if open.len() > 1 {
                        open.pop();
                    } else {
                        closes += 1;
                    }
                    begins = false;
                }
                ',' if !is_inside => {
                    place = open.last().copied().unwrap_or(around);
                    begins = true;
                }
                ' ' => {}
                '\'' => is_quoted = !is_quoted,
                '(' => brackets += 1,
                ')' => brackets -= 1,
                _ => {
                    has_secret |= begins && !place.is_shown();
                    begins = false;
                }
            }
            is_behind_space = c == ' ';
            at += c.len_utf8();
        }
        let opens = open.len() - 1;
        let end = if opens > 0 { open.last().copied() } else { first };
        Self { has_secret, end: end.unwrap_or(around), opens, closes }
    }
}

/// Whether an address or an assignment in a value is not shown as it is.
fn shows_secret(value: &str, place: Place) -> bool {
    match place {
        Place::Expression => address::in_expression(value).is_some(),
        _ => address::hidden(value, place == Place::Address).is_some(),
    }
}
