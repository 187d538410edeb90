//! Whether a spec may run, and which revision should run. Pure.
//!
//! A refused spec does not change what runs: the previous revision keeps running, and the conditions say why.

#[cfg(test)]
mod tests;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;
use weir_crds::resource::{Reason, StreamPipeline};
use weir_plan::compat;

use crate::desired::workload::{Workload, workload};
use crate::desired::{Access, Run, Running};
use crate::inputs::Inputs;
use crate::labels::{Owner, SECRETS};
use crate::observed::{Current, Observed, current, deployed_template};
use crate::planner::{Outcome, Reading};
use crate::pod_template::CONTAINER;
use crate::refusal::Refusal;
use crate::revision::Revision;
use crate::rollback;
use crate::secrets;
use crate::settings::Settings;
use crate::write::was_applied;

/// The most bytes of a document. A ConfigMap holds 1 MiB, and a ControllerRevision must hold the same text with its
/// quotes escaped.
const DOCUMENT_BYTES_MAX: usize = 900_000;

/// The revision that should run, and whether the spec asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The revision that should run. `None` if nothing was ever accepted, or if the running revision can't be read and
    /// is left alone.
    pub target: Option<Revision>,
    /// Why the spec is not the target.
    pub refusal: Option<Refusal>,
    pub suspend: bool,
    /// What may not do what the author of the spec meant.
    pub notices: Vec<String>,
}

/// The planner's answers for the spec and for the running document.
#[derive(Debug, Clone)]
pub struct Readings {
    pub spec: Outcome,
    /// `None` if nothing runs, or if the running document can't be read.
    pub running: Option<Outcome>,
}

#[must_use]
pub fn judge(
    pipeline: &StreamPipeline,
    owner: &Owner,
    observed: &Observed,
    settings: &Settings,
    readings: &Readings,
) -> Verdict {
    let suspend = is_suspended(&pipeline.spec);
    let current = current(observed);
    let accepted = accept(pipeline, owner, observed, settings, &current, readings);
    let (target, refusal) = match (accepted, &current) {
        (Ok(target), Current::Unreadable(name)) => untouched(owner, target, name, observed),
        (Ok(target), _) => (Some(target), None),
        (Err(refusal), Current::Unreadable(name)) => {
            let message = format!("{}\n{}", refusal.message, unreadable(name, observed));
            (None, Some(Refusal { message, ..refusal }))
        }
        (Err(refusal), _) => (rollback::standing(observed).cloned(), Some(refusal)),
    };
    let notices = readings.spec.as_ref().map_or_else(|_| Vec::new(), |reading| reading.notices.clone());
    Verdict { target, refusal, suspend, notices }
}

/// Whether the pipeline should have no pods. There are two ways to say so.
#[must_use]
pub fn is_suspended(spec: &Value) -> bool {
    spec.get("suspend").and_then(Value::as_bool).unwrap_or(false)
        || spec.get("replicas").and_then(Value::as_i64) == Some(0)
}

/// Decides about a valid spec while the running revision can't be read: the spec may be applied only if it is exactly
/// the running one, or if nothing runs.
fn untouched(
    owner: &Owner,
    mut target: Revision,
    name: &str,
    observed: &Observed,
) -> (Option<Revision>, Option<Refusal>) {
    let is_lost = !observed.unreadable.contains_key(name);
    match deployed_template(observed) {
        None if is_lost => (Some(target), None),
        Some(template) if is_lost && target.name == name => {
            target.template = lost_template(owner, &target, template, observed);
            (Some(target), None)
        }
        _ => (None, Some(Refusal { reason: Reason::RevisionUnreadable, message: unreadable(name, observed) })),
    }
}

/// The template for a lost revision that is written again without changing its pods. If the Deployment was made from
/// the template that this operator builds, that one is used. Otherwise another operator built it, and the deployed
/// template is used. It contains the API server's defaults, and applying them changes the Deployment, but not its pods.
fn lost_template(owner: &Owner, target: &Revision, deployed: &PodTemplateSpec, observed: &Observed) -> PodTemplateSpec {
    let annotation = |key: &str| deployed.metadata.as_ref()?.annotations.as_ref()?.get(key).cloned();
    let is_what_was_applied = |there: &Deployment| {
        let replicas = there.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
        let running = Running {
            replicas,
            secrets: annotation(SECRETS).unwrap_or_default(),
            run: Run::Endless,
            has_http_ca: false,
            access: Access::Unchanged,
        };
        matches!(workload(owner, target, &running), Workload::Deployment(built) if was_applied(&built, there))
    };
    if observed.deployment.as_ref().is_some_and(is_what_was_applied) {
        return target.template.clone();
    }
    let mut template = deployed.clone();
    let annotations = template.metadata.as_mut().and_then(|m| m.annotations.as_mut());
    annotations.into_iter().for_each(|annotations| drop(annotations.remove(SECRETS)));
    template
}

fn unreadable(name: &str, observed: &Observed) -> String {
    match observed.unreadable.get(name) {
        Some(why) => format!(
            "nothing that runs is changed, since its ControllerRevision {name} can't be read ({why}): it is a newer \
             operator's; upgrade this \
             one, or delete the Deployment to start the document anew"
        ),
        None => format!(
            "nothing that runs is changed, since its ControllerRevision {name} is gone: apply the document that runs, \
             or delete the \
             Deployment to start this one"
        ),
    }
}

fn accept(
    pipeline: &StreamPipeline,
    owner: &Owner,
    observed: &Observed,
    settings: &Settings,
    current: &Current<'_>,
    readings: &Readings,
) -> Result<Revision, Refusal> {
    let reading = readings.spec.as_ref().map_err(Clone::clone)?;
    if let Some(conflict) = &observed.conflict {
        return Err(conflict.refusal());
    }
    secrets::check(&pipeline.spec, &observed.secrets, &settings.secret_labels)?;
    let inputs = Inputs::of(pipeline, &reading.spec, image(pipeline, settings, observed, current));
    if inputs.document_text.len() > DOCUMENT_BYTES_MAX {
        let message = format!(
            "the document has {} bytes without spaces and comments: write at most {DOCUMENT_BYTES_MAX}, since pods \
             get it by a ConfigMap",
            inputs.document_text.len()
        );
        return Err(Refusal { reason: Reason::InvalidDocument, message });
    }
    let generation = pipeline.metadata.generation.unwrap_or(0);
    let revision = Revision::of(owner, inputs, settings.users, generation, &observed.revisions);
    if let Some(failed) = revision.marks.failed_with(&secrets::versions(&observed.secrets))
        && let Some(standing) = rollback::standing(observed).filter(|standing| standing.name != revision.name)
    {
        return Err(rollback::refusal(&revision, failed, standing));
    }
    match current.known() {
        Some(current) if current.name != revision.name && !action_is_due(reading, pipeline) => {
            check_state(readings, reading)?
        }
        _ => {}
    }
    Ok(revision)
}

/// The image that the spec names; otherwise the operator's default at the time when it was first needed, so that an
/// operator upgrade changes nothing. An image that only an earlier spec named is not kept: otherwise, removing a wrong
/// image from the spec would not help.
fn image(pipeline: &StreamPipeline, settings: &Settings, observed: &Observed, current: &Current<'_>) -> String {
    let text = |field: &str| pipeline.spec.get(field).and_then(Value::as_str);
    if let Some(image) = text("image") {
        return image.to_owned();
    }
    match (text("runtimeVersion"), current) {
        (Some(version), _) => format!("{}:{version}", repository(&settings.runtime_image)),
        (None, Current::Known(current)) if !current.inputs.image_is_given => current.inputs.image.clone(),
        (None, Current::Unreadable(_)) => deployed_image(observed).unwrap_or_else(|| settings.runtime_image.clone()),
        (None, _) => settings.runtime_image.clone(),
    }
}

fn deployed_image(observed: &Observed) -> Option<String> {
    let containers = &deployed_template(observed)?.spec.as_ref()?.containers;
    containers.iter().find(|container| container.name == CONTAINER)?.image.clone()
}

/// An image reference without its tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A colon before a slash belongs to the registry's port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}

/// Whether a state action is due, which replaces the state: the runtime then decides whether the new state fits.
fn action_is_due(reading: &Reading, pipeline: &StreamPipeline) -> bool {
    let done = pipeline.status.as_ref().and_then(|s| s.state_action_token.as_ref());
    reading.state_action.as_ref().is_some_and(|token| done != Some(token))
}

/// Checks that the document fits the saved state, which may exist as soon as a revision was accepted.
fn check_state(readings: &Readings, reading: &Reading) -> Result<(), Refusal> {
    // This version can't read the running document any more. The runtime itself compares the document with the
    // checkpoint when it starts.
    let Some(Ok(before)) = &readings.running else { return Ok(()) };
    let differences = compat::differences(&before.fingerprint, &reading.fingerprint);
    if differences.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{}; the old document goes on running: undo the change, or give a spec.stateAction with a new token",
        differences.join("\n")
    );
    Err(Refusal { reason: Reason::StateIncompatible, message })
}
