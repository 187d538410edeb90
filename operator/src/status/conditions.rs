//! The seven conditions of a pipeline. `docs/reference/status.md` lists them as a table, state by state.
//!
//! `Ready` is about the accepted document: a refused change makes the pipeline `Stalled`, while the old document stays
//! `Ready`. A suspended pipeline is `Ready` too, since it asks for no pods: with any other status, kstatus would
//! consider it in progress.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::SignedDuration;
use weir_crds::resource::{ConditionType, Progress, Reason, Run, Severity, StreamPipeline, condition};
use weir_plan::report::Kind;

use super::facts::Facts;

use crate::desired::workload::job_of;
use crate::error::{Cause, Error};
use crate::pods;
use crate::pods::Trouble;

/// The time after which a commit is overdue; three intervals, if that is longer.
const OVERDUE_MIN: Duration = Duration::from_secs(60);
/// How long the watermark may stand still while records arrive before it counts as held back.
const HELD_BACK_AFTER: SignedDuration = SignedDuration::from_mins(5);
/// How long a record may wait for its schema before that counts. A registry that answers does so in much less.
const SCHEMA_OVERDUE_AFTER: SignedDuration = SignedDuration::from_mins(1);

struct Finding {
    status: Severity,
    reason: Reason,
    message: String,
}

fn finding(status: Severity, reason: Reason, message: impl Into<String>) -> Finding {
    Finding { status, reason, message: message.into() }
}

/// All conditions, with the current time as their transition time.
pub(super) fn conditions(facts: &Facts<'_>, progress: Option<&Progress>, run: Option<&Run>) -> Vec<Condition> {
    let ready = ready(facts, progress, run);
    let stalled = stalled(facts);
    let reconciling = reconciling(facts, &ready, &stalled);
    let of = |kind, f: Finding| condition(kind, f.status, f.reason, &f.message, facts.generation(), facts.now.clone());
    vec![
        of(ConditionType::Ready, ready),
        of(ConditionType::Reconciling, reconciling),
        of(ConditionType::Stalled, stalled),
        of(ConditionType::Validated, validated(facts)),
        of(ConditionType::DataFlowing, data_flowing(facts, progress)),
        of(ConditionType::WatermarkAdvancing, watermark_advancing(facts, progress)),
        of(ConditionType::Suspended, suspended(facts)),
    ]
}

/// Keeps the transition time of each condition whose status has not changed.
pub(super) fn with_transitions(mut conditions: Vec<Condition>, before: &[Condition]) -> Vec<Condition> {
    for condition in &mut conditions {
        if let Some(same) = before.iter().find(|b| b.type_ == condition.type_ && b.status == condition.status) {
            condition.last_transition_time = same.last_transition_time.clone();
        }
    }
    conditions
}

fn ready(facts: &Facts<'_>, progress: Option<&Progress>, run: Option<&Run>) -> Finding {
    use Severity::{False, True, Unknown};
    if let Some(refusal) =
        facts.verdict.refusal.as_ref().filter(|_| facts.verdict.target.is_none() && !facts.has_workload())
    {
        return finding(False, refusal.reason, refusal.message.as_str());
    }
    if let Some(run) = run.filter(|run| run.id.is_none() || run.completed_at.is_some())
        && !facts.verdict.suspend
    {
        return between_runs(run);
    }
    if facts.verdict.suspend {
        return match facts.observed.pods.iter().all(pods::is_over) {
            true => finding(
                True,
                Reason::Suspended,
                format!("suspended as asked: no pods; {} goes on where it stopped", resumed_by(facts)),
            ),
            false => finding(False, Reason::Stopping, "the pods finish their epoch and stop"),
        };
    }
    if let Some(trouble) = pods::trouble(&facts.observed.pods) {
        return finding(False, trouble.reason, trouble.message);
    }
    if let Some(trouble) = unmade_pods(facts) {
        return finding(False, trouble.reason, trouble.message);
    }
    if let Some(failure) = facts.failure.filter(|_| facts.observed.pods.is_empty()) {
        return finding(False, failure.reason(), failure.to_string());
    }
    if let Some(why) = facts.unreachable {
        return finding(Unknown, Reason::Unreachable, format!("the runtime's progress can't be read: {why}"));
    }
    let Some((progress, report)) = progress.zip(facts.report) else {
        return finding(False, Reason::Starting, "the runtime is being started and claims its checkpoint");
    };
    if let Some((age, records)) = overdue_epoch(facts) {
        let message =
            format!("an epoch of {records} records has waited {} s for its commit: see the pod's log", age.as_secs());
        return finding(False, Reason::EpochOverdue, message);
    }
    let age = progress.last_commit.as_ref().map(|at| facts.now.0.duration_since(at.0));
    match age.filter(|age| *age > overdue_after(facts) && progress.lag > 0) {
        None if report.kind == Kind::Claim => {
            let message = format!(
                "the checkpoint is claimed as epoch {}, and {} records wait",
                progress.last_epoch, progress.lag
            );
            finding(True, Reason::Running, message)
        }
        None => finding(True, Reason::Running, format!("epoch {} is committed", progress.last_epoch)),
        Some(age) => finding(
            False,
            Reason::EpochOverdue,
            format!(
                "{} records wait, and the last commit was {} s ago: see the pod's log",
                progress.lag,
                age.as_secs()
            ),
        ),
    }
}

/// Why there is no pod although there should be one.
fn unmade_pods(facts: &Facts<'_>) -> Option<Trouble> {
    if facts.verdict.suspend || !facts.observed.pods.is_empty() {
        return None;
    }
    let run = facts.runs.and_then(|runs| runs.id.as_ref().filter(|_| !runs.is_done));
    match run {
        Some(id) => pods::unmade_by_job(job_of(facts.owner, id, &facts.observed.jobs)?, facts.now.0),
        None => pods::unmade_by_deployment(facts.observed.deployment.as_ref()?),
    }
}

fn between_runs(run: &Run) -> Finding {
    let next = match &run.next_at {
        Some(at) => format!("the next one is due at {}", at.0),
        None => "another spec.trigger.runToken starts another one".to_owned(),
    };
    match &run.id {
        Some(id) => finding(Severity::True, Reason::Completed, format!("the run {id} has read everything; {next}")),
        None => finding(Severity::True, Reason::Scheduled, format!("no run was due yet; {next}")),
    }
}

/// How long the closed epoch has waited for its commit, and its number of records; `None` if it is not overdue.
fn overdue_epoch(facts: &Facts<'_>) -> Option<(SignedDuration, u64)> {
    let pending = facts.report?.pending.as_ref()?;
    let age = facts.now.0.duration_since(pending.since.parse().ok()?);
    (age > overdue_after(facts)).then_some((age, pending.records))
}

/// Three times the interval, but at least one minute.
pub(super) fn overdue_after(facts: &Facts<'_>) -> SignedDuration {
    let allowed = interval(facts).map_or(OVERDUE_MIN, |i| (3 * i).max(OVERDUE_MIN));
    SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX)
}

/// The interval of the running document: a refused change does not affect it.
fn interval(facts: &Facts<'_>) -> Option<Duration> {
    let running = facts.verdict.target.as_ref().map(|target| target.inputs.document());
    let spec = running.as_ref().map_or(&facts.pipeline.spec, |document| &document["spec"]);
    spec.pointer("/trigger/interval").and_then(|i| i.as_str()).and_then(weir_crds::duration)
}

fn reconciling(facts: &Facts<'_>, ready: &Finding, stalled: &Finding) -> Finding {
    use Severity::{False, True};
    if facts.pipeline.metadata.deletion_timestamp.is_some() {
        return finding(True, Reason::Deleting, "the pipeline's objects are being deleted");
    }
    if let Some(failure) = facts.failure {
        return match Cause::of(failure).needs_person() {
            // kstatus considers a pipeline that is both reconciling and stalled to be in progress.
            true => finding(False, failure.reason(), "the operator tries again from time to time"),
            false => finding(True, failure.reason(), failure.to_string()),
        };
    }
    if stalled.reason == Reason::PodRefused {
        return finding(False, Reason::PodRefused, "the operator tries again from time to time");
    }
    if facts.verdict.target.is_some() && matches!(ready.reason, Reason::Starting | Reason::Stopping) {
        return finding(True, ready.reason, ready.message.clone());
    }
    let deployment = facts.observed.deployment.as_ref();
    let running = deployment.and_then(|d| d.status.as_ref()).and_then(|s| s.updated_replicas).unwrap_or(0);
    let wanted = deployment.and_then(|d| d.spec.as_ref()).and_then(|s| s.replicas).unwrap_or(0);
    if running < wanted && !facts.verdict.suspend {
        return finding(True, Reason::RollingOut, "pods of another revision are being replaced");
    }
    finding(False, Reason::UpToDate, "the cluster matches the accepted document")
}

fn stalled(facts: &Facts<'_>) -> Finding {
    use Severity::{False, True};
    if let Some(refusal) = &facts.verdict.refusal {
        return finding(True, refusal.reason, refusal.message.clone());
    }
    if let Some(failure) = facts.failure.filter(|failure| Cause::of(failure).needs_person()) {
        return finding(True, failure.reason(), failure.to_string());
    }
    let trouble = pods::trouble(&facts.observed.pods).or_else(|| unmade_pods(facts));
    match trouble.filter(|t| t.needs_person && !facts.verdict.suspend) {
        Some(trouble) => finding(True, trouble.reason, trouble.message),
        None => finding(False, Reason::UpToDate, "nobody needs to act"),
    }
}

fn validated(facts: &Facts<'_>) -> Finding {
    match facts.verdict.refusal.as_ref() {
        Some(refusal) if refusal.reason == Reason::PlannerFailed => {
            finding(Severity::Unknown, refusal.reason, refusal.message.clone())
        }
        Some(refusal) if refusal.is_invalid() => finding(Severity::False, refusal.reason, refusal.message.clone()),
        _ => {
            let right = "the document, its Secrets and its checkpoint are right";
            let notices = facts.verdict.notices.iter().map(|notice| format!("\nwarning: {notice}"));
            finding(Severity::True, Reason::Valid, format!("{right}{}", notices.collect::<String>()))
        }
    }
}

fn data_flowing(facts: &Facts<'_>, progress: Option<&Progress>) -> Finding {
    let Some(progress) = progress.filter(|_| facts.report.is_some()) else {
        return finding(Severity::Unknown, Reason::NoPods, "no runtime reports whether records arrive");
    };
    if let Some(waiting) = waiting_for_schema(facts, progress) {
        return finding(Severity::False, Reason::WaitingForSchema, waiting);
    }
    match progress.input_rows_per_second > 0 {
        true => finding(Severity::True, Reason::RecordsArriving, "records arrive"),
        false => {
            finding(Severity::Unknown, Reason::NoRecords, "no record has arrived lately; a quiet topic is no failure")
        }
    }
}

/// The partition that has waited too long for a schema.
fn waiting_for_schema(facts: &Facts<'_>, progress: &Progress) -> Option<String> {
    let wait = progress.waits_for_schema.as_ref()?;
    let since = wait.since.as_ref().filter(|at| facts.now.0.duration_since(at.0) > SCHEMA_OVERDUE_AFTER)?;
    let others = match wait.partitions {
        ..=1 => String::new(),
        all => format!(", and {} more wait for schemas", all - 1),
    };
    Some(format!(
        "partition {} of the topic {} has waited since {} for schema {}, which its record at offset {} needs{others}: \
         see what became of the schema registry",
        wait.partition, wait.topic, since.0, wait.schema_id, wait.offset,
    ))
}

fn watermark_advancing(facts: &Facts<'_>, progress: Option<&Progress>) -> Finding {
    let watermark = progress.and_then(|p| p.watermark.as_ref());
    let (Some(progress), Some(report), Some(watermark)) = (progress, facts.report, watermark) else {
        return finding(Severity::Unknown, Reason::NoWatermark, "no source has an event time, or nothing was read yet");
    };
    let stands =
        progress.watermark_moved_at.as_ref().map_or(SignedDuration::ZERO, |at| facts.now.0.duration_since(at.0));
    if stands <= HELD_BACK_AFTER {
        return finding(Severity::True, Reason::Advancing, "windows are being closed");
    }
    let message = format!("the watermark has been {} for {} min", watermark.0, stands.as_mins());
    // The rate of the source that holds back the watermark: another source may be busy.
    let holding = crate::progress::held_by(report).map(|(source, _)| source.input_rows_per_second);
    let records_arrive = progress.input_rows_per_second > 0 && holding.is_none_or(|per_second| per_second > 0.0);
    match records_arrive {
        true => finding(
            Severity::False,
            Reason::HeldBack,
            format!("{message}, though records arrive: {}", held_by(progress)),
        ),
        false => finding(Severity::Unknown, Reason::NoRecords, format!("{message}: no records arrive")),
    }
}

fn held_by(progress: &Progress) -> String {
    let Some(hold) = &progress.watermark_held_by else { return "a partition holds it back".to_owned() };
    let partition = format!("partition {} of the topic {}", hold.partition, hold.topic);
    match hold.because.as_deref() {
        Some("OpenTransaction") => format!("a transaction that nobody has ended hangs open on {partition}"),
        Some("LeaderSilent") => {
            format!("{partition} has been quiet for long, and its leader does not say that there is nothing to read")
        }
        Some("WaitsForSchema") => format!("the next record of {partition} waits for its schema"),
        Some("NotReadYet") => format!("nothing of {partition} was read yet, and it is not idle yet"),
        _ => format!("{partition} holds it back"),
    }
}

fn suspended(facts: &Facts<'_>) -> Finding {
    match (facts.verdict.suspend, is_scaled_to_none(facts)) {
        (true, false) => finding(Severity::True, Reason::Suspended, "spec.suspend is true"),
        (true, true) => finding(Severity::True, Reason::Suspended, "spec.replicas is 0"),
        (false, _) => {
            finding(Severity::False, Reason::NotSuspended, "spec.suspend is not true, and spec.replicas is not 0")
        }
    }
}

/// Whether the pipeline is suspended only by its number of replicas.
fn is_scaled_to_none(facts: &Facts<'_>) -> bool {
    facts.pipeline.spec.get("suspend").and_then(serde_json::Value::as_bool) != Some(true)
}

fn resumed_by(facts: &Facts<'_>) -> &'static str {
    if is_scaled_to_none(facts) { "spec.replicas: 1" } else { "spec.suspend: false" }
}

/// The previous conditions, but Stalled and Reconciling report the failure, and so does Ready if it has no previous
/// value.
pub(super) fn interrupted(pipeline: &StreamPipeline, failure: &Error, now: &Time) -> Vec<Condition> {
    let generation = pipeline.metadata.generation.unwrap_or(0);
    let before = pipeline.status.as_ref().map_or(&[][..], |s| &s.conditions);
    let is_deleted = pipeline.metadata.deletion_timestamp.is_some();
    let said = |kind, is_so: bool| {
        let (status, reason) = match is_so {
            true => (Severity::True, failure.reason()),
            false => (Severity::False, failure.reason()),
        };
        condition(kind, status, reason, &failure.to_string(), generation, now.clone())
    };
    let needs_person = Cause::of(failure).needs_person();
    let of = |kind: ConditionType| match kind {
        ConditionType::Reconciling if is_deleted => {
            Some(condition(kind, Severity::True, Reason::Deleting, &failure.to_string(), generation, now.clone()))
        }
        ConditionType::Reconciling => Some(said(kind, !needs_person)),
        ConditionType::Stalled => Some(said(kind, needs_person)),
        kind => {
            let stood = before.iter().find(|b| b.type_ == kind.as_str()).cloned();
            stood.or_else(|| (kind == ConditionType::Ready).then(|| said(kind, false)))
        }
    };
    ConditionType::ALL.into_iter().filter_map(of).collect()
}
