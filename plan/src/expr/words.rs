//! The words of a SQL text, each with its place. A reader of queries finds the expressions in a query by them, and each
//! expression keeps its author's text.

use datafusion_sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

use super::ExprError;
use super::dialect::Bounded;
use super::parse::tokenizer_sentence;
use super::stack::with_room;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TextPlace {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordKind {
    /// A keyword, or a name without quotes.
    Plain,
    /// A name in quotes.
    InQuotes,
    Text,
    Number,
    /// An operator, a bracket, a comma, …
    Sign,
}

/// A word, a literal or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub kind: WordKind,
    /// As its author wrote it.
    pub written: String,
    /// What it stands for: a name or a text without quotes. For everything else, what is written.
    pub value: String,
    pub at: TextPlace,
    /// Whether spaces or a comment stand before it.
    pub is_apart: bool,
}

/// The words of the text.
///
/// # Errors
/// One sentence, with the place.
pub fn words(sql: &str) -> Result<Vec<Word>, ExprError> {
    with_room(|| read(sql))?
}

fn read(sql: &str) -> Result<Vec<Word>, ExprError> {
    let dialect = Bounded::new();
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location();
    let tokens = tokens.map_err(|e| ExprError(tokenizer_sentence(&e.into())))?;
    let mut text = Text { left: sql, at: Location { line: 1, column: 1 } };
    let (mut words, mut is_apart) = (Vec::new(), false);
    for token in tokens {
        text.until(token.span.start);
        let written = text.until(token.span.end).to_owned();
        if matches!(token.token, Token::Whitespace(_)) {
            is_apart = true;
            continue;
        }
        let (kind, value) = match token.token {
            Token::Word(word) if word.quote_style.is_some() => (WordKind::InQuotes, word.value),
            Token::Word(word) => (WordKind::Plain, word.value),
            Token::SingleQuotedString(text) => (WordKind::Text, text),
            Token::Number(..) => (WordKind::Number, written.clone()),
            _ => (WordKind::Sign, written.clone()),
        };
        let at = TextPlace { line: token.span.start.line, column: token.span.start.column };
        words.push(Word { kind, written, value, at, is_apart });
        is_apart = false;
    }
    Ok(words)
}

/// What is left of a text, and the place where it begins.
struct Text<'t> {
    left: &'t str,
    at: Location,
}

impl<'t> Text<'t> {
    /// The text up to this place.
    fn until(&mut self, place: Location) -> &'t str {
        let mut end = self.left.len();
        for (byte, c) in self.left.char_indices() {
            if self.at >= place {
                end = byte;
                break;
            }
            self.at = match c {
                '\n' => Location { line: self.at.line + 1, column: 1 },
                _ => Location { line: self.at.line, column: self.at.column + 1 },
            };
        }
        let (taken, left) = self.left.split_at(end);
        self.left = left;
        taken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::expr::{check_syntax, without_place};

    #[test]
    fn words_are_as_written_and_have_their_places() {
        let found = words("SELECT a.\"b c\", 'it''s' -- é\n FROM é/* x */r").unwrap();
        let shown = found.iter().map(|word| {
            let TextPlace { line, column } = word.at;
            format!("{line}:{column} {} {}{}", word.written, word.value, if word.is_apart { " apart" } else { "" })
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "1:1 SELECT SELECT",
                "1:8 a a apart",
                "1:9 . .",
                "1:10 \"b c\" b c",
                "1:15 , ,",
                "1:17 'it''s' it's apart",
                "2:2 FROM FROM apart",
                "2:7 é é apart",
                "2:15 r r apart",
            ]
        );
    }

    #[test]
    fn a_place_is_taken_out_of_a_sentence() {
        let told = |sql: &str| {
            let (sentence, place) = without_place(&check_syntax(sql).unwrap_err().to_string());
            let at = place.map(|place| (place.line, place.column));
            (sentence.split(':').nth(1).unwrap_or_default().trim().to_owned(), at)
        };
        assert_eq!(told("a + * 2"), ("expected an expression, found `*`".to_owned(), Some((1, 5))));
        assert_eq!(told("a +\n * 2"), ("expected an expression, found `*`".to_owned(), Some((2, 2))));
        assert_eq!(without_place("no place at character x"), ("no place at character x".to_owned(), None));
    }

    #[test]
    fn what_is_not_closed_is_told_with_its_place() {
        assert_eq!(
            words("SELECT 'a").unwrap_err().to_string(),
            "the expression does not parse: unterminated string literal at character 8: a text ends with a single \
             quote, and a quote within it is written twice, as in `'it''s'`"
        );
    }
}
