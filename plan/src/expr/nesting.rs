//! How deeply types are nested, determined before the parser reads them.
//!
//! The parser limits the depth of expressions but not of types: it calls itself once per level of `array<array<…`, and
//! so does whatever shows, compares or frees such a type. It reads `int[][]…` in a loop, but the result is as deep.

use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::types::DEPTH_MAX;

/// What is open at a place of the text.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    /// `array<`, closed by `>`.
    Type,
    /// `nullable(`, closed by `)`.
    TypeInParentheses,
    Parentheses,
}

/// Whether types are nested deeper than any type of ours. A function that is written like a type, such as `struct(…)`,
/// counts as a type: the types of its values are as deep.
pub(super) fn has_too_deep_types(tokens: &[TokenWithSpan]) -> bool {
    let mut open = Vec::new();
    let (mut types, mut dimensions) = (0_usize, 0_usize);
    let mut before = &Token::EOF;
    let mut words = tokens.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_))).peekable();
    while let Some(token) = words.next() {
        match token {
            Token::Lt if opens_type(before) => open.push(Open::Type),
            Token::LParen if opens_type(before) => open.push(Open::TypeInParentheses),
            Token::LParen => open.push(Open::Parentheses),
            Token::Gt => close_type(&mut open),
            Token::ShiftRight => (0..2).for_each(|_| close_type(&mut open)),
            // A closing parenthesis also closes types that are still open within it.
            Token::RParen => while open.pop().is_some_and(|closed| closed == Open::Type) {},
            Token::LBracket => {
                let _ = words.next_if(|size| matches!(size, Token::Number(..)));
                dimensions = if matches!(words.peek(), Some(Token::RBracket)) { dimensions + 1 } else { 0 };
            }
            Token::RBracket => {}
            _ => dimensions = 0,
        }
        types = types.max(open.iter().filter(|open| **open != Open::Parentheses).count() + dimensions);
        before = token;
    }
    types > DEPTH_MAX
}

fn close_type(open: &mut Vec<Open>) {
    open.pop_if(|open| *open == Open::Type);
}

/// Whether a bracket after this token opens the inner part of a type.
fn opens_type(token: &Token) -> bool {
    let Token::Word(word) = token else { return false };
    matches!(
        word.keyword,
        Keyword::ARRAY
            | Keyword::STRUCT
            | Keyword::MAP
            | Keyword::NULLABLE
            | Keyword::LOWCARDINALITY
            | Keyword::NESTED
            | Keyword::TUPLE
            | Keyword::TABLE
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion_sql::sqlparser::dialect::GenericDialect;
    use datafusion_sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn is_too_deep(text: &str) -> bool {
        has_too_deep_types(&Tokenizer::new(&GenericDialect, text).tokenize_with_location().unwrap())
    }

    #[test]
    fn types_in_types_count_and_types_beside_types_do_not() {
        for (open, close) in [
            ("array<", ">"),
            ("ARRAY < ", ">"),
            ("struct<a: ", ">"),
            ("nullable(", ")"),
            ("map(int, ", ")"),
            ("(array<", ">)"),
        ] {
            let text = |depth: usize| format!("cast(a as {}int{})", open.repeat(depth), close.repeat(depth));
            assert!(!is_too_deep(&text(DEPTH_MAX)), "{open}");
            assert!(is_too_deep(&text(DEPTH_MAX + 1)), "{open}");
            let beside = vec![text(DEPTH_MAX); 3];
            assert!(!is_too_deep(&beside.join(" + ")), "{open}");
        }
        assert!(is_too_deep(&format!("a::int{}", "[ ]".repeat(DEPTH_MAX + 1))));
        assert!(is_too_deep(&format!("a::int{}", "[3]".repeat(DEPTH_MAX + 1))));
        assert!(!is_too_deep(&format!("cast({} as int)", vec!["a[1]"; 100].join("+"))));
    }

    #[test]
    fn comparisons_and_calls_are_no_types() {
        assert!(!is_too_deep(&vec!["a < b and map > 3 and map < 3"; 15].join(" or ")));
        assert!(!is_too_deep(&"upper(".repeat(100)));
        assert!(!is_too_deep(&"((".repeat(100)));
        assert!(!is_too_deep(&format!("s{}", "['a']".repeat(100))));
    }
}
