//! Saved state back into the operators, on as many threads as there are lanes: entries of one time go to one thread, and a start after a crash
//! waits for the slowest of them instead of for all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::build::Graph;
use crate::checkpoint::manifest::Manifest;
use crate::engine::worker::{KeyedStage, KeyedState};
use crate::failure::{Failure, Result};
use crate::state::log::Restorable;
use crate::state::{Entries, StepTable};

/// Batches of a state file that wait for one thread: a few megabytes.
const QUEUE_BATCHES: usize = 4;

/// Reads what a manifest's files have, without what lies below the horizons.
pub async fn restore(graph: &Arc<Graph>, saved: &Restorable, manifest: &Manifest, threads: usize) -> Result<KeyedState> {
    let mut state = KeyedState::new(graph)?;
    state.horizons.raise(&graph.horizons_us(&manifest.watermarks_us(&graph.plan)));
    state.horizons.raise(&saved_horizons_us(graph, manifest));
    let horizons_us = state.horizons.us().to_vec();
    if saved.is_empty() {
        return Ok(state);
    }
    let mut workers = Vec::with_capacity(threads);
    for n in 0..threads.max(1) {
        let share = Share::new(horizons_us.clone(), n, threads.max(1));
        workers.push(Worker::start(share, KeyedStage::new(Arc::clone(graph))?)?);
    }
    // A thread that takes no more has failed, and says why when it is asked.
    let read =
        saved.load(|table, change| Ok(workers.iter().all(|worker| worker.queue.send((table, change.entries.clone())).is_ok()))).await;
    let restored: Vec<_> = workers.into_iter().map(Worker::finish).collect();
    read?;
    for part in restored {
        state.stage.take_over(part?)?;
    }
    Ok(state)
}

/// What a manifest says of each table: more than the watermarks do, if the document has changed since so that a step keeps entries for longer.
fn saved_horizons_us(graph: &Graph, manifest: &Manifest) -> Vec<Option<i64>> {
    let saved = |table: &StepTable| {
        let step = manifest.tasks.iter().flat_map(|task| &task.steps).find(|step| step.name == table.step)?;
        step.tables.iter().find(|saved| saved.name == table.schema.name)?.horizon_us
    };
    graph.tables().iter().map(saved).collect()
}

/// Which entries a thread takes: times are dealt out in turn, as they are first seen. All threads see all entries in one order, so they agree.
struct Share {
    horizons_us: Vec<Option<i64>>,
    n: usize,
    of: usize,
    /// The thread of each table's times.
    dealt: HashMap<(usize, i64), usize>,
    /// The last answer: neighbours mostly have one time.
    last: Option<(usize, i64, bool)>,
}

impl Share {
    fn new(horizons_us: Vec<Option<i64>>, n: usize, of: usize) -> Self {
        Self { horizons_us, n, of, dealt: HashMap::new(), last: None }
    }

    fn has(&mut self, table: usize, time_us: i64) -> bool {
        if self.horizons_us[table].is_some_and(|horizon_us| time_us < horizon_us) {
            return false;
        }
        if let Some((_, _, is_mine)) = self.last.filter(|(last_table, last_time, _)| (*last_table, *last_time) == (table, time_us)) {
            return is_mine;
        }
        let next = self.dealt.len() % self.of;
        let is_mine = *self.dealt.entry((table, time_us)).or_insert(next) == self.n;
        self.last = Some((table, time_us, is_mine));
        is_mine
    }
}

struct Worker {
    queue: SyncSender<(usize, Entries)>,
    thread: JoinHandle<Result<KeyedStage>>,
}

impl Worker {
    fn start(share: Share, state: KeyedStage) -> Result<Self> {
        let (queue, batches) = sync_channel(QUEUE_BATCHES);
        let thread = std::thread::Builder::new().name(format!("restore-{}", share.n)).spawn(move || take_in(share, state, &batches));
        Ok(Self { queue, thread: thread.map_err(|e| Failure::retry(format!("start a thread that reads state: {e}")))? })
    }

    fn finish(self) -> Result<KeyedStage> {
        drop(self.queue);
        self.thread.join().unwrap_or_else(|_| Err(Failure::bug("a thread that reads state panicked; the log says where")))
    }
}

fn take_in(mut share: Share, mut state: KeyedStage, batches: &Receiver<(usize, Entries)>) -> Result<KeyedStage> {
    for (table, entries) in batches {
        let mine = entries.retain(|time| share.has(table, time))?;
        if mine.rows() > 0 {
            state.restore(table, &mine)?;
        }
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_of_a_table_that_is_not_below_its_horizon_goes_to_one_thread_and_threads_get_as_many_as_they_can() {
        let entries: Vec<(usize, i64)> = (0..40).map(|i| (i % 2, i64::try_from(i * 7 % 11).unwrap_or_default() * 300)).collect();
        for threads in 1..6 {
            let mut shares: Vec<_> = (0..threads).map(|n| Share::new(vec![Some(600), Some(900)], n, threads)).collect();
            let mut taken: HashMap<(usize, i64), Vec<usize>> = HashMap::new();
            for (table, time) in &entries {
                let takers: Vec<_> = shares.iter_mut().filter_map(|share| share.has(*table, *time).then_some(share.n)).collect();
                assert_eq!(takers.len(), usize::from(*time >= [600, 900][*table]), "{threads} threads, time {time}");
                taken.entry((*table, *time)).or_default().extend(takers);
            }
            assert!(taken.values().all(|threads| threads.windows(2).all(|pair| pair[0] == pair[1])), "{threads} threads: {taken:?}");
            let of_thread = |n: usize| taken.values().filter(|threads| threads.first() == Some(&n)).count();
            let counts: Vec<_> = (0..threads).map(of_thread).collect();
            assert!(counts.iter().max() <= counts.iter().min().map(|least| least + 1).as_ref(), "{counts:?}");
        }
    }
}
