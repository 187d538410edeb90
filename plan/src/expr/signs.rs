//! The signs that join conditions in other languages, `&&`, `||` and `!`. Here `||` joins texts, and it binds more
//! tightly than a comparison, so the parser's tree does not show what was meant: the words are put into the text.

use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::dialect::Bounded;

/// The longest expression that a sentence repeats, in characters.
const REPEATED_CHARS_MAX: usize = 150;

/// The expression with `and`, `or` and `not` in place of the signs: of all of them, and of all but `||`, which may join
/// texts. Empty if it has none of them, or is too long to be repeated.
pub(super) fn in_words(sql: &str) -> Vec<String> {
    if sql.chars().count() > REPEATED_CHARS_MAX || sql.contains('\n') {
        return Vec::new();
    }
    let Ok(tokens) = Tokenizer::new(&Bounded::new(), sql).tokenize() else { return Vec::new() };
    let mut texts = vec![with_words(&tokens, true), with_words(&tokens, false)];
    texts.dedup();
    texts.into_iter().flatten().collect()
}

fn with_words(tokens: &[Token], joins_conditions: bool) -> Option<String> {
    let (mut words, mut changed) = (String::new(), false);
    for (i, token) in tokens.iter().enumerate() {
        let word = match token {
            Token::Overlap => "and",
            Token::StringConcat if joins_conditions => "or",
            Token::ExclamationMark if negates(tokens, i) => "not",
            other => {
                words += &other.to_string();
                continue;
            }
        };
        changed = true;
        if !words.is_empty() && !words.ends_with([' ', '(']) {
            words.push(' ');
        }
        words += word;
        if !matches!(tokens.get(i + 1), Some(Token::Whitespace(_))) {
            words.push(' ');
        }
    }
    changed.then_some(words)
}

/// Whether the exclamation mark at `i` stands before a condition, and is no part of a comparison such as `=!` or `!>`.
pub(super) fn negates(tokens: &[Token], i: usize) -> bool {
    let is_comparison = |token: &Token| matches!(token, Token::Eq | Token::DoubleEq | Token::Lt | Token::Gt);
    let before = i.checked_sub(1).and_then(|before| tokens.get(before));
    ![before, tokens.get(i + 1)].into_iter().flatten().any(is_comparison)
}
