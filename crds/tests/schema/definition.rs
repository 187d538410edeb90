//! The committed CustomResourceDefinition.

use serde_json::Value;
use weir_crds::resource::{crd, crd_yaml};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/generated/streampipelines.weir.dev.yaml");

#[test]
fn the_committed_definition_is_what_the_types_say() {
    let committed = std::fs::read_to_string(FILE).unwrap();
    assert!(committed == crd_yaml().unwrap(), "crds/generated is stale; `make generate` writes it anew");
}

/// A client-side apply stores the whole definition in an annotation, which holds 256 KiB.
#[test]
fn the_definition_has_less_than_250_kb() {
    let bytes = crd_yaml().unwrap().len();
    assert!(bytes < 250_000, "{bytes}");
}

fn schema(part: &str) -> Value {
    let crd = serde_json::to_value(crd().unwrap()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part].clone()
}

/// Calls `look` with each schema and its path.
fn walk(path: &str, schema: &Value, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, look);
    }
    for (below, mark) in [("items", "[]"), ("additionalProperties", ".*")] {
        if schema[below].is_object() {
            walk(&format!("{path}{mark}"), &schema[below], look);
        }
    }
}

fn wrong(part: &str, is_right: impl Fn(&str, &Value) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    walk(part, &schema(part), &mut |path, schema| {
        if !is_right(path, schema) {
            wrong.push(path.to_owned());
        }
    });
    wrong
}

#[test]
fn every_list_text_and_mapping_of_the_spec_has_a_bound() {
    let unbound = wrong("spec", |_, schema| match schema["type"].as_str() {
        Some("array") => schema["maxItems"].is_u64(),
        Some("string") => schema["maxLength"].is_u64() || schema["enum"].is_array(),
        Some("object") => !schema["additionalProperties"].is_object() || schema["maxProperties"].is_u64(),
        _ => schema["x-kubernetes-int-or-string"] != true || schema["maxLength"].is_u64(),
    });
    assert_eq!(unbound, Vec::<String>::new());
}

#[test]
fn every_integer_of_a_persons_own_has_bounds() {
    let of_kubernetes =
        |path: &str| ["affinity", "tolerations", "topologySpreadConstraints"].iter().any(|own| path.contains(own));
    let unbound = wrong("spec", |path, schema| {
        of_kubernetes(path) || schema["type"] != "integer" || schema["minimum"].is_number()
    });
    assert_eq!(unbound, Vec::<String>::new());
}

#[test]
fn every_field_is_explained() {
    for part in ["spec", "status"] {
        let bare = wrong(part, |path, schema| {
            path.ends_with(['*', ']']) || schema["description"].as_str().is_some_and(|d| d.len() > 3)
        });
        assert_eq!(bare, Vec::<String>::new());
    }
}

/// A GitOps tool would see defaults as drift, and nulls would be stored as values. Only the operator writes the status:
/// its default says that it has not been written yet.
#[test]
fn nothing_but_a_whole_status_has_a_default_and_nothing_is_nullable() {
    for part in ["spec", "status"] {
        let is_misplaced = |path: &str, schema: &Value| schema.get("default").is_some() != (path == "status");
        let wrong = wrong(part, |path, schema| !is_misplaced(path, schema) && schema.get("nullable").is_none());
        assert_eq!(wrong, Vec::<String>::new());
    }
}

/// Lists whose order matters have one owner, who writes the whole list.
const IN_ORDER: &[&str] = &["groupBy", "set", "emit", "onTimer", "sequence"];

#[test]
fn every_list_of_named_things_is_merged_by_names_but_those_in_an_order() {
    let wrong = wrong("spec", |path, schema| {
        let named = schema["items"]["properties"]["name"].is_object() && !path.contains("ffinity");
        if IN_ORDER.iter().any(|list| path.rsplit('.').next() == Some(list)) {
            return schema["x-kubernetes-list-type"] == "atomic";
        }
        !named
            || schema["x-kubernetes-list-type"] == "map"
                && schema["x-kubernetes-list-map-keys"] == serde_json::json!(["name"])
    });
    assert_eq!(wrong, Vec::<String>::new());
}
