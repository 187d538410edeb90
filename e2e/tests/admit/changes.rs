//! Changes of a document, and documents that several owners write.

use serde_json::{Value, json};
use weir_e2e::namespace::{Namespace, refusal};
use weir_tests::or_skip;

use crate::documents::{least, with, yaml};

#[tokio::test]
async fn a_checkpoint_stays_where_it_is() {
    let namespace = or_skip!(Namespace::new().await);
    namespace.apply("a person", &least("rides")).await.unwrap();
    let moved = with(&least("rides"), "{spec: {checkpoint: {uri: s3://lake/checkpoints/elsewhere}}}");
    let said = refusal(namespace.apply("a person", &moved).await);
    assert!(
        said.contains("spec.checkpoint.uri: Invalid value")
            && said.contains("can't be changed, since the pipeline's progress"),
        "{said}"
    );

    let kept = with(&least("rides"), "{spec: {checkpoint: {keep: 20}}}");
    assert_eq!(namespace.apply("a person", &kept).await.unwrap().spec, kept["spec"]);
}

#[tokio::test]
async fn a_changed_spec_is_a_new_generation_and_changed_metadata_is_none() {
    let namespace = or_skip!(Namespace::new().await);
    let generation =
        async |over: &str| namespace.apply("a person", &with(&least("rides"), over)).await.unwrap().metadata.generation;
    assert_eq!(generation("{}").await, Some(1));
    assert_eq!(generation("{metadata: {labels: {team: rides}}}").await, Some(1));
    assert_eq!(generation("{spec: {suspend: true}}").await, Some(2));
}

fn names(spec: &Value, list: &str) -> Vec<String> {
    spec[list].as_array().into_iter().flatten().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
}

/// A part of a document. Server-side apply needs the names in the document that it merges.
fn part(spec: &str) -> Value {
    yaml(&format!("{{apiVersion: weir.dev/v1alpha1, kind: StreamPipeline, metadata: {{name: rides}}, spec: {spec}}}"))
}

#[tokio::test]
async fn two_owners_write_their_own_elements_of_a_named_list() {
    let namespace = or_skip!(Namespace::new().await);
    namespace.apply("platform", &least("rides")).await.unwrap();
    let more = part(
        "{sinks: [{name: bronze, from: rides, delta: {uri: s3://lake/bronze}}], connections: [{name: spare, kafka: \
         {bootstrapServers: 'spare:9092'}}]}",
    );
    let both = namespace.apply("team", &more).await.unwrap();
    assert_eq!(names(&both.spec, "sinks"), ["silver", "bronze"]);
    assert_eq!(names(&both.spec, "connections"), ["events", "spare"]);

    // What one owner no longer writes is removed, and nothing else is.
    let back = namespace
        .apply("team", &part("{connections: [{name: spare, kafka: {bootstrapServers: 'spare:9092'}}]}"))
        .await
        .unwrap();
    assert_eq!(names(&back.spec, "sinks"), ["silver"]);
    assert_eq!(names(&back.spec, "connections"), ["events", "spare"]);
}

#[tokio::test]
async fn two_owners_write_columns_of_one_aggregate() {
    let namespace = or_skip!(Namespace::new().await);
    namespace.apply("platform", &least("rides")).await.unwrap();
    let column = part("{steps: [{name: counted, aggregate: {from: rides, columns: [{name: last, expr: max(ts)}]}}]}");
    let both = namespace.apply("team", &column).await.unwrap();
    let columns = &both.spec["steps"][0]["aggregate"];
    assert_eq!(names(columns, "columns"), ["cnt", "last"]);
}

#[tokio::test]
async fn an_element_of_another_owner_is_not_changed_in_passing() {
    let namespace = or_skip!(Namespace::new().await);
    namespace.apply("platform", &least("rides")).await.unwrap();
    let moved = part("{sinks: [{name: silver, from: counted, delta: {uri: s3://lake/gold}}]}");
    let said = refusal(namespace.apply("team", &moved).await);
    assert!(said.contains("conflict with \"platform\": .spec.sinks[name=\"silver\"].delta.uri"), "{said}");
}

#[tokio::test]
async fn the_order_of_group_columns_belongs_to_one_owner() {
    let namespace = or_skip!(Namespace::new().await);
    let grouped = with(&least("rides"), "{spec: {steps: [{name: counted, aggregate: {groupBy: [{name: city}]}}]}}");
    namespace.apply("platform", &grouped).await.unwrap();
    let said = refusal(
        namespace
            .apply("team", &part("{steps: [{name: counted, aggregate: {from: rides, groupBy: [{name: ts}]}}]}"))
            .await,
    );
    assert!(said.contains("conflict with \"platform\": .spec.steps[name=\"counted\"].aggregate.groupBy"), "{said}");
    assert_eq!(
        namespace.pipelines().get("rides").await.unwrap().spec["steps"][0]["aggregate"]["groupBy"],
        json!([{"name": "city"}])
    );
}
