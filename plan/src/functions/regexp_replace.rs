//! `regexp_replace(text, pattern, replacement[, flags])`, which replaces all matches, as in Spark. DataFusion's
//! function of this name replaces the first match, unless its flags have a `g`.
//!
//! A replacement names groups as in Java, `$1` and `${name}`, and as in POSIX, `\1`. The size of the result is checked
//! while it is made, since running out of memory ends the process.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature};
use regex::{CaptureLocations, Match, Regex};

use super::arguments::{Texts, result, rows_to_compute};
use super::regexp_like::compiled;
use super::{CALL_BYTES_MAX, VALUE_BYTES_MAX};
use crate::quote::quoted;

const NAME: &str = "regexp_replace";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RegexpReplace {
    signature: Signature,
}

impl RegexpReplace {
    pub fn new() -> Self {
        Self { signature: datafusion_functions::regex::regexp_replace().signature().clone() }
    }
}

impl ScalarUDFImpl for RegexpReplace {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, pattern, replacement, flags @ ..] = &args.args[..] else {
            return exec_err!("{NAME} takes a text, a pattern and a replacement");
        };
        let (texts, patterns, replacements) = (Texts::of(text)?, Texts::of(pattern)?, Texts::of(replacement)?);
        let flags = flags.first().map(Texts::of).transpose()?;
        let flags_of = |row: usize| flags.as_ref().map_or(Some(""), |flags| flags.at(row));
        // The last rule is kept: it usually stays the same from row to row.
        let mut last: Option<Rule> = None;
        let named = |row: usize| Some([patterns.at(row)?, replacements.at(row)?, flags_of(row)?]);
        if patterns.is_constant() && replacements.is_constant() && flags.as_ref().is_none_or(Texts::is_constant) {
            // A wrong constant fails without a row too.
            last = named(0).map(Rule::of).transpose()?;
        }
        let rows = rows_to_compute(&args);
        let (mut values, mut value, mut bytes) = (StringBuilder::new(), String::new(), 0_u64);
        for row in 0..rows {
            let (Some(text), Some(named)) = (texts.at(row), named(row)) else {
                values.append_null();
                continue;
            };
            let rule = match last.take() {
                Some(rule) if rule.named == named => rule,
                _ => Rule::of(named)?,
            };
            rule.apply(text, &mut value)?;
            bytes += value.len() as u64;
            if bytes > CALL_BYTES_MAX && rows > 1 {
                return exec_err!("`{NAME}` would make more than {CALL_BYTES_MAX} bytes of {rows} rows at once");
            }
            values.append_value(&value);
            last = Some(rule);
        }
        let values: ArrayRef = Arc::new(values.finish());
        result(&args, &values)
    }
}

/// A compiled pattern with its replacement.
struct Rule<'t> {
    /// The pattern, the replacement, and the flags or the place.
    named: [&'t str; 3],
    /// The characters that stay as they are at the beginning.
    skipped: usize,
    pattern: Regex,
    replacement: Vec<Piece>,
}

enum Piece {
    Text(String),
    Group(usize),
}

impl<'t> Rule<'t> {
    fn of(named: [&'t str; 3]) -> Result<Self> {
        let [pattern, replacement, flags] = named;
        // Spark's fourth argument is a place, which the planner has made a text.
        let (place, flags) = flags.parse().map_or((1, flags), |place: i64| (place, ""));
        if place < 1 {
            return exec_err!("`{NAME}` takes the place of a character, from 1 on, and found {place}");
        }
        // `g` asks for all matches, which are replaced anyway.
        let pattern = compiled(pattern, &flags.replace('g', ""))?;
        let replacement = pieces(replacement, &pattern)?;
        Ok(Self { named, skipped: usize::try_from(place - 1).unwrap_or(usize::MAX), pattern, replacement })
    }

    /// Writes the text with all matches replaced into `value`.
    fn apply(&self, text: &str, value: &mut String) -> Result<()> {
        value.clear();
        let first = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(self.skipped);
        let (mut end, mut from) = (0, first);
        if let [Piece::Text(new)] = &self.replacement[..] {
            // Groups are found at ten times the cost of matches.
            while let Some(whole) = from.and_then(|from| self.pattern.find_at(text, from)) {
                push(value, text.get(end..whole.start()).unwrap_or_default())?;
                push(value, new)?;
                end = whole.end();
                from = after(text, &whole);
            }
            return push(value, text.get(end..).unwrap_or_default());
        }
        let mut groups = self.pattern.capture_locations();
        while let Some(whole) = from.and_then(|from| self.pattern.captures_read_at(&mut groups, text, from)) {
            push(value, text.get(end..whole.start()).unwrap_or_default())?;
            for piece in &self.replacement {
                push(value, piece.of(text, &groups))?;
            }
            end = whole.end();
            from = after(text, &whole);
        }
        push(value, text.get(end..).unwrap_or_default())
    }
}

/// Where the next match may begin. As in Java, an empty one may follow another match directly, but not an empty one.
fn after(text: &str, found: &Match<'_>) -> Option<usize> {
    if found.is_empty() {
        text.get(found.end()..)?.chars().next().map(|next| found.end() + next.len_utf8())
    } else {
        Some(found.end())
    }
}

impl Piece {
    fn of<'v>(&'v self, text: &'v str, groups: &CaptureLocations) -> &'v str {
        match self {
            Self::Text(text) => text,
            Self::Group(group) => groups.get(*group).and_then(|(start, end)| text.get(start..end)).unwrap_or_default(),
        }
    }
}

fn push(value: &mut String, piece: &str) -> Result<()> {
    let bytes = value.len() + piece.len();
    if bytes > VALUE_BYTES_MAX {
        return exec_err!(
            "`{NAME}` would make a value of {bytes} bytes or more, and a value that is computed has at most \
             {VALUE_BYTES_MAX} bytes"
        );
    }
    value.push_str(piece);
    Ok(())
}

/// The texts and groups of a replacement. As in Java, a group's number has as many digits as there are groups for, and
/// a backslash takes the meaning from the sign behind it.
fn pieces(replacement: &str, pattern: &Regex) -> Result<Vec<Piece>> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), replacement);
    while let Some(sign) = rest.chars().next() {
        rest = rest.get(sign.len_utf8()..).unwrap_or_default();
        let starts_with = |rest: &str, wanted: fn(char) -> bool| rest.starts_with(wanted);
        let is_digit = |rest: &str| starts_with(rest, |c| c.is_ascii_digit());
        let group = match sign {
            '\\' if is_digit(rest) => Some(number(&mut rest, pattern)?),
            // Two backslashes before a digit are one, for those who write it twice.
            '\\' if rest.strip_prefix('\\').is_some_and(is_digit) => {
                rest = rest.get(1..).unwrap_or_default();
                Some(number(&mut rest, pattern)?)
            }
            '$' if is_digit(rest) => Some(number(&mut rest, pattern)?),
            '$' if rest.starts_with('{') => Some(name(&mut rest, pattern)?),
            '$' if starts_with(rest, |c| c.is_alphabetic() || c == '_') => {
                return exec_err!(
                    "{} is no group in a replacement: write `${{…}}` for a group with a name, and `\\$` for the sign",
                    quoted(format_args!("${}", rest.chars().take_while(|c| c.is_alphanumeric()).collect::<String>()))
                );
            }
            '\\' => {
                let Some(literal) = rest.chars().next() else {
                    return exec_err!("the replacement ends with a backslash: write two for the sign itself");
                };
                text.push(literal);
                rest = rest.get(literal.len_utf8()..).unwrap_or_default();
                None
            }
            '$' => {
                text.push('$');
                rest = rest.strip_prefix('$').unwrap_or(rest);
                None
            }
            sign => {
                text.push(sign);
                None
            }
        };
        if let Some(group) = group {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Group(group));
        }
    }
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

/// The number at the beginning of `rest`, which is left behind it.
fn number(rest: &mut &str, pattern: &Regex) -> Result<usize> {
    let mut group = None;
    while let Some(digit) = rest.chars().next().and_then(|c| c.to_digit(10)) {
        let longer = group.unwrap_or(0) * 10 + digit as usize;
        if longer >= pattern.captures_len() {
            break;
        }
        group = Some(longer);
        *rest = rest.get(1..).unwrap_or_default();
    }
    match group {
        Some(group) => Ok(group),
        None => exec_err!(
            "the replacement names group {}, and the pattern has {}",
            rest.chars().next().unwrap_or_default(),
            pattern.captures_len() - 1
        ),
    }
}

/// The group whose name stands in braces at the beginning of `rest`, which is left behind it.
fn name(rest: &mut &str, pattern: &Regex) -> Result<usize> {
    let Some((name, behind)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return exec_err!("the replacement has a `${{` without a `}}`: write `\\$` for the sign");
    };
    *rest = behind;
    let named = pattern.capture_names().position(|group| group == Some(name));
    let numbered = name.parse().ok().filter(|group| *group < pattern.captures_len());
    match named.or(numbered) {
        Some(group) => Ok(group),
        None => exec_err!("the replacement names the group {}, which the pattern does not have", quoted(name)),
    }
}
