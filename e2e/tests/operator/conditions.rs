//! A pipeline's status says what prevents it from running.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use weir_e2e::deadline;
use weir_tests::or_skip;

use crate::stage::{LIMIT, NAME, Stage, document, labels, runtime};

#[tokio::test]
async fn an_object_that_the_api_server_does_not_take_is_said_with_its_answer() {
    let stage = or_skip!(Stage::new().await);
    // The Service has a cluster IP, which can't be removed.
    let service = json!({"metadata": {"name": NAME, "labels": labels()}, "spec": {"ports": [{"port": 80}]}});
    stage.api::<Service>().create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    let said = stage.wait_for("Stalled", "True/ApplyFailed").await;
    assert!(said.starts_with(&format!("apply Service {NAME}: ")) && said.contains("clusterIP"), "{said}");
    stage.wait_for("Ready", "False/ApplyFailed").await;
    stage.wait_for("Reconciling", "False/ApplyFailed").await;
    assert_eq!(stage.deployed().await, None);

    // When the Service is deleted, the operator tries again at once.
    stage.api::<Service>().delete(NAME, &DeleteParams::default()).await.unwrap();
    stage.wait_for("Stalled", "False/UpToDate").await;
    stage.deployed_other_than("").await;
}

#[tokio::test]
async fn pods_that_a_quota_refuses_are_said_and_the_end_of_it_too() {
    let stage = or_skip!(Stage::new().await);
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    stage.deployed_other_than("").await;
    stage.wait_for("Ready", "False/Starting").await;
    // What the Deployment's controller writes.
    let at = "2026-01-01T00:00:00Z";
    let failure = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "lastUpdateTime": at, "lastTransitionTime": at,
        "message": "pods \"rides-revenue-1\" is forbidden: exceeded quota: compute"});
    let generation = stage.api::<Deployment>().get(NAME).await.unwrap().metadata.generation;
    let status = |conditions| json!({"status": {"observedGeneration": generation, "conditions": conditions}});
    let params = PatchParams::default();
    stage.api::<Deployment>().patch_status(NAME, &params, &Patch::Merge(status(json!([failure])))).await.unwrap();
    let said = stage.wait_for("Stalled", "True/PodRefused").await;
    assert!(said.ends_with("exceeded quota: compute"), "{said}");
    stage.wait_for("Ready", "False/PodRefused").await;
    stage.api::<Deployment>().patch_status(NAME, &params, &Patch::Merge(status(json!([])))).await.unwrap();
    stage.replace_pod(json!({"running": {}}), runtime().await).await;
    stage.wait_for("Ready", "True/Running").await;
    stage.wait_for("Stalled", "False/UpToDate").await;
}

#[tokio::test]
async fn a_pipeline_of_no_replicas_is_suspended() {
    let stage = or_skip!(Stage::new().await);
    stage.apply("/spec/replicas", json!(0)).await;
    stage.deployed_other_than("").await;
    stage.wait_for("Ready", "True/Suspended").await;
    stage.wait_for("Reconciling", "False/UpToDate").await;
    assert_eq!(stage.wait_for("Suspended", "True/Suspended").await, "spec.replicas is 0");
}

#[tokio::test]
async fn a_running_revision_that_is_lost_changes_nothing_that_runs_and_no_older_one_comes_back() {
    let stage = or_skip!(Stage::new().await);
    let running = runtime().await;
    stage.run(1000, running).await;
    let second = stage.run(2000, running).await;

    stage.apply("/spec/steps/0/map/where", json!("prise >= 0")).await;
    stage.wait_for("Stalled", "True/InvalidDocument").await;
    stage.api::<ControllerRevision>().delete(&second, &DeleteParams::default()).await.unwrap();
    let gone = format!("its ControllerRevision {second} is gone");
    deadline::until("it is said", LIMIT, async || {
        stage.wait_for("Stalled", "True/InvalidDocument").await.contains(&gone).then_some(())
    })
    .await;
    assert_eq!(stage.deployed().await.as_ref(), Some(&second));
    stage.wait_for("Ready", "True/Running").await;
    assert_eq!(stage.pipeline().await.status.unwrap().runtime.unwrap().revision, second);

    // Another valid document may not fit the pipeline that runs, but the operator can't know that.
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 3000})).await;
    assert!(stage.wait_for("Stalled", "True/RevisionUnreadable").await.contains(&gone));
    assert_eq!(stage.deployed().await.as_ref(), Some(&second));
    // Applying the running document again recreates its revision, and changes nothing of the Deployment.
    let before = stage.api::<Deployment>().get(NAME).await.unwrap();
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 2000})).await;
    stage.wait_for("Stalled", "False/UpToDate").await;
    assert_eq!(stage.revision(&second).await.metadata.name.as_ref(), Some(&second));
    assert_eq!(stage.api::<Deployment>().get(NAME).await.unwrap(), before);
}

#[tokio::test]
async fn a_table_around_another_pipelines_is_refused_and_free_when_that_one_is_gone() {
    let stage = or_skip!(Stage::new().await);
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    stage.deployed_other_than("").await;
    let mut second = document("second");
    second["spec"]["checkpoint"]["uri"] = json!("s3://lake/checkpoints/second");
    second["spec"]["sinks"][0]["delta"]["uri"] = json!("s3://lake/silver");
    stage.namespace.apply("a person", &second).await.unwrap();
    let said = stage.wait_for_other("second", "Stalled", "True/TableInUse").await;
    let namespace = &stage.namespace.name;
    assert!(
        said.starts_with(&format!(
            "spec.sinks[0].delta.uri: s3://lake/silver holds the place of a table of the pipeline {namespace}/{NAME}"
        )),
        "{said}"
    );
    stage.wait_for_other("second", "Ready", "False/TableInUse").await;
    stage.wait_for("Stalled", "False/UpToDate").await;
    stage.namespace.pipelines().delete(NAME, &DeleteParams::default()).await.unwrap();
    stage.wait_for_other("second", "Stalled", "False/UpToDate").await;
}
