//! Status, scale, and what `kubectl get` shows of them.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use weir_crds::resource::Status;
use weir_e2e::namespace::{Namespace, refusal};
use weir_tests::or_skip;

use crate::documents::{least, with};

fn status() -> Value {
    json!({
        "apiVersion": "weir.dev/v1alpha1",
        "kind": "StreamPipeline",
        "status": {
            "observedGeneration": 1,
            "replicas": 1,
            "selector": "app.kubernetes.io/instance=rides",
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Running", "message": "epoch 7 is committed",
                "observedGeneration": 1, "lastTransitionTime": "2026-01-31T00:00:00Z"
            }],
            "runtime": {"image": "registry.example.com/weir:0.1.0", "revision": "rides-1", "generation": 1},
            "progress": {
                "inputRowsPerSecond": 120_000, "processedRowsPerSecond": 900_000, "lag": 42, "watermark": "2026-01-30T23:50:00Z",
                "openWindows": 3, "stateBytes": 4096, "lastEpoch": 7, "tables": [{"sink": "silver", "version": 6}], "deadLetters": 0, "lateRows": 2
            }
        }
    })
}

async fn report(namespace: &Namespace, status: &Value) -> Result<Value, kube::Error> {
    let params = PatchParams::apply("operator").validation_strict();
    let reported = namespace.pipelines().patch_status("rides", &params, &Patch::Apply(status)).await?;
    Ok(serde_json::to_value(reported).unwrap())
}

#[tokio::test]
async fn a_status_is_written_beside_the_spec_and_makes_no_new_generation() {
    let namespace = or_skip!(Namespace::new().await);
    let before = namespace.apply("a person", &least("rides")).await.unwrap();
    let reported = report(&namespace, &status()).await.unwrap();
    assert_eq!(reported["status"]["progress"]["tables"], status()["status"]["progress"]["tables"]);
    assert_eq!(reported["spec"], before.spec);
    assert_eq!(namespace.pipelines().get("rides").await.unwrap().metadata.generation, before.metadata.generation);
}

#[tokio::test]
async fn a_person_who_applies_a_status_changes_none() {
    let namespace = or_skip!(Namespace::new().await);
    let mut document = least("rides");
    document["status"] = status()["status"].clone();
    let nobody_has_looked = Status { observed_generation: Some(-1), ..Status::default() };
    assert_eq!(namespace.apply("a person", &document).await.unwrap().status, Some(nobody_has_looked));
}

#[tokio::test]
async fn conditions_are_kept_apart_by_their_types() {
    let namespace = or_skip!(Namespace::new().await);
    namespace.apply("a person", &least("rides")).await.unwrap();
    let mut twice = status();
    let ready = twice["status"]["conditions"][0].clone();
    twice["status"]["conditions"].as_array_mut().unwrap().push(ready);
    let said = refusal(report(&namespace, &twice).await);
    assert!(said.contains("duplicate entries for key [type=\"Ready\"]"), "{said}");
}

#[tokio::test]
async fn scaling_to_nothing_and_back_changes_the_spec_and_two_are_refused() {
    let namespace = or_skip!(Namespace::new().await);
    namespace.apply("a person", &with(&least("rides"), "{spec: {replicas: 1}}")).await.unwrap();
    report(&namespace, &status()).await.unwrap();
    let scale = namespace.get("rides", "scale").await;
    assert_eq!(scale["spec"]["replicas"], 1);
    assert_eq!(scale["status"], json!({"replicas": 1, "selector": "app.kubernetes.io/instance=rides"}));

    let to = async |replicas: i64| {
        let patch = json!({"spec": {"replicas": replicas}});
        namespace.pipelines().patch_scale("rides", &PatchParams::default(), &Patch::Merge(patch)).await
    };
    to(0).await.unwrap();
    assert_eq!(namespace.pipelines().get("rides").await.unwrap().spec["replicas"], 0);
    assert!(refusal(to(2).await).contains("spec.replicas in body should be less than or equal to 1"));
}

#[tokio::test]
async fn the_list_shows_how_each_pipeline_fares() {
    let namespace = or_skip!(Namespace::new().await);
    namespace.apply("a person", &least("rides")).await.unwrap();
    report(&namespace, &status()).await.unwrap();
    let table = namespace.table().await;
    let columns = table["columnDefinitions"].as_array().unwrap();
    let shown = |wide: bool| {
        columns.iter().filter(|c| (c["priority"] != 0) == wide).map(|c| c["name"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(shown(false), ["Name", "Ready", "Reason", "Replicas", "Rate", "Lag", "Watermark", "Age"]);
    assert_eq!(shown(true), ["Message", "Image"]);
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    assert_eq!(
        cells[..7],
        [
            json!("rides"),
            json!("True"),
            json!("Running"),
            json!(1),
            json!(120_000),
            json!(42),
            json!("2026-01-30T23:50:00Z")
        ]
    );
    assert_eq!(cells[8..], [json!("epoch 7 is committed"), json!("registry.example.com/weir:0.1.0")]);
}
