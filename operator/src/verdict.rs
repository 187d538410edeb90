//! Whether a spec may run, and what is to run. Pure.
//!
//! A spec that is refused leaves alone what runs: the revision before it goes on, and the conditions say why.

#[cfg(test)]
mod tests;

use serde_json::Value;
use weir_crds::Finding;
use weir_crds::resource::{Reason, StreamPipeline};
use weir_plan::Plan;
use weir_plan::compat;

use crate::context::Settings;
use crate::dereference::Observed;
use crate::desired::labels::{Owner, REVISION};
use crate::revision::{Inputs, Revision, secret_keys};
use crate::rollback;

/// What is to run, and whether that is what the spec asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// None if nothing was ever accepted.
    pub target: Option<Revision>,
    /// Why the spec is not the target.
    pub refusal: Option<Refusal>,
    pub suspend: bool,
}

/// Why a spec is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// One sentence, or several lines of `path: sentence`.
    pub message: String,
}

impl Refusal {
    /// Whether the document itself, its Secrets or its checkpoint are wrong, and not only its relation to the saved state.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self.reason, Reason::InvalidDocument | Reason::SecretMissing | Reason::CheckpointInUse)
    }
}

#[must_use]
pub fn judge(pipeline: &StreamPipeline, owner: &Owner, observed: &Observed, settings: &Settings) -> Verdict {
    let current = current(observed).cloned();
    let standing = || rollback::standing(observed).cloned();
    let suspend = pipeline.spec.get("suspend").and_then(Value::as_bool).unwrap_or(false);
    match accept(pipeline, owner, observed, settings, current.as_ref()) {
        Ok(target) => Verdict { target: Some(target), refusal: None, suspend },
        Err(refusal) => Verdict { target: standing(), refusal: Some(refusal), suspend },
    }
}

/// The revision that the Deployment asks for, or the newest Job; before there is one, the newest.
#[must_use]
pub fn current(observed: &Observed) -> Option<&Revision> {
    let deployed = observed.deployment.as_ref().and_then(|d| d.spec.as_ref()).map(|s| &s.template);
    let job = || observed.jobs.iter().max_by_key(|j| j.metadata.creation_timestamp.as_ref().map(|t| t.0));
    let template = deployed.or_else(|| job().and_then(|j| j.spec.as_ref()).map(|s| &s.template)).and_then(|t| t.metadata.as_ref());
    let running = template.and_then(|m| m.annotations.as_ref()).and_then(|a| a.get(REVISION));
    let named = running.and_then(|name| observed.revisions.iter().find(|r| r.name == *name));
    named.or_else(|| observed.revisions.iter().max_by_key(|r| r.number))
}

fn accept(
    pipeline: &StreamPipeline,
    owner: &Owner,
    observed: &Observed,
    settings: &Settings,
    current: Option<&Revision>,
) -> Result<Revision, Refusal> {
    let invalid = |findings: Vec<Finding>| Refusal { reason: Reason::InvalidDocument, message: lines(&findings) };
    let plan = weir_crds::load_value(&pipeline.document()).map_err(invalid)?;
    let document = weir_crds::parse_value(&pipeline.document()).map_err(invalid)?;
    if let Some(other) = &observed.checkpoint_owner {
        let message = format!("spec.checkpoint.uri: the pipeline {other} was there first with this checkpoint; give this one its own");
        return Err(Refusal { reason: Reason::CheckpointInUse, message });
    }
    check_secrets(pipeline, observed)?;
    let inputs = Inputs::of(pipeline, &document.spec, image(pipeline, settings, current));
    let generation = pipeline.metadata.generation.unwrap_or(0);
    let revision = Revision::of(owner, inputs, generation, &observed.revisions);
    if let Some(failed) = revision.marks.failed_with(&observed.secrets_hash)
        && let Some(standing) = rollback::standing(observed).filter(|standing| standing.name != revision.name)
    {
        return Err(rollback::refusal(&revision, failed, standing));
    }
    match current {
        Some(current) if current.name != revision.name && !action_is_due(&plan, pipeline) => check_state(current, &plan)?,
        _ => {}
    }
    Ok(revision)
}

/// The spec's own; else the operator's default of the day when it was first needed, so that an upgrade of the operator changes nothing. What
/// an earlier spec named does not live on in what runs: else taking a wrong image out of the spec would not mend anything.
fn image(pipeline: &StreamPipeline, settings: &Settings, current: Option<&Revision>) -> String {
    let text = |field: &str| pipeline.spec.get(field).and_then(Value::as_str);
    if let Some(image) = text("image") {
        return image.to_owned();
    }
    match (text("runtimeVersion"), current) {
        (Some(version), _) => format!("{}:{version}", repository(&settings.runtime_image)),
        (None, Some(current)) if !current.inputs.image_is_given => current.inputs.image.clone(),
        (None, _) => settings.runtime_image.clone(),
    }
}

/// An image reference without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        // A colon before a slash is a registry's port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}

fn check_secrets(pipeline: &StreamPipeline, observed: &Observed) -> Result<(), Refusal> {
    let missing = secret_keys(&pipeline.spec).into_iter().filter_map(|(name, key)| match observed.secrets.get(&name) {
        Some(Some(keys)) if keys.contains(&key) => None,
        Some(Some(keys)) => {
            let keys = keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            Some(format!("the Secret `{name}` has no key `{key}`: it has {}", if keys.is_empty() { "none" } else { &keys }))
        }
        _ => Some(format!("there is no Secret `{name}` in this namespace: create it with the key `{key}`")),
    });
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() { Ok(()) } else { Err(Refusal { reason: Reason::SecretMissing, message: missing.join("\n") }) }
}

/// A state action makes another state than the running one: the runtime decides whether that fits.
fn action_is_due(plan: &Plan, pipeline: &StreamPipeline) -> bool {
    let done = pipeline.status.as_ref().and_then(|s| s.state_action_token.as_ref());
    plan.state_action.as_ref().is_some_and(|action| done != Some(&action.token))
}

/// Saved state may be there as soon as a revision was accepted once.
fn check_state(current: &Revision, plan: &Plan) -> Result<(), Refusal> {
    // A revision that this version can't read any more: the runtime itself compares with the checkpoint when it starts.
    let Ok(before) = weir_crds::load_value(&current.inputs.document()) else { return Ok(()) };
    let differences = compat::differences(&compat::fingerprint(&before), &compat::fingerprint(plan));
    if differences.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{}; the old document goes on running: undo the change, or give a spec.stateAction with a new token",
        differences.join("\n")
    );
    Err(Refusal { reason: Reason::StateIncompatible, message })
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
