//! Compaction: small files of a partition are rewritten as fewer files, which replace them in one commit that changes
//! no row (`dataChange: false`). It runs beside the writer's commits and everyone else's. If another commit has touched
//! one of its files first, that commit wins: the compaction deletes what it wrote and looks again.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use weir_base::failure::{Failure, Remedy, Result};
use weir_base::retry::{Jitter, Patience};

use super::choose::Round;
use super::listing::list;
use super::rewrite::{Rewritten, discard, rewrite};
use super::table::{Table, standing};
use super::winners::Winners;
use crate::delta::actions;
use crate::delta::fit::Layout;
use crate::delta::log::{Created, Etag};
use crate::delta::stored::path_of;
use crate::upkeep::{Done, Duty, millis};

/// How many times one compaction looks at the table if there were conflicts.
const LOOKS_MAX: usize = 3;
/// How often a commit goes on after others' commits came first.
const TRIES_MAX: usize = 20;
/// The most commits of others that are read in one go.
const FOLLOW_MAX: usize = 10_000;

/// Compacts the table at intervals.
pub(super) struct Compaction {
    pub(super) table: Arc<Table>,
    pub(super) every: Duration,
}

impl Duty for Compaction {
    fn name(&self) -> &'static str {
        "compaction"
    }

    fn every(&self) -> Duration {
        self.every
    }

    fn turn(&mut self, bytes_max: u64) -> BoxFuture<'_, Result<Done>> {
        self.table.set_bytes_max(bytes_max);
        async {
            let Compacted { commits, files_before, files_after, conflicts } =
                compact(&self.table, millis(self.every)).await?;
            Ok(Done::Compacted { commits, files_before, files_after, conflicts })
        }
        .boxed()
    }
}

/// What a compaction achieved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::delta) struct Compacted {
    pub(in crate::delta) commits: u64,
    pub(in crate::delta) files_before: u64,
    pub(in crate::delta) files_after: u64,
    /// Rewrites that were thrown away.
    pub(in crate::delta) conflicts: u64,
}

/// One look at the table, and what came since.
struct Look<'a> {
    table: &'a Table,
    layout: Layout,
    winners: Winners,
    /// Distinguishes the commit of the newest known version from another one of that number.
    tip: Etag,
}

/// How a commit ended.
enum Landed {
    Yes,
    /// The commit is not there and never will be, so its files may be deleted.
    No(String),
    /// The commit is not there and never will be, and going on is of no use.
    Failed(Failure),
    /// The store was away, and the request may still take effect, so the files must stay.
    InDoubt(Failure),
}

/// Compacts the table. Partitions that got no new files for `quiet_for_ms` are compacted whole.
pub(in crate::delta) async fn compact(table: &Table, quiet_for_ms: i64) -> Result<Compacted> {
    let mut done = Compacted::default();
    for _ in 0..LOOKS_MAX {
        let conflicts = done.conflicts;
        look_once(table, quiet_for_ms, &mut done).await?;
        if done.conflicts == conflicts {
            break;
        }
    }
    Ok(done)
}

async fn look_once(table: &Table, quiet_for_ms: i64, done: &mut Compacted) -> Result<()> {
    let doing = format!("listing {}", table.location.url);
    let listed =
        table.means.retry.persist(&doing, async || list(&table.log, table.target_file_size_bytes).await).await?;
    let layout = standing(table, &listed.state)?;
    if listed.has_deletion_vectors {
        return Err(Failure::config(format!(
            "the table {} has deletion vectors, with which it is not compacted",
            table.location.url
        )));
    }
    let rounds = listed.candidates.rounds((table.means.now_ms)() - quiet_for_ms);
    if rounds.is_empty() {
        return Ok(());
    }
    let version = listed.state.version;
    let Some(tip) = table.log.etag(version).await? else { return Err(gone(table, version)) };
    let watched = rounds.iter().flat_map(|round| &round.files).map(|file| file.path.as_str());
    let mut look = Look { table, layout, winners: Winners::since(version, watched), tip };
    for round in &rounds {
        look.round(round, done).await?;
    }
    Ok(())
}

fn gone(table: &Table, version: i64) -> Failure {
    Failure::retry(format!("version {version} of {} is gone from its log", table.location.url))
}

impl Look<'_> {
    async fn round(&mut self, round: &Round, done: &mut Compacted) -> Result<()> {
        // Do this before the work: many commits may have come since the look.
        self.follow(None).await?;
        if self.winners.conflict(round.files.iter().map(|f| f.path.as_str())).is_some() {
            done.conflicts += 1;
            return Ok(());
        }
        let now_ms = (self.table.means.now_ms)();
        let rewritten = rewrite(self.table, &self.layout, round, now_ms).await?;
        weir_base::failpoint::reach("maintenance.compaction.written");
        if !rewritten.is_gain() {
            discard(self.table, &rewritten.adds).await;
            return Ok(());
        }
        match self.commit(&rewritten, now_ms).await {
            Landed::Yes => {
                for path in rewritten.adds.iter().filter_map(|add| path_of(add["path"].as_str()?)) {
                    self.table.pending.settle(path.as_ref());
                }
                done.commits += 1;
                done.files_before += rewritten.removes.len() as u64;
                done.files_after += rewritten.adds.len() as u64;
                weir_base::failpoint::reach("maintenance.compaction.committed");
                Ok(())
            }
            Landed::No(why) => {
                tracing::debug!("a compaction of {} gives way: {why}", self.table.location.url);
                discard(self.table, &rewritten.adds).await;
                done.conflicts += 1;
                Ok(())
            }
            Landed::Failed(failure) => {
                discard(self.table, &rewritten.adds).await;
                Err(failure)
            }
            Landed::InDoubt(failure) => Err(failure),
        }
    }

    async fn commit(&mut self, rewritten: &Rewritten, now_ms: i64) -> Landed {
        let txn_id = self.table.means.random.id();
        let commit: bytes::Bytes =
            actions::compaction(&txn_id, self.winners.version, &rewritten.removes, &rewritten.adds, now_ms).into();
        let mut patience = Patience::new(self.table.means.retry, Jitter::new(self.table.means.random.number()));
        // The last version that a request was sent for and that got no answer.
        let mut in_doubt = None;
        let (mut tries, mut retry) = (0, 0);
        let landed = loop {
            match self.attempt(&txn_id, &commit, rewritten, &mut in_doubt).await {
                Ok(Some(landed)) => break landed,
                Ok(None) if tries == TRIES_MAX => {
                    break Landed::No("other writers' commits came first, again and again".to_owned());
                }
                Ok(None) => tries += 1,
                Err(failure) if failure.remedy == Remedy::Retry => {
                    retry += 1;
                    if let Err(given_up) = patience.wait(retry, &failure.message).await {
                        break Landed::Failed(given_up);
                    }
                }
                Err(failure) => break Landed::Failed(failure),
            }
        };
        // If another commit has taken that version, it can't become ours any more.
        let settled = in_doubt.is_none_or(|version| version <= self.winners.version);
        match landed {
            Landed::No(why) if !settled => Landed::InDoubt(Failure::retry(why)),
            Landed::Failed(failure) if !settled => Landed::InDoubt(failure),
            landed => landed,
        }
    }

    /// One attempt: it checks the log once and writes at most once. `None` means that others' commits came first.
    async fn attempt(
        &mut self,
        txn_id: &str,
        commit: &bytes::Bytes,
        rewritten: &Rewritten,
        in_doubt: &mut Option<i64>,
    ) -> Result<Option<Landed>> {
        let known = self.winners.version;
        // If this is not the log that was read before, its later commits say nothing about our files.
        if !self.table.log.etag(known).await?.is_some_and(|found| found.may_equal(&self.tip)) {
            return Ok(Some(Landed::No(gone(self.table, known).message)));
        }
        if self.follow(Some(txn_id)).await? {
            return Ok(Some(Landed::Yes));
        }
        if let Some(why) = self.winners.conflict(rewritten.inputs()) {
            return Ok(Some(Landed::No(why)));
        }
        let version = self.winners.version + 1;
        *in_doubt = Some(version);
        match self.table.log.create(version, commit.clone()).await? {
            Created::Yes { etag } => {
                self.winners.committed();
                self.tip = Etag(etag);
                Ok(Some(Landed::Yes))
            }
            Created::Refused if self.follow(Some(txn_id)).await? => Ok(Some(Landed::Yes)),
            Created::Refused if self.winners.version < version => Err(Failure::retry(format!(
                "the store refused version {version} of {}, and no commit is there",
                self.table.location.url
            ))),
            Created::Refused => Ok(None),
        }
    }

    /// Reads the commits that have come since. True if the last of them is the commit of `txn_id`.
    async fn follow(&mut self, txn_id: Option<&str>) -> Result<bool> {
        let before = self.winners.version;
        let mut ours = false;
        for _ in 0..FOLLOW_MAX {
            let Some(commit) = self.table.log.commit(self.winners.version + 1).await? else { break };
            ours = self.winners.take(&commit, txn_id)?;
            if ours {
                break;
            }
        }
        if self.winners.version > before {
            let version = self.winners.version;
            self.tip = self.table.log.etag(version).await?.ok_or_else(|| gone(self.table, version))?;
        }
        Ok(ours)
    }
}
