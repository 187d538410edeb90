//! What to write in place of a value that is shorter than the document's shape: a text where a block or a list belongs,
//! or a list where a text does.

use serde_yaml::{Mapping, Number, Value};
use weir_plan::quote::quoted;

use crate::document::unions;
use crate::duration;
use crate::explain::write::flow;
use crate::finding::Path;
use crate::lower::time_of_number;
use crate::secrets::HIDDEN;

/// The block that a text probably stands for, by the block's type; `None` if that can't be told.
pub(super) fn block(type_name: &str, text: &str) -> Option<String> {
    if text.contains(HIDDEN) {
        return None;
    }
    let written = scalar(text);
    let named = |names: &[&'static str]| names.iter().find(|name| name.eq_ignore_ascii_case(text)).copied();
    let is_duration = duration(text).is_some();
    Some(match type_name {
        "StartFrom" => match named(&["Earliest", "Latest"]) {
            Some(position) => format!("{{position: {position}}}"),
            None if text.starts_with(|c: char| c.is_ascii_digit()) => {
                format!("{{timestamp: \"{}\"}}", time_of_number(text).as_deref().unwrap_or(text))
            }
            None => return None,
        },
        "Trigger" => match named(&["AsSoonAsPossible", "AvailableNow"]) {
            Some(kind) => format!("{{type: {kind}}}"),
            None if is_duration => format!("{{type: Interval, interval: {text}}}"),
            None => return None,
        },
        "BadRecords" => format!("{{policy: {}}}", named(&["Fail", "Drop", "Output"])?),
        "Format" => format!("{{{}: {{}}}}", named(unions::FORMATS)?),
        "EventTime" => format!("{{expr: {written}, watermarkDelay: 10m}}"),
        "Window" if is_duration => format!("{{tumbling: {{size: {text}}}}}"),
        "Tumbling" if is_duration => format!("{{size: {text}}}"),
        "Checkpoint" | "DeltaSink" => format!("{{uri: {written}}}"),
        "KafkaConnection" => format!("{{bootstrapServers: {written}}}"),
        "Metadata" | "SecretRef" => format!("{{name: {written}}}"),
        "Column" if is_name(text) => format!("{{name: {written}}}"),
        "SourceColumn" if is_name(text) => format!("{{name: {written}, type: string}}"),
        "AddedColumn" | "AggregateColumn" if !is_name(text) => format!("{{name: …, expr: {written}}}"),
        _ => return None,
    })
}

/// The list that a value probably stands for, by the name of the field; `None` if that can't be told.
pub(super) fn list(field: &str, value: &Value) -> Option<String> {
    if value.as_str().is_some_and(|text| text.contains(HIDDEN)) {
        return None;
    }
    let texts = || value.as_str().into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|s| !s.is_empty());
    match field {
        "topics" | "partitionBy" | "dropColumns" => {
            Some(format!("[{}]", texts().map(scalar).collect::<Vec<_>>().join(", ")))
        }
        "groupBy" | "columns" if texts().all(is_name) => {
            let columns: Vec<_> = texts().map(|name| format!("{{name: {}}}", scalar(name))).collect();
            Some(format!("[{}]", columns.join(", ")))
        }
        "partitions" => Some(format!("[{}]", flow(value))),
        _ => None,
    }
    .filter(|list| list != "[]")
}

/// How the first element begins of a list that is written as a mapping, by the list's place: the mapping is an element
/// without its hyphen, or has the names of the elements as keys. `None` if the elements have no names.
pub(super) fn element(list: &str, mapping: &Mapping) -> Option<String> {
    const NAMED: [&str; 5] = ["spec.connections", "spec.tables", "spec.sources", "spec.steps", "spec.sinks"];
    let (first, value) = mapping.iter().find_map(|(key, value)| Some((key.as_str()?, value)))?;
    let name = |name: &str| format!("name: {}", scalar(name));
    if let Some(own) = mapping.get("name") {
        return own.as_str().map(|own| format!("- {}", name(own)));
    }
    match (list, value) {
        ("spec.sources[].columns", Value::String(of_type)) => {
            Some(format!("- {{{}, type: {}}}", name(first), scalar(of_type)))
        }
        _ if NAMED.contains(&list) && value.is_mapping() => Some(format!("- {}", name(first))),
        (_, Value::String(expr)) if ["columns", "addColumns", "groupBy"].iter().any(|field| list.ends_with(field)) => {
            Some(format!("- {{{}, expr: {}}}", name(first), scalar(expr)))
        }
        _ => None,
    }
}

/// What to write in place of a number where a text belongs, by the field's place.
pub(super) fn text_for_number(field: &Path, number: &Number) -> String {
    if !field.to_string().ends_with(".startFrom.timestamp") {
        return "text in quotes".to_owned();
    }
    match time_of_number(&number.to_string()) {
        Some(time) => quoted(format_args!("\"{time}\"")),
        None => format!("a time in RFC 3339, as in {}", quoted("\"2026-01-01T00:00:00Z\"")),
    }
}

/// What to write in place of a list where a text belongs.
pub(super) fn text(field: &str, list: &[Value]) -> String {
    let texts: Vec<_> = list.iter().filter_map(Value::as_str).collect();
    if texts.iter().any(|text| text.contains(HIDDEN)) {
        return "one text".to_owned();
    }
    match texts[..] {
        [only] if list.len() == 1 => quoted(scalar(only)),
        [_, ..] if field == "bootstrapServers" => {
            format!("the servers as one text, {}", quoted(texts.join(",")))
        }
        _ => "one text".to_owned(),
    }
}

fn scalar(text: &str) -> String {
    flow(&Value::from(text))
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
}
