//! Values without quotes whose first character, or a `#` in them, means something else to YAML than to their author.

use weir_plan::quote::quoted;

use crate::decode::cut::{LINE_BYTES_MAX, Open, in_quotes};
use crate::decode::events::{Events, Kind, ScalarStyle};
use crate::secrets;

/// A value as its line has it.
struct Written<'a> {
    key: &'a str,
    /// From the value's first character to the end of the line.
    rest: &'a str,
    is_in_flow: bool,
}

impl<'a> Written<'a> {
    /// The values of a line, in their order.
    fn all(line: &'a str) -> impl Iterator<Item = Self> {
        let line = if line.len() > LINE_BYTES_MAX { "" } else { line };
        line.match_indices(": ").filter_map(move |(colon, _)| {
            let before = &line[..colon];
            let key = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().filter(|key| !key.is_empty())?;
            let rest = without_comment(line[colon + 1..].trim());
            (!rest.is_empty()).then_some(Self { key, rest, is_in_flow: before.contains('{') })
        })
    }

    /// The value that its author means: up to the comma or brace that ends it, or to the end of the line.
    fn whole(&self) -> &'a str {
        let mut open = Open::of(self.key);
        let mut quote = None;
        for (i, c) in self.rest.char_indices() {
            match (c, quote) {
                (_, Some(of)) if of == c => quote = None,
                (_, Some(_)) => {}
                ('"', None) => quote = Some(c),
                (',' | '}', None) if self.is_in_flow && open.is_closed() => return self.rest[..i].trim_end(),
                _ => open.read(c),
            }
        }
        self.rest
    }

    /// `key: "value"`, with the value in double quotes in place of its own.
    fn in_quotes(&self) -> String {
        let whole = self.whole();
        let is_around = |own: &char| {
            whole.starts_with(*own)
                && (whole.matches(*own).count() % 2 == 1 || whole.ends_with(&[*own; 2].iter().collect::<String>()))
        };
        let own = ['"', '\''].into_iter().find(is_around);
        let inner = own.map_or(whole, |own| {
            let inner = whole.strip_prefix(own).unwrap_or(whole);
            inner.strip_suffix(own).filter(|_| whole.len() > 1).unwrap_or(inner)
        });
        quoted(format_args!("{}: {}", self.key, in_quotes(inner)))
    }

    /// What YAML takes the value's beginning for, if that is not the whole value.
    fn taken_for(&self) -> Option<String> {
        let mut chars = self.rest.chars();
        let (first, next) = (chars.next()?, chars.next());
        let is_apart = next.is_none_or(char::is_whitespace);
        let what = match first {
            '`' => return Some("a value without quotes can't begin with a backtick".to_owned()),
            '@' | '%' => return Some(format!("a value without quotes can't begin with {}", quoted(first))),
            '!' => "a tag",
            '&' => "an anchor",
            '*' => "an alias",
            '-' if is_apart => "an element of a list",
            '?' if is_apart => "a key",
            '|' | '>' if !is_header(&self.rest[1..]) => "a text in the lines below",
            '"' | '\'' if self.is_more_than_its_beginning(first) => {
                return Some(format!("YAML takes the text up to the second {} for the whole value", quoted(first)));
            }
            '[' if self.is_more_than_its_beginning(']') => "a list",
            _ => return None,
        };
        Some(format!("YAML takes {} at the beginning of a value for {what}", quoted(first)))
    }

    /// Whether anything follows the first `end` of the value.
    fn is_more_than_its_beginning(&self, end: char) -> bool {
        self.rest[1..].split_once(end).is_some_and(|(_, more)| {
            let more = more.trim_start();
            !more.is_empty() && !more.starts_with(['#', ',', '}', ']'])
        })
    }
}

/// A value without the comment behind it.
fn without_comment(value: &str) -> &str {
    let mut quote = None;
    for (i, c) in value.char_indices() {
        match (c, quote) {
            ('#', None) if value[..i].ends_with(' ') && value[i + 1..].starts_with(' ') => {
                return value[..i].trim_end();
            }
            (_, Some(of)) if of == c => quote = None,
            ('"' | '\'' | '`', None) => quote = Some(c),
            _ => {}
        }
    }
    value
}

/// Whether a text is what may follow `|` or `>`: how the text below is indented and how it ends.
fn is_header(text: &str) -> bool {
    let text = text.split_once(" #").map_or(text, |(header, _)| header).trim_end();
    text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-'))
}

/// What to tell the author of a line with a value that needs quotes; without the value if it may be a secret.
pub(super) fn needs_quotes(line: &str, is_hidden: bool) -> Option<String> {
    Written::all(line).find_map(|written| {
        let why = written.taken_for()?;
        Some(match is_hidden {
            true => format!("{why}: write it in quotes"),
            false => format!("{why}: write it in quotes, {}", written.in_quotes()),
        })
    })
}

/// A value in which ` #` begins a comment that its author may not want.
pub(crate) struct CutByComment {
    /// The name of the field.
    pub(crate) key: String,
    pub(crate) message: String,
    /// Whether what is left is surely not what its author means, since it opens a bracket or a quote.
    pub(crate) is_open: bool,
}

/// The fields whose values are expressions.
const EXPRESSIONS: [&str; 5] = ["expr", "where", "filter", "when", "at"];

/// The expressions of a text that a comment may cut off: what is left opens a bracket or a quote, or the comment begins
/// without the space that people write behind `#`.
pub(crate) fn cut_by_comments(text: &str) -> Vec<CutByComment> {
    let mut cut = Vec::new();
    for event in Events::of(text).into_iter().flatten() {
        let Kind::Scalar { value, style: ScalarStyle::Plain } = event.kind else { continue };
        let rest = text.get(event.bytes.end..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let Some(comment) = rest.trim_start().strip_prefix('#').filter(|_| rest.starts_with(' ')) else { continue };
        let Some(key) = key_before(text, event.bytes.start).filter(|key| EXPRESSIONS.contains(key)) else { continue };
        if value.len() > LINE_BYTES_MAX {
            continue;
        }
        let breaks = text.get(event.bytes).map_or(0, |value| value.matches('\n').count());
        let line = event.line + breaks as u64;
        let mut open = Open::of(key);
        value.chars().for_each(|c| open.read(c));
        let is_open = !open.is_closed();
        if is_open || comment.starts_with(|c: char| !c.is_whitespace() && c != '#') {
            let whole = quoted(format_args!("{key}: {}", in_quotes(&format!("{value}{}", rest.trim_end()))));
            let message = format!(
                "line {line}: YAML takes ` #` for the beginning of a comment, which leaves {}: write the value in quotes, \
                 {whole}, if the rest belongs to it",
                quoted(format_args!("{key}: {value}"))
            );
            cut.push(CutByComment { key: key.to_owned(), message: secrets::in_sentence(message), is_open });
        }
    }
    cut
}

/// The key on whose line a value begins.
fn key_before(text: &str, value: usize) -> Option<&str> {
    let before = text.get(..value)?.trim_end_matches(' ').strip_suffix(':')?;
    before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next()
}
