//! The deletion of a pipeline whose checkpoint is deleted with it.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use weir_e2e::deadline;
use weir_tests::or_skip;

use crate::stage::{LIMIT, NAME, Stage, runtime};

const JOB: &str = "rides-revenue-cleanup";

async fn stage_with_finalizer() -> Result<Stage, weir_tests::skip::Missing> {
    let stage = Stage::new().await?;
    stage.apply("/spec/deletionPolicy", json!("DeleteCheckpoint")).await;
    stage.deployed_other_than("").await;
    wait_for_finalizers(&stage, &["weir.dev/checkpoint"]).await;
    Ok(stage)
}

async fn wait_for_finalizers(stage: &Stage, expected: &[&str]) {
    deadline::until("the finalizers are as expected", LIMIT, async || {
        (stage.pipeline().await.metadata.finalizers.unwrap_or_default() == expected).then_some(())
    })
    .await;
}

async fn delete_pipeline(stage: &Stage) {
    stage.namespace.pipelines().delete(NAME, &DeleteParams::default()).await.unwrap();
}

async fn wait_until_gone(stage: &Stage) {
    deadline::until("the pipeline is gone", LIMIT, async || {
        stage.namespace.pipelines().get_opt(NAME).await.unwrap().is_none().then_some(())
    })
    .await;
}

async fn job(stage: &Stage, suspended: bool) -> Job {
    deadline::until("the Job is there", LIMIT, async || {
        let job = stage.api::<Job>().get_opt(JOB).await.unwrap()?;
        (job.spec.as_ref()?.suspend == Some(suspended)).then_some(job)
    })
    .await
}

#[tokio::test]
async fn the_checkpoint_is_deleted_by_a_job_once_no_pod_is_left_and_then_the_pipeline_goes() {
    let stage = or_skip!(stage_with_finalizer().await);
    stage.replace_pod(json!({"running": {}}), runtime().await).await;
    delete_pipeline(&stage).await;
    deadline::until("the Deployment is gone", LIMIT, async || {
        stage.api::<Deployment>().get_opt(NAME).await.unwrap().is_none().then_some(())
    })
    .await;
    let waiting = job(&stage, true).await;
    let container = &waiting.spec.unwrap().template.spec.unwrap().containers[0];
    assert_eq!(container.image.as_deref(), Some("registry.example/weir:0.1.0"));
    let args = container.args.clone().unwrap();
    assert_eq!(args[..5], ["checkpoint", "delete", "-f", "/etc/weir/pipeline.yaml", "--secrets"]);

    stage.delete_pods().await;
    job(&stage, false).await;
    stage.complete_job(JOB).await;
    wait_until_gone(&stage).await;
    assert!(stage.api::<Job>().get_opt(JOB).await.unwrap().is_none_or(|job| job.metadata.deletion_timestamp.is_some()));
    assert_eq!(stage.event("CheckpointDeleted").await.type_.as_deref(), Some("Normal"));
}

#[tokio::test]
async fn a_policy_that_is_taken_back_takes_the_finalizer_off() {
    let stage = or_skip!(stage_with_finalizer().await);
    stage.apply("/spec/deletionPolicy", json!("Retain")).await;
    wait_for_finalizers(&stage, &[]).await;
    delete_pipeline(&stage).await;
    wait_until_gone(&stage).await;
    assert_eq!(stage.api::<Job>().get_opt(JOB).await.unwrap(), None);
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_not_held_up() {
    let stage = or_skip!(stage_with_finalizer().await);
    let namespaces = Api::<Namespace>::all(stage.namespace.client());
    namespaces.delete(&stage.namespace.name, &DeleteParams::default()).await.unwrap();
    delete_pipeline(&stage).await;
    wait_until_gone(&stage).await;
}
