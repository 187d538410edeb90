//! Server-side apply of what is desired. An object that is as it should be is not written.

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::context::FIELD_MANAGER;
use crate::dereference::Observed;
use crate::desired::labels::{Owner, PIPELINE, REVISION};
use crate::desired::workload::Workload;
use crate::desired::{Desired, pod_monitor};
use crate::error::{Error, Result, asking};
use crate::revision::Revision;

/// The annotation with a hash of what was applied: fields that we no longer set show in it and nowhere else.
const APPLIED: &str = "weir.dev/applied";
/// Revisions that are kept besides the one that runs.
const REVISIONS_KEPT: usize = 10;

/// Writes the revision first: whoever goes on after a crash finds what was meant.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn apply(client: &Client, owner: &Owner, revision: &Revision, desired: &Desired, observed: &Observed) -> Result<()> {
    one(client, &owner.namespace, revision.to_object(owner)).await?;
    one(client, &owner.namespace, desired.service_account.clone()).await?;
    one(client, &owner.namespace, desired.config_map.clone()).await?;
    one(client, &owner.namespace, desired.service.clone()).await?;
    one(client, &owner.namespace, desired.network_policy.clone()).await?;
    if let Some(monitor) = &desired.pod_monitor {
        let resource = pod_monitor::resource();
        write(&Api::namespaced_with(client.clone(), &owner.namespace, &resource), &resource, monitor).await?;
    }
    match &desired.workload {
        Workload::Deployment(deployment) => {
            one(client, &owner.namespace, deployment.as_ref().clone()).await?;
            for job in &observed.jobs {
                delete(&Api::<Job>::namespaced(client.clone(), &owner.namespace), job.metadata.name.as_deref().unwrap_or_default()).await?;
            }
            Ok(())
        }
        Workload::Job(job) => {
            delete_deployment(client, owner, observed).await?;
            apply_job(client, owner, job, &observed.jobs).await
        }
        Workload::Done => delete_deployment(client, owner, observed).await,
    }
}

async fn delete_deployment(client: &Client, owner: &Owner, observed: &Observed) -> Result<()> {
    match observed.deployment {
        Some(_) => delete(&Api::<Deployment>::namespaced(client.clone(), &owner.namespace), &owner.name).await,
        None => Ok(()),
    }
}

/// A Job's template can't be changed: one of another revision that still runs is deleted, and made anew when it is gone. One that is done
/// stays, whatever the document says by now.
async fn apply_job(client: &Client, owner: &Owner, wanted: &Job, there: &[Job]) -> Result<()> {
    let api = Api::<Job>::namespaced(client.clone(), &owner.namespace);
    let mut same_run = None;
    for job in there {
        match job.metadata.name == wanted.metadata.name {
            true => same_run = Some(job),
            false => delete(&api, job.metadata.name.as_deref().unwrap_or_default()).await?,
        }
    }
    let revision = |job: &Job| {
        let template = &job.spec.as_ref()?.template;
        template.metadata.as_ref()?.annotations.as_ref()?.get(REVISION).cloned()
    };
    match same_run {
        Some(job) if job.metadata.deletion_timestamp.is_some() || is_complete(job) => Ok(()),
        Some(job) if revision(job) != revision(wanted) => delete(&api, job.metadata.name.as_deref().unwrap_or_default()).await,
        // What may change of a Job is whether it is suspended.
        Some(job) => {
            let suspend = |job: &Job| job.spec.as_ref().and_then(|s| s.suspend).unwrap_or(false);
            if suspend(job) == suspend(wanted) {
                return Ok(());
            }
            let patch = Patch::Merge(json!({"spec": {"suspend": suspend(wanted)}}));
            let name = job.metadata.name.as_deref().unwrap_or_default();
            asking(format!("suspend or resume Job {name}"), api.patch(name, &PatchParams::default(), &patch)).await.map(|_| ())
        }
        None => write(&api, &(), wanted).await,
    }
}

/// Whether a Job has done what it was for.
#[must_use]
pub fn is_complete(job: &Job) -> bool {
    job.status.iter().flat_map(|s| s.conditions.iter().flatten()).any(|c| c.type_ == "Complete" && c.status == "True")
}

async fn one<K>(client: &Client, namespace: &str, object: K) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    write(&Api::<K>::namespaced(client.clone(), namespace), &(), &object).await
}

async fn write<K>(api: &Api<K>, kind: &K::DynamicType, object: &K) -> Result<()>
where
    K: Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    let (api_version, kind) = (K::api_version(kind), K::kind(kind));
    let name = object.meta().name.clone().unwrap_or_default();
    let doing = format!("apply {kind} {name}");
    let unexpected = |e: serde_json::Error| Error::Unexpected { doing: doing.clone(), why: e.to_string() };
    let mut wanted = serde_json::to_value(object).map_err(unexpected)?;
    wanted["apiVersion"] = json!(api_version);
    wanted["kind"] = json!(kind);
    let hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(wanted.to_string().as_bytes()));
    wanted["metadata"]["annotations"][APPLIED] = json!(hash);

    let there = asking(format!("get {kind} {name}"), api.get_opt(&name)).await?;
    if let Some(there) = there {
        let mut there = serde_json::to_value(&there).map_err(unexpected)?;
        there["apiVersion"] = json!(api_version);
        there["kind"] = json!(kind);
        if is_within(&wanted, &there) {
            return Ok(());
        }
    }
    tracing::info!(kind = %kind, %name, "apply");
    asking(doing, api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&wanted))).await?;
    Ok(())
}

/// Whether `there` has all that `wanted` asks for; what the API server or others added does not matter. An empty list or map is stored as
/// none.
fn is_within(wanted: &Value, there: &Value) -> bool {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) => wanted.iter().all(|(field, value)| match there.get(field) {
            Some(found) => is_within(value, found),
            None => is_empty(value),
        }),
        (Value::Array(wanted), Value::Array(there)) => {
            wanted.len() == there.len() && wanted.iter().zip(there).all(|(wanted, there)| is_within(wanted, there))
        }
        _ => wanted == there,
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

/// Deletes revisions, and their documents, that are neither the target nor among the newest.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn prune(client: &Client, owner: &Owner, target: &Revision, there: &[Revision]) -> Result<()> {
    let mut old: Vec<_> = there.iter().filter(|r| r.name != target.name).collect();
    old.sort_by_key(|r| std::cmp::Reverse(r.number));
    let doomed: Vec<_> = old.into_iter().skip(REVISIONS_KEPT).map(|r| r.name.as_str()).collect();
    if doomed.is_empty() {
        return Ok(());
    }
    let ours = ListParams::default().labels(&format!("{PIPELINE}={}", owner.name));
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), &owner.namespace);
    let documents = asking("list ConfigMaps", config_maps.list(&ours)).await?;
    for name in doomed {
        // The document first: a revision without one is found again, a document without a revision is not.
        if documents.items.iter().any(|d| d.metadata.name.as_deref() == Some(name)) {
            delete(&config_maps, name).await?;
        }
        delete(&Api::<ControllerRevision>::namespaced(client.clone(), &owner.namespace), name).await?;
    }
    Ok(())
}

async fn delete<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.delete(name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        answer => asking(format!("delete {name}"), async { answer }).await.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_added_does_not_matter_and_what_they_changed_does() {
        let wanted = json!({"spec": {"replicas": 1, "args": ["a", "b"]}});
        assert!(is_within(&wanted, &json!({"spec": {"replicas": 1, "args": ["a", "b"], "uid": 7}, "status": {}})));
        assert!(!is_within(&wanted, &json!({"spec": {"replicas": 2, "args": ["a", "b"]}})));
        assert!(!is_within(&wanted, &json!({"spec": {"replicas": 1, "args": ["a", "b", "c"]}})));
        assert!(!is_within(&wanted, &json!({"spec": {"args": ["a", "b"]}})));
        let empty = json!({"spec": {"env": [], "limits": {}}});
        assert!(is_within(&empty, &json!({"spec": {}})));
        assert!(!is_within(&empty, &json!({"spec": {"env": ["a"]}})));
    }
}
