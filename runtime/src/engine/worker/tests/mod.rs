//! Workers without lanes and tables. A test brings what lanes would, and sinks keep what they are given.
#![allow(clippy::unwrap_used)]

mod closing;
mod failing;
mod leaving;
mod restoring;

use arrow::record_batch::RecordBatch;
use weir_plan::key_group::KeyRanges;

use super::*;
use crate::engine::sinks::kept::Kept;
use crate::engine::sinks::outputs::SinkOutputs;
use crate::engine::sinks::task;
use crate::sink::writing::Slot;

const QUEUE_BYTES: u64 = 1 << 20;

/// Workers, with an epoch open.
struct Crew {
    graph: Arc<Graph>,
    ranges: KeyRanges,
    workers: Workers,
    outputs: SinkOutputs,
    /// One per sink of the plan.
    kept: Vec<Kept>,
    epoch: Epoch,
}

impl Crew {
    fn new(graph: &Arc<Graph>, workers: usize) -> Self {
        Self::of(KeyedState::new(graph, workers).unwrap())
    }

    fn of(state: KeyedState) -> Self {
        let (graph, ranges) = (Arc::clone(&state.graph), state.ranges);
        let kept: Vec<_> = graph.plan.sinks.iter().map(|_| Kept::default()).collect();
        let (mut inputs, mut outputs) = (BTreeMap::new(), SinkOutputs::default());
        for (i, kept) in kept.iter().enumerate() {
            let slot = Slot::new("", 0);
            let (input, output) = task::spawn(Arc::new(kept.clone()), None, slot, state.stages.len(), QUEUE_BYTES);
            inputs.insert(i, input);
            outputs.add(i, graph.plan.sinks[i].name.clone(), output);
        }
        let workers = Workers::start(state, &inputs).unwrap();
        let sources = graph.plan.sources.len();
        let mut crew = Self { graph, ranges, workers, outputs, kept, epoch: Epoch(0) };
        crew.open(&vec![None; sources]);
        crew
    }

    fn open(&mut self, before_us: &[Option<i64>]) {
        self.epoch = self.epoch.next();
        self.workers.open(self.epoch, before_us);
    }

    /// Closes the epoch and opens the next one. Returns the rows of each sink as well.
    async fn close(&mut self, after_us: &[Option<i64>]) -> (Vec<Vec<RecordBatch>>, KeyedEpoch) {
        let keyed = self.workers.close(after_us).await.unwrap();
        let parts = self.outputs.parts().await.unwrap();
        let rows: Vec<_> = self.kept.iter().map(Kept::take).collect();
        assert!(
            rows.iter().enumerate().all(|(sink, rows)| rows.is_empty() != parts.contains_key(&sink)),
            "one part for each that has rows"
        );
        self.open(after_us);
        (rows, keyed)
    }
}
