//! Which state files make up the keyed state, and their compaction: what the watermark has passed is dropped from the list, and a long list is
//! merged into a short one beside the running epochs. Compaction reads only immutable files, so it can be lost at any point.

mod compaction;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::sync::Arc;

use tokio::task::JoinHandle;
use weir_plan::ids::Epoch;

use self::compaction::{Compacted, Compaction};
use self::reading::Rows;
use self::writing::Output;
use crate::build::Graph;
use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::StateFile;
use crate::checkpoint::state_files::StateFiles;
use crate::failure::{Failure, Result};
use crate::memory::Memory;
use crate::state::{Change, Entries};

/// Of a state file, at a start: fetched in one go, and so many of these at a time.
const RESTORED_BYTES: u64 = 4 << 20;
const RESTORED_AHEAD: usize = 3;

/// The list, oldest first, and the compaction under way.
pub struct StateLog {
    graph: Arc<Graph>,
    store: StateFiles,
    files: Vec<StateFile>,
    memory: Arc<Memory>,
    compaction: Option<Running>,
    /// Changes that the list must have before a compaction is tried again, after one that failed.
    patience: usize,
}

struct Running {
    /// Its files are named for this epoch.
    epoch: Epoch,
    task: JoinHandle<Result<Compacted>>,
}

impl StateLog {
    #[must_use]
    pub fn new(graph: Arc<Graph>, store: StateFiles, files: Vec<StateFile>, memory: Arc<Memory>) -> Self {
        Self { graph, store, files, memory, compaction: None, patience: 0 }
    }

    /// Whether nothing is saved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Reads the saved state: partials by step, batch by batch, as long as `each` wants more.
    pub async fn load(&self, mut each: impl FnMut(usize, Entries) -> Result<bool>) -> Result<()> {
        let files = reading::open(&self.store, &self.files).await?;
        for (i, step, table) in self.graph.tables() {
            let rows = Rows::new(self.store.clone(), &files, step, Arc::clone(table), RESTORED_BYTES);
            if !rows.for_each(RESTORED_AHEAD, |change| each(i, change.entries)).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What the manifest of an epoch is to say of the state: `change` added, what lies wholly before the watermark gone, a finished compaction
    /// taken up.
    pub async fn advance(&mut self, change: Vec<StateFile>, watermark_us: Option<i64>) -> Result<Saved> {
        if let Some(ended) = self.compaction.take_if(|running| running.task.is_finished()) {
            match ended.task.await {
                Ok(Ok(done)) => self.take_up(done),
                // The old files are all there. What has failed once fails again, most likely: not with each epoch.
                Ok(Err(failure)) => {
                    tracing::warn!("compaction of state: {failure}; the state is whole, and a later compaction tries again");
                    self.patience = changes(&self.files);
                }
                Err(panic) => return Err(Failure::bug(format!("compaction of state: {panic}"))),
            }
        }
        self.files.extend(change);
        if let Some(watermark_us) = watermark_us {
            self.files.retain(|f| f.max_window_end_us > watermark_us);
        }
        Ok(Saved { files: self.files.clone(), compacting: self.compaction.as_ref().map(|running| running.epoch) })
    }

    /// Starts a compaction if there are more changes than that and none is under way. `first` is the name of its first file, for the epoch
    /// that comes next: its manifest is the first one that says that such files are being written.
    pub fn compact_if_long(&mut self, changes_max: usize, first: StateName, watermark_us: Option<i64>) {
        if self.compaction.is_some() || changes(&self.files) <= changes_max + self.patience {
            return;
        }
        self.patience = 0;
        let compaction = Compaction {
            graph: Arc::clone(&self.graph),
            store: self.store.clone(),
            runs: runs(&self.files).map(<[StateFile]>::to_vec).collect(),
            first,
            watermark_us,
            // However little it is: a list that is never compacted would grow on.
            bytes_max: self.memory.maintenance_bytes().unwrap_or_default(),
            #[cfg(test)]
            file_bytes: None,
        };
        self.compaction = Some(Running { epoch: first.epoch, task: tokio::spawn(compaction.run()) });
    }

    /// Its inputs are the oldest of the list; some may be gone from it by now.
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
    /// As a task of the manifest has it.
    pub compacting: Option<Epoch>,
}

/// Writes changes into files of which the first has that name. No rows, no file.
pub async fn write(graph: &Arc<Graph>, store: &StateFiles, first: StateName, changes: Vec<(usize, Change)>) -> Result<Vec<StateFile>> {
    let mut output = Output::new(Arc::clone(graph), store.clone(), first);
    for (step, change) in changes {
        output.write(step, &change).await?;
    }
    output.finish().await
}

/// Files of one epoch's change, or of one compaction, which follow each other in the order of their rows.
fn runs(files: &[StateFile]) -> impl Iterator<Item = &[StateFile]> {
    files.chunk_by(|a, b| matches!((a.name(), b.name()), (Some(a), Some(b)) if b.goes_on_after(&a)))
}

/// How many epochs' changes are in the list that no compaction has merged yet.
fn changes(files: &[StateFile]) -> usize {
    runs(files).filter(|run| run[0].name().is_none_or(|name| !name.is_compacted())).count()
}
