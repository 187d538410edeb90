//! Vacuum: deletes data files that the table has not had for a while, and those that it never had. The log is read first and the folder
//! listed after it, in batches; before each batch is deleted, the commits that came meanwhile are read: what they add stays.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use object_store::path::Path;

use super::garbage::{Rules, may_go};
use super::references::{References, references};
use super::{Table, millis, standing};
use crate::failure::{Failure, Result};
use crate::sink::delta::log::{Etag, within};

/// Files that are deleted at once: as many as S3 takes in one request.
const BATCH_FILES: usize = 1_000;
/// Commits that may come between two batches.
const FOLLOW_MAX: usize = 10_000;

/// What a vacuum came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::sink::delta) struct Vacuumed {
    pub(in crate::sink::delta) files: u64,
    pub(in crate::sink::delta) bytes: u64,
}

struct Sweep<'a> {
    table: &'a Table,
    named: References,
    tip: Etag,
    /// Paths in the store and relative to the table, and sizes.
    batch: Vec<(Path, String, u64)>,
    done: Vacuumed,
}

/// Deletes what is older than `after`.
pub(in crate::sink::delta) async fn vacuum(table: &Table, after: Duration) -> Result<Vacuumed> {
    let older_than_ms = (table.now_ms)().saturating_sub(millis(after));
    // Before anything is listed: what is settled later may be young.
    let settled_ms = table.settled_ms.load(Ordering::Relaxed);
    let doing = format!("listing what keeps the files of {}", table.location.url);
    let named = table.retry.persist(&doing, async || references(&table.log, older_than_ms, table.bytes_max).await).await?;
    standing(table, &named.state)?;
    if named.tombstones_kept < after {
        return Err(too_forgetful(table, named.tombstones_kept, after));
    }
    let Some(tip) = table.log.etag(named.state.version).await? else { return Err(changed(table)) };
    let columns = named.state.metadata.partition_columns.clone();
    let rules = Rules { older_than_ms, settled_ms, writer: &table.writer, partition_columns: &columns };
    let mut sweep = Sweep { table, named, tip, batch: Vec::new(), done: Vacuumed::default() };
    sweep.folder(&rules).await?;
    sweep.delete().await?;
    Ok(sweep.done)
}

/// After that time the log has forgotten that the table had a file, and when it lost it.
fn too_forgetful(table: &Table, kept: Duration, after: Duration) -> Failure {
    let (kept, after) = (kept.as_secs() / 3600, after.as_secs().div_ceil(3600));
    Failure::config(format!(
        "the log of {} remembers for {kept} h which files the table had, and vacuumAfter is {after} h; set \
         delta.deletedFileRetentionDuration to `interval {after} hours` at least, or vacuumAfter to {kept}h at most",
        table.location.url
    ))
}

fn changed(table: &Table) -> Failure {
    Failure::retry(format!("the table {} was changed or made anew while its old files were looked for", table.location.url))
}

impl Sweep<'_> {
    async fn folder(&mut self, rules: &Rules<'_>) -> Result<()> {
        let location = &self.table.location;
        let doing = || format!("list the files of {}", location.url);
        let mut listing = location.store.list(Some(&location.path));
        while let Some(found) = within(self.table.log.call_deadline, doing, listing.next()).await? {
            let found = found.map_err(|e| location.describe(e, doing()))?;
            let Some(path) = relative(&found.location, &location.path) else { continue };
            if may_go(&path, found.last_modified.timestamp_millis(), rules) && !self.named.kept.has(&path) {
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
        crate::failpoint::reach("maintenance.vacuum.batch");
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
                // By another one's vacuum.
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
