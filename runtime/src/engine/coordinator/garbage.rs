//! The collection of the checkpoint's garbage, beside the epochs: one at a time, with a bound, and nothing waits for it
//! but the end of a run.

use std::time::Duration;

use tokio::task::JoinHandle;
use weir_plan::ids::Epoch;

use crate::checkpoint::collection::Collection;

/// One collection. What it leaves is for the next one.
const DEADLINE: Duration = Duration::from_secs(600);
/// A run that has ended waits so long for the one under way: runs that are short must leave no more than they find.
const DEADLINE_AT_END: Duration = Duration::from_secs(10);

pub struct Garbage {
    /// The newest manifests, which stay.
    keep: u32,
    /// Objects that no manifest names are left alone for this long.
    grace: Duration,
    is_due: bool,
    task: Option<JoinHandle<()>>,
}

impl Garbage {
    pub fn new(keep: u32, grace: Duration) -> Self {
        Self { keep, grace, is_due: false, task: None }
    }

    /// After an epoch is committed: begins a collection every `keep` epochs, or as soon as the one before is over.
    pub fn after(&mut self, epoch: Epoch, collection: impl FnOnce(u32) -> Collection) {
        self.is_due |= epoch.0.is_multiple_of(u64::from(self.keep.max(1)));
        if !self.is_due || self.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.is_due = false;
        self.task = Some(tokio::spawn(collect(collection(self.keep), self.grace)));
    }

    /// At the end of a run: what is under way comes to its end, and what has become due meanwhile is done.
    pub async fn finish(&mut self, collection: impl FnOnce(u32) -> Collection) {
        let rest = async {
            if let Some(task) = &mut self.task {
                let _ = task.await;
            }
            if self.is_due {
                collect(collection(self.keep), self.grace).await;
            }
        };
        if tokio::time::timeout(DEADLINE_AT_END, rest).await.is_err() {
            tracing::warn!("garbage collection: not done within {DEADLINE_AT_END:?} of the end; the next run goes on");
        }
    }
}

/// Garbage costs money, not correctness: a failure is logged and the next round tries again.
async fn collect(collection: Collection, grace: Duration) {
    match tokio::time::timeout(DEADLINE, collection.run(crate::engine::now_us(), grace)).await {
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
