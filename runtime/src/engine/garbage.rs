//! Collects the garbage of the checkpoint beside the epochs. One collection runs at a time and has a deadline. Only the
//! end of a run waits for it.

use std::time::Duration;

use tokio::task::JoinHandle;
use weir_plan::ids::Epoch;

use crate::checkpoint::collection::Collection;
use crate::clock::Clock;

/// The limit for one collection. The next one takes what this one leaves.
const DEADLINE: Duration = Duration::from_secs(600);
/// How long a run that has ended waits for the collection under way. Short runs must not leave more garbage than they
/// find.
const DEADLINE_AT_END: Duration = Duration::from_secs(10);

pub struct Garbage {
    /// How many of the newest manifests are kept.
    keep: u32,
    /// Objects that no manifest names are left alone for this long.
    grace: Duration,
    /// Since 1970, as objects have their times.
    now_us: Clock,
    is_due: bool,
    task: Option<JoinHandle<()>>,
}

impl Garbage {
    pub fn new(keep: u32, grace: Duration, now_us: Clock) -> Self {
        Self { keep, grace, now_us, is_due: false, task: None }
    }

    /// Call it after an epoch is committed. It begins a collection every `keep` epochs; if another is still under way
    /// then, it begins as soon as that one is over.
    pub fn after(&mut self, epoch: Epoch, collection: impl FnOnce(u32) -> Collection) {
        self.is_due |= epoch.0.is_multiple_of(u64::from(self.keep.max(1)));
        if !self.is_due || self.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.is_due = false;
        self.task = Some(tokio::spawn(collect(collection(self.keep), (self.now_us)(), self.grace)));
    }

    /// Ends the collections at the end of a run: waits for the one under way, and runs the one that has become due
    /// meanwhile.
    pub async fn finish(&mut self, collection: impl FnOnce(u32) -> Collection) {
        let rest = async {
            if let Some(task) = &mut self.task {
                let _ = task.await;
            }
            if self.is_due {
                collect(collection(self.keep), (self.now_us)(), self.grace).await;
            }
        };
        if tokio::time::timeout(DEADLINE_AT_END, rest).await.is_err() {
            tracing::warn!("garbage collection: not done within {DEADLINE_AT_END:?} of the end; the next run goes on");
        }
    }
}

/// Garbage costs money, not correctness, so a failure is logged and the next round tries again.
async fn collect(collection: Collection, now_us: i64, grace: Duration) {
    match tokio::time::timeout(DEADLINE, collection.run(now_us, grace)).await {
        Ok(Ok(report)) => tracing::debug!(?report, "garbage collection"),
        Ok(Err(failure)) => tracing::warn!("garbage collection: {failure}"),
        Err(_) => tracing::warn!("garbage collection: not done within {DEADLINE:?}; the next one goes on"),
    }
}

impl Drop for Garbage {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
