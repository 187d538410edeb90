//! How messages show a name or a value that was found: in backticks. Neither YAML nor JSON nor Markdown escapes
//! backticks, so a message reads the same in a terminal, in a condition of `kubectl get -o json` and in a log of JSON
//! lines.

use std::fmt;

/// The most characters of a text that a message shows. Longer texts are cut: a message is one sentence, and conditions
/// have bounds.
const CHARS_SHOWN_MAX: usize = 200;

/// `text` in backticks, with control characters escaped.
#[must_use]
pub fn quoted(text: impl fmt::Display) -> String {
    let text = text.to_string();
    let mut quoted = String::from("`");
    for (i, c) in text.chars().enumerate() {
        match c {
            _ if i == CHARS_SHOWN_MAX => {
                quoted.push('…');
                break;
            }
            c if c.is_control() => quoted.extend(c.escape_default()),
            c => quoted.push(c),
        }
    }
    quoted.push('`');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shown_on_one_line_of_bounded_length() {
        assert_eq!(quoted("Île \"de\" France"), "`Île \"de\" France`");
        assert_eq!(quoted("a\nb\u{1b}[1m"), "`a\\nb\\u{1b}[1m`");
        assert_eq!(quoted("é".repeat(200)), format!("`{}`", "é".repeat(200)));
        assert_eq!(quoted("é".repeat(201)), format!("`{}…`", "é".repeat(200)));
    }
}
