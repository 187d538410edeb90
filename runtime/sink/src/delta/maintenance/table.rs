//! The table that duties work on. They share it, and it knows none of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use weir_base::clock::Clock;
use weir_base::failure::{Failure, Result};
use weir_base::storage::Location;

use super::seen::Seen;
use crate::Means;
use crate::delta::fit::{self, Layout};
use crate::delta::log::{Log, State};
use crate::delta::pending::Pending;
use crate::upkeep::{Surroundings, Writer};

/// A table to maintain.
#[derive(Debug, Clone)]
pub(in crate::delta) struct Maintained {
    pub(in crate::delta) location: Location,
    pub(in crate::delta) table_id: String,
    pub(in crate::delta) target_file_size_bytes: u64,
    pub(in crate::delta) pending: Pending,
}

/// The table and the tools that a duty works with.
pub(in crate::delta) struct Table {
    pub(in crate::delta) location: Location,
    pub(in crate::delta) log: Log,
    pub(in crate::delta) table_id: String,
    pub(in crate::delta) target_file_size_bytes: u64,
    pub(in crate::delta) writer: Writer,
    pub(in crate::delta) label: String,
    pub(in crate::delta) pending: Pending,
    pub(in crate::delta) seen: Mutex<Seen>,
    pub(in crate::delta) means: Means,
    pub(in crate::delta) steady_ms: Clock,
    /// The most bytes of rows in memory, for reading and for writing each. Each turn sets it.
    pub(in crate::delta) bytes_max: AtomicU64,
}

impl Table {
    pub(in crate::delta) fn new(maintained: Maintained, surroundings: &Surroundings) -> Self {
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

    pub(in crate::delta) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Sets the limit for the turn that begins.
    pub(super) fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }
}

/// The layout of the table's files, if this is the table that the sink writes to and it may be rewritten.
pub(super) fn standing(table: &Table, state: &State) -> Result<Layout> {
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
