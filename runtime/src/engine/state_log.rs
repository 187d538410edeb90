//! Which state files make up the keyed state, and their compaction: what no open window needs is dropped from the list, and a long list is
//! merged into one file beside the running epochs. Compaction reads only immutable files, so it can be lost at any point.

use std::sync::Arc;

use tokio::task::JoinHandle;
use weir_plan::Plan;
use weir_plan::aggregate::Aggregate;
use weir_plan::plan::StepOp;

use crate::checkpoint::layout::StateName;
use crate::checkpoint::manifest::StateFile;
use crate::checkpoint::state_files::StateFiles;
use crate::failure::{Failure, Result};
use crate::window::{Change, Partials, state_file};

/// State files are `state/<name>.state`.
const EXTENSION: &str = "state";

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

    /// Reads the saved state: per file and step, partials of windows that `is_open` holds for.
    pub async fn load(&self, is_open: impl Fn(usize, i64) -> bool, mut each: impl FnMut(usize, Partials) -> Result<()>) -> Result<()> {
        for file in &self.files {
            for (step, partials) in read(&self.plan, &self.store, file).await? {
                let open = partials.retain(|window| is_open(step, window))?;
                if open.rows() > 0 {
                    each(step, open)?;
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
            self.compaction = Some(tokio::spawn(async move { compact(&plan, &store, &files, &name, watermark_us).await }));
        }
    }

    fn take_up(&mut self, done: Compacted) {
        let first_new = self.files.iter().position(|f| !done.inputs.contains(&f.path)).unwrap_or(self.files.len());
        let rest = self.files.split_off(first_new);
        self.files = done.output.into_iter().chain(rest).collect();
    }
}

/// Writes changes into a file of that name. No rows, no file.
pub async fn write(plan: &Plan, store: &StateFiles, name: &StateName, changes: &[(usize, Change)]) -> Result<Option<StateFile>> {
    let mut blocks = Vec::with_capacity(changes.len());
    let mut max_window_end_us = i64::MIN;
    for (step, change) in changes {
        let aggregate = aggregate(plan, *step)?;
        let last = change.partials.windows.values().iter().copied().max().unwrap_or(i64::MIN);
        max_window_end_us = max_window_end_us.max(aggregate.window.end_of(last));
        blocks.push((plan.steps[*step].name.as_str(), aggregate, change));
    }
    if blocks.is_empty() {
        return Ok(None);
    }
    let rows = blocks.iter().map(|(_, _, change)| change.rows() as u64).sum();
    let bytes = state_file::write(&blocks)?;
    let (length, crc32) = (bytes.len() as u64, crc32fast::hash(&bytes));
    let path = store.put(name, EXTENSION, bytes.into()).await?;
    Ok(Some(StateFile { path, bytes: length, rows, crc32, max_window_end_us }))
}

async fn read(plan: &Plan, store: &StateFiles, file: &StateFile) -> Result<Vec<(usize, Partials)>> {
    let bytes = store.read(file).await?;
    let footer = state_file::read_footer(&bytes).map_err(|e| e.context(&file.path))?;
    let mut steps = Vec::with_capacity(footer.blocks.len());
    for (i, step) in plan.steps.iter().enumerate() {
        if let StepOp::Aggregate(aggregate) = &step.op
            && let Some(partials) = state_file::read_step(&bytes, &footer, &step.name, aggregate).map_err(|e| e.context(&file.path))?
        {
            steps.push((i, partials));
        }
    }
    Ok(steps)
}

async fn compact(plan: &Plan, store: &StateFiles, files: &[StateFile], name: &StateName, watermark_us: Option<i64>) -> Result<Compacted> {
    let mut by_step: Vec<Vec<Partials>> = plan.steps.iter().map(|_| Vec::new()).collect();
    for file in files {
        for (step, partials) in read(plan, store, file).await? {
            let window = aggregate(plan, step)?.window;
            by_step[step].push(partials.retain(|start| watermark_us.is_none_or(|w| window.end_of(start) > w))?);
        }
    }
    let mut merged = Vec::new();
    for (step, parts) in by_step.iter().enumerate().filter(|(_, parts)| !parts.is_empty()) {
        merged.extend(Change::of(aggregate(plan, step)?, parts)?.map(|change| (step, change)));
    }
    let output = write(plan, store, name, &merged).await?;
    Ok(Compacted { inputs: files.iter().map(|f| f.path.clone()).collect(), output })
}

fn aggregate(plan: &Plan, step: usize) -> Result<&Aggregate> {
    match &plan.steps[step].op {
        StepOp::Aggregate(a) => Ok(a),
        StepOp::Map(_) => Err(Failure::bug(format!("step {:?} keeps no state", plan.steps[step].name))),
    }
}
