//! The requests that an unchanged pipeline costs, and which pods the operator asks.

use std::sync::atomic::{AtomicU64, Ordering};

use kube::ResourceExt;
use serde_json::json;
use weir_e2e::deadline;
use weir_tests::or_skip;

use crate::stage::{LIMIT, Stage, counted_runtime};

/// How many full looks the operator has taken.
pub fn looks(stage: &Stage) -> u64 {
    let metrics = stage.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix("weir_operator_looks_total "));
    line.unwrap().parse().unwrap()
}

async fn asked_again(asked: &AtomicU64, times: u64) {
    let before = asked.load(Ordering::Relaxed);
    deadline::until("the runtime is asked again", LIMIT, async || {
        (asked.load(Ordering::Relaxed) >= before + times).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_pipeline_that_nothing_happens_to_is_asked_for_its_progress_and_the_api_server_for_nothing() {
    let stage = or_skip!(Stage::new().await);
    let (ip, asked) = counted_runtime().await;
    // An amount that the API server writes differently.
    stage.apply("/spec/resources", json!({"requests": {"cpu": "0.5", "memory": "1024Mi"}})).await;
    stage.deployed_other_than("").await;
    stage.replace_pod(json!({"running": {}}), ip).await;
    stage.wait_for("Ready", "True/Running").await;
    let looked = deadline::until("nothing happens to it", 4 * LIMIT, async || {
        // The operator has seen the last of its own changes.
        asked_again(&asked, 2).await;
        // If the runtime is held up and does not answer in time, the operator writes that to the status.
        let (version, before) = (stage.pipeline().await.resource_version(), looks(&stage));
        asked_again(&asked, 3).await;
        let looked = looks(&stage) - before;
        (stage.pipeline().await.resource_version() == version).then_some(looked)
    });
    assert_eq!(looked.await, 0);
}

#[tokio::test]
async fn a_pod_that_the_pipeline_did_not_make_is_not_asked_whatever_its_labels_say() {
    let stage = or_skip!(Stage::new().await);
    let ((ip, asked), (strange, asked_strange)) = (counted_runtime().await, counted_runtime().await);
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    let first = stage.deployed_other_than("").await;
    stage.replace_pod(json!({"waiting": {}}), ip).await;
    stage.make_stranger(strange).await;
    // A look at the pods that began when both pods were there.
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 2000})).await;
    stage.deployed_other_than(&first).await;
    stage.wait_for("Ready", "False/Starting").await;
    assert_eq!((asked.load(Ordering::Relaxed), asked_strange.load(Ordering::Relaxed)), (0, 0));
    assert_eq!(stage.pipeline().await.status.unwrap().replicas, 1);
}
