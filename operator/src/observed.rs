//! What the cluster holds of a pipeline, and which revision of it runs. Pure: [`crate::dereference`] reads it.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use crate::claims::Conflict;
use crate::labels::REVISION;
use crate::revision::Revision;
use crate::secrets::Found;

/// The objects of a pipeline. An object that has the pipeline's name or label but does not belong to it is left out.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The Secrets to which the spec refers; `None` if the Secret does not exist.
    pub secrets: BTreeMap<String, Option<Found>>,
    pub revisions: Vec<Revision>,
    /// The names of revisions that a newer operator has written, each with the error on reading it.
    pub unreadable: BTreeMap<String, String>,
    /// The revision that the status names.
    pub last_revision: Option<String>,
    pub deployment: Option<Deployment>,
    pub jobs: Vec<Job>,
    /// Pods that the Deployment or one of the Jobs created.
    pub pods: Vec<Pod>,
    /// Pods with the pipeline's label whose Deployment or Job no longer exists. They may still write.
    pub stray_pods: Vec<Pod>,
    /// An earlier pipeline that has one of this pipeline's places.
    pub conflict: Option<Conflict>,
}

/// The revision that runs, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Current<'a> {
    /// Nothing was ever accepted.
    Nothing,
    Known(&'a Revision),
    /// The revision of this name, which is missing or was written by a newer operator.
    Unreadable(&'a str),
}

impl<'a> Current<'a> {
    #[must_use]
    pub fn known(self) -> Option<&'a Revision> {
        match self {
            Self::Known(revision) => Some(revision),
            Self::Nothing | Self::Unreadable(_) => None,
        }
    }
}

/// The revision that the Deployment, or else the newest Job, asks for; without either, the one that the status names;
/// without that, the newest. If that revision is missing, no other one takes its place: it would be an older document.
#[must_use]
pub fn current(observed: &Observed) -> Current<'_> {
    let named = deployed_template(observed)
        .and_then(|t| t.metadata.as_ref())
        .and_then(|m| m.annotations.as_ref()?.get(REVISION));
    if let Some(name) = named.or(observed.last_revision.as_ref()) {
        let found = observed.revisions.iter().find(|r| r.name == *name);
        return found.map_or(Current::Unreadable(name), Current::Known);
    }
    match (observed.unreadable.keys().next_back(), observed.revisions.iter().max_by_key(|r| r.number)) {
        (Some(name), _) => Current::Unreadable(name),
        (None, Some(newest)) => Current::Known(newest),
        (None, None) => Current::Nothing,
    }
}

/// The template of the Deployment, or of the newest Job.
#[must_use]
pub fn deployed_template(observed: &Observed) -> Option<&PodTemplateSpec> {
    let deployed = observed.deployment.as_ref().and_then(|d| d.spec.as_ref()).map(|s| &s.template);
    let job = || observed.jobs.iter().max_by_key(|j| j.metadata.creation_timestamp.as_ref().map(|t| t.0));
    deployed.or_else(|| job().and_then(|j| j.spec.as_ref()).map(|s| &s.template))
}
