//! Builds the lanes over an assignment: at the start, and anew when partitions came or went. Between two assignments nothing is read: the
//! lanes have handed over all that they took in, and their successors go on at exactly those offsets.

use std::sync::Arc;

use tokio::task::block_in_place;
use weir_plan::Plan;
use weir_plan::plan::{BadRecordsPolicy, Tombstones};

use super::discovery::Changes;
use super::lane::{BadRecords, LaneParts, Metadata};
use super::lanes::Lanes;
use super::open_epoch::OpenEpoch;
use super::reading::{ONLY_SOURCE, Reading, only_source};
use super::sinks::lanes::LaneSinks;
use super::sinks::task;
use super::skew::Skew;
use super::start::Running;
use crate::build::Graph;
use crate::decode;
use crate::failure::Result;
use crate::memory::Memory;
use crate::sink;
use crate::sink::writing::{Slot, Writers};
use crate::source::kafka::KafkaInput;
use crate::transform::Stateless;

/// What lanes are made of, whatever they read.
pub struct Assembly {
    pub plan: Arc<Plan>,
    pub graph: Arc<Graph>,
    pub input: Arc<KafkaInput>,
    /// Per sink of the plan.
    pub writers: Vec<Arc<dyn Writers>>,
    /// For each of their writers.
    pub slot: Slot,
    /// Threads that read; no more than there are partitions.
    pub lanes_max: usize,
    pub memory: Arc<Memory>,
}

impl Assembly {
    /// Lanes that wait for their first epoch, and the sinks that they write to. Those before them must have ended.
    pub fn lanes(&self, reading: &Reading, epoch: OpenEpoch) -> Result<(Lanes, LaneSinks)> {
        let source = only_source(&self.plan)?;
        let stages = &self.graph.stages;
        let lane_count = self.lanes_max.clamp(1, reading.ids().len().max(1));
        let shares = self.memory.shares(lane_count, self.plan.sinks.len());
        let mut lane_sinks = LaneSinks::default();
        let mut spawn = |i: &usize| {
            let (input, output) = task::spawn(Arc::clone(&self.writers[*i]), self.slot.clone(), lane_count, shares.sink_queue_bytes);
            lane_sinks.add(*i, self.plan.sinks[*i].name.clone(), output);
            input
        };
        let sink_inputs: Vec<_> = stages.lane_sinks.iter().map(&mut spawn).collect();
        let rejected_inputs: Vec<_> = stages.rejected_sinks.iter().map(&mut spawn).collect();
        let epoch = Arc::new(epoch);
        let max_skew_us = source.event_time.as_ref().and_then(|e| e.max_skew_us);
        let skew = max_skew_us.map(|max_us| Arc::new(Skew::new(max_us, reading.times_us())));
        let fitness: Vec<_> = stages.lane_sinks.iter().map(|i| sink::fitness(&self.plan.sinks[*i])).collect();
        let mut lanes = Vec::with_capacity(lane_count);
        for input in block_in_place(|| self.input.assign(&reading.positions(), lane_count))? {
            lanes.push(LaneParts {
                assignments: input.partitions().iter().map(|&index| reading.assignment(index)).collect(),
                input,
                decoder: decode::of(source),
                metadata: Metadata::new(&source.metadata_columns),
                stateless: Stateless::new(Arc::clone(&self.graph), ONLY_SOURCE, fitness.clone()),
                edges: stages.lane_edges.iter().map(|edge| self.graph.sender(*edge)).collect::<Result<_>>()?,
                sinks: sink_inputs.clone(),
                bad_records: BadRecords::new(source.bad_records.policy, rejected_inputs.clone()),
                skips_tombstones: source.tombstones == Tombstones::Skip,
                keeps_records: source.bad_records.policy == BadRecordsPolicy::Output,
                max_future_us: source.event_time.as_ref().map(|e| e.max_future_us),
                on_lost_offsets: source.kafka.on_lost_offsets,
                run_ends: reading.run_ends(),
                skew: skew.clone(),
                epoch: Arc::clone(&epoch),
            });
        }
        Ok((Lanes::start(lanes, epoch)?, lane_sinks))
    }
}

impl Running {
    /// Reads on over what there is now. The epoch before is decided and committed, and no lane has begun another.
    pub(super) async fn assign_anew(&mut self, changes: Changes) -> Result<()> {
        crate::failpoint::reach("assignment.before");
        for (partition, bounds) in &changes.new {
            tracing::info!(%partition, from = bounds.low, "a partition was found and is read from its earliest offset");
        }
        for topic in &changes.gone {
            tracing::warn!(topic, "the topic does not exist any more: the pipeline goes on without it");
        }
        self.lanes.end().await?;
        self.topics.change(&changes.ids, &changes.gone);
        self.reading.change(&changes);
        let epoch = self.lanes.epoch.of_other_lanes();
        (self.lanes, self.lane_sinks) = self.assembly.lanes(&self.reading, epoch)?;
        crate::failpoint::reach("assignment.after");
        Ok(())
    }
}
