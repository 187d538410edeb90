//! The JSON Schema that `weir schema` prints.

use serde_json::{Value, json};
use weir_crds::json_schema;

fn at(path: &str) -> Value {
    json_schema().pointer(path).unwrap_or_else(|| panic!("{path} is not there")).clone()
}

#[test]
fn it_knows_what_document_it_is_for() {
    assert_eq!(at("/properties/apiVersion/enum"), json!(["weir.dev/v1alpha1"]));
    assert_eq!(at("/properties/kind/enum"), json!(["StreamPipeline"]));
    assert_eq!(at("/required"), json!(["apiVersion", "kind", "metadata", "spec"]));
}

#[test]
fn it_refuses_fields_that_do_not_exist() {
    assert_eq!(at("/properties/spec/additionalProperties"), false);
    assert_eq!(at("/properties/spec/properties/sources/items/additionalProperties"), false);
}

#[test]
fn it_says_of_each_union_that_one_member_is_there() {
    let step = at("/properties/spec/properties/steps/items/oneOf");
    assert_eq!(step[0], json!({"required": ["map"]}));
    assert_eq!(step.as_array().unwrap().len(), 12);
}

#[test]
fn it_has_what_hovering_shows_and_nothing_that_only_an_api_server_reads() {
    let text = json_schema().to_string();
    assert!(!text.contains("x-kubernetes"), "{text}");
    let described = at("/properties/spec/properties/trigger/properties/schedule/description");
    assert!(
        described.as_str().unwrap().contains("0 2 * * *") && !described.as_str().unwrap().contains('\n'),
        "{described}"
    );
}
