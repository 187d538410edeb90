//! The Job that deletes the checkpoint of a deleted pipeline, with the image and the Secrets of what ran.
//!
//! Nothing here is owned by the pipeline: a foreground deletion first deletes all objects that are. The Job ends by
//! itself, and is removed some time later if nobody deletes it.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;

use crate::labels::{OF, Owner, REVISION};
use crate::pod_template::{self, CONTAINER, DOCUMENT, DOCUMENT_KEY, SECRETS_DIR, TERMINATION_MESSAGE};
use crate::revision::Revision;

/// The label of the Job's pods, in place of the runtime's labels: no Service or Deployment may select them.
pub const CLEANUP: &str = "weir.dev/cleanup";
/// How long the Job is kept after its end, in seconds, if nobody has seen it end.
const KEPT_SECONDS: i32 = 3600;

#[must_use]
pub fn name(owner: &Owner) -> String {
    format!("{}-cleanup", owner.name)
}

/// The Job. It is created suspended, and resumed when no pod writes any more.
#[must_use]
pub fn job(owner: &Owner, revision: &Revision, deadline_seconds: i64) -> Job {
    let mut template = revision.template.clone();
    template.metadata = Some(pod_metadata(owner, template.metadata.take().unwrap_or_default()));
    if let Some(spec) = &mut template.spec {
        spec.restart_policy = Some("OnFailure".to_owned());
        // The pipeline's own ServiceAccount is deleted with the pipeline.
        spec.service_account_name.take_if(|account| *account == owner.name);
        for volume in spec.volumes.iter_mut().flatten().filter(|v| v.name == DOCUMENT) {
            volume.config_map.get_or_insert_default().name = name(owner);
        }
        for container in spec.containers.iter_mut().filter(|c| c.name == CONTAINER) {
            let args =
                ["checkpoint", "delete", "-f", pod_template::DOCUMENT_PATH, "--secrets", SECRETS_DIR, "--log-json"];
            let args = args.into_iter().chain(["--termination-message", TERMINATION_MESSAGE]);
            container.args = Some(args.map(str::to_owned).collect());
            (container.liveness_probe, container.readiness_probe, container.ports) = (None, None, None);
        }
    }
    Job {
        metadata: ObjectMeta {
            name: Some(name(owner)),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels(owner)),
            annotations: Some([(OF.to_owned(), owner.reference.uid.clone())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            suspend: Some(true),
            backoff_limit: Some(i32::MAX),
            active_deadline_seconds: Some(deadline_seconds),
            ttl_seconds_after_finished: Some(KEPT_SECONDS),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// The metadata of the Job's pods. Labels and annotations of the document's `podTemplate` stay, since meshes, policies
/// and workload identities depend on them. The operator's own are replaced.
fn pod_metadata(owner: &Owner, of_runtime: ObjectMeta) -> ObjectMeta {
    let mut given = of_runtime.labels.unwrap_or_default();
    given.retain(|key, _| !owner.labels().contains_key(key));
    given.extend(labels(owner));
    let mut annotations = of_runtime.annotations.unwrap_or_default();
    annotations.remove(REVISION);
    ObjectMeta { labels: Some(given), annotations: Some(annotations), ..ObjectMeta::default() }
}

/// The document for the Job. It is deleted with the Job.
#[must_use]
pub fn config_map(owner: &Owner, revision: &Revision, job: &Job) -> ConfigMap {
    let reference = OwnerReference {
        controller: None,
        block_owner_deletion: None,
        ..job.controller_owner_ref(&()).unwrap_or_default()
    };
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name(owner)),
            namespace: Some(owner.namespace.clone()),
            labels: Some(labels(owner)),
            owner_references: Some(vec![reference]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(DOCUMENT_KEY.to_owned(), revision.inputs.document_text.clone())])),
        ..ConfigMap::default()
    }
}

fn labels(owner: &Owner) -> BTreeMap<String, String> {
    let labels =
        [("app.kubernetes.io/name", "weir"), ("app.kubernetes.io/component", "cleanup"), (CLEANUP, &owner.name)];
    labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::fixtures::{empty_cluster, owner, rides_with, verdict};

    #[test]
    fn its_pods_have_what_the_document_gives_to_pods_and_are_nobody_elses() {
        let given =
            json!({"labels": {"example.com/team": "data"}, "annotations": {"sidecar.istio.io/inject": "false"}});
        let revision = verdict(&rides_with("/podTemplate", given), &empty_cluster()).target.unwrap();
        let metadata = job(&owner(), &revision, 600).spec.unwrap().template.metadata.unwrap();
        let (labels, annotations) = (metadata.labels.unwrap(), metadata.annotations.unwrap());
        assert_eq!(labels["example.com/team"], "data");
        assert_eq!(
            (labels[CLEANUP].as_str(), labels["app.kubernetes.io/component"].as_str()),
            ("rides-revenue", "cleanup")
        );
        assert!(!labels.contains_key("weir.dev/pipeline"), "no Service selects it: {labels:?}");
        assert_eq!(annotations, BTreeMap::from([("sidecar.istio.io/inject".to_owned(), "false".to_owned())]));
    }
}
