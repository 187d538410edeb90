//! What was seen of each pipeline when it was looked at last, and whether anything has changed since.
//!
//! Between changes a pipeline is asked for its progress and nothing else: the API server has said that nothing is
//! different. A look from the beginning is due after a while all the same, for what nobody watches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use tokio::time::Instant;
use weir_crds::resource::StreamPipeline;

use crate::dereference::Observed;
use crate::desired::Running;

/// What is not watched is seen after this long: PodMonitors, and objects of others that were in the way.
const FULL_LOOK_EVERY: Duration = Duration::from_secs(300);
/// From the first failure to the next try; each further one takes twice as long.
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(300);

/// What was seen, and what was applied to it.
#[derive(Debug, Clone)]
pub struct Look {
    pub observed: Arc<Observed>,
    pub applied: Option<Applied>,
}

/// What a pass has brought about: as long as nothing has changed, the same again would bring about nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub revision: String,
    pub running: Running,
}

/// One entry per pipeline.
#[derive(Debug, Default)]
pub struct Looks {
    entries: Mutex<HashMap<ObjectRef<StreamPipeline>, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Counts what has happened to the pipeline's objects.
    changes: u64,
    failures: u32,
    look: Option<(Identity, Instant, Look)>,
}

/// Of a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    uid: Option<String>,
    generation: Option<i64>,
}

/// The changes that were known when a look began.
#[derive(Debug, Clone, Copy)]
pub struct Begun(u64);

impl Looks {
    /// Something of the pipeline has changed.
    pub fn touch(&self, pipeline: &ObjectRef<StreamPipeline>) {
        // One that was never looked at is not there, nor is one that is gone and whose objects go after it.
        if let Some(entry) = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get_mut(pipeline) {
            entry.changes += 1;
            entry.look = None;
        }
    }

    /// A watch has begun anew: anything may have changed.
    pub fn touch_all(&self) {
        for entry in self.entries.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            entry.changes += 1;
            entry.look = None;
        }
    }

    /// The last look, while it is still true; else a new one begins.
    pub fn last(&self, pipeline: &StreamPipeline) -> (Begun, Option<Look>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(ObjectRef::from_obj(pipeline)).or_default();
        let look =
            entry.look.as_ref().filter(|(of, at, _)| *of == Identity::of(pipeline) && is_recent(*at, Instant::now()));
        (Begun(entry.changes), look.map(|(_, _, look)| look.clone()))
    }

    /// Remembers a look that has come to its end, unless something has changed since it began.
    pub fn keep(&self, pipeline: &StreamPipeline, begun: Begun, look: Look) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(ObjectRef::from_obj(pipeline)).or_default();
        entry.failures = 0;
        if entry.changes == begun.0 && entry.look.is_none() {
            entry.look = Some((Identity::of(pipeline), Instant::now(), look));
        }
    }

    /// Something failed: how long to wait before it is tried again, if nothing changes before.
    pub fn failed(&self, pipeline: &StreamPipeline) -> Duration {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(ObjectRef::from_obj(pipeline)).or_default();
        entry.look = None;
        entry.failures = entry.failures.saturating_add(1);
        RETRY_MIN.saturating_mul(2_u32.saturating_pow(entry.failures - 1)).min(RETRY_MAX)
    }

    /// The pipeline is gone.
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
        Look { observed: Arc::default(), applied: None }
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
        assert!(!is_known(&looks, &rides_with("/suspend", true.into())), "another generation");

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
