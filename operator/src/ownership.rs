//! Who owns an object. Names of objects are derived from the pipeline's name, so an object with such a name may belong
//! to anyone. The operator never changes or deletes an object that is not the pipeline's. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::desired::cleanup::CLEANUP;
use crate::error::Error;
use crate::labels::{OF, Owner};

/// Whether an object belongs to the pipeline: the pipeline controls it; or nothing controls it and it has all of the
/// pipeline's labels, as after `kubectl delete --cascade=orphan`.
#[must_use]
pub fn is_ours(meta: &ObjectMeta, owner: &Owner) -> bool {
    match controller(meta) {
        Some(controller) => controller.uid == owner.reference.uid,
        None => {
            let labels = meta.labels.clone().unwrap_or_default();
            owner.labels().iter().all(|(key, value)| labels.get(key) == Some(value))
        }
    }
}

/// Whether an object is this pipeline's Job that deletes the checkpoint, or belongs to the Job. Nothing controls these
/// objects.
#[must_use]
pub fn is_our_cleanup(meta: &ObjectMeta, owner: &Owner) -> bool {
    is_a_cleanup(meta, owner) && meta.annotations.as_ref().and_then(|a| a.get(OF)) == Some(&owner.reference.uid)
}

/// Whether an object is the Job that deletes the checkpoint of a pipeline of this name, or belongs to the Job. The
/// pipeline may be this one or an earlier one.
#[must_use]
pub fn is_a_cleanup(meta: &ObjectMeta, owner: &Owner) -> bool {
    meta.labels.as_ref().and_then(|labels| labels.get(CLEANUP)) == Some(&owner.name) && controller(meta).is_none()
}

/// The error for an object that must not be changed.
#[must_use]
pub fn refused(kind: &str, meta: &ObjectMeta, owner: &Owner) -> Error {
    let name = meta.name.clone().unwrap_or_default();
    let whose = match controller(meta) {
        Some(other) if other.kind == owner.reference.kind && other.name == owner.name => {
            format!("belongs to an earlier pipeline of this name ({}), which is being deleted", other.uid)
        }
        Some(other) => format!("belongs to the {} `{}`", other.kind, other.name),
        None => "is not the pipeline's".to_owned(),
    };
    let message = format!(
        "the {kind} `{name}` {whose}, and is left as it is: create the pipeline under another name, or delete what is \
         in its way: \
         kubectl --namespace {} delete {} {name}",
        owner.namespace,
        kind.to_lowercase()
    );
    Error::NotOurs { message }
}

fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|reference| reference.controller == Some(true))
}

/// The uid of the object's controller.
#[must_use]
pub fn controller_uid(meta: &ObjectMeta) -> Option<&str> {
    controller(meta).map(|controller| controller.uid.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::owner;

    fn meta(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    fn controlled_by(kind: &str, name: &str, uid: &str) -> ObjectMeta {
        let reference = json!({"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true});
        // The pipeline's labels alone do not prove ownership.
        meta(json!({"name": "rides-revenue", "labels": owner().labels(), "ownerReferences": [reference]}))
    }

    #[test]
    fn what_the_pipeline_controls_and_orphans_with_all_of_its_labels_are_ours() {
        let owner = owner();
        assert!(is_ours(&owner.meta("rides-revenue"), &owner));
        let orphan = ObjectMeta { owner_references: None, ..owner.meta("rides-revenue") };
        assert!(is_ours(&orphan, &owner));
        for label in owner.labels().keys() {
            let mut labels = owner.labels();
            labels.remove(label);
            assert!(!is_ours(&ObjectMeta { labels: Some(labels), ..orphan.clone() }, &owner), "without {label}");
        }
    }

    #[test]
    fn what_another_controls_or_nobody_has_marked_is_not_ours_and_the_refusal_says_whose_and_what_to_do() {
        let owner = owner();
        for (found, whose) in [
            (meta(json!({"name": "default"})), "the Service `default` is not the pipeline's, and is left as it is"),
            (controlled_by("Cluster", "postgres", "1"), "belongs to the Cluster `postgres`"),
            (controlled_by("StreamPipeline", "rides-revenue", "1"), "belongs to an earlier pipeline of this name (1)"),
            (controlled_by("StreamPipeline", "another", "1"), "belongs to the StreamPipeline `another`"),
        ] {
            assert!(!is_ours(&found, &owner), "{found:?}");
            let said = refused("Service", &found, &owner).to_string();
            assert!(said.contains(whose), "{said}");
            assert!(said.contains("create the pipeline under another name"), "{said}");
            assert!(
                said.ends_with(&format!("kubectl --namespace data delete service {}", found.name.unwrap())),
                "{said}"
            );
        }
    }

    #[test]
    fn a_job_of_the_cleanups_name_is_ours_by_its_label_and_the_pipelines_uid() {
        let owner = owner();
        let job = |uid: &str| {
            meta(json!({"labels": {"weir.dev/cleanup": "rides-revenue"}, "annotations": {"weir.dev/of": uid}}))
        };
        assert!(is_our_cleanup(&job(&owner.reference.uid), &owner));
        assert!(!is_our_cleanup(&job("before"), &owner) && is_a_cleanup(&job("before"), &owner));
        assert!(!is_a_cleanup(&meta(json!({"annotations": {"weir.dev/of": owner.reference.uid}})), &owner));
    }
}
