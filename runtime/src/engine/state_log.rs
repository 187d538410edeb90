//! Which state files make up the keyed state, and their compaction: what no open window needs is dropped from the list, and a long list is
//! merged into one file beside the running epochs. Compaction reads only immutable files, so it can be lost at any point.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};
use weir_plan::Plan;
use weir_plan::aggregate::Aggregate;
use weir_plan::plan::StepOp;

use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::StateFile;
use crate::checkpoint::state_files::StateFiles;
use crate::failure::{Failure, Result};
use crate::window::state_file::{self, Footer};
use crate::window::{self, Change, Partials};

/// State files are `state/<name>.state`.
const EXTENSION: &str = "state";

/// Rows that a compaction has in memory, unpacked: some dozen megabytes.
const COMPACTED_AT_A_TIME: u64 = 1 << 18;

/// The list, oldest first, and the compaction under way.
pub struct StateLog {
    plan: Arc<Plan>,
    store: StateFiles,
    files: Vec<StateFile>,
    compaction: Option<JoinHandle<Result<Compacted>>>,
}

struct Compacted {
    /// Paths of the files that the new one replaces: the oldest of the list, of which some may be gone from it by now.
    inputs: Vec<String>,
    output: Option<StateFile>,
}

impl StateLog {
    #[must_use]
    pub fn new(plan: Arc<Plan>, store: StateFiles, files: Vec<StateFile>) -> Self {
        Self { plan, store, files, compaction: None }
    }

    /// Whether nothing is saved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Reads the saved state: partials by step, batch by batch, as long as `each` wants more.
    pub async fn load(&self, mut each: impl FnMut(usize, Partials) -> Result<bool>) -> Result<()> {
        for file in &self.files {
            let (bytes, footer) = open(&self.store, file).await?;
            for (i, step, aggregate) in aggregates(&self.plan) {
                let rows = state_file::open_step(&bytes, &footer, step, aggregate).map_err(|e| e.context(&file.path))?;
                for batch in rows.into_iter().flatten() {
                    if !each(i, batch.map_err(|e| e.context(&file.path))?.partials)? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The list after an epoch: `change` added, what lies wholly before the watermark gone, a finished compaction taken up.
    pub async fn advance(&mut self, change: Option<StateFile>, watermark_us: Option<i64>) -> Result<Vec<StateFile>> {
        if self.compaction.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(task) = self.compaction.take()
        {
            match task.await {
                Ok(Ok(done)) => self.take_up(done),
                // The old files are all there: try again with the next epoch, and say why it failed.
                Ok(Err(failure)) => tracing::warn!("compaction of state: {failure}"),
                Err(panic) => return Err(Failure::bug(format!("compaction of state: {panic}"))),
            }
        }
        self.files.extend(change);
        if let Some(watermark_us) = watermark_us {
            self.files.retain(|f| f.max_window_end_us > watermark_us);
        }
        Ok(self.files.clone())
    }

    /// Whether a compaction's output may lie in the store that no manifest refers to yet: garbage collection would take it.
    #[must_use]
    pub fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// Starts a compaction if the list is long and none is under way. `name` is the new file's.
    pub fn compact_if_long(&mut self, files_max: usize, name: StateName, watermark_us: Option<i64>) {
        if self.files.len() > files_max && !self.is_compacting() {
            let (plan, store, files) = (Arc::clone(&self.plan), self.store.clone(), self.files.clone());
            self.compaction = Some(tokio::spawn(compact(plan, store, files, name, watermark_us)));
        }
    }

    fn take_up(&mut self, done: Compacted) {
        let first_new = self.files.iter().position(|f| !done.inputs.contains(&f.path)).unwrap_or(self.files.len());
        let rest = self.files.split_off(first_new);
        self.files = done.output.into_iter().chain(rest).collect();
    }
}

/// Writes changes into a file of that name. No rows, no file.
pub async fn write(plan: &Plan, store: &StateFiles, name: &StateName, changes: Vec<(usize, Change)>) -> Result<Option<StateFile>> {
    let mut writer = state_file::Writer::default();
    for (step, change) in changes {
        if let StepOp::Aggregate(aggregate) = &plan.steps[step].op {
            writer.step(&plan.steps[step].name, aggregate, [Ok(change)])?;
        }
    }
    put(plan, store, name, writer).await
}

async fn put(plan: &Plan, store: &StateFiles, name: &StateName, writer: state_file::Writer) -> Result<Option<StateFile>> {
    let last = |block: &state_file::Block| {
        let (_, _, aggregate) = aggregates(plan).find(|(_, step, _)| *step == block.step)?;
        Some(aggregate.window.end_of(block.window_starts_us.1))
    };
    let Some(max_window_end_us) = writer.blocks().iter().filter_map(last).max() else { return Ok(None) };
    let rows = writer.blocks().iter().map(|block| block.rows).sum();
    let bytes = writer.finish()?;
    let (length, crc32) = (bytes.len() as u64, crc32fast::hash(&bytes));
    let path = store.put(name, EXTENSION, bytes.into()).await?;
    Ok(Some(StateFile { path, bytes: length, rows, crc32, max_window_end_us }))
}

async fn open(store: &StateFiles, file: &StateFile) -> Result<(Bytes, Footer)> {
    let bytes = store.read(file).await?;
    let footer = state_file::read_footer(&bytes).map_err(|e| e.context(&file.path))?;
    Ok((bytes, footer))
}

async fn compact(
    plan: Arc<Plan>,
    store: StateFiles,
    files: Vec<StateFile>,
    name: StateName,
    watermark_us: Option<i64>,
) -> Result<Compacted> {
    let mut inputs = Vec::with_capacity(files.len());
    for file in &files {
        inputs.push(open(&store, file).await?);
    }
    let of_plan = Arc::clone(&plan);
    // It computes for long, and the threads of tasks have others to serve.
    let merged = spawn_blocking(move || {
        let mut writer = state_file::Writer::default();
        for (_, step, aggregate) in aggregates(&of_plan) {
            let is_open = |start| watermark_us.is_none_or(|w| aggregate.window.end_of(start) > w);
            window::compact(&inputs, step, aggregate, is_open, COMPACTED_AT_A_TIME, &mut writer)?;
        }
        Ok::<_, Failure>(writer)
    });
    let writer = merged.await.map_err(|e| Failure::bug(format!("merge state files: {e}")))??;
    let output = put(&plan, &store, &name, writer).await?;
    Ok(Compacted { inputs: files.into_iter().map(|f| f.path).collect(), output })
}

/// The steps that keep state: place in the plan, name.
fn aggregates(plan: &Plan) -> impl Iterator<Item = (usize, &str, &Aggregate)> {
    plan.steps.iter().enumerate().filter_map(|(i, step)| match &step.op {
        StepOp::Aggregate(aggregate) => Some((i, step.name.as_str(), aggregate.as_ref())),
        StepOp::Map(_) => None,
    })
}
