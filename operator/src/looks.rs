//! The last look at each pipeline, and whether anything has changed since.
//!
//! Between changes, the operator only asks a pipeline for its progress: the watches would have reported any difference.
//! A full look is still due from time to time, for objects that are not watched.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use weir_crds::resource::StreamPipeline;

use crate::clock::steady;
use crate::desired::Running;
use crate::observed::Observed;

/// How often a full look is due. It notices changes that no watch reports: of PodMonitors, of Secrets, and of
/// other owners' objects that were in the way.
const FULL_LOOK_EVERY: Duration = Duration::from_secs(300);
/// The wait after the first failure. Each further failure doubles it.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(300);

/// What a look has seen and applied.
#[derive(Debug, Clone)]
pub struct Look {
    pub observed: Arc<Observed>,
    pub applied: Option<Applied>,
    /// Whether the Secrets are to be read again even though nothing else has changed.
    pub secrets_may_help: bool,
}

/// What a reconcile has applied. As long as nothing has changed, applying it again would have no effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    pub revision: String,
    pub running: Running,
}

/// The last looks, one entry per pipeline.
#[derive(Debug, Default)]
pub struct Looks {
    entries: Mutex<HashMap<ObjectRef<StreamPipeline>, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// The number of events of the pipeline's objects.
    changes: u64,
    failures: u32,
    look: Option<(Identity, Instant, Look)>,
}

/// Identifies a version of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    uid: Option<String>,
    generation: Option<i64>,
}

/// The number of events at the beginning of a look.
#[derive(Debug, Clone, Copy)]
pub struct Begun(u64);

impl Looks {
    /// Notes that an object of the pipeline has changed.
    pub fn touch(&self, pipeline: &ObjectRef<StreamPipeline>) {
        // A pipeline without an entry has never been looked at, or is deleted and its objects follow.
        if let Some(entry) = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get_mut(pipeline) {
            entry.changes += 1;
            entry.look = None;
        }
    }

    /// A watch has started again, so anything may have changed.
    pub fn touch_all(&self) {
        for entry in self.entries.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            entry.changes += 1;
            entry.look = None;
        }
    }

    /// The last look, if nothing has changed since. The caller may begin a new look.
    pub fn last(&self, pipeline: &StreamPipeline) -> (Begun, Option<Look>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(ObjectRef::from_obj(pipeline)).or_default();
        // A look that is no longer true must not be in the way of the next one.
        entry.look.take_if(|(of, at, _)| *of != Identity::of(pipeline) || !is_recent(*at, steady()));
        (Begun(entry.changes), entry.look.as_ref().map(|(_, _, look)| look.clone()))
    }

    /// Keeps a completed look, unless something has changed since it began.
    pub fn keep(&self, pipeline: &StreamPipeline, begun: Begun, look: Look) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(ObjectRef::from_obj(pipeline)).or_default();
        entry.failures = 0;
        if entry.changes == begun.0 && entry.look.is_none() {
            entry.look = Some((Identity::of(pipeline), steady(), look));
        }
    }

    /// Notes a failure. Returns how long to wait before the next try, unless something changes earlier.
    pub fn failed(&self, pipeline: &StreamPipeline) -> Duration {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(ObjectRef::from_obj(pipeline)).or_default();
        entry.look = None;
        entry.failures = entry.failures.saturating_add(1);
        RETRY_MIN.saturating_mul(2_u32.saturating_pow(entry.failures - 1)).min(RETRY_MAX)
    }

    /// Forgets a deleted pipeline.
    pub fn forget(&self, pipeline: &ObjectRef<StreamPipeline>) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(pipeline);
    }
}

fn is_recent(at: Instant, now: Instant) -> bool {
    now.duration_since(at) < FULL_LOOK_EVERY
}

impl Identity {
    fn of(pipeline: &StreamPipeline) -> Self {
        Self { uid: pipeline.uid(), generation: pipeline.metadata.generation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{rides, rides_with};

    fn look() -> Look {
        Look { observed: Arc::default(), applied: None, secrets_may_help: false }
    }

    fn is_known(looks: &Looks, pipeline: &StreamPipeline) -> bool {
        looks.last(pipeline).1.is_some()
    }

    #[test]
    fn a_look_is_true_until_something_changes_also_while_it_is_taken() {
        let (looks, rides) = (Looks::default(), rides());
        let (begun, none) = looks.last(&rides);
        assert!(none.is_none());
        looks.keep(&rides, begun, look());
        assert!(is_known(&looks, &rides));
        let suspended = rides_with("/suspend", true.into());
        let (begun, none) = looks.last(&suspended);
        assert!(none.is_none(), "another generation");
        looks.keep(&suspended, begun, look());
        assert!(is_known(&looks, &suspended));

        let (begun, _) = looks.last(&rides);
        looks.touch(&ObjectRef::from_obj(&rides));
        looks.keep(&rides, begun, look());
        assert!(!is_known(&looks, &rides), "it has changed while it was looked at");
        let (begun, _) = looks.last(&rides);
        looks.keep(&rides, begun, look());
        looks.touch_all();
        assert!(!is_known(&looks, &rides));
    }

    #[test]
    fn it_is_not_true_for_ever() {
        let at = Instant::now();
        assert!(is_recent(at, at + FULL_LOOK_EVERY - Duration::from_secs(1)));
        assert!(!is_recent(at, at + FULL_LOOK_EVERY));
    }

    #[test]
    fn tries_get_rarer_and_begin_anew_after_a_success() {
        let (looks, rides) = (Looks::default(), rides());
        let waits: Vec<_> = (0..8).map(|_| looks.failed(&rides).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        let (begun, _) = looks.last(&rides);
        looks.keep(&rides, begun, look());
        assert_eq!(looks.failed(&rides).as_secs(), 5);
    }
}
