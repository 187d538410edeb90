//! What the words of a text say although it does not parse. The parser stops at the first slip; these are told together
//! with it, so that an author can mend all of them at once.

use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::dialect::Bounded;
use super::{ExprError, quotes, signs};
use crate::quote::quoted;

/// The most hints of one message. An author with more slips mends some and validates again.
const HINTS_MAX: usize = 5;

/// The error about a text that does not parse, with hints about other slips.
pub(super) fn beside(error: ExprError, sql: &str, is_column: impl Fn(&str) -> bool) -> ExprError {
    let Ok(tokens) = Tokenizer::new(&Bounded::new(), sql).tokenize() else { return error };
    let tokens: Vec<_> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let (mut text, mut hints) = (error.0, 0);
    for (i, token) in tokens.iter().enumerate() {
        // Of each hint, the part that tells whether it is there already.
        let (known, hint) = match token {
            Token::Overlap => {
                ("`&&`".to_owned(), "conditions are joined by `and` and `or`, and not by `&&`".to_owned())
            }
            Token::ExclamationMark if signs::negates(&tokens, i) => {
                ("write `not`".to_owned(), "a condition is negated by `not`, and not by `!`".to_owned())
            }
            Token::Word(word) if is_column(&word.value) && is_operand(&tokens, i) && quotes::is_reserved(word) => {
                let written = quoted(format_args!("\"{}\"", word.value));
                let hint = format!(
                    "{} is a word of SQL, and as a column it stands in double quotes, {written}",
                    quoted(&word.value)
                );
                (format!("{} is a word of SQL", quoted(&word.value)), hint)
            }
            Token::Word(word) if word.quote_style == Some('"') && !is_column(&word.value) => {
                let written = quoted(format_args!("'{}'", word.value.replace('\'', "''")));
                (format!("\"{}\"", word.value), format!("a text stands in single quotes, {written}"))
            }
            _ => continue,
        };
        if !text.contains(&known) && hints < HINTS_MAX {
            text = format!("{text}; {hint}");
            hints += 1;
        }
    }
    ExprError(text)
}

/// Whether the word stands where only a value does: before an operator or an end.
fn is_operand(tokens: &[Token], i: usize) -> bool {
    match tokens.get(i + 1) {
        None => true,
        Some(Token::Word(word)) => matches!(
            word.keyword,
            Keyword::AND | Keyword::OR | Keyword::IS | Keyword::IN | Keyword::LIKE | Keyword::BETWEEN
        ),
        Some(next) => matches!(
            next,
            Token::Eq
                | Token::DoubleEq
                | Token::Neq
                | Token::Lt
                | Token::Gt
                | Token::LtEq
                | Token::GtEq
                | Token::Mul
                | Token::Div
                | Token::Mod
                | Token::StringConcat
                | Token::Overlap
                | Token::RParen
                | Token::Comma
        ),
    }
}
