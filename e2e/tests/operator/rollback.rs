//! A change whose runtime refuses to go on.

use kube::api::DeleteParams;
use serde_json::json;
use weir_tests::or_skip;

use crate::stage::{Stage, runtime};

#[tokio::test]
async fn a_change_that_its_runtime_refuses_goes_back_says_so_and_is_tried_again_only_on_purpose() {
    let mut stage = or_skip!(Stage::new().await);
    let running = runtime().await;
    let first = stage.run(1000, running).await;

    stage.apply("/spec/limits", json!({"recordsPerEpoch": 2000})).await;
    let second = stage.deployed_other_than(&first).await;
    let refused =
        json!({"terminated": {"exitCode": 2, "reason": "Error", "message": "spec.limits: there is no such field"}});
    stage.replace_pod(refused, running).await;
    let said = stage.wait_for("Stalled", "True/RolledBack").await;
    for part in ["spec.limits: there is no such field", &first, &format!("kubectl delete controllerrevision {second}")]
    {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(stage.deployed_other_than(&second).await, first);
    assert_eq!(stage.event("RolledBack").await.type_.as_deref(), Some("Warning"));
    let marks = stage.revision(&second).await.metadata.annotations.unwrap();
    assert!(marks["weir.dev/failed"].contains("ConfigError"), "{marks:?}");

    // Another operator finds what this one has decided.
    stage.kill_operator();
    stage.start_operator();
    stage.replace_pod(json!({"running": {}}), running).await;
    stage.wait_for("Ready", "True/Running").await;
    stage.wait_for("Stalled", "True/RolledBack").await;
    assert_eq!(stage.deployed_other_than(&second).await, first);
    assert_eq!(stage.pipeline().await.status.unwrap().runtime.unwrap().revision, first);

    stage
        .api::<k8s_openapi::api::apps::v1::ControllerRevision>()
        .delete(&second, &DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(stage.deployed_other_than(&first).await, second);
    stage.wait_for("Stalled", "False/UpToDate").await;
}
