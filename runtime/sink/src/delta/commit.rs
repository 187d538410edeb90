//! Commits an epoch exactly once, even if answers get lost. The table's log holds the last epoch that was committed of
//! a lineage, and the mark of the manifest that decided it (`transaction`), in the same commit as the epoch's files. So
//! reading the log settles any doubt, and nothing is written before that.
//!
//! One call makes one attempt, and more attempts only if others' commits came first. The caller backs off.

use bytes::Bytes;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use serde_json::Value;
use weir_base::failure::{Failure, Result};

use super::actions::{self, Txn};
use super::log::Created;
use super::{DeltaTable, partition, transaction};
use crate::decided::{Decided, Verdict, judge};

/// How often a call goes on after others' commits came first. Each time, another writer has made progress.
const ROUNDS_MAX: usize = 20;
/// If more commits of others than this have come, they are read from a log checkpoint instead.
const FOLLOW_MAX: usize = 100;
/// Files that have waited longer than this for their commit may have been vacuumed, so the commit first checks that
/// they are there.
const FRESH_MS: u64 = 600_000;
const LOOKS_AT_ONCE: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    Committed {
        version: i64,
    },
    /// An earlier attempt committed it; its answer may have been lost.
    AlreadyCommitted,
    /// The table does not have the epoch, and some of the epoch's files are gone. Nothing was committed.
    FilesGone {
        files: Vec<String>,
    },
}

enum Step {
    Decided(CommitOutcome),
    /// Others' commits came first and have been read. Try again at once.
    Behind,
    /// The store refused without a visible cause. Try again after a pause.
    Unsettled,
}

impl DeltaTable {
    /// Commits an epoch's files and its transactions together. Another call with the same epoch changes nothing. Epochs
    /// of a lineage only go up: an epoch below the table's own is [`Fenced`](weir_base::failure::Remedy::Fenced). After
    /// [`Retry`](weir_base::failure::Remedy::Retry) nobody knows whether the epoch was committed; the next call finds
    /// out. The provenance becomes the commit's `userMetadata`.
    ///
    /// # Errors
    /// `Config` if the table holds an epoch of that number which another manifest decided.
    pub async fn append(&mut self, of: &Decided, adds: &[Value]) -> Result<CommitOutcome> {
        let txns = transaction::txns(of)?;
        let now_ms = (self.means.now_ms)();
        let commit: Bytes =
            actions::append(&txns, adds, &self.metadata.partition_columns, &of.provenance, now_ms).into();
        for _ in 0..ROUNDS_MAX {
            match self.attempt(of, &txns, &commit, adds).await? {
                Step::Decided(outcome) => {
                    // This also settles files that are gone: whoever goes on without them does not want them.
                    adds.iter()
                        .filter_map(|add| add["path"].as_str())
                        .for_each(|uri| self.pending.settle(&partition::from_uri(uri)));
                    return Ok(outcome);
                }
                Step::Behind => {}
                Step::Unsettled => return Err(self.refused("and no commit is there")),
            }
        }
        Err(self.refused("as other writers' commits came first, again and again"))
    }

    /// Checks whether an epoch's files could be committed now. In a local folder, where somebody can move a table away
    /// under its writer, this checks that the table is in its place with these files in it. It asks nothing of other
    /// stores: there a table does not move, and `commit` checks anyway.
    ///
    /// # Errors
    /// `Config` if the table is gone or was created again, or if a file is missing.
    pub async fn check_ready(&mut self, of: &Decided, adds: &[Value]) -> Result<()> {
        if !self.location.is_folder() {
            return Ok(());
        }
        self.be_current().await?;
        let files = self.files_gone(adds).await?;
        if files.is_empty() { Ok(()) } else { Err(self.lacks(of, &files)) }
    }

    /// The failure for an epoch that can't be committed because its files are gone.
    #[must_use]
    pub fn lacks(&self, of: &Decided, files: &[String]) -> Failure {
        let (first, more) = (files.first().map_or("", String::as_str), files.len().saturating_sub(1));
        let files =
            if more == 0 { format!("its file {first} is") } else { format!("its file {first} and {more} more are") };
        Failure::config(format!(
            "epoch {} of {} is not in {} yet, and {files} not there: deleted (a vacuum without a retention?), or \
             written while the table was \
             moved away; put what is missing back, or give this epoch's rows up with a new spec.stateAction \
             (`discard` or `restore`)",
            of.epoch,
            transaction::app_id(of),
            self.location.url
        ))
    }

    /// One attempt: it checks the log once and writes at most once.
    async fn attempt(&mut self, of: &Decided, txns: &[Txn], commit: &Bytes, adds: &[Value]) -> Result<Step> {
        self.be_current().await?;
        if let Some(outcome) = self.settled(of)? {
            return Ok(Step::Decided(outcome));
        }
        // Only check the files once it is certain that the epoch is not there: after the commit, its files may be
        // compacted and vacuumed.
        let files = self.files_gone(adds).await?;
        if !files.is_empty() {
            return Ok(Step::Decided(CommitOutcome::FilesGone { files }));
        }
        let version = self.version + 1;
        // Until the store has answered, the log may hold more than we know, also if this future is dropped here.
        self.stale = true;
        match self.log.create(version, commit.clone()).await {
            Ok(Created::Yes { etag }) => {
                self.advance(version, etag);
                self.txns.extend(txns.iter().map(|txn| (txn.app_id.clone(), txn.version)));
                self.stale = false;
                Ok(Step::Decided(CommitOutcome::Committed { version }))
            }
            Ok(Created::Refused) => self.follow().await,
            Err(failure) => {
                // It is unknown whether the write has landed. If it has, the error no longer matters.
                self.refresh().await?;
                self.settled(of)?.map_or(Err(failure), |outcome| Ok(Step::Decided(outcome)))
            }
        }
    }

    fn refused(&self, why: &str) -> Failure {
        Failure::retry(format!(
            "commit version {} of {}: the store refused it, {why}",
            self.version + 1,
            self.location.url
        ))
    }

    fn settled(&self, of: &Decided) -> Result<Option<CommitOutcome>> {
        match judge(transaction::newest(&self.txns, of), of) {
            Verdict::Commit => Ok(None),
            Verdict::Done => Ok(Some(CommitOutcome::AlreadyCommitted)),
            Verdict::Another => Err(Failure::config(format!(
                "the table {} holds epoch {} of {} already, and another manifest decided it: the checkpoint was put \
                 back from an old copy; \
                 put back the one that wrote it, or begin another history with spec.stateAction",
                self.location.url,
                of.epoch,
                transaction::app_id(of)
            ))),
            Verdict::Fenced { by } => Err(Failure::fenced(format!(
                "the table {} already holds epoch {by} of {}, and this is epoch {}",
                self.location.url,
                transaction::app_id(of),
                of.epoch
            ))),
        }
    }

    /// Makes sure that the newest version we know is still the table's. This costs one request and protects against a
    /// table that was dropped and created again under us: our commit would leave a hole in its log.
    async fn be_current(&mut self) -> Result<()> {
        if self.stale {
            return self.refresh().await;
        }
        match self.log.etag(self.version).await? {
            Some(found) if found.may_equal(&self.tip) => Ok(()),
            _ => self.refresh().await,
        }
    }

    /// After a refusal: reads the commits that came first, one by one.
    async fn follow(&mut self) -> Result<Step> {
        let (known, known_tip) = (self.version, self.tip.clone());
        for read in 0..FOLLOW_MAX {
            let version = self.version + 1;
            let Some(commit) = self.log.read(version).await? else {
                // If no commit is there, the refusal has no visible cause. Stay stale, and read the whole log after a
                // pause.
                if read == 0 {
                    return Ok(Step::Unsettled);
                }
                // The commits follow on ours only if ours is still there. Otherwise the table was created again, and
                // they belong to another table.
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
            self.txns.extend(
                commit
                    .txns
                    .into_iter()
                    .filter(|txn| transaction::is_ours(&txn.app_id))
                    .map(|txn| (txn.app_id, txn.version)),
            );
            self.version = version;
        }
        Ok(Step::Behind)
    }

    /// The files that are missing. This checks files that another process wrote, files that have waited for long, and
    /// files in a local folder, which may have been another folder when they were written. A commit that refers to a
    /// missing file breaks every reader.
    async fn files_gone(&self, adds: &[Value]) -> Result<Vec<String>> {
        let now_ms = (self.means.now_ms)();
        let is_doubtful = |add: &Value, path: &str| {
            let age_ms = now_ms.saturating_sub(add["modificationTime"].as_i64().unwrap_or_default());
            self.location.is_folder() || !self.pending.has(path) || age_ms.unsigned_abs() > FRESH_MS
        };
        let paths = adds.iter().filter_map(|add| Some((add, partition::from_uri(add["path"].as_str()?))));
        let looks = paths.filter(|(add, path)| is_doubtful(add, path)).map(|(_, path)| async move {
            match self.location.store.head(&self.location.at(&path)?).await {
                Ok(_) => Ok(None),
                Err(object_store::Error::NotFound { .. }) => Ok(Some(path)),
                Err(e) => Err(self.location.describe(e, format!("look for {path}"))),
            }
        });
        let looked: Vec<Result<Option<String>>> =
            futures::stream::iter(looks.collect::<Vec<_>>()).buffered(LOOKS_AT_ONCE).collect().await;
        Ok(looked.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}
