//! Loads saved state back into the operators, with a thread for each worker's part. Files are read once, in their
//! order, and a start after a crash waits only for the slowest of the threads.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::build::Graph;
use crate::checkpoint::manifest::Manifest;
use crate::engine::worker::{KeyedStage, KeyedState};
use crate::failure::{Failure, Result};
use crate::state::log::Restorable;
use crate::state::{Change, Grouped, StepTable};

/// Batches of a state file that wait for one thread: a few megabytes.
const QUEUE_BATCHES: usize = 4;

/// Reads the state in a manifest's files for this many workers, without what lies below the horizons.
pub async fn restore(
    graph: &Arc<Graph>,
    saved: &Restorable,
    manifest: &Manifest,
    workers: usize,
) -> Result<KeyedState> {
    let mut state = KeyedState::new(graph, workers)?;
    state.horizons.raise(&graph.horizons_us(&manifest.watermarks_us(&graph.plan)));
    state.horizons.raise(&saved_horizons_us(graph, manifest));
    if saved.is_empty() || state.stages.is_empty() {
        return Ok(state);
    }
    let horizons_us: Arc<[_]> = state.horizons.us().into();
    let stages = std::mem::take(&mut state.stages).into_iter().enumerate();
    let threads =
        stages.map(|(n, stage)| Thread::start(n, stage, Arc::clone(&horizons_us))).collect::<Result<Vec<_>>>()?;
    let read = saved.load(|table, Change(entries)| {
        let parts = entries.cut(state.ranges)?;
        let mut parts = threads.iter().zip(parts).filter(|(_, part)| part.rows() > 0);
        // A thread that takes nothing more has failed, and gives the reason when it is asked.
        Ok(parts.all(|(thread, part)| thread.queue.send((table, part)).is_ok()))
    });
    let read = read.await;
    let restored: Vec<_> = threads.into_iter().map(Thread::finish).collect();
    read?;
    state.stages = restored.into_iter().collect::<Result<_>>()?;
    Ok(state)
}

/// The horizons (µs) of the tables in a manifest. They are higher than the watermarks alone would give if the document
/// has changed since, so that a step keeps entries for longer.
fn saved_horizons_us(graph: &Graph, manifest: &Manifest) -> Vec<Option<i64>> {
    let saved = |table: &StepTable| {
        let step = manifest.tasks.iter().flat_map(|task| &task.steps).find(|step| step.name == table.step)?;
        step.tables.iter().find(|saved| saved.name == table.schema.name)?.horizon_us
    };
    graph.tables().iter().map(saved).collect()
}

struct Thread {
    queue: SyncSender<(usize, Grouped)>,
    thread: JoinHandle<Result<KeyedStage>>,
}

impl Thread {
    fn start(n: usize, stage: KeyedStage, horizons_us: Arc<[Option<i64>]>) -> Result<Self> {
        let (queue, batches) = sync_channel(QUEUE_BATCHES);
        let work = move || take_in(stage, &batches, &horizons_us);
        let thread = std::thread::Builder::new().name(format!("restore-{n}")).spawn(work);
        Ok(Self { queue, thread: thread.map_err(|e| Failure::retry(format!("start a thread that reads state: {e}")))? })
    }

    fn finish(self) -> Result<KeyedStage> {
        drop(self.queue);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Failure::bug("a thread that reads state panicked; the log says where")))
    }
}

fn take_in(
    mut stage: KeyedStage,
    batches: &Receiver<(usize, Grouped)>,
    horizons_us: &[Option<i64>],
) -> Result<KeyedStage> {
    for (table, Grouped { key_groups, entries }) in batches {
        let entries = entries.retain(|time| horizons_us[table].is_none_or(|horizon_us| time >= horizon_us))?;
        if entries.rows() > 0 {
            stage.restore(table, &key_groups, &entries)?;
        }
    }
    Ok(stage)
}
