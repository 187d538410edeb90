//! The list of state files that make up the keyed state, and their compaction. A file that lies wholly below the
//! horizons of its tables is dropped from the list. A long list is merged into a short one beside the running epochs.
//! Compaction reads only immutable files, so it can be lost at any point.

mod compaction;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;
use weir_plan::ids::Epoch;

use self::compaction::{Compacted, Compaction};
pub use self::reading::Restorable;
use self::writing::Output;
use super::change::Change;
use super::schema::StepTable;
use crate::checkpoint::layout::{COMPACTED_FROM, StateName};
use crate::checkpoint::manifest::{StateFile, TableInFile};
use crate::checkpoint::state_files::StateFiles;
use crate::failure::{Failure, Result};
use crate::memory::Memory;

/// Bytes of a change, uncompressed, for which a file of its own is worthwhile. They take some 20 ms to encode, and
/// about as long to send as one request takes.
const STRETCH_BYTES: usize = 8 << 20;

/// The list of files, oldest first, and the compaction under way.
pub struct StateLog {
    tables: Arc<[StepTable]>,
    store: StateFiles,
    files: Vec<StateFile>,
    memory: Arc<Memory>,
    compaction: Option<Running>,
    /// After a failed compaction: how many changes the list must have beyond the usual limit before the next one is
    /// tried.
    patience: usize,
    #[cfg(test)]
    pub(crate) held: Held,
}

/// Settings that tests change.
#[cfg(test)]
#[derive(Clone, Default)]
pub(crate) struct Held {
    /// Files are closed at this many bytes.
    pub file_bytes: Option<u64>,
    /// Bytes of a change that one task writes.
    pub stretch_bytes: Option<usize>,
    /// Bytes of memory that a compaction may take.
    pub bytes_max: Option<u64>,
    /// Compactions wait here before they begin.
    pub gate: Option<Arc<tokio::sync::Semaphore>>,
}

struct Running {
    /// The epoch in the names of its files.
    epoch: Epoch,
    task: JoinHandle<Result<Compacted>>,
}

impl StateLog {
    /// Continues from what is saved. `store` names the files that the log writes.
    #[must_use]
    pub fn new(saved: &Restorable, store: StateFiles, memory: Arc<Memory>) -> Self {
        Self {
            tables: Arc::clone(saved.tables()),
            store,
            files: saved.files(),
            memory,
            compaction: None,
            patience: 0,
            #[cfg(test)]
            held: Held::default(),
        }
    }

    /// Writes the change of an epoch, of which the first file is named `first`. `changes` has, per worker in the order
    /// of key groups, what has changed of each table. Several tasks encode and send a large change, each for a range of
    /// the workers. Without rows there is no file.
    pub async fn write(&self, first: StateName, changes: Vec<Vec<(usize, Change)>>) -> Result<Vec<StateFile>> {
        let stretches = stretches(changes, self.stretch_bytes());
        let names_each = COMPACTED_FROM / u32::try_from(stretches.len().max(1)).unwrap_or(COMPACTED_FROM);
        let mut written = Vec::with_capacity(stretches.len());
        for (first, stretch) in (0..).map(|i| StateName { n: first.n + i * names_each, ..first }).zip(stretches) {
            let output = Output::new(Arc::clone(&self.tables), self.store.clone(), first);
            #[cfg(test)]
            let output = output.with_files_of(self.held.file_bytes);
            written.push(tokio::spawn(output.write_all(stretch)));
        }
        let mut files = Vec::new();
        for of_stretch in written {
            files.extend(of_stretch.await.map_err(|e| Failure::bug(format!("write the change of state: {e}")))??);
        }
        Ok(files)
    }

    #[cfg(not(test))]
    fn stretch_bytes(&self) -> usize {
        STRETCH_BYTES
    }

    #[cfg(test)]
    fn stretch_bytes(&self) -> usize {
        self.held.stretch_bytes.unwrap_or(STRETCH_BYTES)
    }

    /// Returns what the manifest of an epoch says about the state: adds `change`, drops the files that lie wholly below
    /// the horizons (per table, µs, exclusive), and takes up a finished compaction.
    pub async fn advance(&mut self, change: Vec<StateFile>, horizons_us: &[Option<i64>]) -> Result<Saved> {
        if let Some(ended) = self.compaction.take_if(|running| running.task.is_finished()) {
            match ended.task.await {
                Ok(Ok(done)) => self.take_up(done),
                // All old files are still there. What has failed once will most likely fail again, so it is not tried
                // with each epoch.
                Ok(Err(failure)) => {
                    tracing::warn!(
                        "compaction of state: {failure}; the state is whole, and a later compaction tries again"
                    );
                    self.patience = changes(&self.files);
                }
                Err(panic) => return Err(Failure::bug(format!("compaction of state: {panic}"))),
            }
        }
        self.files.extend(change);
        let tables = Arc::clone(&self.tables);
        self.files.retain(|file| !is_over(file, &tables, horizons_us));
        Ok(Saved { files: self.files.clone(), compacting: self.compaction.as_ref().map(|running| running.epoch) })
    }

    /// Starts a compaction if the list has more than `changes_max` changes and none is under way. `first` is the name
    /// of its first file and has the next epoch, whose manifest is the first to say that such files are being written.
    /// Entries below the horizons are left out.
    pub(crate) fn compact_if_long(&mut self, changes_max: usize, first: StateName, horizons_us: Vec<Option<i64>>) {
        if self.compaction.is_some() || changes(&self.files) <= changes_max + self.patience {
            return;
        }
        self.patience = 0;
        // The compaction runs however little memory there is, since a list that is never compacted would keep growing.
        let bytes_max = self.memory.maintenance_bytes().unwrap_or_default();
        #[cfg(test)]
        let bytes_max = self.held.bytes_max.unwrap_or(bytes_max);
        let compaction = Compaction {
            tables: Arc::clone(&self.tables),
            store: self.store.clone(),
            runs: runs(&self.files).map(<[_]>::to_vec).collect(),
            first,
            horizons_us,
            bytes_max,
            #[cfg(test)]
            held: self.held.clone(),
        };
        self.compaction = Some(Running { epoch: first.epoch, task: tokio::spawn(compaction.run()) });
    }

    #[cfg(test)]
    pub(crate) fn compacts(&self) -> bool {
        self.compaction.is_some()
    }

    /// Whether the last compaction has failed.
    #[cfg(test)]
    pub(crate) fn has_failed(&self) -> bool {
        self.patience > 0
    }

    /// Lets the compaction begin, and waits until it has ended. The next [`Self::advance`] takes it up.
    #[cfg(test)]
    pub(crate) async fn end_compaction(&self) {
        if let Some(gate) = &self.held.gate {
            gate.add_permits(1);
        }
        while self.compaction.as_ref().is_some_and(|running| !running.task.is_finished()) {
            tokio::task::yield_now().await;
        }
    }

    /// The inputs are the oldest files of the list. Some may have left the list by now.
    fn take_up(&mut self, done: Compacted) {
        let first_new = self.files.iter().position(|f| !done.inputs.contains(&f.path)).unwrap_or(self.files.len());
        let rest = self.files.split_off(first_new);
        self.files = done.outputs.into_iter().chain(rest).collect();
    }
}

/// What a manifest says of the state.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    pub files: Vec<StateFile>,
    /// The epoch of the compaction under way, as a task of the manifest has it.
    pub compacting: Option<Epoch>,
}

/// Whether no entry of a file is needed any more. Tables that the plan no longer has are ignored. A file that does not
/// say what it has stays.
fn is_over(file: &StateFile, tables: &[StepTable], horizons_us: &[Option<i64>]) -> bool {
    let is_over = |of: &TableInFile| {
        let place = tables.iter().position(|table| table.step == of.step && table.schema.name == of.table);
        let is_past =
            |table: usize| of.max_time_us.zip(horizons_us[table]).is_some_and(|(last, horizon)| last < horizon);
        place.is_none_or(is_past)
    };
    !file.tables.is_empty() && file.tables.iter().all(is_over)
}

/// Joins the changes of neighbouring workers until each stretch has `bytes_least` bytes, or there is only one. A
/// stretch has, per table number, the changes in the order of key groups.
fn stretches(changes: Vec<Vec<(usize, Change)>>, bytes_least: usize) -> Vec<BTreeMap<usize, Vec<Change>>> {
    let mut stretches: Vec<BTreeMap<usize, Vec<Change>>> = Vec::new();
    let mut bytes = usize::MAX;
    let mut left: usize = changes.iter().flatten().map(|(_, change)| change.bytes()).sum();
    for of_worker in changes {
        let of_worker_bytes: usize = of_worker.iter().map(|(_, change)| change.bytes()).sum();
        if bytes >= bytes_least && (left >= bytes_least || stretches.is_empty()) {
            stretches.push(BTreeMap::new());
            bytes = 0;
        }
        (bytes, left) = (bytes + of_worker_bytes, left - of_worker_bytes);
        if let Some(stretch) = stretches.last_mut() {
            of_worker.into_iter().for_each(|(table, change)| stretch.entry(table).or_default().push(change));
        }
    }
    stretches
}

/// The runs in the list. A run is the files of one epoch's change, or of one compaction, which follow each other in the
/// order of their rows.
fn runs(files: &[StateFile]) -> impl Iterator<Item = &[StateFile]> {
    files.chunk_by(|a, b| matches!((a.name(), b.name()), (Some(a), Some(b)) if b.goes_on_after(&a)))
}

/// How many epochs' changes in the list have not been compacted yet.
fn changes(files: &[StateFile]) -> usize {
    runs(files).filter(|run| run[0].name().is_none_or(|name| !name.is_compacted())).count()
}
