//! The document with all defaults ([`crate::defaults`]) filled in, and with the steps that its queries become in place
//! of them, as YAML that can be read again. What is filled in is marked.

pub(crate) mod write;

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};

use crate::document::StreamPipeline;
use crate::finding::{Findings, Path};
use crate::{defaults, query};

/// The mark of a default.
const DEFAULT: &str = "default";

/// Blocks whose fields are filled in even if the document leaves the whole block out. The presence of other blocks has
/// a meaning: without `eventTime` there is no event time.
const FILLED_IN: [&str; 5] = ["trigger", "limits", "startFrom", "badRecords", "maintenance"];

/// The explained text of `document`, which must be valid; `read` is what it says.
pub(crate) fn explained(document: &Value, read: &StreamPipeline) -> String {
    let mut document = document.clone();
    let mut filled = BTreeMap::new();
    without_queries(&mut document, read, &mut filled);
    let text = |at: &[&str]| at.iter().try_fold(&document, |value, key| value.get(key))?.as_str().map(str::to_owned);
    let group_id = defaults::group_id(
        text(&["metadata", "namespace"]).as_deref(),
        &text(&["metadata", "name"]).unwrap_or_default(),
    );
    for (path, default) in defaults::table() {
        let default = if path.ends_with(".groupId") { group_id.clone() } else { default };
        // A default that is not plain YAML is text.
        let value = serde_yaml::from_str(&default).unwrap_or(Value::String(default));
        let keys: Vec<_> = path.split('.').collect();
        fill(&mut document, &keys, &Path::root(), &value, &mut filled);
    }
    write::written(&document, &filled)
}

/// Puts the steps that each query becomes in its place, and marks their names.
fn without_queries(document: &mut Value, read: &StreamPipeline, marks: &mut BTreeMap<Path, String>) {
    let at = Path::root().field("spec");
    let Some(expanded) = query::expanded(&read.spec, &at, &mut Findings::default()) else { return };
    let Some(spec) = document.get_mut("spec") else { return };
    let own = spec.get("steps").and_then(Value::as_sequence).cloned().unwrap_or_default();
    let mut next_own = own.into_iter();
    let mut steps = Vec::with_capacity(expanded.spec.steps.len());
    let mut last = None;
    for (i, (step, query)) in expanded.spec.steps.iter().zip(&expanded.queries).enumerate() {
        let Some(query) = query else {
            steps.extend(next_own.next());
            continue;
        };
        // The first step of a query stands where the query stood.
        if last.replace(*query) != Some(*query) {
            next_own.next();
        }
        let name = read.spec.steps.get(*query).map(|step| step.name.as_str()).unwrap_or_default();
        marks.insert(at.field("steps").index(i).field("name"), format!("of the query {name}"));
        steps.extend(serde_yaml::to_value(step).ok());
    }
    if let Some(list) = spec.get_mut("steps") {
        *list = Value::Sequence(steps);
    }
    let sinks = spec.get_mut("sinks").and_then(Value::as_sequence_mut).into_iter().flatten();
    for (sink, expanded) in sinks.zip(&expanded.spec.sinks) {
        if let Some(from) = sink.get_mut("from") {
            *from = Value::String(expanded.from.clone());
        }
    }
}

fn fill(at: &mut Value, keys: &[&str], path: &Path, default: &Value, filled: &mut BTreeMap<Path, String>) {
    let (Some((key, rest)), Value::Mapping(mapping)) = (keys.split_first(), at) else { return };
    let (name, is_list) = key.strip_suffix("[]").map_or((*key, false), |name| (name, true));
    let here = path.field(name);
    if rest.is_empty() {
        if is_missing(mapping, name) && has_meaning(mapping, name) {
            mapping.insert(name.into(), default.clone());
            filled.insert(here, DEFAULT.to_owned());
        }
        return;
    }
    if is_missing(mapping, name) {
        if !FILLED_IN.contains(&name) {
            return;
        }
        mapping.insert(name.into(), Value::Mapping(Mapping::new()));
    }
    match mapping.get_mut(name) {
        Some(Value::Sequence(list)) if is_list => {
            for (i, element) in list.iter_mut().enumerate() {
                fill(element, rest, &here.index(i), default, filled);
            }
        }
        Some(below) => fill(below, rest, &here, default, filled),
        None => {}
    }
}

/// A field without a value counts as left out.
fn is_missing(mapping: &Mapping, name: &str) -> bool {
    mapping.get(name).is_none_or(Value::is_null)
}

/// Whether the field may be set beside the fields that are there.
fn has_meaning(block: &Mapping, name: &str) -> bool {
    match name {
        // Exactly one member of this block may be set, so the default is left out if there is another.
        "position" => block.is_empty(),
        "idleAfter" | "maxFuture" => is_missing(block, "processingTime"),
        "onEnd" => block.get("type").and_then(Value::as_str) == Some("AvailableNow"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    fn explained(text: &str) -> String {
        crate::explain(text, None).unwrap()
    }

    #[test]
    fn every_default_is_filled_in_and_marked() {
        let document = r#"
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: rides, namespace: lake, labels: {"on": 'a: b'}}
spec:
  # A comment is not kept.
  checkpoint: {uri: s3://lake/checkpoints/rides, keep: 4}
  connections: [{name: events, kafka: {bootstrapServers: "kafka:9092"}}]
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides]}
    format: {json: {}}
    columns: [{name: city, type: string, required: true}, {name: price, type: "decimal(10,2)"}]
  sinks:
  - {name: silver, from: rides, delta: {uri: s3://lake/silver, partitionBy: [city]}}
"#;
        insta::assert_snapshot!(explained(document));
    }

    #[test]
    fn a_default_that_may_not_stand_beside_what_is_there_is_left_out() {
        let document = r#"
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: rides}
spec:
  trigger: {type: AvailableNow}
  checkpoint: {uri: s3://lake/checkpoints/rides}
  connections: [{name: events, kafka: {bootstrapServers: "kafka:9092"}}]
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides], startFrom: {timestamp: "2024-01-01T00:00:00Z"}}
    format: {json: {}}
    columns: [{name: city, type: string}]
  sinks: [{name: silver, from: rides, delta: {uri: s3://lake/silver}}]
"#;
        let explained = explained(document);
        assert!(explained.contains(
            "\n      startFrom:\n        timestamp: \"2024-01-01T00:00:00Z\"\n      groupId: weir-rides  # default\n"
        ));
        assert!(explained.contains("\n  trigger:\n    type: AvailableNow\n    onEnd: KeepOpen  # default\n"));
        assert!(!explained.contains("eventTime") && !explained.contains("position"), "{explained}");
    }

    #[test]
    fn what_is_explained_is_read_again_and_has_no_default_left() {
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|e| e != "yaml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let Ok(once) = crate::explain(&text, None) else { continue };
            assert!(once.contains("# default"), "{once}");
            let again = explained(&once);
            let without_marks = |text: &str| {
                text.lines().map(|line| line.split("  # ").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
            };
            assert!(!again.contains("# default"), "{}: {again}", path.display());
            assert_eq!(without_marks(&once), without_marks(&again), "{}", path.display());
        }
    }
}
