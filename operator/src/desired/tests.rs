//! The objects as the API server gets them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PodSecurityContext;
use serde::Serialize;
use serde_json::{Value, json};

use super::workload::Workload;
use super::{Access, Desired, Policy, Run, Running, build, cleanup};
use crate::fixtures::{empty_cluster, owner, rides, rides_with, settings, verdict};
use crate::pod_template;
use crate::revision::Revision;
use crate::secrets::Found;
use crate::settings::{Settings, Users};

fn yaml(object: &impl Serialize) -> String {
    format!("---\n{}", serde_yaml::to_string(object).unwrap())
}

fn desired(revision: &Revision, run: Run) -> Desired {
    build(&owner(), revision, &running(run), &settings())
}

fn running(run: Run) -> Running {
    Running { replicas: 1, secrets: "lake=s1".into(), run, has_http_ca: false, access: Access::Also(Vec::new()) }
}

#[test]
fn the_objects_of_a_pipeline_that_goes_on() {
    let revision = verdict(&rides(), &empty_cluster()).target.unwrap();
    let Desired { service_account, config_map, service, network_policy, pod_monitor, workload } =
        desired(&revision, Run::Endless);
    let Workload::Deployment(deployment) = workload else { panic!("{workload:?}") };
    let Policy::Of(network_policy) = network_policy else { panic!("{network_policy:?}") };
    let objects = [yaml(&service_account), yaml(&config_map), yaml(&service), yaml(&network_policy)];
    let objects = objects.concat() + &yaml(&pod_monitor) + &yaml(&deployment);
    insta::assert_snapshot!(objects);
}

#[test]
fn the_job_of_a_run_and_what_the_document_gives_to_its_pods() {
    let mut pipeline = rides_with("/trigger", json!({"type": "AvailableNow", "runToken": "first"}));
    pipeline.spec["resources"] = json!({"limits": {"cpu": "2", "memory": "1Gi"}});
    pipeline.spec["podTemplate"] = json!({
        "labels": {"example.com/team": "data"},
        "annotations": {"sidecar.istio.io/inject": "false"},
        "env": [{"name": "RUST_LOG", "value": "info"}],
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
    });
    let revision = verdict(&pipeline, &empty_cluster()).target.unwrap();
    let workload = desired(&revision, Run::Unfinished("first".into())).workload;
    let Workload::Job(job) = workload else { panic!("{workload:?}") };
    let job = yaml(&job);
    insta::assert_snapshot!(job);
}

/// Who may reach the pods of a document with this `networkPolicy`, where the operator's settings name `of_settings`.
fn ingress(of_settings: Option<Value>, policy: Value) -> Value {
    let peers = of_settings.map(|peers| serde_json::from_value(peers).unwrap());
    let pipeline = rides_with("/networkPolicy", policy);
    let revision = verdict(&pipeline, &empty_cluster()).target.unwrap();
    let access = Access::of(serde_json::from_value(pipeline.spec["networkPolicy"].clone()).ok().as_ref());
    let running = Running { replicas: 1, secrets: String::new(), run: Run::Endless, has_http_ca: false, access };
    match build(&owner(), &revision, &running, &Settings { ingress_from: peers, ..settings() }).network_policy {
        Policy::Of(policy) => serde_json::to_value(policy.spec.unwrap().ingress).unwrap(),
        Policy::None => json!("no policy"),
        Policy::Unchanged => json!("unchanged"),
    }
}

#[test]
fn the_operator_the_scrapers_and_whom_the_document_names_may_reach_the_pods() {
    let ports = json!([{"port": 9464, "protocol": "TCP"}]);
    let peer = |app: &str| json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": app}}});
    let (operator, scraper, named) = (peer("operator"), peer("prometheus"), peer("page"));
    let of_settings = Some(json!([operator, scraper]));
    let rule = |from: Value| json!([{"ports": ports, "from": from}]);
    assert_eq!(ingress(of_settings.clone(), Value::Null), rule(json!([operator, scraper])));
    assert_eq!(ingress(of_settings.clone(), json!({"ingressFrom": [named]})), rule(json!([operator, scraper, named])));
    assert_eq!(ingress(of_settings, json!({"mode": "Unmanaged"})), json!("no policy"));
    assert_eq!(ingress(Some(json!([])), Value::Null), json!([]), "nobody, and not everybody");
    assert_eq!(ingress(None, json!({"ingressFrom": [named]})), json!([{"ports": ports}]), "everybody");
}

#[test]
fn a_port_with_tls_and_a_token_is_probed_and_scraped_by_them() {
    let http = json!({"tls": {"secretRef": {"name": "page-tls"}}, "tokenSecretRef": {"name": "page", "key": "token"}});
    let mut pipeline = rides_with("/http", http);
    // What a document adds to its pods does not come between.
    pipeline.spec["podTemplate"] = json!({"env": [{"name": "WEIR_HTTP", "value": "plain"}]});
    let mut cluster = empty_cluster();
    for (name, keys) in [("page-tls", &["tls.crt", "tls.key", "ca.crt"][..]), ("page", &["token"])] {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        let found = Found { version: "s1".into(), keys, labels: BTreeMap::new(), has_ca: name == "page-tls" };
        cluster.secrets.insert(name.into(), Some(found));
    }
    let revision = verdict(&pipeline, &cluster).target.unwrap();
    let Desired { pod_monitor, workload, .. } = desired(&revision, Run::Endless);
    let Workload::Deployment(deployment) = workload else { panic!("{workload:?}") };
    let monitor = |has_http_ca| {
        let running = Running { has_http_ca, ..running(Run::Endless) };
        serde_json::to_value(build(&owner(), &revision, &running, &settings()).pod_monitor).unwrap()
    };
    let ca = "/spec/podMetricsEndpoints/0/tlsConfig/ca/secret/key";
    assert_eq!([true, false].map(|has| monitor(has).pointer(ca).unwrap().clone()), ["ca.crt", "tls.crt"]);
    insta::assert_snapshot!(yaml(&pod_monitor) + &yaml(&deployment));
}

#[test]
fn where_the_platform_assigns_users_pods_ask_for_none() {
    let of = |users| {
        let inputs = verdict(&rides(), &empty_cluster()).target.unwrap().inputs;
        let template = pod_template::template(&owner(), &inputs, users, "r", "r");
        template.spec.unwrap().security_context.unwrap()
    };
    let assigned = of(Users::Assigned);
    assert_eq!((assigned.run_as_user, assigned.run_as_group, assigned.fs_group), (None, None, None));
    let of_image = of(Users::OfImage);
    assert_eq!(PodSecurityContext { run_as_user: None, run_as_group: None, fs_group: None, ..of_image }, assigned);
}

#[test]
fn the_job_that_deletes_a_checkpoint() {
    let revision = verdict(&rides(), &empty_cluster()).target.unwrap();
    let job = yaml(&cleanup::job(&owner(), &revision, 600));
    insta::assert_snapshot!(job);
}
