//! One reconcile, link by link.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt};
use serde_json::json;
use weir_crds::resource::{Reason, Severity, Status, StreamPipeline};

use crate::apply;
use crate::context::{Context, FIELD_MANAGER};
use crate::deletion;
use crate::dereference::{Observed, observe};
use crate::desired::labels::Owner;
use crate::desired::{Run, Running, build};
use crate::error::{Error, Result, asking};
use crate::progress::Kind;
use crate::revision::Revision;
use crate::rollback;
use crate::runs::{self, Runs};
use crate::status::{Facts, reachable_ip, status};
use crate::verdict::{Verdict, judge};

/// How often progress is read, and with it how often a status can be written for nothing but progress.
const POLL: Duration = Duration::from_secs(10);
/// While something is on its way.
const POLL_CHANGING: Duration = Duration::from_secs(2);

/// API servers take 1024 bytes.
const NOTE_CHARS_MAX: usize = 1000;

/// # Errors
/// If the API server does not do what it was asked for; the controller tries again with backoff.
pub async fn reconcile(pipeline: Arc<StreamPipeline>, context: Arc<Context>) -> Result<Action> {
    let owner = owner(&pipeline)?;
    let mut observed = observe(&context, &pipeline, &owner).await?;
    match deletion::reconcile(&context, &pipeline, &owner, &observed).await? {
        deletion::Outcome::Lives => {}
        deletion::Outcome::Waits => return Ok(Action::requeue(POLL_CHANGING)),
        deletion::Outcome::Gone => return Ok(Action::await_change()),
    }
    if let Some(failed) = rollback::failed(&observed) {
        tracing::warn!(namespace = %owner.namespace, revision = %failed.name, "going back: the runtime refuses to go on");
        mark(&context, &owner, &mut observed, failed).await?;
    }
    let verdict = judge(&pipeline, &owner, &observed, &context.settings);
    let now = context.now();
    let runs = verdict.target.as_ref().and_then(|target| runs::decide(&pipeline, &owner, target, &observed.jobs, verdict.suspend, now.0));
    if let Some(target) = &verdict.target {
        let running = running(&pipeline, &verdict, &observed, runs.as_ref());
        apply::apply(&context.client, &owner, target, &build(&owner, target, &running, &context.settings), &observed).await?;
        apply::prune(&context.client, &owner, target, &observed.revisions).await?;
    }
    let (report, unreachable) = match reachable_ip(&observed.pods) {
        None => (None, None),
        Some(ip) => match context.progress.read(ip).await {
            Ok(report) => (report, None),
            Err(why) => (None, Some(why)),
        },
    };
    if let Some(good) = rollback::good(&observed, report.as_ref().is_some_and(|r| r.kind == Kind::Data)) {
        mark(&context, &owner, &mut observed, good).await?;
    }
    let facts = Facts {
        pipeline: &pipeline,
        owner: &owner,
        verdict: &verdict,
        observed: &observed,
        report: report.as_ref(),
        unreachable: unreachable.as_deref(),
        runs: runs.as_ref(),
        now: now.clone(),
    };
    let found = status(&facts);
    write_status(&context, &pipeline, &owner, &found).await?;
    tell_changes(&context, &pipeline, &found).await;
    let settled = found.conditions.iter().all(|c| c.type_ != "Reconciling" || c.status == Severity::False.as_str());
    let poll = if settled { POLL } else { POLL_CHANGING };
    // A run that waits for another one to end is woken by that.
    let due = runs.and_then(|r| r.next_at).and_then(|at| Duration::try_from(at.duration_since(now.0)).ok()).filter(|due| !due.is_zero());
    Ok(Action::requeue(due.map_or(poll, |due| due.min(poll))))
}

/// Writes what was seen of a revision, and goes on with it.
async fn mark(context: &Context, owner: &Owner, observed: &mut Observed, marked: Revision) -> Result<()> {
    apply::one(&context.client, &owner.namespace, marked.to_object(owner)).await?;
    observed.revisions.retain(|r| r.name != marked.name);
    observed.revisions.push(marked);
    Ok(())
}

fn owner(pipeline: &StreamPipeline) -> Result<Owner> {
    let reference = pipeline.controller_owner_ref(&());
    match (reference, &pipeline.metadata.namespace) {
        (Some(reference), Some(namespace)) => Ok(Owner { name: pipeline.name_any(), namespace: namespace.clone(), reference }),
        _ => Err(Error::Unexpected {
            doing: "reconcile".to_owned(),
            why: "the API server gave an object without uid or namespace".to_owned(),
        }),
    }
}

fn running(pipeline: &StreamPipeline, verdict: &Verdict, observed: &Observed, runs: Option<&Runs>) -> Running {
    let replicas = pipeline.spec.get("replicas").and_then(serde_json::Value::as_i64).unwrap_or(1).clamp(0, 1);
    let secrets_hash = match &verdict.refusal {
        None => observed.secrets_hash.clone(),
        // Secrets of a refused spec say nothing about what runs: leave its pods alone.
        Some(_) => running_secrets_hash(observed).unwrap_or_else(|| observed.secrets_hash.clone()),
    };
    let run = runs.map_or(Run::Endless, Runs::to_run);
    Running { replicas: if verdict.suspend { 0 } else { i32::try_from(replicas).unwrap_or(1) }, secrets_hash, run }
}

fn running_secrets_hash(observed: &Observed) -> Option<String> {
    let template = observed.deployment.as_ref()?.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(crate::desired::labels::SECRETS).cloned()
}

async fn write_status(context: &Context, pipeline: &StreamPipeline, owner: &Owner, now: &Status) -> Result<()> {
    if pipeline.status.as_ref() == Some(now) {
        return Ok(());
    }
    let api = Api::<StreamPipeline>::namespaced(context.client.clone(), &owner.namespace);
    let patch = json!({"apiVersion": StreamPipeline::api_version(&()), "kind": StreamPipeline::kind(&()), "status": now});
    let params = PatchParams::apply(FIELD_MANAGER).force();
    asking("write the status", api.patch_status(&owner.name, &params, &Patch::Apply(&patch))).await?;
    context.metrics.status_written();
    Ok(())
}

/// An event for each condition that people wait for, when it changes. Losing one loses nothing: the condition stays.
async fn tell_changes(context: &Context, pipeline: &StreamPipeline, now: &Status) {
    let before = pipeline.status.as_ref().map_or(&[][..], |s| &s.conditions);
    for condition in now.conditions.iter().filter(|c| ["Ready", "Stalled"].contains(&c.type_.as_str())) {
        let same = before.iter().any(|b| b.type_ == condition.type_ && b.status == condition.status && b.reason == condition.reason);
        let quiet = condition.type_ == "Stalled" && condition.status == "False";
        if same || quiet {
            continue;
        }
        let on_its_way = [Reason::Starting, Reason::Stopping].iter().any(|r| r.as_str() == condition.reason);
        let is_good = on_its_way || (condition.type_ == "Ready") == (condition.status == "True");
        let kind = if is_good { EventType::Normal } else { EventType::Warning };
        tell(context, pipeline, kind, &condition.reason, condition.message.clone()).await;
    }
}

/// Writes an event about a pipeline.
pub async fn tell(context: &Context, pipeline: &StreamPipeline, kind: EventType, reason: &str, note: String) {
    let event = Event {
        type_: kind,
        reason: reason.to_owned(),
        note: Some(note.chars().take(NOTE_CHARS_MAX).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(e) = context.recorder.publish(&event, &pipeline.object_ref(&())).await {
        tracing::warn!("an event could not be written: {e}");
    }
}
