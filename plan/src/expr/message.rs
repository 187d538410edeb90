//! Turns DataFusion's errors into sentences for the person who wrote the expression.

use arrow::datatypes::{DataType as ArrowType, Fields, SchemaRef};
use datafusion_common::utils::datafusion_strsim::levenshtein;
use datafusion_common::{DataFusionError, SchemaError};
use datafusion_expr::planner::ContextProvider;
use datafusion_functions_aggregate::all_default_aggregate_functions;

use super::context::CONTEXT;
use super::parse::parser_sentence;
use crate::aggregate;
use crate::quote::quoted;
use crate::types::{DataType, normalized};

/// The most columns that a sentence lists.
const COLUMNS_SHOWN_MAX: usize = 30;
/// The longest name for which a misspelling is looked for, in bytes: the time grows with the product of two names.
const COMPARED_BYTES_MAX: usize = 256;
/// What to write for a text that is no timestamp.
const A_TIME: &str = ": write it as in `2024-01-31 10:20:30`, or read it by a pattern, as in `to_timestamp(…, \
    'dd/MM/yyyy HH:mm')`";
/// What to write for a text that is no date.
const A_DATE: &str = ": write it as in `2024-01-31`, or read it by a pattern, as in `to_date(…, 'dd/MM/yyyy')`";
/// The most characters of a message; longer ones are cut.
const MESSAGE_CHARS_MAX: usize = 800;

/// The type's name as users write it, or Arrow's name if users have none for it.
#[must_use]
pub fn type_name(arrow: &ArrowType) -> String {
    if matches!(arrow, ArrowType::Interval(_) | ArrowType::Duration(_)) {
        return "interval".to_owned();
    }
    let ours = normalized(arrow).and_then(|stored| DataType::from_arrow(&stored));
    ours.map_or_else(|| arrow.to_string().to_lowercase(), |t| t.to_string())
}

/// The candidate that `name` is most likely a misspelling of, if any: one letter more, less or changed, two letters
/// swapped, or in long names one wrong letter in four. Names that differ more mean something else (`mod` and `cos`,
/// `Paris` and `paid`).
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let sorted = |text: &str| {
        let mut chars: Vec<char> = text.chars().collect();
        chars.sort_unstable();
        chars
    };
    if name.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let name = name.to_lowercase();
    let chars = name.chars().count();
    let is_slip = |distance: usize, candidate: &str| {
        distance == 0
            || chars > 2
                && (distance == 1 && chars.max(candidate.chars().count()) > 3 || sorted(candidate) == sorted(&name))
            || distance <= chars / 4
    };
    let near = candidates.filter(|candidate| candidate.len() <= COMPARED_BYTES_MAX).map(|candidate| {
        let lower = candidate.to_lowercase();
        (levenshtein(&lower, &name), lower, candidate)
    });
    near.filter(|(distance, lower, _)| is_slip(*distance, lower))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(.., candidate)| candidate)
}

/// The message that `schema` has no column `name`, with the likely misspelling and the existing columns.
pub(crate) fn no_such_column(name: &str, schema: &SchemaRef) -> String {
    let (hint, columns) = near_and_all(name, schema.fields());
    format!("there is no column {}{hint}: the columns are {columns}", quoted(name))
}

/// The name that `name` is likely a misspelling of, as a hint or empty, and the names that there are.
pub(super) fn near_and_all(name: &str, fields: &Fields) -> (String, String) {
    let names = || fields.iter().map(|f| f.name().as_str());
    let hint = nearest(name, names()).map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default();
    let shown: Vec<_> = names().take(COLUMNS_SHOWN_MAX).collect();
    let more = match fields.len().saturating_sub(COLUMNS_SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (hint, shown.join(", ") + &more)
}

pub(super) fn no_such_column_in(error: &DataFusionError, schema: &SchemaRef) -> Option<String> {
    unknown_column(error).map(|name| no_such_column(name, schema))
}

/// The column name that the error reports as unknown.
pub(super) fn unknown_column(error: &DataFusionError) -> Option<&str> {
    match root(error) {
        DataFusionError::SchemaError(inner, _) => match inner.as_ref() {
            SchemaError::FieldNotFound { field, .. } => Some(&field.name),
            _ => None,
        },
        _ => None,
    }
}

/// The error as one sentence, with types as users write them.
pub(super) fn describe(error: &DataFusionError) -> String {
    let text = sentence(error);
    // DataFusion says "Invalid function 'uper'. Did you mean 'upper'?", and its guess may be far off.
    if let Some(name) = text.strip_prefix("Invalid function '").and_then(|rest| rest.split('\'').next()) {
        return no_such_function(name);
    }
    if let Some(why) = text.strip_prefix("Unsupported SQL type ").and_then(|t| DataType::parse(&t.to_lowercase()).err())
    {
        return why;
    }
    if let Some(field) = text.strip_prefix("Field ").and_then(|rest| rest.strip_suffix(" not found in struct")) {
        return format!("the struct has no field {}", quoted(field));
    }
    if let Some(name) = text.strip_prefix("There is no built-in encoding named '").and_then(|t| t.split('\'').next()) {
        return format!(
            "there is no encoding {}: there are `utf-8` for texts, and `hex`, `base64` and `base64pad`",
            quoted(name)
        );
    }
    let text = text.split_once("user-defined coercion failed with: ").map_or(text.as_str(), |(_, why)| why);
    let text = in_our_types(text);
    shortened(of_one_operand(&text).or_else(|| of_a_value(&text)).unwrap_or(text))
}

/// Cuts a long message: a message may contain a value, and a value may have a megabyte.
fn shortened(text: String) -> String {
    match text.char_indices().nth(MESSAGE_CHARS_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A sentence for Arrow's error about a value that it can't compute with.
fn of_a_value(text: &str) -> Option<String> {
    if text.contains("Divide by zero") {
        return Some(
            "a division by zero: write `nullif(…, 0)` around the divisor if the result is to be null".to_owned(),
        );
    }
    if let Some((_, call)) = text.split_once("igned integer overflow in ") {
        return Some(format!("{} is beyond the range of a bigint", quoted(call.to_lowercase())));
    }
    if text.contains("field position must not be zero") {
        return Some("`split_part` counts parts from 1, and from -1 at the end: there is no part 0".to_owned());
    }
    if let Some(name) = text.strip_prefix("Unsupported type '").and_then(|rest| rest.split('\'').next()) {
        return Some(format!("{} is no type of Arrow: write one such as `Int64` or `Utf8`", quoted(name)));
    }
    if let Some((_, operation)) = text.split_once("verflow happened on: ") {
        return Some(format!("{} is beyond the range of its type: cast to a wider type first", quoted(operation)));
    }
    if let Some((_, rest)) = text.split_once("verflow on abs(") {
        return Some(format!(
            "{} is beyond the range of its type: cast to a wider type first",
            quoted(format_args!("abs({rest}"))
        ));
    }
    if let Some((_, rest)) = text.split_once("nvalid input syntax for type interval: ") {
        return Some(format!(
            "{} is no interval: write numbers with their units, as in `interval '1 hour 30 minutes'`",
            quoted(rest.trim_matches('"'))
        ));
    }
    if let Some((_, fault)) = text.split_once("regex parse error: ").and_then(|(_, rest)| rest.rsplit_once("error: ")) {
        // Arrow adds a line of its own.
        let fault = fault.split(" ~~").next().unwrap_or_default();
        return Some(format!("the regular expression has a fault: {fault}"));
    }
    if text.contains("non UTF-8") || text.contains("nvalid UTF-8") || text.contains("nvalid utf-8") {
        return Some(
            "the bytes are not UTF-8, so they are no string: write `encode(…, 'hex')`, or `try_cast(… as string)` for \
             null"
                .to_owned(),
        );
    }
    let beyond = |value: &str, of: &str| Some(format!("{} does not fit {}", quoted(value), with_article(of)));
    for side in [" is too large to store in a decimal(", " is too small to store in a decimal("] {
        if let Some((value, _)) = text.split_once(side) {
            return beyond(value, "decimal");
        }
    }
    for word in ["large", "small"] {
        if let Some((value, rest)) = text.split_once(&format!(" is too {word} to store in a Decimal128 of precision "))
        {
            let digits = rest.split('.').next().unwrap_or_default();
            return Some(format!("{} has more than the {digits} digits that its decimal can hold", quoted(value)));
        }
    }
    if let Some((wanted, value)) =
        text.strip_prefix("Cannot cast to ").and_then(|rest| rest.split_once(". Overflowing on "))
    {
        return beyond(value, &wanted.replace(", ", ","));
    }
    if let Some((value, wanted)) = text.strip_prefix("value of ").and_then(|rest| rest.split_once(" is out of range "))
    {
        return beyond(value, wanted);
    }
    if let Some((value, _)) =
        text.strip_prefix("Error parsing timestamp from '").and_then(|rest| rest.rsplit_once("': "))
    {
        return Some(format!("{} can't be cast to a timestamp{A_TIME}", quoted(value)));
    }
    None
}

/// A sentence for errors about a single operand: those raised before there is an expression to look into, and values
/// that can't be cast.
fn of_one_operand(text: &str) -> Option<String> {
    if let Some((_, found)) = text.split_once("Unary operator 'NOT' requires a boolean expression, got ") {
        return Some(format!("`not` takes a boolean, and found {}", with_article(found)));
    }
    if text.starts_with("Unary operator '+' only supports") {
        return Some("`+` before a value takes a number, and found none".to_owned());
    }
    if text.starts_with("Unary operator '-' only supports") {
        return Some("`-` takes a number or an interval, and found neither".to_owned());
    }
    if let Some((name, "")) = text
        .strip_prefix("Function '")
        .and_then(|rest| rest.split_once("' expected at least one argument but received 0"))
    {
        return Some(format!("{} takes something, and found nothing", quoted(name)));
    }
    if let Some((_, rest)) = text.split_once("Cannot access field at argument ") {
        let found = rest.split_once(": type ")?.1.split_once(" is not Struct")?.0;
        let found = if found.starts_with("List(") { "array" } else { found };
        return Some(format!("{} has no fields to pick from", with_article(found)));
    }
    let (value, wanted) = match text.strip_prefix("Cannot cast ") {
        Some(rest) => rest.strip_suffix(" type")?.rsplit_once(" to value of ")?,
        None => text.strip_prefix("Can't cast ")?.rsplit_once(" to type ")?,
    };
    let value = value.strip_prefix("string ").or_else(|| value.strip_prefix("value ")).unwrap_or(value);
    let value = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')).unwrap_or(value);
    let advice = if wanted == "date" { A_DATE } else { "" };
    Some(format!("{} can't be cast to {}{advice}", quoted(value), with_article(wanted)))
}

/// The type with its article: `a string`, `an int`.
pub(crate) fn with_article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

pub(super) fn no_such_function(name: &str) -> String {
    let is_aggregate =
        all_default_aggregate_functions().iter().any(|f| f.name() == name || f.aliases().iter().any(|a| a == name));
    if is_aggregate {
        return format!(
            "the aggregate `{name}` is not supported yet: the reference of expressions lists those that are"
        );
    }
    let names = CONTEXT.udf_names();
    let aggregates: Vec<&str> = aggregate::names().collect();
    let hint = nearest(name, names.iter().map(String::as_str).chain(aggregates));
    format!(
        "there is no function {}{}",
        quoted(name),
        hint.map(|n| format!(": did you mean `{n}`?")).unwrap_or_default()
    )
}

/// The innermost message, without what DataFusion wraps around it.
pub(super) fn sentence(error: &DataFusionError) -> String {
    let text = match root(error) {
        DataFusionError::SQL(inner, _) => return parser_sentence(inner),
        DataFusionError::ArrowError(inner, _) => inner.to_string(),
        DataFusionError::Plan(text)
        | DataFusionError::Execution(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Internal(text)
        | DataFusionError::Configuration(text) => text.clone(),
        other => other.strip_backtrace(),
    };
    let text = text.split("\n\nbacktrace:").next().unwrap_or_default();
    let text = ["Candidate functions:", "You might need to add", "No function matches", "This issue was likely caused"]
        .iter()
        .fold(text, |text, noise| text.split(noise).next().unwrap_or_default());
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for noise in [
        "Error during planning: ",
        "Execution error: ",
        "External error: ",
        "Arrow error: ",
        "Cast error: ",
        "Compute error: ",
        "Parser error: ",
        "Invalid argument error: ",
        "Arithmetic overflow: ",
    ] {
        text = text.replace(noise, "");
    }
    text.trim_end_matches(['.', ':', ' ']).to_owned()
}

fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(all) => all.first().map_or(error, root),
        other => other,
    }
}

fn in_our_types(text: &str) -> String {
    let names = [
        ("Timestamp(µs, \"UTC\")", "timestamp"),
        ("Decimal128(", "decimal("),
        ("Utf8View", "string"),
        ("LargeUtf8", "string"),
        ("Utf8", "string"),
        ("UInt64", "bigint"),
        ("Int64", "bigint"),
        ("Int32", "int"),
        ("Float64", "double"),
        ("Float32", "float"),
        ("Date32", "date"),
        ("Boolean", "boolean"),
    ];
    names.iter().fold(text.to_owned(), |text, (arrow, ours)| text.replace(arrow, ours))
}
