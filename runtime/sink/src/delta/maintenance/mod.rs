//! The duties of a table: compaction and vacuum. They read the table's log by themselves. From the commits beside them
//! they know only the names of the files that may yet be committed. If the process ends in the middle, the next vacuum
//! deletes what they left.

mod choose;
pub(super) mod compact;
mod garbage;
mod listing;
mod references;
mod rewrite;
mod seen;
pub(super) mod vacuum;
mod winners;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use weir_base::clock::Clock;
use weir_base::failure::{Failure, Result};
use weir_base::storage::Location;
use weir_plan::plan;

use self::compact::Compaction;
use self::seen::Seen;
use self::vacuum::Vacuum;
use super::fit::{self, Layout};
use super::log::{Log, State};
use super::pending::Pending;
use crate::Means;
use crate::upkeep::{Duty, Surroundings, Writer};

/// A table to maintain.
#[derive(Debug, Clone)]
pub(super) struct Maintained {
    pub(super) location: Location,
    pub(super) table_id: String,
    pub(super) target_file_size_bytes: u64,
    pub(super) pending: Pending,
}

/// The maintenance that the document asks for.
pub(super) fn duties(table: Maintained, wanted: plan::Maintenance, surroundings: &Surroundings) -> Vec<Box<dyn Duty>> {
    let table = Arc::new(Table::new(table, surroundings));
    let mut duties: Vec<Box<dyn Duty>> = Vec::new();
    if let Some(every) = wanted.compact_every {
        duties.push(Box::new(Compaction { table: Arc::clone(&table), every }));
    }
    if let Some(after) = wanted.vacuum_after {
        duties.push(Box::new(Vacuum { table, after }));
    }
    duties
}

/// The table and the tools that a duty works with.
pub(super) struct Table {
    pub(super) location: Location,
    pub(super) log: Log,
    pub(super) table_id: String,
    pub(super) target_file_size_bytes: u64,
    pub(super) writer: Writer,
    pub(super) label: String,
    pub(super) pending: Pending,
    pub(super) seen: Mutex<Seen>,
    pub(super) means: Means,
    pub(super) steady_ms: Clock,
    /// The most bytes of rows in memory, for reading and for writing each. Each turn sets it.
    pub(super) bytes_max: AtomicU64,
}

impl Table {
    pub(super) fn new(maintained: Maintained, surroundings: &Surroundings) -> Self {
        let Maintained { location, table_id, target_file_size_bytes, pending } = maintained;
        let Surroundings { now_ms, steady_ms, retry, random, memory, writer, label, .. } = surroundings.clone();
        Self {
            log: Log::new(location.clone()),
            location,
            table_id,
            target_file_size_bytes,
            writer,
            label,
            pending,
            seen: Mutex::default(),
            means: Means { retry, now_ms, random },
            steady_ms,
            bytes_max: AtomicU64::new(memory.maintenance_bytes().unwrap_or_default()),
        }
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Sets the limit for the turn that begins.
    fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }
}

/// The layout of the table's files, if this is the table that the sink writes to and it may be rewritten.
fn standing(table: &Table, state: &State) -> Result<Layout> {
    let url = table.location.url.as_str();
    if state.metadata.id != table.table_id {
        return Err(Failure::config(format!(
            "the table {url} was made anew: its id is {}, not {}",
            state.metadata.id, table.table_id
        )));
    }
    let wanted = fit::as_it_is(&state.metadata, url)?;
    fit::fit(&wanted, &state.protocol, &state.metadata, url)
}
