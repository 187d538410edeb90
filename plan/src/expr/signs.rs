//! The signs that join conditions in other languages, `&&`, `||` and `!`. Here `||` joins texts, and it binds more
//! tightly than a comparison, so the parser's tree does not show what was meant: the words are put into the text.

use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::dialect::Bounded;

/// The longest expression that a sentence repeats, in characters.
const REPEATED_CHARS_MAX: usize = 150;

/// The expression with `and`, `or` and `not` in place of the signs; `None` if it has none of them, or is too long to be
/// repeated.
pub(super) fn in_words(sql: &str) -> Option<String> {
    if sql.chars().count() > REPEATED_CHARS_MAX || sql.contains('\n') {
        return None;
    }
    let tokens = Tokenizer::new(&Bounded::new(), sql).tokenize().ok()?;
    let word = |token: &Token| match token {
        Token::Overlap => Some("and"),
        Token::StringConcat => Some("or"),
        Token::ExclamationMark => Some("not"),
        _ => None,
    };
    tokens.iter().any(|token| word(token).is_some()).then(|| {
        let mut words = String::new();
        for (i, token) in tokens.iter().enumerate() {
            let Some(word) = word(token) else {
                words += &token.to_string();
                continue;
            };
            if !words.is_empty() && !words.ends_with([' ', '(']) {
                words.push(' ');
            }
            words += word;
            if !matches!(tokens.get(i + 1), Some(Token::Whitespace(_))) {
                words.push(' ');
            }
        }
        words
    })
}
