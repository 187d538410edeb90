//! Translates patterns of C, Python and chrono, such as `%Y-%m-%d`, into Spark's letters.

use crate::quote::quoted;

/// The meaning of `%` and a letter in Spark's letters. Longer specifiers come first.
const LETTERS: [(&str, &str); 31] = [
    ("%.3f", ".SSS"),
    ("%.6f", ".SSSSSS"),
    ("%.9f", ".SSSSSSSSS"),
    ("%.f", ".SSSSSS"),
    ("%3f", "SSS"),
    ("%6f", "SSSSSS"),
    ("%9f", "SSSSSSSSS"),
    ("%:z", "XXX"),
    ("%-d", "d"),
    ("%-m", "M"),
    ("%-H", "H"),
    ("%-I", "h"),
    ("%-M", "m"),
    ("%-S", "s"),
    ("%Y", "yyyy"),
    ("%y", "yy"),
    ("%m", "MM"),
    ("%b", "MMM"),
    ("%h", "MMM"),
    ("%B", "MMMM"),
    ("%d", "dd"),
    ("%e", "d"),
    ("%j", "DDD"),
    ("%H", "HH"),
    ("%I", "hh"),
    ("%M", "mm"),
    ("%S", "ss"),
    ("%p", "a"),
    ("%f", "SSSSSS"),
    ("%z", "Z"),
    ("%%", "%"),
];
const SHORTHANDS: [(&str, &str); 4] = [("%F", "%Y-%m-%d"), ("%T", "%H:%M:%S"), ("%R", "%H:%M"), ("%D", "%m/%d/%y")];

/// The message that this is not a Spark pattern, with the same pattern in Spark's letters. Spark takes `%` for text,
/// but a user who writes it before a letter means something else.
pub(super) fn of_percent_signs(pattern: &str) -> Option<String> {
    let (before, rest) = pattern.split_once('%')?;
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || "%.:-#369".contains(c)) {
        return None;
    }
    let place = before.chars().count() + 1;
    let found = format!("`%` at character {place} of the pattern {} is no letter of Spark's patterns", quoted(pattern));
    Some(match in_sparks_letters(pattern) {
        Some(instead) => format!("{found}: write {}", quoted(instead)),
        None => format!("{found}: write Spark's letters, as in `yyyy-MM-dd HH:mm:ss`"),
    })
}

/// The pattern in Spark's letters; `None` if it has a specifier that Spark has no letter for.
fn in_sparks_letters(pattern: &str) -> Option<String> {
    let whole = SHORTHANDS.iter().fold(pattern.to_owned(), |text, (short, long)| text.replace(short, long));
    let (mut out, mut rest) = (String::new(), whole.as_str());
    while let Some(c) = rest.chars().next() {
        if c == '%' {
            let (letter, spark) = LETTERS.iter().find(|(letter, _)| rest.starts_with(letter))?;
            out.push_str(spark);
            rest = &rest[letter.len()..];
        } else if needs_quotes(c) {
            let end = rest.find(|c| !needs_quotes(c)).unwrap_or(rest.len());
            out.push('\'');
            out.push_str(&rest[..end]);
            out.push('\'');
            rest = &rest[end..];
        } else if c == '\'' {
            out.push_str("''");
            rest = &rest[1..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    Some(out)
}

fn needs_quotes(c: char) -> bool {
    c.is_ascii_alphabetic() || "[]{}#".contains(c)
}
