//! The rows that versions of a table appended, in the order of its log, for a reader that processes each row once. This
//! reads the log and not a snapshot, because only the log says which rows came after a version.
//!
//! A row must never be returned for a version that did not bring it. So this leaves out files that a compaction wrote,
//! whose rows came earlier. It refuses versions that changed rows (`DELETE`, `UPDATE`, `MERGE`), because nobody can
//! tell which rows of their files are new.

mod changes;
mod file;

use std::collections::VecDeque;
use std::fmt::Write as _;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;
use weir_base::failure::{Failure, Result};
use weir_base::retry::RetryPolicy;
use weir_base::storage::Location;
use weir_plan::plan;

use self::changes::{AddedFile, Changes};
use self::file::AppendedFile;
use super::actions::Metadata;
use super::log::Log;
use super::opener::reach;
use super::schema::{ddl, to_delta};
use super::{features, fit};
use crate::Environment;
use crate::reading_back::{Expected, ReadBack, Versions};

/// How many commits are requested at once.
const COMMITS_AT_ONCE: i64 = 16;

/// A table whose rows are read version by version.
struct Appended {
    location: Location,
    log: Log,
    columns: SchemaRef,
    retry: RetryPolicy,
    /// The next commit to read, and the last one.
    next: i64,
    last: i64,
    files: VecDeque<(i64, AddedFile)>,
}

/// The table's rows, file by file.
struct Reader {
    table: Appended,
    /// The file whose rows come next.
    open: Option<AppendedFile>,
}

/// Reads the rows of a sink's table.
///
/// # Errors
/// See [`crate::read_back`].
pub async fn read_back(
    sink: &plan::Sink,
    expected: &Expected,
    versions: Versions,
    of: &Environment,
) -> Result<Box<dyn ReadBack>> {
    let location = reach(sink.place(), of)?;
    Ok(Box::new(Reader::open(location, expected, versions, of.means.retry).await?))
}

impl Reader {
    async fn open(location: Location, expected: &Expected, versions: Versions, retry: RetryPolicy) -> Result<Self> {
        Ok(Self { table: Appended::open(location, expected, versions, retry).await?, open: None })
    }
}

impl ReadBack for Reader {
    fn last_version(&self) -> i64 {
        self.table.last
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Option<(i64, RecordBatch)>>> {
        Box::pin(async {
            loop {
                if let Some(file) = &mut self.open
                    && let Some(rows) = file.next_batch().await?
                {
                    return Ok(Some((file.version(), rows)));
                }
                self.open = self.table.next_file().await?;
                if self.open.is_none() {
                    return Ok(None);
                }
            }
        })
    }
}

impl Appended {
    async fn open(location: Location, expected: &Expected, versions: Versions, retry: RetryPolicy) -> Result<Self> {
        let log = Log::new(location.clone());
        let doing = format!("opening {}", location.url);
        let state = retry
            .persist(&doing, async || if log.exists().await? { log.load().await.map(Some) } else { Ok(None) })
            .await?;
        let Some(state) = state else { return Err(Failure::config(format!("there is no table at {}", location.url))) };
        let theirs = fit::schema_of(&state.metadata, location.url.as_str())?;
        if let Some(refusal) = features::refusals(&state.protocol, &state.metadata, &theirs).first() {
            return Err(Failure::config(format!("the table {} {refusal}", location.url)));
        }
        check_columns(expected, &state.metadata, location.url.as_str())?;
        let (next, last) = bounds(versions.from, versions.to, state.version)
            .map_err(|why| Failure::config(format!("the table {} {why}", location.url)))?;
        Ok(Self { location, log, columns: expected.schema.clone(), retry, next, last, files: VecDeque::new() })
    }

    /// The next file, ordered by version and within a version as in its commit; `None` after the last.
    ///
    /// # Errors
    /// `Config` for a version that is no longer in the log or that changed rows; `Retry` if the store was away for too
    /// long.
    async fn next_file(&mut self) -> Result<Option<AppendedFile>> {
        while self.files.is_empty() && self.next <= self.last {
            self.read_commits().await?;
        }
        let Some((version, added)) = self.files.pop_front() else { return Ok(None) };
        AppendedFile::open(self.location.clone(), version, added, self.columns.clone(), self.retry).await.map(Some)
    }

    async fn read_commits(&mut self) -> Result<()> {
        let end = self.last.min(self.next + COMMITS_AT_ONCE - 1);
        let (log, retry, url) = (&self.log, self.retry, &self.location.url);
        let commits = (self.next..=end).map(|version| async move {
            let doing = format!("reading version {version} of {url}");
            retry.persist(&doing, async || log.commit(version).await).await
        });
        for (version, commit) in (self.next..=end).zip(futures::future::try_join_all(commits).await?) {
            let Some(commit) = commit else { return Err(self.missing(version).await?) };
            let doing = || format!("version {version} of {}", self.location.url);
            let changes = Changes::parse(&commit).map_err(|f| f.context(doing()))?;
            if let Some(by) = changes.rows_changed_by {
                return Err(Failure::config(format!(
                    "{} changed rows ({by}), and which of its rows are new can't be told; read up to version {} and \
                     from version {} on, in \
                     two calls",
                    doing(),
                    version - 1,
                    version + 1
                )));
            }
            self.files.extend(changes.added.into_iter().map(|added| (version, added)));
        }
        self.next = end + 1;
        Ok(())
    }

    /// The failure for a version that should be in the log and is not.
    async fn missing(&self, version: i64) -> Result<Failure> {
        let doing = format!("listing the log of {}", self.location.url);
        let first = self.retry.persist(&doing, async || self.log.first_version().await).await?;
        let says = match first {
            Some(first) if first > version => format!(
                "begins at version {first}: version {version} was cleaned up, and which rows came since then is not \
                 known any more; begin \
                 with version {first}"
            ),
            _ => format!("lacks version {version}"),
        };
        Ok(Failure::config(format!("the log of the table {} {says}", self.location.url)))
    }
}

/// The first and the last version to read. The error is the second half of a sentence that begins with "the table …".
fn bounds(from: Option<i64>, to: Option<i64>, newest: i64) -> Result<(i64, i64), String> {
    let (first, last) = (from.unwrap_or(0), to.unwrap_or(newest));
    if last > newest {
        return Err(format!("is at version {newest}; there is no version {last} yet"));
    }
    if first > newest + 1 {
        return Err(format!("is at version {newest}; there is no version {first} yet to begin with"));
    }
    if to.is_some() && first > last {
        return Err(format!("has no versions from {first} to {last}; the last one may not be below the first"));
    }
    Ok((first, last))
}

fn check_columns(expected: &Expected, metadata: &Metadata, table: &str) -> Result<()> {
    let theirs = fit::schema_of(metadata, table)?;
    let mut misfits = String::new();
    for ours in to_delta(&expected.schema)?.fields() {
        let right = ddl(ours.data_type());
        let misfit = match theirs.field(ours.name()).map(|f| ddl(f.data_type())) {
            Some(found) if found == right => continue,
            Some(found) => format!("`{}` is {found} and not {right}", ours.name()),
            None => format!("there is no column `{}` ({right})", ours.name()),
        };
        let _ = write!(misfits, "{}{misfit}", if misfits.is_empty() { "" } else { ", " });
    }
    if misfits.is_empty() {
        return Ok(());
    }
    Err(Failure::config(format!("the table {table} is no table of {}: {misfits}", expected.rows)))
}

#[cfg(test)]
mod tests;
