//! When to write log checkpoints. Without them, opening a table reads every commit that was ever made. A separate task
//! writes one at a time: no commit waits for it, and nothing depends on it.

use tokio::task::JoinHandle;
use weir_base::failure::Result;

use super::log::Log;

/// What is known about a table's log checkpoints.
#[derive(Debug)]
pub(super) struct LogCheckpoints {
    /// The number of versions from one log checkpoint to the next.
    every: i64,
    /// The version of the newest known log checkpoint; -1 if there is none, as if the version before the first had one.
    last: i64,
    /// No log checkpoint is tried below this version, so that a failed one is not repeated with every commit.
    not_before: i64,
    pub(super) under_way: Option<JoinHandle<Result<i64>>>,
}

impl LogCheckpoints {
    /// Plans a log checkpoint every `every` versions. `last` is the newest one that is known.
    pub(super) fn new(every: u32, last: Option<i64>) -> Self {
        Self { every: every.into(), last: last.unwrap_or(-1), not_before: 0, under_way: None }
    }

    /// Notes the log checkpoint at which a read of the log began; another writer may have made it.
    pub(super) fn found(&mut self, checkpoint: Option<i64>) {
        self.last = self.last.max(checkpoint.unwrap_or(-1));
    }

    /// Starts a log checkpoint if one is due; `version` is the table's newest. Must be called within a tokio runtime.
    pub(super) fn start_if_long(&mut self, version: i64, log: &Log) {
        self.take_up_finished();
        if self.under_way.is_some() || !is_due(self.every, version, self.last, self.not_before) {
            return;
        }
        self.not_before = version + self.every;
        let log = log.clone();
        self.under_way = Some(tokio::spawn(async move {
            let written = log.checkpoint().await;
            match &written {
                Ok(version) => tracing::debug!(version, "log checkpoint written"),
                Err(failure) => tracing::warn!("{failure}; the table is whole, but opening it takes longer"),
            }
            written
        }));
    }

    fn take_up_finished(&mut self) {
        use futures::FutureExt as _;
        let Some(task) = self.under_way.take_if(|task| task.is_finished()) else { return };
        // The task is finished, so it answers at once. Its failure was logged already.
        if let Some(Ok(Ok(version))) = task.now_or_never() {
            self.found(Some(version));
        }
    }
}

/// A run that ends does not wait for a log checkpoint: readers ignore an incomplete one.
impl Drop for LogCheckpoints {
    fn drop(&mut self) {
        if let Some(task) = &self.under_way {
            task.abort();
        }
    }
}

fn is_due(every: i64, version: i64, last: i64, not_before: i64) -> bool {
    version - last >= every && version >= not_before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_due_every_so_many_versions_and_a_failed_one_after_as_many_again() {
        for (every, version, last, not_before, expected) in [
            (100, 98, -1, 0, false),
            (100, 99, -1, 0, true),
            (100, 100, -1, 199, false),
            (100, 199, -1, 199, true),
            (100, 199, 100, 199, false),
            (100, 200, 100, 199, true),
            (100, 10_000, -1, 0, true),
            (1, 7, 6, 0, true),
            (1, 7, 7, 0, false),
            (10_000, 9_998, -1, 0, false),
        ] {
            assert_eq!(is_due(every, version, last, not_before), expected, "{every} {version} {last} {not_before}");
        }
    }
}
