//! Fixtures for tests of pure decisions: the rides pipeline, and clusters in given states.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use serde_json::{Value, json};
use weir_crds::resource::{Reason, StreamPipeline};

use crate::desired::workload::Workload;
use crate::desired::{Access, Run, Running, build};
use crate::labels::Owner;
use crate::observed::Observed;
use crate::observed::current;
use crate::planner::read;
use crate::refusal::Refusal;
use crate::revision::Revision;
use crate::secrets::Found;
use crate::settings::{Settings, Users};
use crate::verdict::{Readings, Verdict, judge};

pub fn settings() -> Settings {
    Settings {
        runtime_image: "registry.example:5000/weir:1.0.0".into(),
        pod_monitor_labels: BTreeMap::new(),
        users: Users::OfImage,
        secret_labels: BTreeMap::new(),
        ingress_from: None,
    }
}

/// `examples/rides.yaml` as the API server would return it.
pub fn rides() -> StreamPipeline {
    let text = include_str!("../../examples/rides.yaml");
    let mut object: Value = serde_yaml::from_str(text).unwrap();
    object["metadata"]["namespace"] = json!("data");
    object["metadata"]["uid"] = json!("5a6b");
    object["metadata"]["generation"] = json!(1);
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    // The definition's default: no operator has looked at it yet.
    object["status"] = json!({"observedGeneration": -1});
    serde_json::from_value(object).unwrap()
}

/// The rides pipeline with one place of its spec changed. A null removes it.
pub fn rides_with(pointer: &str, value: Value) -> StreamPipeline {
    let mut pipeline = rides();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = pipeline.spec.pointer_mut(parent).unwrap();
    match value {
        Value::Null => drop(parent.as_object_mut().unwrap().remove(field)),
        value => parent[field] = value,
    }
    pipeline.metadata.generation = Some(2);
    pipeline
}

pub fn owner() -> Owner {
    Owner {
        name: "rides-revenue".into(),
        namespace: "data".into(),
        reference: rides().controller_owner_ref(&()).unwrap(),
    }
}

/// A cluster that has only the Secret that the rides pipeline needs.
pub fn empty_cluster() -> Observed {
    let lake = Found {
        version: "s1".into(),
        keys: ["accessKeyId", "secretAccessKey"].map(str::to_owned).into(),
        labels: BTreeMap::new(),
        has_ca: false,
    };
    Observed { secrets: [("lake".to_owned(), Some(lake))].into(), ..Observed::default() }
}

pub fn verdict(pipeline: &StreamPipeline, observed: &Observed) -> Verdict {
    judge(pipeline, &owner(), observed, &settings(), &readings(pipeline, observed))
}

pub fn readings(pipeline: &StreamPipeline, observed: &Observed) -> Readings {
    let outcome = |document: &Value| {
        let lines =
            |findings: Vec<weir_crds::Finding>| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        read(document)
            .map(Arc::new)
            .map_err(|findings| Refusal { reason: Reason::InvalidDocument, message: lines(findings) })
    };
    Readings {
        spec: outcome(&pipeline.document()),
        running: current(observed).known().map(|r| outcome(&r.inputs.document())),
    }
}

/// The cluster after a pipeline was accepted and applied.
pub fn cluster_running(pipeline: &StreamPipeline) -> Observed {
    let mut observed = empty_cluster();
    let revision = verdict(pipeline, &observed).target.unwrap();
    observed.deployment = Some(deployment(&revision));
    observed.revisions = vec![Revision::from_object(&revision.to_object(&owner())).unwrap()];
    observed.pods = vec![pod(json!({"running": {}}), true)];
    observed
}

fn deployment(revision: &Revision) -> Deployment {
    let running = Running {
        replicas: 1,
        secrets: "lake=s1".into(),
        run: Run::Endless,
        has_http_ca: false,
        access: Access::Unchanged,
    };
    let Workload::Deployment(mut deployment) = build(&owner(), revision, &running, &settings()).workload else {
        panic!("a Job")
    };
    deployment.status = Some(serde_json::from_value(json!({"updatedReplicas": 1})).unwrap());
    *deployment
}

/// A pod whose container is in `state`.
pub fn pod(state: Value, ready: bool) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "rides-revenue-1"},
        "status": {"podIP": "10.0.0.1", "containerStatuses": [{
            "name": "weir", "image": "weir:1", "imageID": "", "ready": ready, "restartCount": 0, "state": state,
        }]},
    }))
    .unwrap()
}

pub fn at(text: &str) -> Time {
    Time(text.parse().unwrap())
}
