//! Objects with the pipeline's name that existed before it and belong to somebody else.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use weir_e2e::deadline;
use weir_tests::or_skip;

use crate::stage::{LIMIT, NAME, Stage, labels};

/// Creates an object without a known owner.
async fn make<K>(stage: &Stage, mut object: Value) -> K
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    stage.api::<K>().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
}

/// Waits until the operator refuses this object, checks that the object did not change, and deletes it.
async fn is_left_alone<K>(stage: &Stage, before: &K)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + DeserializeOwned
        + Clone
        + std::fmt::Debug
        + PartialEq,
{
    let said = deadline::until(&format!("{} is refused", K::kind(&())), LIMIT, async || {
        let said = stage.wait_for("Stalled", "True/NameInUse").await;
        said.contains(&format!("the {} `{}`", K::kind(&()), before.name_any())).then_some(said)
    })
    .await;
    assert!(said.contains("create the pipeline under another name, or delete what is in its way"), "{said}");
    assert_eq!(stage.api::<K>().get(&before.name_any()).await.unwrap(), *before);
    stage.api::<K>().delete(&before.name_any(), &DeleteParams::background()).await.unwrap();
    // The operator does not watch objects of others: it looks again after a while, or when something of the pipeline
    // changes.
    stage
        .namespace
        .pipelines()
        .patch(NAME, &PatchParams::default(), &Patch::Merge(json!({"spec": {"limits": {"recordsPerEpoch": count()}}})))
        .await
        .unwrap();
}

/// A new number for each call.
fn count() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1000);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn objects_of_the_pipelines_name_that_are_others_are_left_alone_and_named_and_their_absence_is_enough() {
    let stage = or_skip!(Stage::new().await);
    let (labels, container) = (json!({"app": "other"}), json!({"name": "a", "image": "registry.example/other:1"}));
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let account = make::<ServiceAccount>(&stage, json!({"metadata": {"name": NAME}})).await;
    let service = make::<Service>(
        &stage,
        json!({"metadata": {"name": NAME}, "spec": {"ports": [{"port": 80}], "selector": labels}}),
    )
    .await;
    let policy = make::<NetworkPolicy>(&stage, json!({"metadata": {"name": NAME}, "spec": {"podSelector": {}}})).await;
    let deployment = make::<Deployment>(
        &stage,
        json!({"metadata": {"name": NAME}, "spec": {"selector": {"matchLabels": labels}, "template": template}}),
    )
    .await;

    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    is_left_alone(&stage, &account).await;
    is_left_alone(&stage, &service).await;
    is_left_alone(&stage, &policy).await;
    is_left_alone(&stage, &deployment).await;
    stage.wait_for("Stalled", "False/UpToDate").await;
    assert!(stage.deployed().await.is_some());
}

#[tokio::test]
async fn a_job_of_the_cleanups_name_that_is_somebody_elses_is_left_alone_and_holds_the_pipeline_with_a_reason() {
    let stage = or_skip!(Stage::new().await);
    let template =
        json!({"spec": {"containers": [{"name": "a", "image": "registry.example/other:1"}], "restartPolicy": "Never"}});
    let name = format!("{NAME}-cleanup");
    let other = make::<Job>(&stage, json!({"metadata": {"name": name}, "spec": {"template": template}})).await;
    stage.apply("/spec/deletionPolicy", json!("DeleteCheckpoint")).await;
    stage.deployed_other_than("").await;
    deadline::until("the finalizer is there", LIMIT, async || {
        (!stage.pipeline().await.finalizers().is_empty()).then_some(())
    })
    .await;
    stage.namespace.pipelines().delete(NAME, &DeleteParams::default()).await.unwrap();

    let said = stage.wait_for("Stalled", "True/NameInUse").await;
    assert!(said.contains(&format!("the Job `{name}` is not the pipeline's, and is left as it is")), "{said}");
    assert_eq!(stage.api::<Job>().get(&name).await.unwrap(), other);
    // Once the other Job is gone, the deletion continues.
    stage.api::<Job>().delete(&name, &DeleteParams::background()).await.unwrap();
    deadline::until("our Job is there", LIMIT, async || {
        let job = stage.api::<Job>().get_opt(&name).await.unwrap()?;
        job.annotations().contains_key("weir.dev/of").then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_left_without_an_owner_and_bears_the_pipelines_labels_is_taken_up_again() {
    let stage = or_skip!(Stage::new().await);
    let orphan = make::<ServiceAccount>(&stage, json!({"metadata": {"name": NAME, "labels": labels()}})).await;
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    stage.deployed_other_than("").await;
    let account = stage.api::<ServiceAccount>().get(NAME).await.unwrap();
    assert_eq!((account.uid(), account.owner_references().len()), (orphan.uid(), 1));
}
