//! Saved state back into open windows, on as many threads as there are lanes: windows share nothing, so each thread takes its own, and a
//! start after a crash waits for the slowest of them instead of for all.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use weir_plan::Plan;
use weir_plan::plan::StepOp;

use super::keyed_stage::KeyedStage;
use super::state_log::StateLog;
use crate::build::Graph;
use crate::failure::{Failure, Result};
use crate::state::Entries;

/// Batches of a state file that wait for one thread: a few megabytes.
const QUEUE_BATCHES: usize = 4;

/// Reads the state that `log` lists. What belongs to windows that the watermark has closed is left out.
pub async fn restore(graph: &Arc<Graph>, log: &StateLog, watermark_us: Option<i64>, threads: usize) -> Result<KeyedStage> {
    let mut state = KeyedStage::new(Arc::clone(graph));
    if log.is_empty() {
        return Ok(state);
    }
    let mut workers = Vec::with_capacity(threads);
    for n in 0..threads.max(1) {
        let share = Share { plan: Arc::clone(&graph.plan), watermark_us, n, of: threads.max(1) };
        workers.push(Worker::start(share, KeyedStage::new(Arc::clone(graph)))?);
    }
    // A thread that takes no more has failed, and says why when it is asked.
    let read = log.load(|step, partials| Ok(workers.iter().all(|worker| worker.queue.send((step, partials.clone())).is_ok()))).await;
    let restored: Vec<_> = workers.into_iter().map(Worker::finish).collect();
    read?;
    for part in restored {
        state.take_over(part?);
    }
    Ok(state)
}

/// Which windows a thread takes.
struct Share {
    plan: Arc<Plan>,
    watermark_us: Option<i64>,
    n: usize,
    of: usize,
}

impl Share {
    fn has(&self, step: usize, time_us: i64) -> bool {
        let StepOp::Aggregate(aggregate) = &self.plan.steps[step].op else { return false };
        let is_open = self.watermark_us.is_none_or(|watermark| time_us >= watermark);
        is_open && usize::try_from(time_us.div_euclid(aggregate.window.size_us()).rem_euclid(self.of as i64)) == Ok(self.n)
    }
}

struct Worker {
    queue: SyncSender<(usize, Entries)>,
    thread: JoinHandle<Result<KeyedStage>>,
}

impl Worker {
    fn start(share: Share, state: KeyedStage) -> Result<Self> {
        let (queue, batches) = sync_channel(QUEUE_BATCHES);
        let thread = std::thread::Builder::new().name(format!("restore-{}", share.n)).spawn(move || take_in(&share, state, &batches));
        Ok(Self { queue, thread: thread.map_err(|e| Failure::retry(format!("start a thread that reads state: {e}")))? })
    }

    fn finish(self) -> Result<KeyedStage> {
        drop(self.queue);
        self.thread.join().unwrap_or_else(|_| Err(Failure::bug("a thread that reads state panicked; the log says where")))
    }
}

fn take_in(share: &Share, mut state: KeyedStage, batches: &Receiver<(usize, Entries)>) -> Result<KeyedStage> {
    for (step, partials) in batches {
        let mine = partials.retain(|time| share.has(step, time))?;
        if mine.rows() > 0 {
            state.restore(step, &mine)?;
        }
    }
    Ok(state)
}
