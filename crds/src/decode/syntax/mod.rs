//! What to tell the author of a text that is not YAML. The parser's own words are about its tokens, and it often stops
//! behind the line at fault.

mod indent;
mod value;

use weir_plan::quote::quoted;

use super::cut;
use crate::secrets;

pub(crate) use value::cut_by_comments;

/// One sentence about a text that was refused with `error`: by the reader with its message `refused`, or by the parser.
pub(super) fn told(text: &str, error: &serde_yaml::Error, refused: Option<Refusal>) -> String {
    let said = error.to_string();
    let at = error.location().map(|at| (at.line(), at.column()));
    let (line, column) = at.unwrap_or_default();
    let read = Refused { text, said: &said, line, column };
    let sentence = read.needs_quotes().or_else(|| match refused {
        Some(refusal) if secrets::has_secret(text, line) => Some(format!("line {line}: {}", refusal.hidden)),
        Some(refusal) => Some(format!("line {line}: {}", refusal.message)),
        None => read.structure(),
    });
    sentence.unwrap_or_else(|| format!("this is not YAML that can be read: {said}"))
}

/// Why a text is refused that YAML can have and documents do not.
pub(super) struct Refusal {
    pub(super) message: String,
    /// The same without what was found, which may be a secret.
    pub(super) hidden: String,
}

struct Refused<'a> {
    text: &'a str,
    /// The parser's words.
    said: &'a str,
    /// Where the parser stopped, from 1; 0 if it did not say so.
    line: usize,
    column: usize,
}

impl<'a> Refused<'a> {
    /// A line that YAML reads otherwise than it is meant.
    fn needs_quotes(&self) -> Option<String> {
        self.tab()
            .or_else(|| self.template())
            .or_else(|| self.in_line(self.line, value::needs_quotes))
            .or_else(|| self.cut_off())
    }

    fn structure(&self) -> Option<String> {
        self.unknown_alias()
            .or_else(|| self.first_character())
            .or_else(|| self.open_quote())
            .or_else(|| self.behind_quotes())
            .or_else(|| self.too_small_an_indent())
            .or_else(|| self.open_bracket())
            .or_else(|| self.bracket_too_many())
            .or_else(|| self.no_colon())
            .or_else(|| indent::wrong(self.text, self.line, |number| secrets::has_secret(self.text, number)))
    }

    fn line_at(&self, number: usize) -> &'a str {
        number.checked_sub(1).and_then(|i| self.text.lines().nth(i)).unwrap_or_default()
    }

    /// What `say` says of a line, given whether it must not be shown.
    fn in_line(&self, number: usize, say: impl Fn(&str, bool) -> Option<String>) -> Option<String> {
        let line = self.line_at(number);
        let said = say(line, false)?;
        let said = if secrets::has_secret(self.text, number) { say(line, true)? } else { said };
        Some(format!("line {number}: {said}"))
    }

    /// The line where what the parser was reading began.
    fn began(&self) -> Option<usize> {
        let (_, at) = self.said.rsplit_once(" at line ")?;
        at.split(' ').next()?.parse().ok()
    }

    fn tab(&self) -> Option<String> {
        let is_tab = |line: &str, _: bool| {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            line[..indent].contains('\t').then(|| "the indent has a tab: write spaces".to_owned())
        };
        let near = [self.line, self.line + 1, self.line.saturating_sub(1)];
        near.into_iter().find_map(|number| self.in_line(number, is_tab))
    }

    fn template(&self) -> Option<String> {
        self.in_line(self.line, |line, _| {
            if line.contains("{{") {
                return Some("documents know no templates as `{{`: have the template filled in first".to_owned());
            }
            let message = "documents know no variables as `${`: write the value, or lay it over with --override";
            line.contains("${").then(|| message.to_owned())
        })
    }

    fn cut_off(&self) -> Option<String> {
        let near = [self.line, self.line.saturating_sub(1)];
        near.into_iter().find_map(|number| self.in_line(number, cut::hint))
    }

    fn unknown_alias(&self) -> Option<String> {
        let message = "nothing before it has the anchor that this alias names: write the value itself";
        self.said.starts_with("unknown anchor").then(|| format!("line {}: {message}", self.line))
    }

    /// A value on a line of its own or in a list whose first character begins nothing.
    fn first_character(&self) -> Option<String> {
        let begins_nothing = self.said.starts_with("found character that cannot start any token");
        let found = self.line_at(self.line).chars().nth(self.column.checked_sub(1)?).filter(|_| begins_nothing)?;
        let message = match found {
            '`' => "a value without quotes can't begin with a backtick: write it in quotes".to_owned(),
            '\t' => "a tab stands where spaces belong: write spaces".to_owned(),
            found => format!("a value without quotes can't begin with {}: write it in quotes", quoted(found)),
        };
        Some(format!("line {}: {message}", self.line))
    }

    /// Something behind a text in quotes that ends in the line where the parser stopped.
    fn behind_quotes(&self) -> Option<String> {
        let before = self.line_at(self.line).get(..self.column.checked_sub(1)?)?.trim_end();
        let quote = before.chars().next_back().filter(|c| matches!(c, '"' | '\''))?;
        self.said.starts_with("did not find expected key").then(|| {
            format!(
                "line {}: YAML takes the text up to the second {} for the whole value: write the value in one pair of \
                 quotes",
                self.line,
                quoted(quote)
            )
        })
    }

    /// A text in lines below its field that are indented by less than its header asks for.
    fn too_small_an_indent(&self) -> Option<String> {
        let before = (1..self.line).rev().find(|number| !self.line_at(*number).trim().is_empty())?;
        self.in_line(before, |line, _| {
            let (_, header) = line.trim_end().rsplit_once(' ')?;
            let sign = header.chars().next().filter(|sign| matches!(sign, '|' | '>'))?;
            let spaces = header.chars().find(char::is_ascii_digit).filter(|_| header.len() <= 3)?;
            Some(format!(
                "{} asks for lines that are indented by {spaces} more than their field, and they are not: write {}",
                quoted(header),
                quoted(sign)
            ))
        })
    }

    fn open_quote(&self) -> Option<String> {
        if !self.said.contains("a quoted scalar") {
            return None;
        }
        if self.said.contains("found unknown escape character") {
            return self.in_line(self.line, |line, is_hidden| {
                if is_hidden {
                    let message = "in double quotes a backslash begins an escape: write the backslash twice";
                    return Some(message.to_owned());
                }
                let escape: String = line.chars().skip(self.column.checked_sub(1)?).take(2).collect();
                Some(format!(
                    "in double quotes a backslash begins an escape, and {} is none: write the backslash twice",
                    quoted(escape)
                ))
            });
        }
        if self.said.contains("hexadecimal") || self.said.contains("Unicode character escape") {
            let message = "in double quotes `\\x`, `\\u` and `\\U` begin the code of a character, and what follows here is \
                           none: write the character itself, or the backslash twice";
            return Some(format!("line {}: {message}", self.line));
        }
        let quote = |line: &str, _: bool| {
            let quote = line.find(['"', '\'']).and_then(|at| line[at..].chars().next())?;
            Some(format!("the text that {0} begins does not end: write {0} behind it", quoted(quote)))
        };
        self.began().and_then(|number| self.in_line(number, quote))
    }

    fn open_bracket(&self) -> Option<String> {
        let close = [("',' or ']'", '['), ("',' or '}'", '{')];
        let (_, open) = close.into_iter().find(|(expected, _)| self.said.contains(expected))?;
        let close = if open == '[' { ']' } else { '}' };
        let began = self.began()?;
        let (open, close) = (quoted(open), quoted(close));
        let here = self.line_at(self.line).chars().nth(self.column.saturating_sub(1));
        if began == self.line
            && let Some(found @ (']' | '}')) = here
        {
            return Some(format!("line {began}: {} closes what {open} opens: write {close}", quoted(found)));
        }
        let comment = (began..self.line).find(|number| self.line_at(*number).contains(" #"));
        Some(match comment {
            Some(number) => format!(
                "line {number}: YAML takes ` #` for the beginning of a comment, and {open} is not closed before it: write \
                 the value in quotes if the rest belongs to it"
            ),
            None if began == self.line => {
                format!("line {began}: a comma or {close} is missing between what {open} opens and its end")
            }
            None => format!("line {began}: {open} is not closed: write {close} where it ends"),
        })
    }

    fn bracket_too_many(&self) -> Option<String> {
        self.in_line(self.line, |line, _| {
            let here = line.chars().nth(self.column.checked_sub(1)?)?;
            let is_behind = !line.trim_start().starts_with(here);
            (matches!(here, ']' | '}') && is_behind).then(|| format!("one {} is too many", quoted(here)))
        })
    }

    /// A line before the one where the parser stopped that has no colon, or no space behind its colon or hyphen.
    fn no_colon(&self) -> Option<String> {
        let is_before = |number: &usize| {
            let line = self.line_at(*number).trim_start();
            !line.is_empty() && !line.starts_with('#')
        };
        let number = if self.said.contains("could not find expected ':'") {
            self.began()?
        } else if self.said.contains("mapping values are not allowed") {
            (1..self.line).rev().find(is_before)?
        } else {
            return None;
        };
        self.in_line(number, |line, is_hidden| {
            let line = line.trim_start();
            let body = line.trim_start_matches("- ").trim_start();
            let item = &line[..line.len() - body.len()];
            if let Some(body) = body.strip_prefix('-').filter(|body| body.contains(':')) {
                let message = "a space is missing behind the hyphen".to_owned();
                let instead = quoted(format_args!("{item}- {body}"));
                return Some(if is_hidden { message } else { format!("{message}: write {instead}") });
            }
            if body.contains(": ") || body.ends_with(':') {
                return None;
            }
            let end = body.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(body.len());
            let (key, rest) = body.split_at(end);
            if key.is_empty() {
                return None;
            }
            let (what, rest) = match rest.strip_prefix(':') {
                Some(rest) => ("a space is missing behind the colon", rest),
                None => ("a colon is missing", rest.trim_start()),
            };
            let instead = match is_hidden {
                true => "the name of the field, a colon and a space before the value".to_owned(),
                false => quoted(format!("{item}{key}: {rest}").trim_end()),
            };
            Some(format!("{what}: write {instead}"))
        })
    }
}
