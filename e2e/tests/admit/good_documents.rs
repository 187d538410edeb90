//! Valid documents are accepted, and returned as they were written.

use std::collections::BTreeSet;

use serde_json::Value;
use weir_e2e::namespace::{Namespace, refusal};
use weir_tests::or_skip;

use crate::documents::{every_field, least, with, yaml};

async fn comes_back_as_written(namespace: &Namespace, document: &Value) {
    let name = document["metadata"]["name"].as_str().unwrap();
    namespace.apply("a person", document).await.unwrap_or_else(|e| panic!("{name}: {e}"));
    let back = namespace.pipelines().get(name).await.unwrap();
    assert_eq!(back.spec, document["spec"], "{name}");
}

#[tokio::test]
async fn every_example_comes_back_as_written() {
    let namespace = or_skip!(Namespace::new().await);
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let folders = [examples.to_owned(), format!("{examples}/nexmark")];
    let mut tried = 0;
    for entry in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let document = yaml(&text);
        // Override documents have no `kind`.
        if document.get("kind").is_some() {
            if text.contains("file:///") {
                let said = refusal(namespace.apply("a person", &document).await);
                assert!(said.contains("on a cluster write s3://bucket/path"), "{said}");
            }
            comes_back_as_written(&namespace, &yaml(&text.replace("file:///tmp/", "s3://lake/"))).await;
            tried += 1;
        }
    }
    assert!(tried >= 16, "{tried} examples");
}

#[tokio::test]
async fn a_document_with_every_field_comes_back_as_written() {
    let namespace = or_skip!(Namespace::new().await);
    for document in every_field() {
        comes_back_as_written(&namespace, &document).await;
    }
}

#[tokio::test]
async fn a_field_without_a_value_counts_as_left_out_and_server_side_apply_refuses_it() {
    let namespace = or_skip!(Namespace::new().await);
    let mut document = least("rides");
    document["spec"]["trigger"] = Value::Null;
    let said = refusal(namespace.apply("a person", &document).await);
    assert!(said.contains("spec.trigger in body must be of type object: \"null\""), "{said}");
    let (taken, _) = namespace.create(&document, "Strict").await;
    assert_eq!(taken["spec"], least("rides")["spec"]);
}

#[tokio::test]
async fn nothing_is_added_to_what_was_written() {
    let namespace = or_skip!(Namespace::new().await);
    let document = with(&least("rides"), "{spec: {trigger: {type: AvailableNow}, podTemplate: {}, resources: {}}}");
    comes_back_as_written(&namespace, &document).await;
}

/// Blocks of the same type, which need not be complete in each of their places.
const ALIKE: &[(&str, &str)] = &[
    ("spec.sources.keyFormat", "spec.sources.format"),
    ("spec.tables.format", "spec.sources.format"),
    ("spec.steps.join.window", "spec.steps.aggregate.window"),
    ("spec.steps.top.window", "spec.steps.aggregate.window"),
    ("spec.sinks.kafka.recordKey", "spec.sinks.kafka.value"),
];

fn by_type(path: &str) -> String {
    let alike = ALIKE.iter().find_map(|(place, first)| Some(format!("{first}{}", path.strip_prefix(place)?)));
    alike.unwrap_or_else(|| path.to_owned())
}

/// Whether our schema ends here: below are Kubernetes' own types, or shapes that are still open.
fn is_leaf(path: &str, schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
        || ["affinity", "tolerations", "topologySpreadConstraints"].iter().any(|own| path.ends_with(own))
}

fn fields(path: &str, schema: &Value, out: &mut BTreeSet<String>) {
    let properties = schema["properties"].as_object().or_else(|| schema["items"]["properties"].as_object());
    let is_former = |property: &Value| property["description"].as_str().unwrap().starts_with("No longer supported.");
    let properties = properties.into_iter().flatten().filter(|(_, property)| !is_former(property));
    for (name, property) in properties.filter(|_| !is_leaf(path, schema)) {
        let path = format!("{path}.{name}");
        fields(&path, property, out);
        out.insert(path);
    }
}

fn written(path: &str, value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            written(&path, value, out);
            out.insert(path);
        }),
        Value::Array(elements) => elements.iter().for_each(|element| written(path, element, out)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_schema_stands_in_the_documents_with_every_field() {
    let crd = serde_json::to_value(weir_crds::resource::crd().unwrap()).unwrap();
    let (mut right, mut found) = (BTreeSet::new(), BTreeSet::new());
    fields("spec", &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], &mut right);
    every_field().iter().for_each(|document| written("spec", &document["spec"], &mut found));
    let [right, found] = [right, found].map(|paths| paths.iter().map(|path| by_type(path)).collect::<BTreeSet<_>>());
    let missing: Vec<_> = right.difference(&found).collect();
    assert!(right.len() > 100 && missing.is_empty(), "{missing:?} of {}", right.len());
}
