//! The seven conditions of a pipeline. `docs/reference/status.md` has the same as a table, state by state.
//!
//! `Ready` is about the accepted document: a refused change is `Stalled` while the old document stays `Ready`. A suspended pipeline is
//! `Ready` too, since having no pods is what it asks for: kstatus would take anything else for being in progress.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::SignedDuration;
use weir_crds::resource::{ConditionType, Progress, Reason, Run, Severity, condition};

use super::{Facts, pods};
use crate::progress::Kind;

/// A commit is overdue after this, or after three intervals if that is longer.
const OVERDUE_MIN: Duration = Duration::from_secs(60);
/// A watermark that stands for so long while records arrive is held back.
const HELD_BACK_AFTER: SignedDuration = SignedDuration::from_mins(5);

struct Finding {
    status: Severity,
    reason: Reason,
    message: String,
}

fn finding(status: Severity, reason: Reason, message: impl Into<String>) -> Finding {
    Finding { status, reason, message: message.into() }
}

/// All of them, with the current time as time of transition.
pub(super) fn conditions(facts: &Facts<'_>, progress: Option<&Progress>, run: Option<&Run>) -> Vec<Condition> {
    let ready = ready(facts, progress, run);
    let reconciling = reconciling(facts, &ready);
    let stalled = stalled(facts);
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

/// A condition that stays as it was keeps its time of transition.
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
    let Some(_) = &facts.verdict.target else {
        let refusal = facts.verdict.refusal.as_ref();
        let reason = refusal.map_or(Reason::InvalidDocument, |r| r.reason);
        return finding(False, reason, refusal.map_or("", |r| r.message.as_str()));
    };
    if let Some(run) = run.filter(|run| run.id.is_none() || run.completed_at.is_some())
        && !facts.verdict.suspend
    {
        return between_runs(run);
    }
    if facts.verdict.suspend {
        return match facts.observed.pods.iter().all(pods::is_over) {
            true => finding(True, Reason::Suspended, "suspended as asked: no pods; spec.suspend: false goes on where it stopped"),
            false => finding(False, Reason::Stopping, "the pods finish their epoch and stop"),
        };
    }
    if let Some(trouble) = pods::trouble(&facts.observed.pods) {
        return finding(False, trouble.reason, trouble.message);
    }
    if let Some(why) = facts.unreachable {
        return finding(Unknown, Reason::Unreachable, format!("the runtime's progress can't be read: {why}"));
    }
    let Some((progress, report)) = progress.zip(facts.report) else {
        return finding(False, Reason::Starting, "the runtime is being started and claims its checkpoint");
    };
    if let Some((age, records)) = overdue_epoch(facts) {
        let message = format!("an epoch of {records} records can't be committed since {} s: see the pod's log", age.as_secs());
        return finding(False, Reason::EpochOverdue, message);
    }
    let age = progress.last_commit.as_ref().map(|at| facts.now.0.duration_since(at.0));
    match age.filter(|age| *age > overdue_after(facts) && progress.lag > 0) {
        None if report.kind == Kind::Claim => {
            let message = format!("the checkpoint is claimed as epoch {}, and {} records wait", progress.last_epoch, progress.lag);
            finding(True, Reason::Running, message)
        }
        None => finding(True, Reason::Running, format!("epoch {} is committed", progress.last_epoch)),
        Some(age) => finding(
            False,
            Reason::EpochOverdue,
            format!("{} records wait, and the last commit was {} s ago: see the pod's log", progress.lag, age.as_secs()),
        ),
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

/// How long the epoch in hand has waited to be committed, if that is too long, and the records that it read.
fn overdue_epoch(facts: &Facts<'_>) -> Option<(SignedDuration, u64)> {
    let pending = facts.report?.pending.as_ref()?;
    let age = facts.now.0.duration_since(pending.since.parse().ok()?);
    (age > overdue_after(facts)).then_some((age, pending.records))
}

/// Thrice the interval, a minute at least.
pub(super) fn overdue_after(facts: &Facts<'_>) -> SignedDuration {
    let allowed = interval(facts).map_or(OVERDUE_MIN, |i| (3 * i).max(OVERDUE_MIN));
    SignedDuration::try_from(allowed).unwrap_or(SignedDuration::MAX)
}

fn interval(facts: &Facts<'_>) -> Option<Duration> {
    facts.pipeline.spec.pointer("/trigger/interval").and_then(|i| i.as_str()).and_then(weir_crds::duration)
}

fn reconciling(facts: &Facts<'_>, ready: &Finding) -> Finding {
    use Severity::{False, True};
    if facts.pipeline.metadata.deletion_timestamp.is_some() {
        return finding(True, Reason::Deleting, "the pipeline's objects are being deleted");
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
    finding(False, Reason::UpToDate, "what there is is what the accepted document says")
}

fn stalled(facts: &Facts<'_>) -> Finding {
    use Severity::{False, True};
    if let Some(refusal) = &facts.verdict.refusal {
        return finding(True, refusal.reason, refusal.message.clone());
    }
    match pods::trouble(&facts.observed.pods).filter(|t| t.needs_person && !facts.verdict.suspend) {
        Some(trouble) => finding(True, trouble.reason, trouble.message),
        None => finding(False, Reason::UpToDate, "nobody needs to act"),
    }
}

fn validated(facts: &Facts<'_>) -> Finding {
    match facts.verdict.refusal.as_ref().filter(|r| r.is_invalid()) {
        Some(refusal) => finding(Severity::False, refusal.reason, refusal.message.clone()),
        None => finding(Severity::True, Reason::Valid, "the document, its Secrets and its checkpoint are right"),
    }
}

fn data_flowing(facts: &Facts<'_>, progress: Option<&Progress>) -> Finding {
    let Some(progress) = progress.filter(|_| facts.report.is_some()) else {
        return finding(Severity::Unknown, Reason::NoPods, "no runtime says so");
    };
    match progress.input_rows_per_second > 0 {
        true => finding(Severity::True, Reason::RecordsArriving, "records arrive"),
        false => finding(Severity::Unknown, Reason::NoRecords, "no record has arrived lately; a quiet topic is no failure"),
    }
}

fn watermark_advancing(facts: &Facts<'_>, progress: Option<&Progress>) -> Finding {
    let watermark = progress.and_then(|p| p.watermark.as_ref());
    let (Some(progress), Some(watermark)) = (progress.filter(|_| facts.report.is_some()), watermark) else {
        return finding(Severity::Unknown, Reason::NoWatermark, "no source has an event time, or nothing was read yet");
    };
    let stands = progress.watermark_moved_at.as_ref().map_or(SignedDuration::ZERO, |at| facts.now.0.duration_since(at.0));
    if stands <= HELD_BACK_AFTER {
        return finding(Severity::True, Reason::Advancing, "windows are being closed");
    }
    let message = format!("it stands at {} since {} min", watermark.0, stands.as_mins());
    match progress.input_rows_per_second > 0 {
        true => finding(Severity::False, Reason::HeldBack, format!("{message}, though records arrive: {}", held_by(progress))),
        false => finding(Severity::Unknown, Reason::NoRecords, format!("{message}: no records arrive")),
    }
}

fn held_by(progress: &Progress) -> String {
    let Some(hold) = &progress.watermark_held_by else { return "a partition holds it back".to_owned() };
    let partition = format!("partition {} of the topic {}", hold.partition, hold.topic);
    match hold.because.as_deref() {
        Some("OpenTransaction") => format!("a transaction that nobody has ended hangs open on {partition}"),
        Some("NotReadYet") => format!("nothing of {partition} was read yet, and it is not idle yet"),
        _ => format!("{partition} holds it back"),
    }
}

fn suspended(facts: &Facts<'_>) -> Finding {
    match facts.verdict.suspend {
        true => finding(Severity::True, Reason::Suspended, "spec.suspend is true"),
        false => finding(Severity::False, Reason::NotSuspended, "spec.suspend is not true"),
    }
}
