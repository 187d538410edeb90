//! Pods of pipelines in a namespace that enforces the restricted Pod Security Standard, as all namespaces of these
//! tests do.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::json;
use weir_e2e::namespace::refusal;
use weir_tests::or_skip;

use crate::stage::{NAME, Stage};

async fn first_pod(stage: &Stage) -> Pod {
    stage.deployed_other_than("").await;
    let template = stage.api::<Deployment>().get(NAME).await.unwrap().spec.unwrap().template;
    let mut pod = Pod { metadata: template.metadata.unwrap(), spec: template.spec, status: None };
    pod.metadata.name = Some("first".to_owned());
    pod
}

#[tokio::test]
async fn the_pods_of_a_pipeline_are_admitted_where_restricted_is_enforced_whatever_its_pod_template() {
    let stage = or_skip!(Stage::new().await);
    let template = json!({
        "labels": {"example.com/team": "rides"},
        "annotations": {"example.com/note": "any text"},
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"operator": "Exists"}],
        "serviceAccountName": "with-a-cloud-role",
        "imagePullSecrets": [{"name": "registry"}],
        "env": [{"name": "WEIR_LOG", "value": "debug"}],
    });
    stage.apply("/spec/podTemplate", template).await;
    let pod = first_pod(&stage).await;
    stage.api::<Pod>().create(&PostParams::default(), &pod).await.unwrap();

    // The namespace does refuse what a pod of a pipeline never has.
    let mut on_the_node = pod;
    on_the_node.metadata.name = Some("second".to_owned());
    on_the_node.spec.as_mut().unwrap().host_network = Some(true);
    let said = refusal(stage.api::<Pod>().create(&PostParams::default(), &on_the_node).await);
    assert!(said.contains("violates PodSecurity \"restricted:latest\": host namespaces"), "{said}");
}

#[tokio::test]
async fn an_annotation_that_would_loosen_what_confines_the_pod_is_refused_with_its_path() {
    let stage = or_skip!(Stage::new().await);
    let key = "container.apparmor.security.beta.kubernetes.io/weir";
    stage.apply("/spec/podTemplate", json!({"annotations": {key: "unconfined"}})).await;
    let said = stage.wait_for("Stalled", "True/InvalidDocument").await;
    assert!(said.starts_with(&format!("spec.podTemplate.annotations[\"{key}\"]: begins with ")), "{said}");
    assert_eq!(stage.deployed().await, None);
}

#[tokio::test]
async fn pods_without_a_user_of_their_own_are_admitted_too() {
    let mut stage = or_skip!(Stage::new().await);
    stage.kill_operator();
    stage.operator = stage.start_another_with("the-operator", &["--assigned-users"]);
    stage.apply("/spec/limits", json!({"recordsPerEpoch": 1000})).await;
    let pod = first_pod(&stage).await;
    let made = stage.api::<Pod>().create(&PostParams::default(), &pod).await.unwrap();
    assert_eq!(made.spec.unwrap().security_context.unwrap().run_as_user, None);
}
