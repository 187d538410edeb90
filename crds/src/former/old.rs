//! Every place that documents wrote differently before their final shape: the sentence about it, and the edits that
//! translate it. Anything else is ignored.

use serde_yaml::Value;
use weir_plan::quote::quoted;

use super::edit::Edit;
use super::place::Place;

/// A place that is written differently now.
#[derive(Debug)]
pub(super) struct Old {
    pub(super) place: Place,
    /// How to write it now.
    pub(super) message: String,
    /// Empty if only the author knows what is meant.
    pub(super) edits: Vec<Edit>,
}

impl Old {
    fn new(place: Place, message: String, edits: impl IntoIterator<Item = Edit>) -> Self {
        Self { place, message, edits: edits.into_iter().collect() }
    }
}

/// All such places, in the order of the document's sections.
pub(super) fn places(document: &Value) -> Vec<Old> {
    let mut found = Vec::new();
    for (at, storage) in elements(document, "storage") {
        found.extend(encryption_type(&at, storage));
    }
    for (at, source) in elements(document, "sources") {
        found.extend(columns_of_json(&at, source));
        found.extend(group_id(&at, source));
    }
    for (at, step) in elements(document, "steps") {
        let at = at.key("aggregate");
        if let Some(aggregate) = step.get("aggregate") {
            found.extend(offset_beside_window(&at, aggregate));
            found.extend(group_columns(&at, aggregate));
        }
    }
    for (at, sink) in elements(document, "sinks") {
        found.extend(output(&at, sink));
    }
    found
}

fn elements<'v>(document: &'v Value, list: &'static str) -> impl Iterator<Item = (Place, &'v Value)> {
    let at = Place::default().key("spec").key(list);
    let list = document.get("spec").and_then(|spec| spec.get(list)).and_then(Value::as_sequence);
    list.into_iter().flatten().enumerate().map(move |(i, element)| (at.index(i), element))
}

/// `s3.encryption.type`: abbreviations are now in capitals.
fn encryption_type(at: &Place, storage: &Value) -> Option<Old> {
    let found = storage.get("s3")?.get("encryption")?.get("type")?.as_str()?;
    let (old, new) = [("SseS3", "SSES3"), ("SseKms", "SSEKMS")].into_iter().find(|(old, _)| *old == found)?;
    let place = at.key("s3").key("encryption").key("type");
    let edit = Edit::Respell { text: place.clone(), old, new };
    Some(Old::new(place, format!("abbreviations are in capitals now: write {}", quoted(new)), [edit]))
}

/// `format.json.columns`: columns are the same for every format, so they are now beside it.
fn columns_of_json(at: &Place, source: &Value) -> Option<Old> {
    source.get("format")?.get("json")?.get("columns")?;
    let (entry, now) = (at.key("format").key("json").key("columns"), at.key("columns"));
    if source.get("columns").is_some() {
        return Some(Old::new(entry, there_twice(&now), None));
    }
    let message = format!("columns stand beside format now: write them as {}", now.path());
    let edit = Edit::Move { entry: entry.clone(), to: at.clone(), behind: Some("format") };
    Some(Old::new(entry, message, [edit]))
}

/// `groupId` of a source: consumer groups belong to Kafka, so it is now in `kafka`.
fn group_id(at: &Place, source: &Value) -> Option<Old> {
    source.get("groupId")?;
    let (entry, to) = (at.key("groupId"), at.key("kafka"));
    let now = to.key("groupId");
    let kafka = source.get("kafka");
    if kafka.is_some_and(|kafka| kafka.get("groupId").is_some()) {
        return Some(Old::new(entry, there_twice(&now), None));
    }
    let message = format!("the consumer group is a field of kafka now: write it as {}", now.path());
    // In an override, the source's `kafka` may be in the other document.
    let can_move = kafka.is_none_or(Value::is_mapping);
    let edit = can_move.then(|| Edit::Move { entry: entry.clone(), to, behind: None });
    Some(Old::new(entry, message, edit))
}

/// The kinds of windows that have an offset.
const WITH_OFFSET: [&str; 4] = ["tumbling", "sliding", "cumulate", "calendar"];

/// `window.offset`: it is now inside the kind of window that it belongs to.
fn offset_beside_window(at: &Place, aggregate: &Value) -> Option<Old> {
    let window = aggregate.get("window")?;
    window.get("offset")?;
    let at = at.key("window");
    let entry = at.key("offset");
    let mut kinds = WITH_OFFSET.into_iter().filter_map(|kind| Some((kind, window.get(kind)?)));
    let (Some((kind, value)), None) = (kinds.next(), kinds.next()) else {
        let message = "an offset stands inside the window that it belongs to now (tumbling, sliding, cumulate or \
                       calendar): write it there, or leave it out";
        return Some(Old::new(entry, message.to_owned(), None));
    };
    let to = at.key(kind);
    let now = to.key("offset");
    if value.get("offset").is_some() {
        return Some(Old::new(entry, there_twice(&now), None));
    }
    let message = format!("the offset is a field of {kind} now: write it as {}", now.path());
    let edit = value.is_mapping().then(|| Edit::Move { entry: entry.clone(), to, behind: None });
    Some(Old::new(entry, message, edit))
}

/// `groupBy`: its columns are now objects, as columns are everywhere.
fn group_columns(at: &Place, aggregate: &Value) -> Vec<Old> {
    let columns = aggregate.get("groupBy").and_then(Value::as_sequence).into_iter().flatten();
    let at = at.key("groupBy");
    let texts = columns.enumerate().filter_map(|(i, column)| Some((at.index(i), column.as_str()?)));
    texts
        .map(|(place, column)| {
            let now = quoted(format_args!("{{name: {}}}", in_braces(column)));
            let edit = Edit::Wrap { value: place.clone(), key: "name" };
            Old::new(place, format!("a group column is an object now: write {now}"), [edit])
        })
        .collect()
}

/// Plain texts that YAML, in one version or another, reads as a truth value or as null.
const NO_TEXTS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// A text as it is written in braces, quoted if necessary.
fn in_braces(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !text.ends_with(' ')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' '))
        && !NO_TEXTS.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_plain { text.to_owned() } else { format!("{text:?}") }
}

/// `output` of a sink: it is now a suffix of the node in `from`.
fn output(at: &Place, sink: &Value) -> Option<Old> {
    let output = sink.get("output")?;
    let (entry, from_place) = (at.key("output"), at.key("from"));
    let from = sink.get("from").and_then(Value::as_str);
    if let Some(from) = from.filter(|from| from.contains('.')) {
        let message = format!("`from` names the output now, and {} does already: leave output out", quoted(from));
        return Some(Old::new(entry, message, None));
    }
    let remove = Edit::Remove { entry: entry.clone() };
    let suffix = match output {
        Value::Null => "",
        Value::String(name) if name == "Main" => "",
        Value::String(name) if name == "Late" => ".Late",
        Value::String(name) if name == "Rejected" => ".Rejected",
        _ => {
            let message = "`from` names the output now: write `node.Late` or `node.Rejected` there, and leave output \
                           out";
            return Some(Old::new(entry, message.to_owned(), None));
        }
    };
    match (suffix, from) {
        ("", _) => {
            let message = "a node's name in `from` alone is its main output now: leave output out";
            Some(Old::new(entry, message.to_owned(), [remove]))
        }
        (suffix, Some(from)) => {
            let now = quoted(format_args!("from: {from}{suffix}"));
            let respell = Edit::Respell { text: from_place, old: "", new: suffix };
            Some(Old::new(entry, format!("write {now} and leave output out"), [respell, remove]))
        }
        // In an override, the node's name may be in the other document.
        (suffix, None) => {
            let now = quoted(format_args!("from: node{suffix}"));
            let message = format!("write {now}, with the node's name for node, and leave output out");
            Some(Old::new(entry, message, None))
        }
    }
}

/// The sinks of an override whose `from` lacks the output that the document's sink of that name has in `output`.
pub(super) fn outputs_left(document: &Value, over: &Value) -> Vec<Old> {
    let of_document = |name: &str| {
        let (_, sink) =
            elements(document, "sinks").find(|(_, sink)| sink.get("name").and_then(Value::as_str) == Some(name))?;
        sink.get("output")?.as_str().filter(|output| ["Late", "Rejected"].contains(output))
    };
    let left = elements(over, "sinks").filter_map(|(at, sink)| {
        let from = sink.get("from")?.as_str().filter(|from| !from.contains('.') && sink.get("output").is_none())?;
        let output = of_document(sink.get("name")?.as_str()?)?;
        let now = quoted(format_args!("from: {from}.{output}"));
        let message = format!("the document's sink has `output: {output}`, which is part of `from` now: write {now}");
        Some(Old::new(at.key("from"), message, None))
    });
    left.collect()
}

fn there_twice(now: &Place) -> String {
    format!("{} takes its place now and is there too: leave the old one out", now.path())
}
