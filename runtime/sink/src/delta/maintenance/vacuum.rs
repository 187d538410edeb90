//! Vacuum: deletes data files that the table has not had for a while, and those that it never had. It reads the log
//! first and then lists the folder twice: once for other tables inside it, whose folders it leaves alone, and once for
//! the files to delete, in batches. Before it deletes a batch, it reads the commits that came meanwhile and keeps what
//! they add.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use object_store::path::Path;
use weir_base::failure::{Failure, Result};

use super::garbage::{Fate, Rules, fate, folders, nested_table};
use super::references::{References, references};
use super::table::{Table, standing};
use crate::delta::log::{Etag, within};
use crate::upkeep::{Done, Duty, millis};

/// How many files are deleted at once: as many as S3 takes in one request.
const BATCH_FILES: usize = 1_000;
/// The most commits that may come between two batches.
const FOLLOW_MAX: usize = 10_000;

/// Deletes old files of the table at intervals.
pub(super) struct Vacuum {
    pub(super) table: Arc<Table>,
    pub(super) after: Duration,
}

impl Duty for Vacuum {
    fn name(&self) -> &'static str {
        "vacuum"
    }

    /// The time from one turn to the next. A turn lists the whole table: often enough that files are deleted soon after
    /// they may be, and at most once an hour.
    fn every(&self) -> Duration {
        (self.after / 4).clamp(Duration::from_secs(3600), Duration::from_secs(24 * 3600))
    }

    fn turn(&mut self, bytes_max: u64) -> BoxFuture<'_, Result<Done>> {
        self.table.set_bytes_max(bytes_max);
        async {
            let Vacuumed { files, bytes } = vacuum(&self.table, self.after).await?;
            Ok(Done::Vacuumed { files, bytes })
        }
        .boxed()
    }
}

/// What a vacuum deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::delta) struct Vacuumed {
    pub(in crate::delta) files: u64,
    pub(in crate::delta) bytes: u64,
}

struct Sweep<'a> {
    table: &'a Table,
    named: References,
    tip: Etag,
    after_ms: i64,
    /// The folders of other tables.
    nested: HashSet<String>,
    /// For each file: its path in the store, its path relative to the table, and its size.
    batch: Vec<(Path, String, u64)>,
    done: Vacuumed,
}

/// Deletes files that are older than `after`.
pub(in crate::delta) async fn vacuum(table: &Table, after: Duration) -> Result<Vacuumed> {
    let older_than_ms = (table.means.now_ms)().saturating_sub(millis(after));
    let doing = format!("listing what keeps the files of {}", table.location.url);
    let named = table
        .means
        .retry
        .persist(&doing, async || references(&table.log, older_than_ms, table.bytes_max()).await)
        .await?;
    standing(table, &named.state)?;
    if named.tombstones_kept < after {
        return Err(too_forgetful(table, named.tombstones_kept, after));
    }
    let Some(tip) = table.log.etag(named.state.version).await? else { return Err(changed(table)) };
    let columns = named.state.metadata.partition_columns.clone();
    let rules = Rules { older_than_ms, writer: &table.writer, pending: &table.pending, partition_columns: &columns };
    let after_ms = millis(after);
    let mut sweep =
        Sweep { table, named, tip, after_ms, nested: HashSet::new(), batch: Vec::new(), done: Vacuumed::default() };
    sweep.find_nested().await?;
    sweep.folder(&rules).await?;
    sweep.delete().await?;
    sweep.seen(super::seen::Seen::end_look);
    Ok(sweep.done)
}

/// The failure for a `vacuumAfter` after which the log no longer knows that the table had a file, and when the table
/// lost it.
fn too_forgetful(table: &Table, kept: Duration, after: Duration) -> Failure {
    let (kept, after) = (kept.as_secs() / 3600, after.as_secs().div_ceil(3600));
    Failure::config(format!(
        "the log of {} remembers for {kept} h which files the table had, and vacuumAfter is {after} h; set \
         delta.deletedFileRetentionDuration to `interval {after} hours` at least, or vacuumAfter to {kept}h at most",
        table.location.url
    ))
}

fn changed(table: &Table) -> Failure {
    Failure::retry(format!(
        "the table {} was changed or made anew while its old files were looked for",
        table.location.url
    ))
}

impl Sweep<'_> {
    /// Finds the other tables in the folder. This is a separate listing, because a log may be listed after the files
    /// that it names.
    async fn find_nested(&mut self) -> Result<()> {
        let location = &self.table.location;
        let doing = || format!("list the files of {}", location.url);
        let mut listing = location.store.list(Some(&location.path));
        while let Some(found) = within(self.table.log.call_deadline, doing, listing.next()).await? {
            let found = found.map_err(|e| location.describe(e, doing()))?;
            let Some(path) = relative(&found.location, &location.path) else { continue };
            if let Some(folder) = nested_table(&path)
                && !self.nested.contains(folder)
            {
                tracing::debug!(
                    "the table {} has another one in its folder {folder}, which is left alone",
                    location.url
                );
                self.nested.insert(folder.to_owned());
            }
        }
        Ok(())
    }

    /// Whether a file that the log does not keep may be deleted.
    fn may_go(&self, path: &str, modified_ms: i64, rules: &Rules<'_>) -> bool {
        match fate(path, modified_ms, rules) {
            Fate::Stays => false,
            _ if folders(path).any(|folder| self.nested.contains(folder)) => false,
            Fate::Goes => true,
            // Other stores have clocks of their own, and they refuse requests whose clock is far from theirs.
            Fate::GoesByAge if !self.table.location.is_folder() || self.named.kept.has_left(path) => true,
            Fate::GoesByAge => {
                let now_ms = (self.table.steady_ms)();
                self.seen(|seen| seen.since(path, now_ms)).is_some_and(|since_ms| now_ms - since_ms >= self.after_ms)
            }
        }
    }

    fn seen<T>(&self, work: impl FnOnce(&mut super::seen::Seen) -> T) -> T {
        work(&mut self.table.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn folder(&mut self, rules: &Rules<'_>) -> Result<()> {
        let location = &self.table.location;
        let doing = || format!("list the files of {}", location.url);
        let mut listing = location.store.list(Some(&location.path));
        while let Some(found) = within(self.table.log.call_deadline, doing, listing.next()).await? {
            let found = found.map_err(|e| location.describe(e, doing()))?;
            let Some(path) = relative(&found.location, &location.path) else { continue };
            if !self.named.kept.has(&path) && self.may_go(&path, found.last_modified.timestamp_millis(), rules) {
                self.batch.push((found.location, path, found.size));
            }
            if self.batch.len() >= BATCH_FILES {
                self.delete().await?;
            }
        }
        Ok(())
    }

    async fn delete(&mut self) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.follow().await?;
        weir_base::failpoint::reach("maintenance.vacuum.batch");
        let location = &self.table.location;
        let mut batch = std::mem::take(&mut self.batch);
        batch.retain(|(_, path, _)| !self.named.kept.has(path));
        let paths: Vec<_> = batch.iter().map(|(at, ..)| Ok(at.clone())).collect();
        let doing = || format!("delete old files of {}", location.url);
        let mut deletions = location.store.delete_stream(futures::stream::iter(paths).boxed());
        let mut sizes = batch.iter().map(|(.., size)| *size);
        // The answers come in the order of the requests.
        while let Some(deleted) = within(self.table.log.call_deadline, doing, deletions.next()).await? {
            let size = sizes.next().unwrap_or_default();
            match deleted {
                Ok(_) => {
                    self.done.files += 1;
                    self.done.bytes += size;
                }
                // Another vacuum has deleted it.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(location.describe(e, doing())),
            }
        }
        Ok(())
    }

    /// Keeps what commits have added since.
    async fn follow(&mut self) -> Result<()> {
        let log = &self.table.log;
        let version = &mut self.named.state.version;
        if !log.etag(*version).await?.is_some_and(|found| found.may_equal(&self.tip)) {
            return Err(changed(self.table));
        }
        let before = *version;
        for _ in 0..FOLLOW_MAX {
            let Some(commit) = log.commit(*version + 1).await? else { break };
            if !self.named.kept.keep_added(&commit)? {
                return Err(changed(self.table));
            }
            *version += 1;
        }
        if *version > before {
            self.tip = log.etag(*version).await?.ok_or_else(|| changed(self.table))?;
        }
        Ok(())
    }
}

fn relative(path: &Path, folder: &Path) -> Option<String> {
    let inner: Vec<_> = path.prefix_match(folder)?.map(|part| part.as_ref().to_owned()).collect();
    Some(inner.join("/"))
}
