//! Patterns of a shell or of SQL such as `rides-*` and `rides-%`, which mean something else as regular expressions.

use crate::quote::quoted;

/// Refuses a pattern in which `*` or `?` follows a literal character, and says what to write instead. As a regular
/// expression, `rides-*` matches `rides`, `rides-` and `rides--`, which nobody means.
pub(super) fn refused(pattern: &str) -> Option<String> {
    let chars: Vec<char> = pattern.chars().collect();
    if chars.first() == Some(&'*') {
        return Some(format!(
            "found {}, which begins with `*`, and there is nothing before it to repeat: write {} for names that begin \
             in any way",
            quoted(pattern),
            quoted(format_args!(".{pattern}"))
        ));
    }
    let found = repetitions(&chars);
    let Some(first) = found.first() else { return no_topic(pattern, &chars) };
    let before: String = chars[first.literal..first.sign].iter().collect();
    let (does, any) = match chars[first.sign] {
        '*' => (format!("`*` repeats the `{before}` before it"), "names that go on in any way"),
        _ => (format!("`?` makes the `{before}` before it optional"), "any one character"),
    };
    let instead = |write: &dyn Fn(&str, char) -> String| {
        let mut text = String::new();
        let mut at = 0;
        for repetition in &found {
            text.extend(&chars[at..repetition.literal]);
            let literal: String = chars[repetition.literal..repetition.sign].iter().collect();
            text += &write(&literal, chars[repetition.sign]);
            at = repetition.sign + 1;
        }
        text.extend(&chars[at..]);
        quoted(text)
    };
    let any_text = instead(&|literal, sign| literal.to_owned() + if sign == '*' { ".*" } else { "." });
    let as_written = instead(&|literal, sign| format!("({literal}){sign}"));
    Some(format!(
        "found {}, in which {does}: write {any_text} for {any}, or {as_written} if that is meant",
        quoted(pattern)
    ))
}

/// Refuses a pattern with a character that stands for itself and is in no topic's name.
fn no_topic(pattern: &str, chars: &[char]) -> Option<String> {
    let found = literal_of_no_topic(chars)?;
    let listed: Vec<_> = pattern.split(',').map(str::trim).collect();
    let right = match found {
        '%' => format!("write {} for names that go on in any way", quoted(pattern.replace('%', ".*"))),
        ',' if listed.iter().all(|name| !name.is_empty()) => {
            format!("write {} for any of these names", quoted(listed.join("|")))
        }
        _ => {
            let without: String = chars.iter().filter(|c| **c != found).collect();
            match without.as_str() {
                _ if found.is_alphanumeric() => "write a regular expression, as in rides-.*".to_owned(),
                "" => "write a regular expression, as in rides-.*".to_owned(),
                without => format!("leave it out, as in {}", quoted(without)),
            }
        }
    };
    Some(format!(
        "found {}, in which {} stands for itself, and the names of topics have only letters, digits, `.`, `_` and `-`: \
         {right}",
        quoted(pattern),
        quoted(found)
    ))
}

/// The first character of the pattern that is no syntax of regular expressions and in no topic's name. What is within
/// brackets or braces or behind a backslash is syntax, and so is the beginning of a group up to its colon.
fn literal_of_no_topic(chars: &[char]) -> Option<char> {
    const SYNTAX: &str = r"\^$.|?*+()[]{}";
    let mut rest = chars.iter().copied().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                let _escaped = rest.next();
            }
            '[' => {
                // A bracket at the beginning of a class stands for itself.
                let _negated = rest.next_if_eq(&'^');
                let _itself = rest.next_if_eq(&']');
                rest.by_ref().take_while(|c| *c != ']').for_each(drop);
            }
            '{' => rest.by_ref().take_while(|c| *c != '}').for_each(drop),
            '(' if rest.next_if_eq(&'?').is_some() => {
                let flags: String = rest.by_ref().take_while(|c| !matches!(c, ':' | ')' | '>')).collect();
                // With the flag x, spaces and comments are syntax.
                if !flags.starts_with(['P', '<']) && flags.contains('x') {
                    return None;
                }
            }
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || SYNTAX.contains(c) => {}
            other => return Some(other),
        }
    }
    None
}

/// A literal character with the `*` or `?` behind it, as places in the pattern's characters.
struct Repetition {
    /// Where the literal character begins, including its backslash.
    literal: usize,
    sign: usize,
}

fn repetitions(chars: &[char]) -> Vec<Repetition> {
    let (mut found, mut at, mut in_class) = (Vec::new(), 0, false);
    // Where the literal character before `at` begins, if there is one.
    let mut literal: Option<usize> = None;
    while let Some(c) = chars.get(at) {
        let began = at;
        let next = chars.get(at + 1);
        literal = match c {
            '\\' => {
                at += 1;
                next.filter(|c| !in_class && !c.is_alphanumeric()).map(|_| began)
            }
            '[' => {
                in_class = true;
                None
            }
            ']' => {
                in_class = false;
                None
            }
            _ if in_class => None,
            '*' => {
                found.extend(literal.map(|literal| Repetition { literal, sign: at }));
                None
            }
            // `rides?` means the singular or the plural. A `?` behind a separator and at the end is meant as in a
            // shell.
            '?' => {
                let is_after_separator = at > 0 && matches!(chars[at - 1], '-' | '_' | '.');
                let literal = literal.filter(|_| is_after_separator && next.is_none());
                found.extend(literal.map(|literal| Repetition { literal, sign: at }));
                None
            }
            c if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(at),
            _ => None,
        };
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_a_shell_is_refused_with_both_things_to_write() {
        for (pattern, said) in [
            (
                "rides-*",
                "found `rides-*`, in which `*` repeats the `-` before it: write `rides-.*` for names that go on in any \
                 way, or `rides(-)*` if that is meant",
            ),
            (
                "rides*-v*",
                "found `rides*-v*`, in which `*` repeats the `s` before it: write `rides.*-v.*` for names that go on \
                 in any way, or `ride(s)*-(v)*` if that is meant",
            ),
            (
                r"rides\.*",
                "found `rides\\.*`, in which `*` repeats the `\\.` before it: write `rides\\..*` for names that go on \
                 in any way, or `rides(\\.)*` if that is meant",
            ),
            (
                "rides-?",
                "found `rides-?`, in which `?` makes the `-` before it optional: write `rides-.` for any one \
                 character, or `rides(-)?` if that is meant",
            ),
            (
                "*rides",
                "found `*rides`, which begins with `*`, and there is nothing before it to repeat: write `.*rides` for \
                 names that begin in any way",
            ),
        ] {
            assert_eq!(refused(pattern).as_deref(), Some(said));
        }
    }

    #[test]
    fn a_character_that_no_topic_has_is_refused_with_what_to_write() {
        for (pattern, found, right) in [
            ("rides-%", '%', "write `rides-.*` for names that go on in any way"),
            ("%rides%", '%', "write `.*rides.*` for names that go on in any way"),
            ("rides, orders-.*", ',', "write `rides|orders-.*` for any of these names"),
            (",", ',', "write a regular expression, as in rides-.*"),
            ("/rides-.*/", '/', "leave it out, as in `rides-.*`"),
            ("^rides .*$", ' ', "leave it out, as in `^rides.*$`"),
            ("fährten", 'ä', "write a regular expression, as in rides-.*"),
            ("(?i)rides:.*", ':', "leave it out, as in `(?i)rides.*`"),
        ] {
            let said = format!(
                "found `{pattern}`, in which `{found}` stands for itself, and the names of topics have only letters, \
                 digits, `.`, `_` and `-`: {right}"
            );
            assert_eq!(refused(pattern), Some(said));
        }
    }

    #[test]
    fn regular_expressions_are_not() {
        for pattern in [
            "[^/ %]+",
            "[]%]x",
            r"\%",
            "a{2,3}",
            "(?:rides|orders)",
            "(?P<name>rides)",
            "(?<name>rides)",
            "(?i:rides)",
            "(?x) rides - .* # any",
            "^rides$",
            "rides-.*",
            "rides.*",
            ".*",
            "(a|b)*",
            "[a-z]*",
            "[-*]x",
            r"\w*",
            r"v\d*",
            "rides?",
            "(-fr)?",
            "rides(-)*",
            "rides-.?",
            "a{2}",
            "rides",
            "",
            "(?i)rides",
            "rides-?v2",
            "a.*?b",
        ] {
            assert_eq!(refused(pattern), None, "{pattern}");
        }
    }
}
