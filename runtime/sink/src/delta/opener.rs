//! Opens or creates tables. Existing tables are opened and checked first; a missing one is created when nothing else
//! can refuse the start.

use std::sync::Arc;

use futures::future::BoxFuture;
use weir_base::failure::{Failure, Result};
use weir_base::random::Random;
use weir_base::storage::{self, Location};
use weir_plan::plan::{self, DeltaSink, Maintenance, SinkKind};

use super::actions::{self, Metadata, Protocol};
use super::fit::{self, Wanted};
use super::log::{Created, Etag, Log};
use super::log_checkpoints::LogCheckpoints;
use super::pending::Pending;
use super::{DeltaTable, Owner};
use crate::{Environment, Means, Opener, Pin, Sink};

/// How many attempts to create the table. Someone else may create it at the same time; then their table is opened.
const CREATE_ATTEMPTS_MAX: usize = 3;

/// The maintenance of a table that Weir only commits to.
const NOT_LOOKED_AFTER: Maintenance =
    Maintenance { checkpoint_every: u32::MAX, compact_every: None, vacuum_after: None };

/// The table of a document's sink, which may not exist yet.
pub struct TableOpener {
    location: Location,
    sink: plan::Sink,
    pipeline: String,
    means: Means,
}

impl TableOpener {
    /// # Errors
    /// `Config`, if no store can be reached by the sink's URI.
    pub fn new(sink: &plan::Sink, of: &Environment) -> Result<Self> {
        let location = reach(sink.place(), of)?;
        Ok(Self { location, sink: sink.clone(), pipeline: of.plan.pipeline.clone(), means: of.means.clone() })
    }
}

impl Opener for TableOpener {
    fn open(&self) -> BoxFuture<'_, Result<Option<Box<dyn Sink>>>> {
        Box::pin(async {
            let table =
                DeltaTable::open_if_there(self.location.clone(), &self.sink, &self.pipeline, &self.means).await?;
            Ok(table.map(|table| Box::new(table) as Box<dyn Sink>))
        })
    }

    fn create(&self) -> BoxFuture<'_, Result<Box<dyn Sink>>> {
        Box::pin(async {
            let table = DeltaTable::create(self.location.clone(), &self.sink, &self.pipeline, &self.means).await?;
            Ok(Box::new(table) as Box<dyn Sink>)
        })
    }
}

/// The table that a sink of an earlier document wrote to, for what was decided then. `None` if it no longer exists.
///
/// # Errors
/// `Config` if Weir does not write to such a table; `Retry` if the store is away.
pub async fn former(pin: &Pin, of: &Environment) -> Result<Option<Box<dyn Sink>>> {
    let location = reach(&pin.place, of)?;
    let owner = Owner { pipeline: of.plan.pipeline.clone(), sink: pin.sink.clone(), place: pin.place.clone() };
    let table = DeltaTable::open_as_it_is(location, owner, &of.means).await?;
    Ok(table.map(|table| Box::new(table) as Box<dyn Sink>))
}

/// The location of a table.
pub(super) fn reach(uri: &str, of: &Environment) -> Result<Location> {
    Ok(storage::open(uri, of.plan.storage_for(uri), &of.secrets)?.in_run(&of.standing))
}

fn table_of(sink: &plan::Sink) -> Result<&DeltaSink> {
    match &sink.kind {
        SinkKind::Delta(delta) => Ok(delta),
        other => Err(Failure::bug(format!("sink {:?} is no table: {other}", sink.name))),
    }
}

impl DeltaTable {
    /// Opens the table at `location` with [`Self::open_if_there`], or creates it with [`Self::create`].
    ///
    /// # Errors
    /// Those of the two functions.
    pub async fn open_or_create(location: Location, sink: &plan::Sink, pipeline: &str, means: &Means) -> Result<Self> {
        match Self::open_if_there(location.clone(), sink, pipeline, means).await? {
            Some(table) => Ok(table),
            None => Self::create(location, sink, pipeline, means).await,
        }
    }

    /// Opens the table at `location`. `None` if there is none: then nothing is made, and [`Self::create`] can be
    /// expected to make one. Opening and committing are single attempts.
    ///
    /// # Errors
    /// [`weir_base::failure::Remedy::Config`] if it doesn't fit, with the column's name.
    pub async fn open_if_there(
        location: Location,
        sink: &plan::Sink,
        pipeline: &str,
        means: &Means,
    ) -> Result<Option<Self>> {
        let delta = table_of(sink)?;
        let wanted = Wanted { schema: sink.schema.clone(), partition_by: delta.partition_by.clone() };
        let log = Log::new(location.clone());
        if !log.exists().await? {
            new_metadata(&wanted, location.url.as_str(), &means.random)?;
            return Ok(None);
        }
        log.prove_create().await?;
        loosen_if_empty(&log, &wanted, location.url.as_str(), pipeline, means).await?;
        Self::load(location, log, owner(sink, pipeline), Some((wanted, delta)), means).await.map(Some)
    }

    /// Creates the table at `location` with the sink's columns. It has reader version 1 and writer version 2, which
    /// every engine reads. If somebody else creates a table there at the same time, this opens that table.
    ///
    /// # Errors
    /// [`weir_base::failure::Remedy::Config`] if no table can have the sink's columns.
    pub async fn create(location: Location, sink: &plan::Sink, pipeline: &str, means: &Means) -> Result<Self> {
        let delta = table_of(sink)?;
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
            create(&log, &wanted, location.url.as_str(), pipeline, means).await?;
        }
        Self::load(location, log, owner(sink, pipeline), Some((wanted, delta)), means).await
    }

    /// Opens the table at `location` to commit files that were written already. `None` if there is no table.
    ///
    /// # Errors
    /// `Config` if Weir does not write to such a table.
    async fn open_as_it_is(location: Location, owner: Owner, means: &Means) -> Result<Option<Self>> {
        let log = Log::new(location.clone());
        if !log.exists().await? {
            return Ok(None);
        }
        Self::load(location, log, owner, None, means).await.map(Some)
    }

    /// Loads the table. Without `wanted`, any columns are accepted, and the table gets no maintenance.
    async fn load(
        location: Location,
        log: Log,
        owner: Owner,
        wanted: Option<(Wanted, &DeltaSink)>,
        means: &Means,
    ) -> Result<Self> {
        let state = log.load().await?;
        let (wanted, target_file_size_bytes, maintenance) = match wanted {
            Some((wanted, sink)) => (wanted, sink.target_file_size_bytes, sink.maintenance),
            None => (fit::as_it_is(&state.metadata, location.url.as_str())?, 0, NOT_LOOKED_AFTER),
        };
        let layout = Arc::new(fit::fit(&wanted, &state.protocol, &state.metadata, location.url.as_str())?);
        let tip = log.etag(state.version).await?.unwrap_or(Etag(None));
        Ok(Self {
            owner,
            location,
            log,
            wanted,
            target_file_size_bytes,
            maintenance,
            means: means.clone(),
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
}

fn owner(sink: &plan::Sink, pipeline: &str) -> Owner {
    Owner { pipeline: pipeline.to_owned(), sink: sink.name.clone(), place: sink.place().to_owned() }
}

/// Makes columns nullable if the sink may write nulls to them now and the table was only created so far. An expression
/// that was corrected after its first rows had failed must not need another table.
async fn loosen_if_empty(log: &Log, wanted: &Wanted, table: &str, pipeline: &str, means: &Means) -> Result<()> {
    let state = log.load().await?;
    if state.version > 0 {
        return Ok(());
    }
    let Some(loosened) = fit::loosened(wanted, &state.protocol, &state.metadata, table)? else { return Ok(()) };
    let has_rows = log.commit(0).await?.is_none_or(|commit| actions::adds_files(&commit));
    if has_rows {
        return Ok(());
    }
    let commit = actions::change_of_columns(&loosened, pipeline, (means.now_ms)());
    // If someone else was first, the table is judged as their commit left it.
    log.create(1, commit.into()).await.map(|_| ())
}

/// The metadata of a new table that the sink could write to.
fn new_metadata(wanted: &Wanted, table: &str, random: &Random) -> Result<Metadata> {
    let metadata = fit::new_table(wanted, random.id(), table)?;
    // Do not create a table that we could not write to.
    fit::fit(wanted, &Protocol::NEW, &metadata, table)?;
    Ok(metadata)
}

/// Writes version 0, unless someone else does.
async fn create(log: &Log, wanted: &Wanted, table: &str, pipeline: &str, means: &Means) -> Result<()> {
    let metadata = new_metadata(wanted, table, &means.random)?;
    let commit = actions::creation(&metadata, pipeline, (means.now_ms)());
    match log.create(0, commit.into()).await {
        Ok(Created::Yes { .. } | Created::Refused) => Ok(()),
        // It may be there all the same. The caller checks, and comes back here if it is not.
        Err(failure) if failure.remedy == weir_base::failure::Remedy::Retry && log.exists().await? => Ok(()),
        Err(failure) => Err(failure),
    }
}
