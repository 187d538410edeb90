//! One reconcile, step by step.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use serde_json::json;
use weir_crds::places::{Place, places};
use weir_crds::resource::{Severity, Status, StreamPipeline};
use weir_plan::report::Kind;

use crate::apply;
use crate::ask;
use crate::claims::{Conflict, places_of};
use crate::context::{Context, FIELD_MANAGER};
use crate::deletion;
use crate::dereference::{observe, read_secrets};
use crate::desired::{Access, Run, Running, build};
use crate::error::{Cause, Error, Result, asking};
use crate::events::tell;
use crate::labels::Owner;
use crate::looks::{Applied, Begun, Look};
use crate::observed::{Current, Observed, current};
use crate::planner::words;
use crate::revision::Revision;
use crate::rollback;
use crate::runs::{self, Runs};
use crate::secret_changes;
use crate::status::{Facts, events, interrupted, status};
use crate::verdict::{Readings, Verdict, judge};
use crate::write::Writer;

/// How often progress is read. This also limits how often the status is written only because of progress.
const POLL: Duration = Duration::from_secs(10);
/// How often to look while the pipeline is changing.
const POLL_CHANGING: Duration = Duration::from_secs(2);

/// Reconciles one pipeline.
///
/// # Errors
/// The obstacle, which the status also reports; the controller retries with backoff.
pub async fn reconcile(pipeline: Arc<StreamPipeline>, context: Arc<Context>) -> Result<Action> {
    // A panic would end the controller, and with it the management of all pipelines.
    let looked = AssertUnwindSafe(look(&pipeline, &context)).catch_unwind().await.unwrap_or_else(|panic| {
        Err(Error::Unexpected {
            doing: "look at the pipeline (a bug of Weir)".to_owned(),
            why: words(panic.as_ref()).to_owned(),
        })
    });
    let failure = match looked {
        Ok(Looked::Done(action)) => return Ok(action),
        Ok(Looked::Failed(failure)) => return Err(failure),
        Err(failure) => failure,
    };
    // If the API server is unreachable, or another writer was faster, there is nothing to report.
    let cause = Cause::of(&failure);
    if cause.needs_person() || cause == Cause::Unavailable {
        let interrupted = interrupted(&pipeline, &failure, &context.now());
        match write_status(&context, &pipeline, &owner(&pipeline)?, &interrupted).await {
            Ok(()) => tell_changes(&context, &pipeline, &interrupted).await,
            Err(e) => tracing::warn!("{e}"),
        }
    }
    Err(failure)
}

/// A completed look.
enum Looked {
    Done(Action),
    /// Something could not be applied; the status reports it.
    Failed(Error),
}

async fn look(pipeline: &StreamPipeline, context: &Context) -> Result<Looked> {
    let owner = owner(pipeline)?;
    let (begun, last) = last_look(context, pipeline, &owner).await?;
    let (mut observed, applied) = match last.filter(|_| pipeline.metadata.deletion_timestamp.is_none()) {
        Some(last) => (last.observed, last.applied),
        None => {
            context.metrics.looked();
            let mut observed = observe(context, pipeline, &owner).await?;
            observed.conflict = claim(context, pipeline, &observed);
            match deletion::reconcile(context, pipeline, &owner, &observed).await? {
                deletion::Outcome::Lives => {}
                deletion::Outcome::Waits => return Ok(Looked::Done(Action::requeue(POLL_CHANGING))),
                deletion::Outcome::Gone => return Ok(Looked::Done(Action::await_change())),
            }
            if let Some(failed) = rollback::failed(&observed) {
                tracing::warn!(namespace = %owner.namespace, revision = %failed.name, "going back: the runtime \
                    refuses to go on");
                mark(context, &owner, &mut observed, failed).await?;
            }
            (Arc::new(observed), None)
        }
    };
    let readings = readings(context, pipeline, &observed).await;
    // Other pipelines may have come or gone since.
    let conflict = claim(context, pipeline, &observed);
    Arc::make_mut(&mut observed).conflict = conflict;
    let verdict = judge(pipeline, &owner, &observed, &context.settings, &readings);
    context.claims.hold(pipeline, held(pipeline, verdict.target.as_ref(), &observed));
    let now = context.now();
    let runs = verdict
        .target
        .as_ref()
        .and_then(|target| runs::decide(pipeline, &owner, target, &observed.jobs, verdict.suspend, now.0));
    let wanted = verdict.target.as_ref().map(|target| Applied {
        revision: target.name.clone(),
        running: running(&verdict, &readings, &observed, runs.as_ref()),
    });
    let failure = match (&verdict.target, &wanted) {
        (Some(target), Some(wanted)) if applied.as_ref() != Some(wanted) => {
            bring(context, &owner, target, wanted, &observed).await.err()
        }
        _ => None,
    };
    let (report, unreachable) = match ask::report(context, pipeline, &owner, &observed).await {
        Ok(report) => (report, None),
        Err(why) => (None, Some(why)),
    };
    if let Some(good) = rollback::good(&observed, report.as_ref().is_some_and(|r| r.kind == Kind::Data)) {
        mark(context, &owner, Arc::make_mut(&mut observed), good).await?;
    }
    let facts = Facts {
        pipeline,
        owner: &owner,
        verdict: &verdict,
        observed: &observed,
        report: report.as_ref(),
        unreachable: unreachable.as_deref(),
        failure: failure.as_ref(),
        runs: runs.as_ref(),
        now: now.clone(),
    };
    let found = status(&facts);
    write_status(context, pipeline, &owner, &found).await?;
    tell_changes(context, pipeline, &found).await;
    if let Some(failure) = failure {
        return Ok(Looked::Failed(failure));
    }
    let secrets_may_help = secret_changes::may_help(&verdict, &observed);
    context.looks.keep(pipeline, begun, Look { observed, applied: wanted, secrets_may_help });
    let settled = found.conditions.iter().all(|c| c.type_ != "Reconciling" || c.status == Severity::False.as_str());
    let poll = if settled { POLL } else { POLL_CHANGING };
    // The end of the current run triggers a reconcile, so a run that waits for it needs no timer.
    let due = runs
        .and_then(|r| r.next_at)
        .and_then(|at| Duration::try_from(at.duration_since(now.0)).ok())
        .filter(|due| !due.is_zero());
    Ok(Looked::Done(Action::requeue(due.map_or(poll, |due| due.min(poll)))))
}

/// The last look, if nothing has changed since. Secrets are not watched: they are read again only while another version
/// of them may help.
async fn last_look(context: &Context, pipeline: &StreamPipeline, owner: &Owner) -> Result<(Begun, Option<Look>)> {
    let (begun, last) = context.looks.last(pipeline);
    match &last {
        Some(look)
            if look.secrets_may_help && read_secrets(context, pipeline, owner).await? != look.observed.secrets =>
        {
            context.looks.touch(&ObjectRef::from_obj(pipeline));
            Ok(context.looks.last(pipeline))
        }
        _ => Ok((begun, last)),
    }
}

async fn bring(
    context: &Context,
    owner: &Owner,
    target: &Revision,
    wanted: &Applied,
    observed: &Observed,
) -> Result<()> {
    let desired = build(owner, target, &wanted.running, &context.settings);
    apply::apply(&context.client, owner, target, &desired, observed).await?;
    apply::prune(&context.client, owner, target, &observed.revisions).await
}

/// The planner's answers. The planner reads each document only once.
async fn readings(context: &Context, pipeline: &StreamPipeline, observed: &Observed) -> Readings {
    let uid = pipeline.uid().unwrap_or_default();
    let generation = pipeline.metadata.generation.unwrap_or(0);
    let spec = context.planner.spec(&uid, generation, || pipeline.document()).await;
    let running = match current(observed).known().map(|current| &current.inputs) {
        Some(inputs) => Some(context.planner.revision(&uid, &inputs.document_text, || inputs.document()).await),
        None => None,
    };
    Readings { spec, running }
}

fn claim(context: &Context, pipeline: &StreamPipeline, observed: &Observed) -> Option<Conflict> {
    let all: Vec<_> = context.pipelines.iter().flat_map(Store::state).collect();
    let standing = rollback::standing(observed);
    context.claims.claim(pipeline, held(pipeline, standing, observed), all.iter().map(AsRef::as_ref))
}

/// The places of the running revision. If it can't be read, the places of the spec are assumed.
fn held(pipeline: &StreamPipeline, revision: Option<&Revision>, observed: &Observed) -> Vec<Place> {
    match (revision, current(observed)) {
        (Some(revision), _) => places(&revision.inputs.document()["spec"], &pipeline.namespace().unwrap_or_default()),
        (None, Current::Unreadable(_)) => places_of(pipeline),
        (None, _) => Vec::new(),
    }
}

/// Writes the marks of a revision, and continues with the marked revision.
async fn mark(context: &Context, owner: &Owner, observed: &mut Observed, marked: Revision) -> Result<()> {
    Writer { client: &context.client, owner }.apply(&marked.to_object(owner)).await?;
    observed.revisions.retain(|r| r.name != marked.name);
    observed.revisions.push(marked);
    Ok(())
}

fn owner(pipeline: &StreamPipeline) -> Result<Owner> {
    let reference = pipeline.controller_owner_ref(&());
    match (reference, &pipeline.metadata.namespace) {
        (Some(reference), Some(namespace)) => {
            Ok(Owner { name: pipeline.name_any(), namespace: namespace.clone(), reference })
        }
        _ => Err(Error::Unexpected {
            doing: "reconcile".to_owned(),
            why: "the API server gave an object without uid or namespace".to_owned(),
        }),
    }
}

fn running(verdict: &Verdict, readings: &Readings, observed: &Observed, runs: Option<&Runs>) -> Running {
    let run = runs.map_or(Run::Endless, Runs::to_run);
    let tls_secret = verdict.target.as_ref().and_then(|target| Some(target.inputs.http().tls?.secret_ref.name));
    let found = tls_secret.and_then(|name| observed.secrets.get(&name)?.as_ref());
    Running {
        replicas: i32::from(!verdict.suspend),
        secrets: secret_changes::versions_for_pods(verdict, observed),
        run,
        has_http_ca: found.is_some_and(|secret| secret.has_ca),
        access: match &readings.spec {
            Ok(reading) if verdict.refusal.is_none() => Access::of(reading.spec.network_policy.as_ref()),
            _ => Access::Unchanged,
        },
    }
}

async fn write_status(context: &Context, pipeline: &StreamPipeline, owner: &Owner, now: &Status) -> Result<()> {
    context.metrics.pipeline_is(&owner.namespace, &owner.name, &now.conditions);
    if pipeline.status.as_ref() == Some(now) {
        return Ok(());
    }
    let api = Api::<StreamPipeline>::namespaced(context.client.clone(), &owner.namespace);
    let patch =
        json!({"apiVersion": StreamPipeline::api_version(&()), "kind": StreamPipeline::kind(&()), "status": now});
    let params = PatchParams::apply(FIELD_MANAGER).force();
    asking("write the status", api.patch_status(&owner.name, &params, &Patch::Apply(&patch))).await?;
    context.metrics.status_written();
    Ok(())
}

/// Losing an event loses nothing: the condition stays.
async fn tell_changes(context: &Context, pipeline: &StreamPipeline, now: &Status) {
    let before = pipeline.status.as_ref().map_or(&[][..], |s| &s.conditions);
    for (kind, condition) in events(before, &now.conditions) {
        tell(context, pipeline, kind, &condition.reason, condition.message.clone()).await;
    }
}
