//! Reads what the cluster holds of one pipeline. The only reads of a reconcile.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{ControllerRevision, Deployment};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ListParams};
use weir_crds::resource::StreamPipeline;
use xxhash_rust::xxh3::Xxh3;

use crate::context::Context;
use crate::desired::labels::{Owner, PIPELINE};
use crate::error::{Result, asking};
use crate::revision::{Revision, secret_keys};

/// What there is.
#[derive(Debug, Default)]
pub struct Observed {
    /// Of each Secret that the spec or a running revision refers to: its keys; none if it is not there.
    pub secrets: BTreeMap<String, Option<BTreeSet<String>>>,
    /// Changes when the content of one of them does.
    pub secrets_hash: String,
    pub revisions: Vec<Revision>,
    pub deployment: Option<Deployment>,
    pub jobs: Vec<Job>,
    pub pods: Vec<Pod>,
    /// Another pipeline that was there first with this checkpoint, as `namespace/name`.
    pub checkpoint_owner: Option<String>,
}

/// # Errors
/// If the API server does not answer.
pub async fn observe(context: &Context, pipeline: &StreamPipeline, owner: &Owner) -> Result<Observed> {
    let client = &context.client;
    let ours = ListParams::default().labels(&format!("{PIPELINE}={}", owner.name));
    let (revisions, deployments, jobs, pods) = (
        Api::<ControllerRevision>::namespaced(client.clone(), &owner.namespace),
        Api::<Deployment>::namespaced(client.clone(), &owner.namespace),
        Api::<Job>::namespaced(client.clone(), &owner.namespace),
        Api::<Pod>::namespaced(client.clone(), &owner.namespace),
    );
    let (revisions, deployment, jobs, pods) = tokio::try_join!(
        asking("list ControllerRevisions", revisions.list(&ours)),
        asking("get the Deployment", deployments.get_opt(&owner.name)),
        asking("list Jobs", jobs.list(&ours)),
        asking("list pods", pods.list(&ours)),
    )?;
    // What others wrote under our label is not ours.
    let revisions: Vec<_> = revisions.items.iter().filter_map(|r| Revision::from_object(r).ok()).collect();
    let (secrets, secrets_hash) = secrets(context, pipeline, owner).await?;
    Ok(Observed {
        secrets,
        secrets_hash,
        revisions,
        deployment,
        jobs: jobs.items,
        pods: pods.items,
        checkpoint_owner: checkpoint_owner(pipeline, context.pipelines.state().iter().map(AsRef::as_ref)),
    })
}

type SecretKeys = BTreeMap<String, Option<BTreeSet<String>>>;

async fn secrets(context: &Context, pipeline: &StreamPipeline, owner: &Owner) -> Result<(SecretKeys, String)> {
    let api = Api::<Secret>::namespaced(context.client.clone(), &owner.namespace);
    let names: BTreeSet<String> = secret_keys(&pipeline.spec).into_iter().map(|(name, _)| name).collect();
    let mut found = BTreeMap::new();
    let mut hash = Xxh3::new();
    for name in names {
        let secret = asking(format!("get Secret {name}"), api.get_opt(&name)).await?;
        let data = secret.map(|s| s.data.unwrap_or_default());
        for (key, value) in data.iter().flatten() {
            for part in [name.as_bytes(), key.as_bytes(), &value.0] {
                hash.update(&(part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        found.insert(name, data.map(|d| d.into_keys().collect()));
    }
    Ok((found, format!("{:016x}", hash.digest())))
}

/// Who was there first with the checkpoint of `pipeline`. Being first goes by the API server's time of creation, then by name.
pub fn checkpoint_owner<'a>(pipeline: &StreamPipeline, all: impl Iterator<Item = &'a StreamPipeline>) -> Option<String> {
    let uri = checkpoint(pipeline)?;
    let age = |p: &StreamPipeline| {
        (p.metadata.creation_timestamp.as_ref().map(|t| t.0), p.metadata.namespace.clone(), p.metadata.name.clone(), p.metadata.uid.clone())
    };
    let first = all
        .filter(|other| other.metadata.uid != pipeline.metadata.uid && checkpoint(other).as_deref() == Some(&uri))
        .min_by_key(|other| age(other))
        .filter(|other| age(other) < age(pipeline))?;
    Some(format!("{}/{}", first.metadata.namespace.as_deref().unwrap_or_default(), first.metadata.name.as_deref().unwrap_or_default()))
}

/// The URI without a slash at its end. A `file://` place is another one in every pod.
fn checkpoint(pipeline: &StreamPipeline) -> Option<String> {
    let uri = pipeline.spec.pointer("/checkpoint/uri")?.as_str()?.trim_end_matches('/');
    (!uri.starts_with("file:")).then(|| uri.to_owned())
}
