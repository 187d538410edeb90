//! A pipeline whose document an earlier version of Weir has stored, in the former shape.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use weir_crds::resource::crd;
use weir_e2e::api_server::ApiServer;
use weir_e2e::namespace::refusal;
use weir_tests::or_skip;

use crate::stage::{NAME, Stage, runtime};

/// The rides pipeline in the former shape, with a sink of late rows.
fn former() -> Value {
    serde_yaml::from_str(
        "
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: rides-revenue}
spec:
  checkpoint: {uri: s3://lake/checkpoints/rides}
  storage: [{uriPrefix: s3://lake/, s3: {credentialsSecretRef: {name: lake}}}]
  connections: [{name: events, kafka: {bootstrapServers: 'kafka:9092'}}]
  sources:
  - name: rides
    groupId: rides-readers
    kafka: {connection: events, topics: [rides]}
    format: {json: {columns: [{name: city, type: string}, {name: ts, type: timestamp}]}}
    eventTime: {expr: ts, watermarkDelay: 10m}
  steps:
  - name: counted
    aggregate:
      from: rides
      window: {tumbling: {size: 5m}}
      groupBy: [city]
      columns: [{name: cnt, expr: count(*)}]
  sinks:
  - {name: silver, from: counted, delta: {uri: s3://lake/silver}}
  - {name: late, from: counted, output: Late, delta: {uri: s3://lake/late}}
",
    )
    .unwrap()
}

#[tokio::test]
async fn a_new_definition_over_a_former_document_drops_nothing_of_it_and_rolls_nothing() {
    let server = or_skip!(ApiServer::start());
    let mut lenient = crd().unwrap();
    let schema = lenient.spec.versions[0].schema.as_mut().unwrap().open_api_v3_schema.as_mut().unwrap();
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    schema.properties.as_mut().unwrap().insert("spec".into(), serde_json::from_value(anything).unwrap());
    server.install(&lenient).await;
    let mut stage = Stage::on(&server).await;
    let revision = stage.run(1000, runtime().await).await;
    let deployment = stage.api::<Deployment>().get(NAME).await.unwrap();

    // As if the version for which it was written had stored it.
    stage.kill_operator();
    let spec = json!([{"op": "replace", "path": "/spec", "value": former()["spec"]}]);
    let patch = Patch::Json::<()>(serde_json::from_value(spec).unwrap());
    stage.namespace.pipelines().patch(NAME, &PatchParams::default(), &patch).await.unwrap();
    server.install(&crd().unwrap()).await;
    stage.start_operator();

    let said = stage.wait_for("Stalled", "True/InvalidDocument").await;
    for sentence in [
        "spec.sources[0].groupId: ",
        "spec.sources[0].format.json.columns: ",
        "spec.steps[0].aggregate.groupBy[0]: ",
        "spec.sinks[1].output: ",
    ] {
        assert!(said.contains(sentence), "{sentence} in {said}");
    }
    assert_eq!(stage.pipeline().await.spec, former()["spec"], "a field that is gone would have another meaning");
    assert_eq!(stage.deployed().await, Some(revision));
    assert_eq!(stage.api::<Deployment>().get(NAME).await.unwrap().spec, deployment.spec);

    // Other changes of the object, by a person or a tool, still work.
    let labelled = Patch::Merge(json!({"metadata": {"labels": {"team": "rides"}}}));
    stage.namespace.pipelines().patch(NAME, &PatchParams::default(), &labelled).await.unwrap();
    // The API server refuses a document of the former shape that is created now.
    let mut other = former();
    other["metadata"]["name"] = "other".into();
    other["spec"]["steps"][0]["aggregate"]["groupBy"] = json!([{"name": "city"}]);
    let refused = refusal(stage.namespace.apply("a person", &other).await);
    for sentence in ["groupId stands in kafka now", "columns stand beside format now", "outputs are named in from now"]
    {
        assert!(refused.contains(sentence), "{sentence} in {refused}");
    }
}
