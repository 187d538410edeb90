//! Builds the lanes over an assignment: at the start, and again when partitions came or went. Nothing is read between
//! two assignments: the lanes have handed over all that they took in, and their successors continue at exactly those
//! offsets. Workers are built once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::block_in_place;
use weir_plan::Plan;
use weir_plan::key_group::KeyRanges;
use weir_plan::plan::{BadRecordsPolicy, Tombstones};

use crate::build::Graph;
use crate::decode;
use crate::decode::schemas::Schemas;
use crate::engine::lanes::stateless::Stateless;
use crate::engine::lanes::{BadRecords, LaneParts, Lanes, Metadata, OpenEpoch, Skew, SkewOfSource};
use crate::engine::sinks::outputs::SinkOutputs;
use crate::engine::sinks::task::{self, SinkInput};
use crate::engine::source_run::SourceRun;
use crate::engine::worker::{KeyedState, Workers};
use crate::failure::Result;
use crate::memory::Memory;
use crate::sink;
use crate::sink::writing::{Slot, Writers};

/// What all lanes are made of, whatever they read.
pub struct Assembly {
    pub plan: Arc<Plan>,
    pub graph: Arc<Graph>,
    /// One per source of the plan. Later lanes know the schemas that earlier ones have learned.
    pub schemas: Vec<Option<Arc<Schemas>>>,
    /// One per sink of the plan.
    pub writers: Vec<Arc<dyn Writers>>,
    /// Becomes part of the names of files that sinks write: the lineage and generation.
    pub file_label: String,
    /// The most bytes that the writers of one sink may hold in memory together.
    pub sink_buffer_bytes: u64,
    /// The number of threads that read. Each source has at least one, and no more than it has partitions.
    pub lanes_max: usize,
    /// The number of threads with keyed steps, if there are keyed steps.
    pub workers: usize,
    pub memory: Arc<Memory>,
}

impl Assembly {
    /// Builds lanes that wait for their first epoch, and the sinks that they write to. Earlier lanes must have ended.
    pub fn lanes(&self, sources: &[SourceRun], epoch: OpenEpoch) -> Result<(Lanes, SinkOutputs)> {
        let partitions: Vec<_> = sources.iter().map(|source| source.reading.ids().len()).collect();
        let lane_counts = share_lanes(self.lanes_max, &partitions);
        let lane_count = lane_counts.iter().sum();
        let shares = self.memory.shares(lane_count, self.plan.sinks.len());
        let mut lanes_of_sinks: BTreeMap<usize, usize> = BTreeMap::new();
        for (stage, lane_count) in self.graph.stages.lanes.iter().zip(&lane_counts) {
            stage
                .sinks
                .iter()
                .chain(&stage.rejected_sinks)
                .for_each(|sink| *lanes_of_sinks.entry(*sink).or_default() += lane_count);
        }
        let (sink_inputs, lane_sinks) = self.sinks(lanes_of_sinks, shares.sink_queue_bytes);
        let inputs_of =
            |sinks: &[usize]| sinks.iter().filter_map(|sink| sink_inputs.get(sink).cloned()).collect::<Vec<_>>();
        let (epoch, ranges) = (Arc::new(epoch), KeyRanges::of(self.workers));
        let skews = self.skews(sources);
        let mut lanes = Vec::with_capacity(lane_count);
        for (index, ((source, run), lane_count)) in self.plan.sources.iter().zip(sources).zip(lane_counts).enumerate() {
            let stage = &self.graph.stages.lanes[index];
            let fitness: Vec<_> = stage.sinks.iter().map(|i| sink::fitness(&self.plan.sinks[*i])).collect();
            let (reading, timed) = (&run.reading, source.event_time.as_ref());
            for input in block_in_place(|| run.input().assign(&reading.positions(), lane_count))? {
                lanes.push(LaneParts {
                    source: index,
                    assignments: input.partitions().iter().map(|&index| reading.assignment(index)).collect(),
                    input,
                    decoder: decode::of(source),
                    schemas: self.schemas[index].clone(),
                    metadata: self.metadata(index),
                    stateless: Stateless::new(Arc::clone(&self.graph), index, fitness.clone()),
                    edges: stage.edges.iter().map(|edge| self.graph.sender(*edge, ranges)).collect::<Result<_>>()?,
                    sinks: inputs_of(&stage.sinks),
                    bad_records: BadRecords::new(source.bad_records.policy, inputs_of(&stage.rejected_sinks)),
                    skips_tombstones: source.tombstones == Tombstones::Skip,
                    keeps_records: source.bad_records.policy == BadRecordsPolicy::Output,
                    max_future_us: timed.filter(|_| !source.is_timed_by_clock()).map(|e| e.max_future_us),
                    is_timed_by_kafka: source.is_timed_by_kafka(),
                    is_timed_by_clock: source.is_timed_by_clock(),
                    on_lost_offsets: source.kafka.on_lost_offsets,
                    run_ends: reading.run_ends(),
                    skew: skews[index].clone(),
                    epoch: Arc::clone(&epoch),
                });
            }
        }
        Ok((Lanes::start(lanes, epoch)?, lane_sinks))
    }

    fn metadata(&self, source: usize) -> Metadata {
        let of = &self.plan.sources[source];
        let metadata = Metadata::new(&of.read_metadata().collect::<Vec<_>>());
        if self.graph.needs_origins(source) { metadata.with_origins(&of.name) } else { metadata }
    }

    /// What bounds the skew of each source. The sources of one part of the graph are compared with each other, if one
    /// of them asks for it.
    fn skews(&self, sources: &[SourceRun]) -> Vec<Option<SkewOfSource>> {
        let mut skews = vec![None; sources.len()];
        let parts: BTreeSet<_> = (0..sources.len()).map(|source| self.graph.stages.part_of(source)).collect();
        for part in parts {
            let of_part = |source: &usize| self.graph.stages.part_of(*source) == part;
            let members: Vec<_> = (0..sources.len()).filter(of_part).collect();
            let max_us = |source: usize| self.plan.sources[source].event_time.as_ref().and_then(|e| e.max_skew_us);
            if members.iter().all(|source| max_us(*source).is_none()) {
                continue;
            }
            let times_us = members.iter().flat_map(|source| sources[*source].reading.times_us());
            let (all, mut first) = (Arc::new(Skew::new(times_us)), 0);
            for source in members {
                skews[source] = Some(SkewOfSource::new(Arc::clone(&all), first, max_us(source)));
                first += sources[source].reading.ids().len();
            }
        }
        skews
    }

    /// Builds workers over restored state, and the sinks that they write to.
    pub fn workers(&self, state: KeyedState) -> Result<(Workers, SinkOutputs)> {
        let shares = self.memory.shares(self.lanes_max, self.plan.sinks.len());
        let workers_of_sinks = self.graph.stages.keyed_sinks.iter().map(|sink| (*sink, state.stages.len())).collect();
        let (inputs, outputs) = self.sinks(workers_of_sinks, shares.sink_queue_bytes);
        Ok((Workers::start(state, &inputs)?, outputs))
    }

    /// Starts sinks. `threads_of_sinks` says how many threads write to each: a sink waits for all of them at the end of
    /// an epoch.
    fn sinks(
        &self,
        threads_of_sinks: BTreeMap<usize, usize>,
        queue_bytes: u64,
    ) -> (BTreeMap<usize, SinkInput>, SinkOutputs) {
        let (mut inputs, mut outputs) = (BTreeMap::new(), SinkOutputs::default());
        for (sink, threads) in threads_of_sinks {
            let (writers, keeps) = (Arc::clone(&self.writers[sink]), self.plan.sinks[sink].keeps.clone());
            let slot = Slot::new(self.file_label.clone(), self.sink_buffer_bytes);
            let (input, output) = task::spawn(writers, keeps, slot, threads, queue_bytes);
            outputs.add(sink, self.plan.sinks[sink].name.clone(), output);
            inputs.insert(sink, input);
        }
        (inputs, outputs)
    }
}

/// How many threads read each source: at least one, and no more than the source has partitions. Further threads go to
/// the source with the most partitions per thread.
fn share_lanes(lanes_max: usize, partitions: &[usize]) -> Vec<usize> {
    let mut lanes = vec![1; partitions.len()];
    for _ in partitions.len()..lanes_max {
        let fuller = (0..lanes.len()).filter(|&i| lanes[i] < partitions[i]);
        let Some(fullest) = fuller.max_by_key(|&i| (partitions[i].div_ceil(lanes[i]), std::cmp::Reverse(i))) else {
            break;
        };
        lanes[fullest] += 1;
    }
    lanes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use arrow::datatypes::Schema;
    use weir_plan::plan::Input;
    use weir_testing::lake::rides;

    use super::*;
    use crate::engine::sinks::kept::Kept;
    use crate::fixtures;
    use crate::sink::writing::{Buffer, EpochWriter};

    /// Writers that keep the buffer that they were given.
    #[derive(Default)]
    struct Buffers(Mutex<Vec<Arc<Buffer>>>);

    impl Writers for Buffers {
        fn begin(&self, slot: &Slot) -> Result<Box<dyn EpochWriter>> {
            self.0.lock().unwrap().push(Arc::clone(&slot.buffer));
            Kept::default().begin(slot)
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_writers_of_one_sink_leave_the_memory_of_the_other_sinks_alone() {
        let source = fixtures::source("in", None, Arc::new(Schema::empty()));
        let sinks = ["silver", "late"].map(|name| fixtures::sink(name, Input::Source(0), Arc::clone(&source.schema)));
        let plan = Arc::new(fixtures::plan(vec![source], vec![], sinks.into()));
        let buffers = [Arc::new(Buffers::default()), Arc::new(Buffers::default())];
        let assembly = Assembly {
            graph: Graph::of(Arc::clone(&plan)),
            plan,
            schemas: vec![],
            writers: buffers.iter().map(|buffers| Arc::clone(buffers) as Arc<dyn Writers>).collect(),
            file_label: "l".into(),
            sink_buffer_bytes: 1_000,
            lanes_max: 1,
            workers: 1,
            memory: Arc::new(Memory::new(None).unwrap()),
        };
        let (inputs, mut outputs) = assembly.sinks([(0, 1), (1, 1)].into(), 1 << 20);
        // Whoever writes does not do so on a thread of the async runtime.
        let written = tokio::task::spawn_blocking(move || {
            inputs.values().try_for_each(|input| input.send(rides(&[(1, None, None)])).and_then(|()| input.end_epoch()))
        });
        written.await.unwrap().unwrap();
        outputs.parts().await.unwrap();
        let [silver, late] = buffers.map(|buffers| buffers.0.lock().unwrap().pop().unwrap());
        silver.share_among(4);
        assert_eq!((silver.share(), late.share()), (250, 1_000));
    }

    #[test]
    fn each_source_has_a_lane_and_the_largest_have_more() {
        assert_eq!(share_lanes(4, &[12]), [4]);
        assert_eq!(share_lanes(4, &[3]), [3]);
        assert_eq!(share_lanes(4, &[0]), [1]);
        assert_eq!(share_lanes(4, &[6, 2]), [3, 1]);
        assert_eq!(share_lanes(4, &[6, 1, 5]), [2, 1, 1]);
        assert_eq!(share_lanes(1, &[6, 6]), [1, 1], "as many as there are sources");
        assert_eq!(share_lanes(9, &[2, 1]), [2, 1]);
    }
}
