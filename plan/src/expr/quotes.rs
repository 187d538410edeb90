//! What to write where quotes are missing or are the wrong ones. Documents are YAML, which takes the quotes off a value
//! that stands in quotes as a whole: `expr: 'France'` is the expression `France`. So advice about a whole expression
//! is given as it stands in the document, with YAML's quotes around those of SQL.

use arrow::datatypes::SchemaRef;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

use super::dialect::Bounded;
use super::message::no_such_column;
use super::parse::parse;
use crate::quote::quoted;

/// The longest expression that a sentence repeats, in characters.
const REPEATED_CHARS_MAX: usize = 100;

/// Advice about columns that are reserved words of SQL: `interval > 3` is not parsed as a comparison. `None` if quotes
/// around them do not mend the expression.
pub(super) fn of_reserved_names(sql: &str, is_column: impl Fn(&str) -> bool) -> Option<String> {
    let (mended, reserved) = with_names_in_quotes(sql, is_column).filter(|(mended, _)| parse(mended).is_ok())?;
    let written = if is_short(sql) { mended } else { format!("\"{reserved}\"") };
    Some(format!(
        "; {} is a word of SQL, and as a column it stands in double quotes: write {}",
        quoted(reserved),
        in_a_document(&written)
    ))
}

/// The expression with quotes around columns that are reserved words, and the first such word; `None` if there is none.
pub(super) fn with_names_in_quotes(sql: &str, is_column: impl Fn(&str) -> bool) -> Option<(String, String)> {
    let tokens = Tokenizer::new(&Bounded::new(), sql).tokenize().ok()?;
    let mut reserved: Option<String> = None;
    let mended = tokens.iter().map(|token| match token {
        Token::Word(word) if is_column(&word.value) && is_reserved(word) => {
            reserved.get_or_insert_with(|| word.value.clone());
            format!("\"{}\"", word.value)
        }
        other => other.to_string(),
    });
    let mended: String = mended.collect();
    reserved.map(|reserved| (mended, reserved))
}

/// Whether the word can't be a name without quotes.
pub(super) fn is_reserved(word: &Word) -> bool {
    word.quote_style.is_none() && parse(&word.value).is_err()
}

/// The expression as it stands in a document. Only a value that begins with a quote is taken for a quoted one.
pub(super) fn in_a_document(expression: &str) -> String {
    if expression.starts_with('"') {
        format!(
            "{}, with the single quotes for YAML, which takes the outer quotes off",
            quoted(format_args!("'{}'", expression.replace('\'', "''")))
        )
    } else {
        quoted(expression)
    }
}

/// Advice about an expression that is nothing but words, and none of them a column: `New York`.
pub(super) fn of_a_text_of_words(sql: &str, is_column: impl Fn(&str) -> bool) -> Option<String> {
    let is_name = |word: &str| word.chars().all(|c| c.is_alphanumeric() || c == '_') && !is_column(word);
    let is_text = sql.split_whitespace().count() > 1 && is_short(sql) && sql.split_whitespace().all(is_name);
    let begins_like_sql = ["case", "if", "not", "select", "interval"]
        .iter()
        .any(|word| sql.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case(word)));
    (is_text && !begins_like_sql).then(|| format!("; if a text is meant, write {}", as_a_whole_text(sql.trim())))
}

/// The message that there is no column `name`, which the expression names.
pub(super) fn of_an_unknown_name(name: &str, sql: &str, schema: &SchemaRef) -> String {
    let is_whole = [name, &format!("\"{name}\""), &format!("`{name}`")].contains(&sql.trim());
    let text = || if is_whole { as_a_whole_text(name) } else { quoted(as_text(name)) };
    if sql.contains(&format!("\"{name}\"")) {
        return format!(
            "there is no column {}: a text stands in single quotes, {}, and a column's name in double quotes",
            quoted(name),
            text(),
        );
    }
    let value = match name.to_lowercase().as_str() {
        "none" | "nil" | "undefined" => Some("a missing value is `null`, and `… is null` tests for it"),
        "nan" => Some("`isnan(…)` tests for it, and `cast('NaN' as double)` is the value"),
        "inf" | "infinity" => Some("the value is `cast('Infinity' as double)`"),
        _ => None,
    };
    let no_column = no_such_column(name, schema);
    match value {
        Some(value) => format!("there is no column {}: {value}", quoted(name)),
        // A word in lower case within an expression is a column that there is not, rather than a text.
        None if no_column.contains("did you mean") || !is_whole && !name.starts_with(char::is_uppercase) => no_column,
        None => format!("{no_column}; if a text is meant, write {}", text()),
    }
}

/// The text in SQL's quotes.
fn as_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The text in SQL's quotes and in YAML's.
fn as_a_whole_text(text: &str) -> String {
    let for_yaml = as_text(text).replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "{}, with the double quotes for YAML, which takes the outer quotes off",
        quoted(format_args!("\"{for_yaml}\""))
    )
}

fn is_short(sql: &str) -> bool {
    sql.chars().count() <= REPEATED_CHARS_MAX && !sql.contains('\n')
}
