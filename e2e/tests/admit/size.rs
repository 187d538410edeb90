//! The largest possible documents.

use serde_json::{Value, json};
use weir_e2e::namespace::Namespace;
use weir_tests::or_skip;

use crate::documents::least;

const MIB: usize = 1 << 20;

const STEPS_MAX: usize = 64;
const COLUMNS: usize = 4;

/// A valid document of a little more than this many bytes, with as many steps as allowed.
fn of_size(bytes: usize) -> Value {
    let mut document = least("rides");
    let steps = document["spec"]["steps"].as_array_mut().unwrap();
    let expr = format!("'{}'", "x".repeat(bytes / (STEPS_MAX - steps.len()) / COLUMNS));
    let columns: Vec<_> = (0..COLUMNS).map(|i| json!({"name": format!("c{i}"), "expr": expr})).collect();
    let more = (steps.len()..STEPS_MAX)
        .map(|i| json!({"name": format!("s{i}"), "map": {"from": "rides", "columns": columns}}));
    steps.extend(more.collect::<Vec<_>>());
    document
}

#[tokio::test]
async fn a_document_of_a_mebibyte_is_taken_whole() {
    let namespace = or_skip!(Namespace::new().await);
    let document = of_size(MIB);
    let (taken, _) = namespace.create(&document, "Strict").await;
    assert!(taken["spec"] == document["spec"], "{}", taken["message"]);
}

#[tokio::test]
async fn as_many_columns_as_may_be_are_checked_within_the_servers_budget() {
    let namespace = or_skip!(Namespace::new().await);
    let mut document = of_size(0);
    let columns: Vec<_> = (0..256).map(|i| json!({"name": format!("c{i}"), "expr": "upper(city)"})).collect();
    for step in document["spec"]["steps"].as_array_mut().unwrap().iter_mut().skip(1) {
        step["map"]["columns"] = columns.clone().into();
    }
    let (taken, _) = namespace.create(&document, "Strict").await;
    assert!(taken["spec"] == document["spec"], "{}", taken["message"]);
}

/// etcd accepts a request of 1.5 MiB at most.
#[tokio::test]
async fn a_document_that_is_too_large_for_the_store_is_refused_with_words() {
    let namespace = or_skip!(Namespace::new().await);
    let (refused, _) = namespace.create(&of_size(MIB * 7 / 4), "Strict").await;
    assert_eq!(refused["message"], "etcdserver: request is too large");
}
