//! Secrets that appear or change. The operator does not watch them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::Resource;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use weir_crds::resource::StreamPipeline;
use weir_e2e::deadline;
use weir_tests::or_skip;

use crate::looks::looks;
use crate::stage::{LIMIT, NAME, Stage, runtime};

async fn change_keys(stage: &Stage, key: &str) {
    let params = PatchParams::apply("a person").force();
    let keys = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lake"},
        "stringData": {"accessKeyId": key, "secretAccessKey": "b"}});
    stage.api::<Secret>().patch("lake", &params, &Patch::Apply(keys)).await.unwrap();
}

#[tokio::test]
async fn a_missing_secret_is_named_and_when_it_is_there_the_pipeline_starts() {
    let stage = or_skip!(Stage::new().await);
    stage.api::<Secret>().delete("lake", &DeleteParams::default()).await.unwrap();
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    let said = stage.wait_for("Validated", "False/SecretMissing").await;
    assert!(
        said.starts_with("there is no Secret `lake` in this namespace: create it with the key `accessKeyId`"),
        "{said}"
    );
    assert_eq!(stage.deployed().await, None);
    change_keys(&stage, "a").await;
    stage.deployed_other_than("").await;
    stage.wait_for("Validated", "True/Valid").await;
}

#[tokio::test]
async fn a_changed_secret_rolls_no_pod_that_runs() {
    let stage = or_skip!(Stage::new().await);
    stage.run(1000, runtime().await).await;
    let template = async || stage.api::<Deployment>().get(NAME).await.unwrap().spec.unwrap().template;
    let before = template().await;
    change_keys(&stage, "another").await;
    // Any change of the pipeline's objects has the operator look at everything.
    let looked = looks(&stage);
    let labelled = Patch::Merge(json!({"metadata": {"labels": {"team": "rides"}}}));
    stage.api::<Service>().patch(NAME, &PatchParams::default(), &labelled).await.unwrap();
    deadline::until("the operator looks", LIMIT, async || (looks(&stage) > looked).then_some(())).await;
    // What is applied after that look is applied with what it has seen.
    let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
    let suspended = stage.namespace.pipelines().patch(NAME, &PatchParams::default(), &suspend).await.unwrap();
    let generation = suspended.metadata.generation;
    deadline::until("the operator has applied what it wants", LIMIT, async || {
        (stage.pipeline().await.status?.observed_generation == generation).then_some(())
    })
    .await;
    assert_eq!(template().await, before);
}

#[tokio::test]
async fn a_changed_secret_replaces_a_pod_that_refuses_to_go_on() {
    let stage = or_skip!(Stage::new().await);
    let revision = stage.run(1000, runtime().await).await;
    let annotation = async || {
        let template = stage.api::<Deployment>().get(NAME).await.unwrap().spec.unwrap().template;
        template.metadata.unwrap().annotations.unwrap()["weir.dev/secrets"].clone()
    };
    let before = annotation().await;
    let refused =
        json!({"terminated": {"exitCode": 2, "reason": "Error", "message": "http://s3:9000 refused the key"}});
    stage.replace_pod(refused, runtime().await).await;
    stage.wait_for("Ready", "False/ConfigError").await;
    change_keys(&stage, "another").await;
    let after = deadline::until("the pods are rolled", LIMIT, async || {
        Some(annotation().await).filter(|found| *found != before)
    })
    .await;
    let version = stage.api::<Secret>().get("lake").await.unwrap().metadata.resource_version.unwrap();
    assert_eq!((after, stage.deployed().await), (format!("lake={version}"), Some(revision)));
}

#[tokio::test]
async fn a_revision_that_was_given_up_is_tried_again_when_a_secret_has_changed() {
    let stage = or_skip!(Stage::new().await);
    let running = runtime().await;
    let first = stage.run(1000, running).await;
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 2000})).await;
    let second = stage.deployed_other_than(&first).await;
    let refused =
        json!({"terminated": {"exitCode": 2, "reason": "Error", "message": "http://s3:9000 refused the key"}});
    stage.replace_pod(refused, running).await;
    stage.wait_for("Stalled", "True/RolledBack").await;
    assert_eq!(stage.deployed_other_than(&second).await, first);
    stage.replace_pod(json!({"running": {}}), running).await;
    change_keys(&stage, "another").await;
    assert_eq!(stage.deployed_other_than(&first).await, second);
    stage.wait_for("Stalled", "False/UpToDate").await;
}

/// The operator meets a Secret that lacks a key, one that is whole, one that a pod refuses, and a new one, with all its
/// logs switched on. Its own token is a credential too.
#[tokio::test]
async fn no_value_of_a_secret_is_in_anything_that_the_operator_writes() {
    let [first, second, unnamed] =
        ["of-the-first-keys", "of-the-second-keys", "of-a-key-nobody-names"].map(|of| format!("marker-{of}"));
    let mut stage = or_skip!(Stage::new().await);
    stage.trace_operator();
    let secrets = stage.api::<Secret>();
    let write = async |data: serde_json::Value| {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lake"}, "stringData": data});
        secrets.patch("lake", &PatchParams::apply("a person").force(), &Patch::Apply(secret)).await.unwrap();
    };
    secrets.delete("lake", &DeleteParams::default()).await.unwrap();
    write(json!({"accessKeyId": first, "unnamed": unnamed})).await;
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    stage.wait_for("Validated", "False/SecretMissing").await;
    write(json!({"accessKeyId": first, "secretAccessKey": first, "unnamed": unnamed})).await;
    stage.deployed_other_than("").await;
    let running = runtime().await;
    stage.replace_pod(json!({"running": {}}), running).await;
    stage.wait_for("Ready", "True/Running").await;
    let refused =
        json!({"terminated": {"exitCode": 2, "reason": "Error", "message": "http://s3:9000 refused the key"}});
    stage.replace_pod(refused, running).await;
    stage.wait_for("Ready", "False/ConfigError").await;
    write(json!({"accessKeyId": second, "secretAccessKey": second})).await;
    stage.replace_pod(json!({"running": {}}), running).await;
    stage.wait_for("Ready", "True/Running").await;

    let written = [
        all::<StreamPipeline>(&stage).await,
        all::<Deployment>(&stage).await,
        all::<ControllerRevision>(&stage).await,
        all::<ConfigMap>(&stage).await,
        all::<Job>(&stage).await,
        all::<Lease>(&stage).await,
        all::<Event>(&stage).await,
        all::<Pod>(&stage).await,
        all::<Service>(&stage).await,
        all::<ServiceAccount>(&stage).await,
        all::<NetworkPolicy>(&stage).await,
        stage.metrics(),
        stage.log(),
    ]
    .concat();
    // Otherwise nothing was switched on.
    assert!(stage.log().contains("TRACE"));
    for marker in [&first, &second, &unnamed, &stage.token()] {
        // The last is how Rust writes bytes, and so a Secret, into a log.
        let bytes = format!("{:?}", marker.as_bytes());
        for text in [marker, &BASE64_STANDARD_NO_PAD.encode(marker), bytes.trim_matches(['[', ']'])] {
            let Some(at) = written.find(text) else { continue };
            let before: String = written[..at].chars().rev().take(200).collect();
            panic!("`{text}` is in what the operator has written, after: {}", before.chars().rev().collect::<String>());
        }
    }
}

/// All objects of a kind in the stage's namespace, as the API server has them.
async fn all<K>(stage: &Stage) -> String
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let objects = stage.api::<K>().list(&ListParams::default()).await.unwrap().items;
    serde_json::to_string(&objects).unwrap()
}
