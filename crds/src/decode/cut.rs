//! Repairs values that YAML cut off. Without quotes, a comma ends a value inside {…} and […], and a colon with a space
//! ends one everywhere: YAML reads `{name: r, expr: round(sum(price), 2)}` as the fields `expr: round(sum(price)` and
//! `2)`. If the part before the cut opens a bracket or a quote that a later part closes, the parts are joined again,
//! and the author is told once.

use std::cell::Cell;

use serde_yaml::{Mapping, Value};
use weir_plan::quote::quoted;

use crate::finding::{Finding, Path};
use crate::secrets;

/// The most parts that are joined. An expression that a person writes in one line has fewer, and the limit bounds the
/// search behind every value.
const PARTS_MAX: usize = 256;
/// The most places of a text that are looked at for the parts of a value.
const PLACES_MAX: usize = 64;
/// The most values whose parts are looked for in the texts: each takes time that grows with the texts' length.
const SEARCHES_MAX: usize = 256;
/// The most bytes of a line that is searched. The search takes time that grows with the square of the line's length.
pub(crate) const LINE_BYTES_MAX: usize = 4096;

/// The document with its values joined again, and a finding for each; `None` if no value was cut off. The texts that it
/// was read from have the quotes of the parts.
pub(super) fn mended(document: &Value, texts: &[&str]) -> Option<(Value, Vec<Finding>)> {
    let source = Source { texts, searches_left: Cell::new(SEARCHES_MAX) };
    let mut mending = Mending { source, findings: Vec::new() };
    let mended = mending.walk(document, &Path::root(), "");
    (!mending.findings.is_empty()).then_some((mended, mending.findings))
}

struct Mending<'a> {
    source: Source<'a>,
    findings: Vec<Finding>,
}

/// The texts that a document was read from.
struct Source<'a> {
    texts: &'a [&'a str],
    searches_left: Cell<usize>,
}

impl Mending<'_> {
    fn walk(&mut self, value: &Value, path: &Path, key: &str) -> Value {
        match value {
            Value::Mapping(mapping) => Value::Mapping(self.walk_mapping(mapping, path)),
            Value::Sequence(list) => Value::Sequence(self.walk_list(list, path, key)),
            other => other.clone(),
        }
    }

    fn walk_mapping(&mut self, mapping: &Mapping, path: &Path) -> Mapping {
        let entries: Vec<_> = mapping.iter().collect();
        let (mut mended, mut at) = (Mapping::new(), 0);
        while let Some((name, value)) = entries.get(at) {
            let key = name.as_str().unwrap_or_default();
            let parts = entries[at + 1..].iter().map_while(|(key, value)| key.as_str().filter(|_| value.is_null()));
            let whole = value.as_str().and_then(|text| whole(key, text, parts, &self.source));
            let value = match (whole, value.as_str()) {
                (Some((whole, parts)), Some(cut)) => {
                    let instead = quoted(format_args!("{key}: {}", in_quotes(&whole)));
                    self.findings.push(Finding::new(&path.field(key), sentence("{…}", cut, &instead)));
                    at += parts;
                    Value::String(whole)
                }
                _ => self.walk(value, &path.field(key), key),
            };
            mended.insert((*name).clone(), value);
            at += 1;
        }
        mended
    }

    fn walk_list(&mut self, list: &[Value], path: &Path, key: &str) -> Vec<Value> {
        let (mut mended, mut at) = (Vec::new(), 0);
        while let Some(value) = list.get(at) {
            let parts = list[at + 1..].iter().map_while(Value::as_str);
            let place = path.index(mended.len());
            match (value.as_str().and_then(|text| whole(key, text, parts, &self.source)), value.as_str()) {
                (Some((whole, parts)), Some(cut)) => {
                    self.findings.push(Finding::new(&place, sentence("[…]", cut, &quoted(in_quotes(&whole)))));
                    at += parts;
                    mended.push(Value::String(whole));
                }
                _ => mended.push(self.walk(value, &place, key)),
            }
            at += 1;
        }
        mended
    }
}

fn sentence(block: &str, cut: &str, instead: &str) -> String {
    format!(
        "found {}, since a comma ends a value inside {block}: write it in quotes, {instead}, or the block in several \
         lines",
        quoted(cut)
    )
}

/// The whole text that `first` begins, and how many parts behind it belong to it; `None` if they do not close what it
/// opens.
fn whole<'a>(
    key: &str,
    first: &str,
    parts: impl Iterator<Item = &'a str>,
    source: &Source<'_>,
) -> Option<(String, usize)> {
    let mut open = Open::of(key);
    first.chars().for_each(|c| open.read(c));
    if open.is_closed() {
        return None;
    }
    let mut whole = first.to_owned();
    let parts: Vec<_> = parts.take(PARTS_MAX).collect();
    for (i, part) in source.as_written(first, &parts).iter().enumerate() {
        whole = whole + ", " + part;
        part.chars().for_each(|c| open.read(c));
        if open.is_closed() {
            return Some((whole, i + 1));
        }
    }
    None
}

impl Source<'_> {
    /// The parts with the quotes that they have in the texts behind `first`, where they stand there.
    fn as_written(&self, first: &str, parts: &[&str]) -> Vec<String> {
        let left = self.searches_left.get();
        self.searches_left.set(left.saturating_sub(usize::from(!parts.is_empty())));
        let texts = self.texts.iter().filter(|_| left > 0 && !parts.is_empty());
        let behind = texts.flat_map(|text| text.match_indices(first).map(|(at, _)| &text[at + first.len()..]));
        let found = behind.take(PLACES_MAX).map(|mut rest| {
            let mut written = Vec::new();
            for part in parts {
                let Some(behind_comma) = rest.trim_start().strip_prefix(',') else { break };
                let Some((as_written, behind)) = written_part(behind_comma.trim_start(), part) else { break };
                written.push(as_written);
                rest = behind;
            }
            written
        });
        let mut written = found.max_by_key(Vec::len).unwrap_or_default();
        written.extend(parts[written.len()..].iter().map(|&part| part.to_owned()));
        written
    }
}

/// The part as it stands at the beginning of a text, and what follows it.
fn written_part<'a>(text: &'a str, part: &str) -> Option<(String, &'a str)> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        return text.strip_prefix(part).map(|rest| (part.to_owned(), rest));
    };
    let escaped = if quote == '\'' { part.replace('\'', "''") } else { part.to_owned() };
    let whole = format!("{quote}{escaped}{quote}");
    text.strip_prefix(&whole).map(|rest| (whole, rest))
}

/// What to tell the author about a line that YAML can't read, if a value in it is cut off; without the value if it may
/// be a secret.
pub(super) fn hint(line: &str, is_hidden: bool) -> Option<String> {
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    for (colon, _) in line.match_indices(": ") {
        let before = &line[..colon];
        let key = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let value = line[colon + 1..].trim_start();
        if key.is_empty() || value.starts_with(['"', '\'', '{', '[', '|', '>', '&', '*', '!', '#']) {
            continue;
        }
        if let Some((whole, cut)) = value_in(value, key, before.contains('{')) {
            let instead = match is_hidden {
                true => String::new(),
                false => format!(", {}", quoted(format_args!("{key}: {}", in_quotes(whole)))),
            };
            return Some(match cut {
                Cut::Comma => format!(
                    "a comma ends a value inside {{…}}: write it in quotes{instead}, or the block in several lines"
                ),
                Cut::Colon => format!("a colon ends a value: write it in quotes{instead}"),
                Cut::Field(name) if !secrets::is_field(name) && is_hidden => {
                    "a colon ends a value: write it in quotes".to_owned()
                }
                Cut::Field(name) if before.contains('{') => {
                    format!("a comma is missing before {}", quoted(format_args!("{name}: ")))
                }
                Cut::Field(name) => format!(
                    "a colon ends a value: write {} in a line of its own, or the value in quotes{instead}",
                    quoted(format_args!("{name}: "))
                ),
            });
        }
    }
    None
}

enum Cut<'a> {
    Comma,
    /// A colon inside of brackets or quotes.
    Colon,
    /// A colon behind a word: the name of another field.
    Field(&'a str),
}

/// The whole value at the beginning of `text` and what cuts it off first; `None` if nothing does.
fn value_in<'a>(text: &'a str, key: &str, is_in_flow: bool) -> Option<(&'a str, Cut<'a>)> {
    let mut open = Open::of(key);
    let mut cut = None;
    for (i, c) in text.char_indices() {
        match c {
            ',' | '}' if open.is_closed() && is_in_flow => return cut.map(|cut| (text[..i].trim_end(), cut)),
            ',' if is_in_flow => cut = cut.or(Some(Cut::Comma)),
            ':' if text[i + 1..].starts_with(' ') => {
                let name = text[..i].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
                let is_field = open.is_closed() && !name.is_empty();
                cut = cut.or(Some(if is_field { Cut::Field(name) } else { Cut::Colon }));
            }
            _ => {}
        }
        open.read(c);
    }
    cut.filter(|_| open.is_closed()).map(|cut| (text.trim_end(), cut))
}

/// The brackets and quotes of an expression or a type that are still open.
pub(super) struct Open {
    brackets: i64,
    quoted: bool,
    /// Whether the text is a type: only there is `<` a bracket.
    is_type: bool,
}

impl Open {
    pub(super) fn of(key: &str) -> Self {
        Self { brackets: 0, quoted: false, is_type: key == "type" }
    }

    pub(super) fn read(&mut self, c: char) {
        match c {
            '\'' => self.quoted = !self.quoted,
            _ if self.quoted => {}
            '(' | '[' => self.brackets += 1,
            ')' | ']' => self.brackets -= 1,
            '<' if self.is_type => self.brackets += 1,
            '>' if self.is_type => self.brackets -= 1,
            _ => {}
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.brackets <= 0 && !self.quoted
    }
}

pub(super) fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Compares the repaired document and the number of findings.
    fn check(text: &str, expected: &str, told: usize) {
        let value: Value = serde_yaml::from_str(text).unwrap();
        let expected: Value = serde_yaml::from_str(expected).unwrap();
        let (found, findings) = mended(&value, &[text]).unwrap_or((value, Vec::new()));
        assert_eq!((found, findings.len()), (expected, told), "{text}");
    }

    #[test]
    fn what_is_cut_off_is_put_together_and_nothing_else_is() {
        check("{a: f(x, g(y), z), b: 1}", "{a: 'f(x, g(y), z)', b: 1}", 1);
        check("{a: x = 'y, z', b: 1}", "{a: \"x = 'y, z'\", b: 1}", 1);
        check("{type: array<struct<a int, b int>>}", "{type: 'array<struct<a int, b int>>'}", 1);
        check("{a: f(x, '[0-9]+', 0), b: 1}", "{a: \"f(x, '[0-9]+', 0)\", b: 1}", 1);
        check("{a: f(x, ', ', 'it''s (', y)}", "{a: \"f(x, ', ', 'it''s (', y)\"}", 1);
        check("[{a: 1}, f(x, 'y z', 1)]", "[{a: 1}, \"f(x, 'y z', 1)\"]", 1);
        check("[{a: [f(x, y), z]}]", "[{a: ['f(x, y)', z]}]", 1);
        // `<` is a bracket only in types, and a text stays as it is if nothing closes what it opens.
        check("{a: x < y, b: z > 1}", "{a: x < y, b: z > 1}", 0);
        check("{a: 'f(x', b: null, c: 1}", "{a: 'f(x', b: null, c: 1}", 0);
        check("{a: 'f(x', b: 'y)'}", "{a: 'f(x', b: 'y)'}", 0);
        check("{a: 'f(x, y)', b: null}", "{a: 'f(x, y)', b: null}", 0);
    }

    /// Without the limit, a list of such texts would take time that grows with the square of its length.
    #[test]
    fn no_more_parts_are_looked_at_than_a_line_of_a_person_has() {
        let mut looked_at = 0;
        let parts = std::iter::repeat_n("(", 100_000).inspect(|_| looked_at += 1);
        assert_eq!(whole("expr", "(", parts, &Source { texts: &[], searches_left: Cell::new(0) }), None);
        assert_eq!(looked_at, PARTS_MAX);
    }

    #[test]
    fn a_long_line_is_not_looked_into() {
        let long = format!("{{expr: f(a, 2), name: {}}}", "x".repeat(LINE_BYTES_MAX));
        assert_eq!(hint(&long, false), None);
    }

    #[test]
    fn a_line_is_read_to_the_end_of_what_is_meant() {
        let told = |line: &str| hint(line, false).and_then(|said| Some(said.split('`').nth(1)?.to_owned()));
        for (line, instead) in [
            ("  - {name: r, expr: substr(city, 1, 2), filter: x}", Some(r#"expr: "substr(city, 1, 2)""#)),
            ("{type: struct<a: int>}", Some(r#"type: "struct<a: int>""#)),
            ("type: struct<a: int>", Some(r#"type: "struct<a: int>""#)),
            (r#"{expr: concat("a b", 'x, y')}"#, Some(r#"expr: "concat(\"a b\", 'x, y')""#)),
            ("where: x in ('a', 'b')", None),
            (r#"{expr: "substr(city, 1, 2)"}"#, None),
            ("{name: r, expr: upper(city)}", None),
            ("uri: s3://lake/x", None),
        ] {
            assert_eq!(told(line).as_deref(), instead, "{line}");
        }
    }
}
