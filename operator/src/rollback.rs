//! Rollback: if a revision's runtime refuses to run before its first epoch, the last good revision runs again. Pure.
//!
//! Only failures that a person has to fix count, by their exit code: `Config` (2) and `Bug` (70). The operator waits
//! out an outage, a fence, a lack of memory, a kill, and a missing image or node. The mark on the ControllerRevision is
//! written before anything is rolled, and stays: a failed revision is not tried again, so there is no oscillation.

#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::Pod;
use weir_crds::resource::Reason;

use crate::desired::workload::is_in_runs;
use crate::labels::{REVISION, SECRETS};
use crate::marks::{Failed, Good};
use crate::observed::Observed;
use crate::observed::current;
use crate::pods::{is_ready, reachable_ip, refused_to_go_on};
use crate::refusal::Refusal;
use crate::revision::Revision;

/// The current revision with a mark of failure, which must be written before anything is rolled. `None` if it has not
/// failed, if it has committed before (then the cause is outside), or if there is no revision to return to.
#[must_use]
pub fn failed(observed: &Observed) -> Option<Revision> {
    let current = current(observed).known().filter(|r| r.marks.good != Some(Good::Committed))?;
    last_good(current, &observed.revisions)?;
    // A revision with a state action that became ready has created a new history of the checkpoint, which earlier
    // revisions do not fit.
    if current.marks.good.is_some() && current.inputs.document().pointer("/spec/stateAction").is_some() {
        return None;
    }
    let mut pods = observed.pods.iter().filter(|pod| annotation(pod, REVISION) == Some(current.name.as_str()));
    let (pod, trouble) = pods.find_map(|pod| Some((pod, refused_to_go_on(pod)?)))?;
    let secrets = annotation(pod, SECRETS).unwrap_or_default().to_owned();
    if current.marks.failed_with(&secrets).is_some() {
        return None;
    }
    let failed = Failed { reason: trouble.reason.as_str().to_owned(), message: trouble.message, secrets };
    let mut marked = current.clone();
    marked.marks.failed = Some(failed);
    Some(marked)
}

/// The current revision with a mark of success, if it does not have it yet. `has_committed` says whether its runtime
/// has committed since it started.
#[must_use]
pub fn good(observed: &Observed, has_committed: bool) -> Option<Revision> {
    let current = current(observed).known()?;
    let pods: Vec<_> =
        observed.pods.iter().filter(|pod| annotation(pod, REVISION) == Some(current.name.as_str())).cloned().collect();
    // The report may come from a pod of an earlier revision.
    let is_theirs = reachable_ip(&pods).is_some() && reachable_ip(&pods) == reachable_ip(&observed.pods);
    let seen = match is_ready(&pods) {
        _ if has_committed && is_theirs => Good::Committed,
        true => Good::Ready,
        false => return None,
    };
    if current.marks.good >= Some(seen) {
        return None;
    }
    let mut marked = current.clone();
    marked.marks.good = Some(seen);
    if seen == Good::Committed {
        marked.marks.failed = None;
    }
    Some(marked)
}

/// The newest good revision before this one that has not failed. A run of an AvailableNow pipeline has ended, so there
/// is nothing to return to.
#[must_use]
pub fn last_good<'a>(revision: &Revision, there: &'a [Revision]) -> Option<&'a Revision> {
    let earlier = there.iter().filter(|r| r.name != revision.name && r.number < revision.number);
    let goes_on = |r: &&Revision| !is_in_runs(&r.inputs.document()["spec"]);
    earlier.filter(|r| r.marks.good.is_some() && r.marks.failed.is_none()).filter(goes_on).max_by_key(|r| r.number)
}

/// The revision that stays if the spec is refused: the current one, or the one that a rollback returns to.
#[must_use]
pub fn standing(observed: &Observed) -> Option<&Revision> {
    let current = current(observed).known()?;
    let deployed =
        observed.deployment.as_ref().and_then(|d| d.spec.as_ref()).and_then(|s| s.template.metadata.as_ref());
    let secrets = deployed.and_then(|m| m.annotations.as_ref()).and_then(|a| a.get(SECRETS));
    let has_failed = secrets.is_some_and(|secrets| current.marks.failed_with(secrets).is_some());
    Some(current).filter(|_| !has_failed).or_else(|| last_good(current, &observed.revisions)).or(Some(current))
}

/// Why the spec is not tried again, in the runtime's words.
#[must_use]
pub fn refusal(revision: &Revision, failed: &Failed, standing: &Revision) -> Refusal {
    let message = format!(
        "the runtime ended before its first epoch ({}): {}; revision {} of generation {} runs instead. Change the \
         spec, or try the same \
         again: kubectl delete controllerrevision {}",
        failed.reason, failed.message, standing.name, standing.generation, revision.name
    );
    Refusal { reason: Reason::RolledBack, message }
}

fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}
