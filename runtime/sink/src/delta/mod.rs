//! Appends to a Delta table exactly once. First an epoch's rows become data files (`EpochFiles`), which the manifest
//! then refers to. Then the commit (`DeltaTable::append`) makes them visible together with the epoch's number; the
//! commit can be repeated at will. `Appended` reads what versions appended. `docs/reference/delta.md` says what tables
//! look like and which ones are refused.
//!
//! Weir writes the commit to the log directly, without delta-rs' transaction, because that one keeps the table's whole
//! state in memory and grows with it. Weir makes that transaction's checks itself: protocol, schema and transaction, on
//! opening and on every commit of others that changes them.

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
mod opener;
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

use futures::future::BoxFuture;
use serde_json::Value;
use weir_plan::plan::Maintenance;
use weir_plan::quote::quoted;

pub use appended::read_back;
pub use commit::CommitOutcome;
pub use opener::{TableOpener, former};
use weir_base::failure::{Failure, Result};
use weir_base::storage::Location;
pub use writer::EpochFiles;

use self::actions::{Metadata, Protocol};
use self::fit::{Layout, Wanted};
use self::log::{Etag, Log};
use self::log_checkpoints::LogCheckpoints;
use self::maintenance::table::Maintained;
use self::pending::Pending;
use crate::decided::{Decided, HeldEpoch, Outcome};
use crate::upkeep::{Duty, Surroundings};
use crate::writing::{EpochWriter, Part, Payload, Sealed, Slot, Writers};
use crate::{Means, Memory, Pin, Sink, SinkStatus};

/// The name of this kind of sink in manifests.
pub const KIND: &str = "Delta";

/// An open table that fits the sink.
pub struct DeltaTable {
    owner: Owner,
    location: Location,
    log: Log,
    wanted: Wanted,
    target_file_size_bytes: u64,
    maintenance: Maintenance,
    means: Means,
    protocol: Protocol,
    metadata: Metadata,
    layout: Arc<Layout>,
    /// The newest version that we know, and the tag that distinguishes its commit from another one of that number.
    version: i64,
    tip: Etag,
    /// The last transaction of each of Weir's application ids at `version`.
    txns: HashMap<String, i64>,
    pending: Pending,
    /// Whether the log may hold more than we know, and not because of others. Then it must be read before it is
    /// written.
    stale: bool,
    checkpoints: LogCheckpoints,
}

/// The pipeline and sink that the table belongs to.
#[derive(Debug, Clone)]
struct Owner {
    pipeline: String,
    /// The sink's name in the document.
    sink: String,
    /// The sink's place, as the document writes it.
    place: String,
}

/// Starts the data files of epochs.
#[derive(Clone)]
pub struct TableFiles {
    location: Location,
    layout: Arc<Layout>,
    target_file_size_bytes: u64,
    means: Means,
    pending: Pending,
}

/// What a table remembers about a pipeline's sink.
struct TableMemory {
    owner: Owner,
    log: Log,
    held: Vec<HeldEpoch>,
    /// The number that stands for the token of the last state action that the table knows.
    token: Option<i64>,
}

impl Memory for TableMemory {
    fn held(&self) -> &[HeldEpoch] {
        &self.held
    }

    fn held_now(&self) -> BoxFuture<'_, Result<Vec<HeldEpoch>>> {
        Box::pin(async {
            if !self.log.exists().await? {
                return Ok(Vec::new());
            }
            Ok(transaction::held(&self.log.load().await?.txns, &self.owner.pipeline, &self.owner.sink))
        })
    }

    fn has_seen(&self, token: &str) -> bool {
        self.token == Some(transaction::token_version(token))
    }
}

impl TableFiles {
    /// Starts an epoch's files, with the memory limit for processes without one. `label` becomes part of the files'
    /// names: lineage and generation.
    ///
    /// # Errors
    /// Only `Bug`.
    pub fn writer(&self, label: &str) -> Result<EpochFiles> {
        EpochFiles::new(self, &Slot::new(label, u64::MAX))
    }
}

impl Writers for TableFiles {
    fn begin(&self, slot: &Slot) -> Result<Box<dyn EpochWriter>> {
        Ok(Box::new(EpochFiles::new(self, slot)?))
    }
}

impl DeltaTable {
    /// The table's `metaData.id`. A table with another id at the same place is another table.
    #[must_use]
    pub fn table_id(&self) -> &str {
        &self.metadata.id
    }

    /// The newest version that is known here.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Where and how data files are written. This is separate from the table, so that writing one epoch does not wait
    /// for the commit of another.
    #[must_use]
    pub fn files(&self) -> TableFiles {
        let (location, layout) = (self.location.clone(), self.layout.clone());
        TableFiles {
            location,
            layout,
            target_file_size_bytes: self.target_file_size_bytes,
            means: self.means.clone(),
            pending: self.pending.clone(),
        }
    }

    /// Joins what all writers of an epoch gave into one payload; `None` if they have written no file.
    fn joined(&self, parts: Vec<Part>) -> Result<Option<Sealed>> {
        let rows = parts.iter().map(|part| part.rows).sum();
        let mut adds = Vec::new();
        for part in parts {
            match part.body {
                Value::Array(of_part) => adds.extend(of_part),
                other => {
                    return Err(Failure::bug(format!(
                        "a writer of {} gave {other} and no list of files",
                        self.location.url
                    )));
                }
            }
        }
        Ok((!adds.is_empty()).then(|| Sealed { rows, payload: payload::append(adds) }))
    }

    fn maintained(&self) -> Maintained {
        Maintained {
            location: self.location.clone(),
            table_id: self.metadata.id.clone(),
            target_file_size_bytes: self.target_file_size_bytes,
            pending: self.pending.clone(),
        }
    }

    /// Reads the log again, from a log checkpoint if there is one, and checks that it is still the table that was
    /// opened and that it still fits.
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
            let says = format!(
                "the log of {} ends at version {} and has been at {} before",
                self.location.url, state.version, self.version
            );
            return Err(Failure::retry(says));
        }
        self.advance(state.version, self.log.etag(state.version).await?.and_then(|tip| tip.0));
        self.checkpoints.found(state.checkpoint);
        self.txns = state.txns;
        self.stale = false;
        Ok(())
    }

    /// Adopts the table's new metadata and protocol, if it is still our table and still fits.
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

impl Sink for DeltaTable {
    fn pin(&self) -> Pin {
        let Owner { sink, place, .. } = self.owner.clone();
        Pin { sink, kind: KIND.to_owned(), place, id: self.metadata.id.clone() }
    }

    fn memory(&self) -> Option<Arc<dyn Memory>> {
        let (owner, log) = (self.owner.clone(), self.log.clone());
        let held = transaction::held(&self.txns, &owner.pipeline, &owner.sink);
        let token = transaction::token(&self.txns, &owner.pipeline, &owner.sink);
        Some(Arc::new(TableMemory { owner, log, held, token }))
    }

    fn writers(&self) -> Arc<dyn Writers> {
        Arc::new(self.files())
    }

    fn seal(&mut self, parts: Vec<Part>) -> BoxFuture<'_, Result<Option<Sealed>>> {
        Box::pin(std::future::ready(self.joined(parts)))
    }

    fn ready<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { self.check_ready(of, adds_of(of, payload)?).await })
    }

    fn commit<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async {
            Ok(match self.append(of, adds_of(of, payload)?).await? {
                CommitOutcome::Committed { .. } => Outcome::Committed,
                CommitOutcome::AlreadyCommitted => Outcome::AlreadyThere,
                CommitOutcome::FilesGone { files } => {
                    Outcome::Gone { what: files.join(", "), says: self.lacks(of, &files) }
                }
            })
        })
    }

    /// Starts writing a log checkpoint if the log has grown long since the last one and none is being written. This
    /// runs beside the commits that follow, and a failure is only logged. It needs a tokio runtime with several
    /// threads.
    fn between_epochs(&mut self) {
        self.checkpoints.start_if_long(self.version, &self.log);
    }

    fn status(&self) -> SinkStatus {
        SinkStatus { table_version: Some(self.version) }
    }

    fn duties(&self, of: &Surroundings) -> Vec<Box<dyn Duty>> {
        maintenance::duties(self.maintained(), self.maintenance, of)
    }
}

fn adds_of<'a>(of: &Decided, payload: &'a Payload) -> Result<&'a [Value]> {
    payload::adds(payload).map_err(|e| e.context(format_args!("sink {}, epoch {}", quoted(&of.sink), of.epoch)))
}
