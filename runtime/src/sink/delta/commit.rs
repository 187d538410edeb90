//! Committing an epoch: once, whatever happens to the answer. The table's log holds the last epoch that was committed for an application id
//! (`txn`), in the same commit as the epoch's files. So any doubt is settled by reading the log, and only then is anything written.
//!
//! One call makes one attempt, and another only if others' commits came first. Backing off is the caller's.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use serde_json::{Map, Value};

use super::actions::{self, Txn};
use super::log::Created;
use super::{DeltaTable, partition};
use crate::failure::{Failure, Result};

/// How often a call goes on after commits of others that came first. Each time, somebody else got through.
const ROUNDS_MAX: usize = 20;
/// More foreign commits than this in one go are read from a log checkpoint instead.
const FOLLOW_MAX: usize = 100;
/// Files that have waited longer for their commit (a crash lay between) may have been vacuumed: they are looked for first.
const FRESH: Duration = Duration::from_secs(600);
const LOOKS_AT_ONCE: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    Committed {
        version: i64,
    },
    /// By an earlier attempt, whose answer was lost perhaps.
    AlreadyCommitted,
}

/// What the last transaction in the log means for an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Commit,
    Done,
    Fenced { by: i64 },
}

fn judge(last: Option<i64>, epoch: i64) -> Verdict {
    match last {
        Some(last) if last > epoch => Verdict::Fenced { by: last },
        Some(last) if last == epoch => Verdict::Done,
        _ => Verdict::Commit,
    }
}

enum Step {
    Decided(CommitOutcome),
    /// Others' commits came first and have been read: go round again at once.
    Behind,
    /// A refusal with nothing to show for it: go round again after a pause.
    Unsettled,
}

impl DeltaTable {
    /// Commits an epoch's files with `txn(app_id, epoch)` in one commit. Calling it again with the same epoch changes nothing. Epochs of an
    /// application id only go up: a lower one than the table has is [`Fenced`](crate::Remedy::Fenced). On [`Retry`](crate::Remedy::Retry) it is not known whether the
    /// epoch was committed; the next call finds out. `info` becomes the commit's `userMetadata`.
    pub async fn commit(&mut self, app_id: &str, epoch: u64, adds: &[Value], info: &Map<String, Value>) -> Result<CommitOutcome> {
        let version = i64::try_from(epoch).map_err(|_| Failure::bug(format!("epoch {epoch} is too large for a Delta transaction")))?;
        let txn = Txn { app_id: app_id.to_owned(), version };
        let now_ms = chrono::Utc::now().timestamp_millis();
        let commit: Bytes = actions::append(&txn, adds, &self.metadata.partition_columns, info, now_ms).into();
        for _ in 0..ROUNDS_MAX {
            match self.attempt(&txn, &commit, adds).await? {
                Step::Decided(outcome) => return Ok(outcome),
                Step::Behind => {}
                Step::Unsettled => return Err(self.refused("and no commit is there")),
            }
        }
        Err(self.refused("as other writers' commits came first, again and again"))
    }

    /// One look and at most one write.
    async fn attempt(&mut self, txn: &Txn, commit: &Bytes, adds: &[Value]) -> Result<Step> {
        self.be_current(&txn.app_id).await?;
        if let Some(outcome) = self.settled(txn)? {
            return Ok(Step::Decided(outcome));
        }
        // Not before it is known that the epoch is not there: once committed, its files may be compacted and vacuumed.
        self.check_files(txn, adds).await?;
        let version = self.version + 1;
        // Until the store has answered, the log may hold more than we know: also if this future is dropped here.
        self.stale = true;
        match self.log.create(version, commit.clone()).await {
            Ok(Created::Yes { etag }) => {
                self.advance(version, etag);
                self.txns.insert(txn.app_id.clone(), Some(txn.version));
                self.stale = false;
                Ok(Step::Decided(CommitOutcome::Committed { version }))
            }
            Ok(Created::Refused) => self.follow().await,
            Err(failure) => {
                // Unknown: the write may have landed. If it has, the error no longer matters.
                self.refresh(Some(&txn.app_id)).await?;
                self.settled(txn)?.map_or(Err(failure), |outcome| Ok(Step::Decided(outcome)))
            }
        }
    }

    fn refused(&self, why: &str) -> Failure {
        Failure::retry(format!("commit version {} of {}: the store refused it, {why}", self.version + 1, self.location.url))
    }

    fn settled(&self, txn: &Txn) -> Result<Option<CommitOutcome>> {
        match judge(self.txns.get(&txn.app_id).copied().flatten(), txn.version) {
            Verdict::Commit => Ok(None),
            Verdict::Done => Ok(Some(CommitOutcome::AlreadyCommitted)),
            Verdict::Fenced { by } => Err(Failure::fenced(format!(
                "the table {} already holds epoch {by} of {}, and this is epoch {}: another writer has taken over",
                self.location.url, txn.app_id, txn.version
            ))),
        }
    }

    /// Makes sure that we know this application's transaction and that the newest version we know is still the table's. The latter costs
    /// one request and guards against a table that was dropped and made anew under us: its log would get a hole.
    async fn be_current(&mut self, app_id: &str) -> Result<()> {
        if self.stale || !self.txns.contains_key(app_id) {
            return self.refresh(Some(app_id)).await;
        }
        match self.log.etag(self.version).await? {
            Some(found) if found.may_equal(&self.tip) => Ok(()),
            _ => self.refresh(Some(app_id)).await,
        }
    }

    /// After a refusal: reads the commits that came first, one by one.
    async fn follow(&mut self) -> Result<Step> {
        let (known, known_tip) = (self.version, self.tip.clone());
        for read in 0..FOLLOW_MAX {
            let version = self.version + 1;
            let Some(commit) = self.log.read(version).await? else {
                // With none read, the refusal has no visible cause: stay stale, look at the whole log, after a pause.
                if read == 0 {
                    return Ok(Step::Unsettled);
                }
                // The commits followed on ours only if ours is still there: else the table was made anew, and they are another's.
                if self.log.etag(known).await?.is_some_and(|found| found.may_equal(&known_tip)) {
                    let tip = self.log.etag(self.version).await?;
                    self.advance(self.version, tip.and_then(|t| t.0));
                    self.stale = false;
                }
                return Ok(Step::Behind);
            };
            if commit.protocol.is_some() || commit.metadata.is_some() {
                let protocol = commit.protocol.unwrap_or_else(|| self.protocol.clone());
                let metadata = commit.metadata.unwrap_or_else(|| self.metadata.clone());
                self.adopt(protocol, metadata)?;
            }
            for txn in commit.txns {
                self.txns.entry(txn.app_id).and_modify(|known| *known = Some(txn.version));
            }
            self.version = version;
        }
        Ok(Step::Behind)
    }

    /// Of files that wait since before a crash: each must still be there, for a commit that refers to a missing file breaks every reader.
    async fn check_files(&self, txn: &Txn, adds: &[Value]) -> Result<()> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        let old = adds.iter().filter(|add| {
            let age_ms = now_ms.saturating_sub(add["modificationTime"].as_i64().unwrap_or_default());
            u128::try_from(age_ms).is_ok_and(|age| age > FRESH.as_millis())
        });
        let looks = old.filter_map(|add| add["path"].as_str()).map(|uri| async move {
            let path = partition::from_uri(uri);
            match self.location.store.head(&self.location.at(&path)?).await {
                Ok(_) => Ok(()),
                Err(object_store::Error::NotFound { .. }) => Err(Failure::config(format!(
                    "epoch {} of {} is decided but not committed to {}, \
                     and its file {path} is gone (vacuumed?); its rows can be had again by a replay only",
                    txn.version, txn.app_id, self.location.url
                ))),
                Err(e) => Err(self.location.describe(e, format!("look for {path}"))),
            }
        });
        let looked: Vec<Result<()>> = futures::stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(LOOKS_AT_ONCE).collect().await;
        looked.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_transaction_decides() {
        for (last, epoch, expected) in [
            (None, 1, Verdict::Commit),
            (Some(1), 2, Verdict::Commit),
            (Some(1), 9, Verdict::Commit),
            (Some(2), 2, Verdict::Done),
            (Some(3), 2, Verdict::Fenced { by: 3 }),
        ] {
            assert_eq!(judge(last, epoch), expected, "{last:?} {epoch}");
        }
    }
}
