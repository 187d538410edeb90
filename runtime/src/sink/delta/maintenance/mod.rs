//! What is done for the tables beside the commits: compaction and vacuum. One task per process, one duty at a time, so that its memory is
//! bounded and the commits keep the machine. It ends with the process wherever it is; what it leaves is for the next vacuum.
//!
//! None of it is needed for a commit, and nothing of it is certain to come first: a failure is a warning, and the next turn tries again.

mod choose;
pub(super) mod compact;
mod garbage;
mod listing;
mod references;
mod rewrite;
pub(super) mod vacuum;
mod winners;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio::task::JoinHandle;
use weir_plan::plan;

use self::compact::{Compacted, compact};
pub use self::garbage::Writer;
use self::vacuum::{Vacuumed, vacuum};
use super::fit::{self, Layout};
use super::log::{Log, State};
use crate::failure::{Failure, Result};
use crate::memory::Memory;
use crate::retry::RetryPolicy;
use crate::storage::Location;

/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Hears what was done for the table of a sink.
pub type Tell = Arc<dyn Fn(&str, Done) + Send + Sync>;

/// What was done for a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// So many files became so many others, in so many commits; and so many rewrites gave way to others' commits.
    Compacted {
        commits: u64,
        files_before: u64,
        files_after: u64,
        conflicts: u64,
    },
    /// So many files are deleted.
    Vacuumed {
        files: u64,
        bytes: u64,
    },
    Failed,
}

/// A table that is looked after.
#[derive(Debug, Clone)]
pub struct Maintained {
    pub(super) location: Location,
    pub(super) table_id: String,
    pub(super) target_file_size_bytes: u64,
}

/// What the tables of a process have in common.
#[derive(Clone)]
pub struct Surroundings {
    pub now_ms: Clock,
    pub retry: RetryPolicy,
    pub memory: Arc<Memory>,
    pub writer: Writer,
    /// For the names of data files: the writer.
    pub label: String,
    /// Files that the writer wrote before this time belong to epochs that are committed, or to none.
    pub settled_ms: Arc<AtomicI64>,
    pub tell: Tell,
}

/// Goes on until it is dropped.
pub struct Maintenance {
    task: Option<JoinHandle<()>>,
}

impl Maintenance {
    /// Begins, with the first turn of each duty at once. By sink: its name, its table, and what is to be done. Must be called within a
    /// runtime.
    #[must_use]
    pub fn start(tables: Vec<(String, Maintained, plan::Maintenance)>, surroundings: &Surroundings) -> Self {
        let duties: Vec<_> = tables.into_iter().flat_map(|(sink, table, wanted)| duties(sink, table, wanted, surroundings)).collect();
        let task = (!duties.is_empty()).then(|| tokio::spawn(maintain(duties, surroundings.clone())));
        Self { task }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What a duty works on.
pub(super) struct Table {
    pub(super) location: Location,
    pub(super) log: Log,
    pub(super) table_id: String,
    pub(super) target_file_size_bytes: u64,
    pub(super) writer: Writer,
    pub(super) label: String,
    pub(super) settled_ms: Arc<AtomicI64>,
    pub(super) retry: RetryPolicy,
    pub(super) now_ms: Clock,
    /// Of rows in memory: what is read and what is written, each.
    pub(super) bytes_max: u64,
}

impl Table {
    pub(super) fn new(maintained: Maintained, surroundings: &Surroundings) -> Self {
        let Maintained { location, table_id, target_file_size_bytes } = maintained;
        let Surroundings { now_ms, retry, memory, writer, label, settled_ms, .. } = surroundings.clone();
        Self {
            log: Log::new(location.clone()),
            location,
            table_id,
            target_file_size_bytes,
            writer,
            label,
            settled_ms,
            retry,
            now_ms,
            bytes_max: memory.maintenance_bytes(),
        }
    }
}

enum Kind {
    Compact { quiet_for_ms: i64 },
    Vacuum { after: Duration },
}

struct Duty {
    sink: String,
    table: Arc<Table>,
    kind: Kind,
    every_ms: i64,
    due_ms: i64,
    /// The last failure, which is told once and not at every turn.
    told: Option<String>,
}

fn duties(sink: String, table: Maintained, wanted: plan::Maintenance, surroundings: &Surroundings) -> Vec<Duty> {
    let table = Arc::new(Table::new(table, surroundings));
    let duty = |kind, every_ms| Duty { sink: sink.clone(), table: Arc::clone(&table), kind, every_ms, due_ms: i64::MIN, told: None };
    let compact = wanted.compact_every.map(millis).map(|every_ms| duty(Kind::Compact { quiet_for_ms: every_ms }, every_ms));
    let vacuum = wanted.vacuum_after.map(|after| duty(Kind::Vacuum { after }, millis(vacuum_every(after))));
    compact.into_iter().chain(vacuum).collect()
}

/// A turn lists the whole table: often enough that files go soon after their time, and not more often than every hour.
fn vacuum_every(after: Duration) -> Duration {
    (after / 4).clamp(Duration::from_secs(3600), Duration::from_secs(24 * 3600))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn maintain(mut duties: Vec<Duty>, surroundings: Surroundings) {
    loop {
        for duty in &mut duties {
            // What frees memory comes first, and a table can wait.
            if (surroundings.now_ms)() >= duty.due_ms && !surroundings.memory.is_tight() {
                duty.turn(&surroundings.tell).await;
                duty.due_ms = (surroundings.now_ms)().saturating_add(duty.every_ms);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Duty {
    async fn turn(&mut self, tell: &Tell) {
        let done = match self.kind {
            Kind::Compact { quiet_for_ms } => compact(&self.table, quiet_for_ms).await.map(Done::from),
            Kind::Vacuum { after } => vacuum(&self.table, after).await.map(Done::from),
        };
        match done {
            Ok(done) => {
                self.told = None;
                tracing::debug!(sink = self.sink, ?done, "maintenance");
                tell(&self.sink, done);
            }
            Err(failure) => {
                tell(&self.sink, Done::Failed);
                if self.told.as_ref() != Some(&failure.message) {
                    tracing::warn!(sink = self.sink, "{}: {failure}; the table is whole, and the next turn tries again", self.kind.name());
                    self.told = Some(failure.message);
                }
            }
        }
    }
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Compact { .. } => "compaction",
            Self::Vacuum { .. } => "vacuum",
        }
    }
}

impl From<Compacted> for Done {
    fn from(done: Compacted) -> Self {
        let Compacted { commits, files_before, files_after, conflicts } = done;
        Self::Compacted { commits, files_before, files_after, conflicts }
    }
}

impl From<Vacuumed> for Done {
    fn from(Vacuumed { files, bytes }: Vacuumed) -> Self {
        Self::Vacuumed { files, bytes }
    }
}

/// How the table's files look, if it is the table that the sink writes to and one that may be rewritten.
fn standing(table: &Table, state: &State) -> Result<Layout> {
    let url = table.location.url.as_str();
    if state.metadata.id != table.table_id {
        return Err(Failure::config(format!("the table {url} was made anew: its id is {}, not {}", state.metadata.id, table.table_id)));
    }
    let wanted = fit::as_it_is(&state.metadata, url)?;
    fit::fit(&wanted, &state.protocol, &state.metadata, url)
}
