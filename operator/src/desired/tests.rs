//! The objects as the API server gets them.
#![allow(clippy::unwrap_used)]

use k8s_openapi::api::core::v1::PodSecurityContext;
use serde::Serialize;
use serde_json::json;

use super::workload::Workload;
use super::{Desired, Run, Running, build, cleanup, pod};
use crate::fixtures::{empty_cluster, owner, rides, rides_with, settings, verdict};
use crate::revision::Revision;
use crate::settings::Users;

fn yaml(object: &impl Serialize) -> String {
    format!("---\n{}", serde_yaml::to_string(object).unwrap())
}

fn desired(revision: &Revision, run: Run) -> Desired {
    build(&owner(), revision, &Running { replicas: 1, secrets: "lake=s1".into(), run }, &settings())
}

#[test]
fn the_objects_of_a_pipeline_that_goes_on() {
    let revision = verdict(&rides(), &empty_cluster()).target.unwrap();
    let Desired { service_account, config_map, service, network_policy, pod_monitor, workload } =
        desired(&revision, Run::Endless);
    let Workload::Deployment(deployment) = workload else { panic!("{workload:?}") };
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

#[test]
fn where_the_platform_assigns_users_pods_ask_for_none() {
    let of = |users| {
        let inputs = verdict(&rides(), &empty_cluster()).target.unwrap().inputs;
        let template = pod::template(&owner(), &inputs, users, "r", "r");
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
