//! Appends to a Delta table, exactly once. An epoch's rows become data files first (`EpochFiles`), which the manifest then refers to; the
//! commit (`DeltaTable::commit`) makes them visible, together with the epoch's number, and can be repeated at will. `Appended` reads what
//! versions appended. `docs/reference/delta.md` says what tables look like and which are refused.
//!
//! The commit is written to the log directly, without delta-rs' transaction: that one keeps the table's whole state in memory and grows
//! with it. What it checks is checked here: the protocol, the schema, the transaction, on opening and on every foreign commit that changes
//! them.

mod actions;
mod appended;
mod bounded;
mod commit;
mod features;
mod fit;
pub mod fitness;
mod log;
mod log_checkpoints;
mod maintenance;
mod partition;
pub mod payload;
mod pending;
mod schema;
mod stats;
mod stored;
mod transaction;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use weir_plan::plan::{DeltaSink, Maintenance, Sink, SinkKind};

pub use appended::{Appended, AppendedFile, Expected};
pub use commit::CommitOutcome;
pub use writer::EpochFiles;

use self::actions::{Metadata, Protocol};
use self::fit::{Layout, Wanted};
use self::log::{Created, Etag, Log};
use self::log_checkpoints::LogCheckpoints;
use self::maintenance::Maintained;
use self::pending::Pending;
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;
use crate::sink::decided::HeldEpoch;
use crate::sink::upkeep::{Duty, Surroundings};
use crate::sink::writing::{EpochWriter, Part, Sealed, Slot, Writers};
use crate::storage::Location;

/// Someone else may create the table at the same time; then theirs is opened.
const CREATE_ATTEMPTS_MAX: usize = 3;

/// Of a table that is only committed to.
const NOT_LOOKED_AFTER: Maintenance = Maintenance { checkpoint_every: u32::MAX, compact_every: None, vacuum_after: None };

/// A table that fits the sink.
pub struct DeltaTable {
    location: Location,
    log: Log,
    wanted: Wanted,
    target_file_size_bytes: u64,
    maintenance: Maintenance,
    retry: RetryPolicy,
    protocol: Protocol,
    metadata: Metadata,
    layout: Arc<Layout>,
    /// The newest version that we know, and what tells its commit from another one of that number.
    version: i64,
    tip: Etag,
    /// Of Weir's application ids: their last transaction at `version`.
    txns: HashMap<String, i64>,
    pending: Pending,
    /// The log may hold more than we know, and not because of others: it must be read before it is written.
    stale: bool,
    checkpoints: LogCheckpoints,
}

/// Starts the data files of epochs.
#[derive(Clone)]
pub struct TableFiles {
    location: Location,
    layout: Arc<Layout>,
    target_file_size_bytes: u64,
    retry: RetryPolicy,
    pending: Pending,
}

/// What a table remembers of a pipeline's sink.
pub struct Memory {
    pipeline: String,
    sink: String,
    log: Log,
    held: Vec<HeldEpoch>,
    /// What stands for the token of the last state action that the table knows of.
    token: Option<i64>,
}

impl Memory {
    /// Of each lineage the newest epoch that the table held when it was opened.
    #[must_use]
    pub fn held(&self) -> &[HeldEpoch] {
        &self.held
    }

    /// The same as the log says now. A table that is gone holds nothing.
    ///
    /// # Errors
    /// `Retry` if the store is away, `Config` if the log can't be read.
    pub async fn held_now(&self) -> Result<Vec<HeldEpoch>> {
        if !self.log.exists().await? {
            return Ok(Vec::new());
        }
        Ok(transaction::held(&self.log.load().await?.txns, &self.pipeline, &self.sink))
    }

    /// Whether a state action with this token was the last one before a commit that the table held when it was opened.
    #[must_use]
    pub fn has_seen(&self, token: &str) -> bool {
        self.token == Some(transaction::token_version(token))
    }
}

impl TableFiles {
    /// Starts an epoch's files, where memory is no concern. `label` goes into their names: lineage and generation.
    ///
    /// # Errors
    /// A bug.
    pub fn writer(&self, label: &str) -> Result<EpochFiles> {
        EpochFiles::new(self, label, writer::BUFFERED_BYTES_MAX)
    }
}

impl Writers for TableFiles {
    fn begin(&self, slot: &Slot) -> Result<Box<dyn EpochWriter>> {
        let buffered_bytes_max = usize::try_from(slot.buffer_bytes).unwrap_or(usize::MAX).min(writer::BUFFERED_BYTES_MAX);
        Ok(Box::new(EpochFiles::new(self, &slot.label, buffered_bytes_max)?))
    }
}

impl DeltaTable {
    /// Opens the table at `location`, or creates it: [`Self::open_if_there`], else [`Self::create`].
    ///
    /// # Errors
    /// As theirs.
    pub async fn open_or_create(location: Location, sink: &Sink, pipeline: &str, retry: RetryPolicy) -> Result<Self> {
        match Self::open_if_there(location.clone(), sink, pipeline, retry).await? {
            Some(table) => Ok(table),
            None => Self::create(location, sink, pipeline, retry).await,
        }
    }

    /// Opens the table at `location`. `None` if there is none: then nothing is made, and [`Self::create`] can be expected to make one.
    /// `retry` is for data files; opening and committing are single attempts.
    ///
    /// # Errors
    /// [`crate::Remedy::Config`] if it doesn't fit, with the column's name.
    pub async fn open_if_there(location: Location, sink: &Sink, pipeline: &str, retry: RetryPolicy) -> Result<Option<Self>> {
        let SinkKind::Delta(delta) = &sink.kind;
        let wanted = Wanted { schema: sink.schema.clone(), partition_by: delta.partition_by.clone() };
        let log = Log::new(location.clone());
        if !log.exists().await? {
            new_metadata(&wanted, location.url.as_str())?;
            return Ok(None);
        }
        log.prove_create().await?;
        loosen_if_empty(&log, &wanted, location.url.as_str(), pipeline).await?;
        Self::load(location, log, Some((wanted, delta)), retry).await.map(Some)
    }

    /// Creates the table at `location` with the sink's columns (reader version 1, writer version 2: every engine reads it), unless somebody
    /// else does at the same time; then theirs is opened.
    ///
    /// # Errors
    /// [`crate::Remedy::Config`] if the sink's columns make no table.
    pub async fn create(location: Location, sink: &Sink, pipeline: &str, retry: RetryPolicy) -> Result<Self> {
        let SinkKind::Delta(delta) = &sink.kind;
        let wanted = Wanted { schema: sink.schema.clone(), partition_by: delta.partition_by.clone() };
        let log = Log::new(location.clone());
        log.prove_create().await?;
        let mut attempts = 0;
        while !log.exists().await? {
            attempts += 1;
            if attempts > CREATE_ATTEMPTS_MAX {
                return Err(Failure::retry(format!(
                    "the table {} can't be created: the store says it is there, but does not list it",
                    location.url
                )));
            }
            create(&log, &wanted, location.url.as_str(), pipeline).await?;
        }
        Self::load(location, log, Some((wanted, delta)), retry).await
    }

    /// Opens the table at `location` for the commit of files that are already there. `None` if there is no table.
    ///
    /// # Errors
    /// `Config` if it is one that is not written to.
    pub async fn open_as_it_is(location: Location, retry: RetryPolicy) -> Result<Option<Self>> {
        let log = Log::new(location.clone());
        if !log.exists().await? {
            return Ok(None);
        }
        Self::load(location, log, None, retry).await.map(Some)
    }

    /// Without `wanted`, what the table has is right, and it is not looked after.
    async fn load(location: Location, log: Log, wanted: Option<(Wanted, &DeltaSink)>, retry: RetryPolicy) -> Result<Self> {
        let state = log.load().await?;
        let (wanted, target_file_size_bytes, maintenance) = match wanted {
            Some((wanted, sink)) => (wanted, sink.target_file_size_bytes, sink.maintenance),
            None => (fit::as_it_is(&state.metadata, location.url.as_str())?, 0, NOT_LOOKED_AFTER),
        };
        let layout = Arc::new(fit::fit(&wanted, &state.protocol, &state.metadata, location.url.as_str())?);
        let tip = log.etag(state.version).await?.unwrap_or(Etag(None));
        Ok(Self {
            location,
            log,
            wanted,
            target_file_size_bytes,
            maintenance,
            retry,
            protocol: state.protocol,
            metadata: state.metadata,
            layout,
            version: state.version,
            tip,
            txns: state.txns,
            pending: Pending::default(),
            stale: false,
            checkpoints: LogCheckpoints::new(maintenance.checkpoint_every, state.checkpoint),
        })
    }

    /// The `metaData.id`: another one at the same place is another table.
    #[must_use]
    pub fn table_id(&self) -> &str {
        &self.metadata.id
    }

    /// The newest version that is known here.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Where and how data files are written: apart from the table, so that writing one epoch does not wait for the commit of another.
    #[must_use]
    pub fn files(&self) -> TableFiles {
        let (location, layout) = (self.location.clone(), self.layout.clone());
        TableFiles {
            location,
            layout,
            target_file_size_bytes: self.target_file_size_bytes,
            retry: self.retry,
            pending: self.pending.clone(),
        }
    }

    /// One payload of what all writers of an epoch gave; `None` if they have written no file.
    ///
    /// # Errors
    /// A bug, if a part is not one of [`TableFiles`].
    pub fn seal(&self, parts: Vec<Part>) -> Result<Option<Sealed>> {
        let rows = parts.iter().map(|part| part.rows).sum();
        let mut adds = Vec::new();
        for part in parts {
            match part.body {
                Value::Array(of_part) => adds.extend(of_part),
                other => return Err(Failure::bug(format!("a writer of {} gave {other} and no list of files", self.location.url))),
            }
        }
        Ok((!adds.is_empty()).then(|| Sealed { rows, payload: payload::append(adds) }))
    }

    /// What is to be done for the table beside its commits, with a look at the log of its own.
    #[must_use]
    pub fn duties(&self, surroundings: &Surroundings) -> Vec<Box<dyn Duty>> {
        maintenance::duties(self.maintained(), self.maintenance, surroundings)
    }

    fn maintained(&self) -> Maintained {
        Maintained {
            location: self.location.clone(),
            table_id: self.metadata.id.clone(),
            target_file_size_bytes: self.target_file_size_bytes,
            pending: self.pending.clone(),
        }
    }

    /// What the newest version that is known here holds of a pipeline's sink, and how to ask again later.
    #[must_use]
    pub fn memory(&self, pipeline: &str, sink: &str) -> Memory {
        Memory {
            pipeline: pipeline.to_owned(),
            sink: sink.to_owned(),
            log: self.log.clone(),
            held: transaction::held(&self.txns, pipeline, sink),
            token: transaction::token(&self.txns, pipeline, sink),
        }
    }

    /// Starts writing a log checkpoint if the log has grown long since the last one, and none is being written. Waits for nothing: it is
    /// written beside the commits that follow, and a failure is logged. Needs a runtime with several threads.
    pub fn checkpoint_log_if_long(&mut self) {
        self.checkpoints.start_if_long(self.version, &self.log);
    }

    /// Reads the log anew, from a log checkpoint if there is one, and checks that it is still the table that was opened and still fits.
    async fn refresh(&mut self) -> Result<()> {
        self.stale = true;
        if !self.log.exists().await? {
            return Err(Failure::config(format!(
                "the table {} is gone: its log is empty; restore it, or begin another history with spec.stateAction",
                self.location.url
            )));
        }
        let state = self.log.load().await?;
        self.adopt(state.protocol, state.metadata)?;
        if state.version < self.version {
            let says =
                format!("the log of {} ends at version {} and has been at {} before", self.location.url, state.version, self.version);
            return Err(Failure::retry(says));
        }
        self.advance(state.version, self.log.etag(state.version).await?.and_then(|tip| tip.0));
        self.checkpoints.found(state.checkpoint);
        self.txns = state.txns;
        self.stale = false;
        Ok(())
    }

    /// Takes over what the log says the table is, if it is still ours and still fits.
    fn adopt(&mut self, protocol: Protocol, metadata: Metadata) -> Result<()> {
        if metadata.id != self.metadata.id {
            return Err(Failure::config(format!(
                "the table {} was dropped and made anew: its id is {}, \
                 and this pipeline writes to {}; begin another history with spec.stateAction to write to the new one",
                self.location.url, metadata.id, self.metadata.id
            )));
        }
        if protocol != self.protocol || metadata != self.metadata {
            self.layout = Arc::new(fit::fit(&self.wanted, &protocol, &metadata, self.location.url.as_str())?);
            (self.protocol, self.metadata) = (protocol, metadata);
        }
        Ok(())
    }

    fn advance(&mut self, version: i64, etag: Option<String>) {
        self.version = version;
        self.tip = Etag(etag);
    }
}

/// Lets columns be null where the sink may write nulls now, if the table was created and nothing more: an expression that was mended after
/// its first rows had failed must not need another table.
async fn loosen_if_empty(log: &Log, wanted: &Wanted, table: &str, pipeline: &str) -> Result<()> {
    let state = log.load().await?;
    if state.version > 0 {
        return Ok(());
    }
    let Some(loosened) = fit::loosened(wanted, &state.protocol, &state.metadata, table)? else { return Ok(()) };
    let has_rows = log.commit(0).await?.is_none_or(|commit| actions::adds_files(&commit));
    if has_rows {
        return Ok(());
    }
    let commit = actions::change_of_columns(&loosened, pipeline, chrono::Utc::now().timestamp_millis());
    // Where someone else was first, the table is judged by what they made of it.
    log.create(1, commit.into()).await.map(|_| ())
}

/// The metadata of a new table that the sink could write to.
fn new_metadata(wanted: &Wanted, table: &str) -> Result<Metadata> {
    let metadata = fit::new_table(wanted, uuid::Uuid::new_v4().to_string(), table)?;
    // A table that we could not write to must not come into being.
    fit::fit(wanted, &Protocol::NEW, &metadata, table)?;
    Ok(metadata)
}

/// Writes version 0, unless someone else does.
async fn create(log: &Log, wanted: &Wanted, table: &str, pipeline: &str) -> Result<()> {
    let metadata = new_metadata(wanted, table)?;
    let commit = actions::creation(&metadata, pipeline, chrono::Utc::now().timestamp_millis());
    match log.create(0, commit.into()).await {
        Ok(Created::Yes { .. } | Created::Refused) => Ok(()),
        // It may be there all the same: the caller looks, and comes back here if it isn't.
        Err(failure) if failure.remedy == crate::Remedy::Retry && log.exists().await? => Ok(()),
        Err(failure) => Err(failure),
    }
}
