//! What to write where a text is not an expression: signs and words of other languages, and common typing errors. The
//! parser only says what it expected.

use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::Token;

use super::context::CONTEXT;
use crate::quote::quoted;
use crate::types::DataType;

const A_CASE: &str = "write `case when … then … else … end`";

/// What the user means by the token `next` after the complete expression `ended`.
pub(super) fn of_what_follows(ended: &str, next: &Token) -> Option<String> {
    if let Some(advice) = match ended.to_lowercase().as_str() {
        "case" => Some("every `case` has a `when`, a `then` and an `end`: write `case when … then … else … end`"),
        "if" => Some(A_CASE),
        "cast" | "try_cast" => Some("write `cast(… as …)`"),
        "distinct" => Some("an expression sees one row: leave it out"),
        "select" | "where" | "having" => Some("this is an expression and no query: write what follows alone"),
        _ => None,
    } {
        return Some(advice.to_owned());
    }
    if let Some(type_name) = ended.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
        && DataType::parse(type_name).is_ok()
    {
        return Some(format!("write {}", quoted(format_args!("cast(… as {})", type_name.to_lowercase()))));
    }
    if *next == Token::LParen
        && let Some((receiver, method)) = ended.rsplit_once('.')
    {
        return Some(format!(
            "there are no methods, only functions: write {}",
            quoted(format_args!("{method}({receiver}, …)"))
        ));
    }
    if CONTEXT.has_function(&ended.to_lowercase()) {
        return Some(format!(
            "a function's arguments stand in parentheses: write {}",
            quoted(format_args!("{ended}(…)"))
        ));
    }
    if matches!(next, Token::Word(word) if word.quote_style == Some('"')) && ended == "f" {
        return Some("join texts by `||`, as in `city || '-' || seats`".to_owned());
    }
    let is_number = ended.ends_with(|c: char| c.is_ascii_digit());
    Some(
        match next {
            Token::RArrow => "write `>=`",
            Token::SemiColon => "leave it out",
            Token::Comma if is_number => "write a number without separators, and its fraction behind a point",
            Token::Comma => "an expression gives one value: write one column for each",
            Token::Period => "`*` stands for no value: name a column",
            Token::Question => A_CASE,
            Token::Placeholder(sign) if sign == "?" => A_CASE,
            Token::LBrace => "documents know no variables: write the value",
            Token::SingleQuotedString(_) => "join two texts by `||`, and write a quote within a text twice",
            Token::Word(word) if word.quote_style.is_some() => return None,
            Token::Word(word) => match word.value.to_lowercase().as_str() {
                "if" => A_CASE,
                "matches" => "write `regexp_like(…, …)`",
                "eq" => "write `=`",
                "ne" => "write `<>`",
                "gt" => "write `>`",
                "ge" | "gte" => "write `>=`",
                "lt" => "write `<`",
                "le" | "lte" => "write `<=`",
                "m" | "min" | "mins" | "minute" | "minutes" | "h" | "hr" | "hour" | "hours" | "sec" | "secs"
                | "second" | "seconds" | "ms" | "day" | "days" | "week" | "weeks" | "month" | "months" | "year"
                | "years"
                    if is_number =>
                {
                    "write an interval with its unit, as in `interval '5 minutes'`"
                }
                "as" => "the column's name is its `name`: leave `as …` out",
                "mod" => "write `%`",
                "isnull" => "write `is null`",
                "notnull" => "write `is not null`",
                "contains" => "write `contains(…, …)`",
                "startswith" => "write `starts_with(…, …)`",
                "endswith" => "write `ends_with(…, …)`",
                "from" => "this is an expression and no query: leave `from …` out",
                "where" => "this is an expression and no query: a map step has `where`",
                "d" | "f" | "bd" | "s" | "y" if is_number => {
                    "numbers have no letters: write a cast, as in `cast(1.5 as double)`"
                }
                digits if is_number && digits.starts_with('_') => "write a number without separators",
                _ => return None,
            },
            _ => return None,
        }
        .to_owned(),
    )
}

/// What the user means where the parser stops within an expression: it expected something else than `found`, which
/// follows `before`.
pub(super) fn of_what_is_found(before: Option<&Token>, found: &Token, after: Option<&Token>) -> Option<&'static str> {
    let is_word = |token: Option<&Token>, wanted: Keyword| matches!(token, Some(Token::Word(w)) if w.keyword == wanted);
    Some(match (before, found, after) {
        (_, Token::ExclamationMark, Some(Token::Gt)) | (Some(Token::ExclamationMark), Token::Gt, _) => "write `<=`",
        (_, Token::ExclamationMark, Some(Token::Lt)) | (Some(Token::ExclamationMark), Token::Lt, _) => "write `>=`",
        (Some(Token::Eq), Token::ExclamationMark, _) => "write `<>`",
        (_, Token::ExclamationMark, _) => "write `not`",
        (Some(Token::Eq), Token::Lt, _) => "write `<=`",
        (Some(Token::Gt), Token::Lt, _) | (Some(Token::Neq), Token::Eq, _) => "write `<>`",
        (Some(Token::Eq | Token::DoubleEq), Token::Eq, _) => "write `=`",
        (Some(Token::Plus | Token::Minus | Token::Mul | Token::Div), Token::Eq, _) => {
            "an expression gives a value and changes none: leave `=` out"
        }
        (before, Token::Lt | Token::LtEq | Token::Gt | Token::GtEq | Token::Eq | Token::Neq, _)
            if is_word(before, Keyword::AND) || is_word(before, Keyword::OR) =>
        {
            "write a whole comparison on both sides, as in `1 < price and price < 5`"
        }
        (before, Token::Word(_), _) if is_word(before, Keyword::IN) => {
            "write a list in parentheses, as in `in ('a', 'b')`, or `contains(…, …)` for a text within a text"
        }
        (_, Token::Char('“' | '”' | '‘' | '’' | '„' | '´'), _) => "write straight quotes, as in `'Paris'`",
        (Some(Token::Mul), Token::Mul, _) => "write `power(…, …)`",
        (Some(Token::ShiftRight), Token::Gt, _) => "write `>>`, which keeps the sign",
        (None, Token::Mul, _) => "`*` stands for no value: name a column",
        (before, Token::LBracket | Token::LBrace | Token::SingleQuotedString(_) | Token::Number(..), _)
            if is_word(before, Keyword::IN) =>
        {
            "write a list in parentheses, as in `in ('a', 'b')`"
        }
        (before, Token::Lt, _) if is_word(before, Keyword::MAP) => {
            "there are no maps: write `array<struct<key: …, value: …>>`"
        }
        (_, Token::Sharp, _) => "a comment follows `--`",
        (_, Token::LBrace, _) => "documents know no variables: write the value",
        _ => return None,
    })
}
