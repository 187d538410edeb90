//! What the pods show: whether one runs, why it does not run, and how its runtime ended.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use weir_crds::resource::{Reason, Restarts};

use crate::pod_template::CONTAINER;

/// How long a Job may be without a pod. Its controller creates the pod at once, and creates a deleted pod again within
/// seconds.
const POD_LIMIT: SignedDuration = SignedDuration::from_secs(60);

/// Why a pod does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    pub message: String,
    /// Whether a person must act, because a restart does not help.
    pub needs_person: bool,
}

/// Whether all containers of the pod have ended.
#[must_use]
pub fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
    phase == "Failed" || phase == "Succeeded"
}

/// Whether the pod has not ended and is not being deleted.
#[must_use]
pub fn is_live(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !is_over(pod)
}

/// A running pod, and its address.
#[must_use]
pub fn reachable(pods: &[Pod]) -> Option<(&Pod, &str)> {
    pods.iter().filter(|p| is_live(p)).find_map(|p| {
        let running = container(p)?.state.as_ref()?.running.is_some();
        Some((p, p.status.as_ref()?.pod_ip.as_deref().filter(|_| running)?))
    })
}

/// The address of a running pod.
#[must_use]
pub fn reachable_ip(pods: &[Pod]) -> Option<&str> {
    reachable(pods).map(|(_, ip)| ip)
}

#[must_use]
pub fn is_ready(pods: &[Pod]) -> bool {
    pods.iter().filter(|p| is_live(p)).any(|p| container(p).is_some_and(|c| c.ready))
}

/// How often the runtime was restarted, and why.
#[must_use]
pub fn restarts(pods: &[Pod]) -> Option<Restarts> {
    let container = pods.iter().filter(|p| is_live(p)).find_map(container)?;
    let ended = last_end(container);
    Some(Restarts {
        count: container.restart_count,
        last_reason: ended.map(|e| ending(e).message),
        last_time: ended.and_then(|e| e.finished_at.clone()),
    })
}

/// How the runtime ended, if it would end the same way again: with `Config` or `Bug`. `None` while it runs.
#[must_use]
pub fn refused_to_go_on(pod: &Pod) -> Option<Trouble> {
    let container = container(pod).filter(|_| is_live(pod))?;
    let runs = container.state.as_ref().is_some_and(|s| s.running.is_some());
    let end = last_end(container).filter(|_| !runs)?;
    Some(ending(end)).filter(|trouble| [Reason::ConfigError, Reason::RuntimeBug].contains(&trouble.reason))
}

/// The trouble of the first pod that has any.
#[must_use]
pub fn trouble(pods: &[Pod]) -> Option<Trouble> {
    pods.iter().filter(|p| is_live(p)).find_map(trouble_of)
}

/// Why the Deployment's controller can't create a pod, for example because of a quota or an admission policy. `None` if
/// the Deployment's status is about an earlier template.
#[must_use]
pub fn unmade_by_deployment(deployment: &Deployment) -> Option<Trouble> {
    let status = deployment.status.as_ref()?;
    let is_current = status.observed_generation >= deployment.metadata.generation;
    let failure = status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "ReplicaFailure" && c.status == "True")
        .filter(|_| is_current)?;
    let why = failure.message.as_deref().or(failure.reason.as_deref()).unwrap_or("it does not say why");
    Some(Trouble {
        reason: Reason::PodRefused,
        message: format!("the cluster refuses to create the pod: {why}"),
        needs_person: true,
    })
}

/// The trouble of a Job without a pod. Its status does not say why it has none; only its events do.
#[must_use]
pub fn unmade_by_job(job: &Job, now: Timestamp) -> Option<Trouble> {
    let started = job.status.as_ref()?.start_time.as_ref()?.0;
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let waits = now.duration_since(started);
    let message =
        format!("the Job `{name}` has no pod after {} s: kubectl describe job {name} says why", waits.as_secs());
    // Before the limit, the pod may have been deleted only a moment ago.
    (waits >= POD_LIMIT).then_some(Trouble { reason: Reason::PodRefused, message, needs_person: false })
}

fn trouble_of(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or("no node takes it");
        return Some(Trouble {
            reason: Reason::Unschedulable,
            message: format!("the pod can't be placed: {why}"),
            needs_person: false,
        });
    }
    let container = container(pod)?;
    if container.state.as_ref().is_some_and(|s| s.running.is_some()) {
        return None;
    }
    let waiting = container.state.as_ref().and_then(|s| s.waiting.as_ref());
    let why = waiting.and_then(|w| w.reason.as_deref()).unwrap_or_default();
    let said = waiting.and_then(|w| w.message.as_deref()).unwrap_or_default();
    match why {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => Some(Trouble {
            reason: Reason::ImagePullFailed,
            message: format!("the image {} can't be pulled: {said}", container.image),
            needs_person: true,
        }),
        "CreateContainerConfigError" | "CreateContainerError" => Some(Trouble {
            reason: Reason::ConfigError,
            message: format!("the container can't be created: {said}"),
            needs_person: true,
        }),
        // The container runs, or waits to be restarted after it has ended.
        _ => last_end(container).map(ending),
    }
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.iter().flatten().find(|c| c.name == CONTAINER)
}

fn last_end(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let of = |state: &'_ Option<ContainerState>| state.as_ref().is_some_and(|s| s.terminated.is_some());
    let state = [&container.state, &container.last_state].into_iter().find(|s| of(s))?;
    state.as_ref()?.terminated.as_ref()
}

/// The meaning of the runtime's end, by the exit codes of `weir run` (docs/operating.md): each code stands for a
/// remedy.
fn ending(end: &ContainerStateTerminated) -> Trouble {
    let said = end.message.as_deref().map(str::trim).filter(|m| !m.is_empty());
    let (reason, needs_person, else_said) = match (end.reason.as_deref(), end.exit_code) {
        (Some("OOMKilled"), _) => {
            let message =
                "the container was killed for its memory: give it more (spec.resources.limits.memory)".to_owned();
            return Trouble { reason: Reason::OutOfMemory, message, needs_person: false };
        }
        (_, 2) => (Reason::ConfigError, true, "something must be changed by a person; the pod's log says what"),
        (_, 3) => {
            (Reason::DependencyUnavailable, false, "something outside was away for too long; the pod's log says what")
        }
        (_, 4) => (Reason::BadRecord, true, "a record can't be processed; the pod's log says which"),
        (_, 5) => (Reason::Fenced, false, "another writer has taken over the checkpoint"),
        (_, 6) => {
            (Reason::OutOfMemory, false, "its memory limit does not hold what is open; the pod's log says how much")
        }
        (_, 70) => (Reason::RuntimeBug, true, "a bug; the pod's log has the details"),
        _ => (Reason::CrashLoop, false, "it did not say why"),
    };
    let message = match said {
        Some(said) => said.to_owned(),
        None => format!("the runtime ended with exit code {}: {else_said}", end.exit_code),
    };
    Trouble { reason, message, needs_person }
}
