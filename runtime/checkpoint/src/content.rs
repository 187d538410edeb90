//! What the owner of a writer puts into claims and data epochs, and the manifests that result.

use std::collections::BTreeMap;

use weir_base::VERSION;

use super::manifest::{
    AcknowledgedBefore, AcknowledgedEpoch, ActedUpon, Committable, Kind, MANIFEST_V2, Manifest, PinnedSink,
    SourceCounts, SourceProgress, StepProgress, Task, Totals, Until, Writer,
};
use super::protocol::{Acknowledged, Head, Place};

/// What a claim takes over from its predecessor or, in a new lineage, what it begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    pub clock_us: i64,
    pub fingerprint: serde_json::Value,
    pub sources: Vec<SourceProgress>,
    pub tasks: Vec<Task>,
    pub sinks: Vec<PinnedSink>,
    pub until: Option<Until>,
    /// The last state action that was done, by this claim or an earlier one.
    pub state_action: Option<ActedUpon>,
    /// The tokens of all state actions that were done.
    pub tokens_done: Vec<String>,
    /// The namespace that the pipeline runs in on a cluster, if known.
    pub namespace: Option<String>,
    /// Whether state was discarded or restored. If so, another history follows, whose transactions in the tables have
    /// another name.
    pub begins_lineage: bool,
}

impl Carried {
    /// Everything unchanged, for a claim that only takes over.
    pub(super) fn on_from(newest: &Manifest) -> Self {
        let mut sources = newest.sources.clone();
        for source in &mut sources {
            source.watermark_before_us = source.watermark_after_us;
            (source.moved_by, source.held_by, source.counts) = (None, None, SourceCounts::default());
            for partition in &mut source.partitions {
                partition.start = partition.end;
                partition.lost.clear();
                partition.unreadable.clear();
            }
        }
        let mut tasks = newest.tasks.clone();
        for task in &mut tasks {
            task.steps = task.steps.iter().map(StepProgress::at_rest).collect();
            (task.compacting, task.rows_bad) = (None, BTreeMap::new());
        }
        Self {
            clock_us: newest.clock_us,
            fingerprint: newest.fingerprint.clone(),
            sources,
            tasks,
            sinks: newest.sinks.clone(),
            until: newest.until.clone(),
            state_action: newest.state_action.clone(),
            tokens_done: newest.tokens_done.clone(),
            namespace: newest.writer.namespace.clone(),
            begins_lineage: false,
        }
    }
}

/// One epoch that is ready to be decided: its data and state are uploaded. Its fingerprint and sinks are those of the
/// claim.
#[derive(Debug, Clone, PartialEq)]
pub struct DataEpoch {
    pub clock_us: i64,
    pub sources: Vec<SourceProgress>,
    pub tasks: Vec<Task>,
    pub committables: Vec<Committable>,
    pub until: Option<Until>,
}

/// Builds the claim with this head.
pub(super) fn claim_manifest(lineage: String, head: &Head, carried: Carried, totals: Totals) -> Manifest {
    Manifest {
        format: MANIFEST_V2.into(),
        needs: vec![],
        lineage,
        epoch: head.epoch,
        kind: Kind::Claim,
        writer: writer(head, carried.namespace),
        clock_us: carried.clock_us,
        fingerprint: carried.fingerprint,
        in_doubt: head.in_doubt,
        sources: carried.sources,
        tasks: carried.tasks,
        committables: vec![],
        sinks: carried.sinks,
        acknowledged: acknowledged(head),
        acknowledged_before: acknowledged_before(head),
        until: carried.until,
        state_action: carried.state_action,
        tokens_done: carried.tokens_done,
        totals,
    }
}

/// Builds the data epoch with this head, which follows `before`.
pub(super) fn data_manifest(before: &Manifest, head: &Head, epoch: DataEpoch) -> Manifest {
    Manifest {
        format: MANIFEST_V2.into(),
        needs: vec![],
        lineage: before.lineage.clone(),
        epoch: head.epoch,
        kind: Kind::Data,
        writer: writer(head, before.writer.namespace.clone()),
        clock_us: epoch.clock_us,
        fingerprint: before.fingerprint.clone(),
        in_doubt: None,
        totals: before.totals.plus(&epoch.sources, &epoch.tasks, &epoch.committables),
        sources: epoch.sources,
        tasks: epoch.tasks,
        committables: epoch.committables,
        sinks: before.sinks.clone(),
        acknowledged: acknowledged(head),
        acknowledged_before: acknowledged_before(head),
        until: epoch.until,
        state_action: before.state_action.clone(),
        tokens_done: before.tokens_done.clone(),
    }
}

fn writer(head: &Head, namespace: Option<String>) -> Writer {
    Writer { generation: head.generation, nonce: head.nonce.to_string(), namespace, version: Some(VERSION.to_owned()) }
}

/// The sinks that these committables give rows to.
pub(super) fn places(sinks: &[PinnedSink], committables: &[Committable]) -> Vec<Place> {
    let pinned = |committable: &Committable| sinks.iter().find(|sink| sink.name == committable.sink);
    committables.iter().filter_map(pinned).map(|sink| place(&sink.name, &sink.id)).collect()
}

pub(super) fn place(sink: &str, id: &str) -> Place {
    Place { sink: sink.into(), id: id.into() }
}

fn acknowledged(head: &Head) -> Vec<AcknowledgedEpoch> {
    head.acknowledged.iter().filter(|of| of.begun == head.begun).map(written).collect()
}

fn acknowledged_before(head: &Head) -> Vec<AcknowledgedBefore> {
    let former = head.acknowledged.iter().filter(|of| of.begun != head.begun);
    former.map(|of| AcknowledgedBefore { begun: of.begun, acknowledged: written(of) }).collect()
}

fn written(of: &Acknowledged) -> AcknowledgedEpoch {
    AcknowledgedEpoch { sink: of.place.sink.to_string(), id: of.place.id.to_string(), epoch: of.epoch, mark: of.mark.0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use weir_plan::ids::Epoch;

    use super::*;

    #[test]
    fn a_claim_that_only_takes_over_says_nothing_of_the_epoch_before_it() {
        let fixture = include_bytes!("../../fixtures/manifest-v2.json");
        let newest = Manifest::decode(Epoch(42), "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491", fixture).unwrap();
        let [before] = &newest.sources[..] else { panic!("one source") };
        assert!(
            before.held_by.is_some() && before.partitions.iter().any(|p| !p.lost.is_empty()),
            "the fixture has everything"
        );
        let [source] = &Carried::on_from(&newest).sources[..] else { panic!("one source") };
        assert_eq!((source.moved_by, source.held_by, &source.counts), (None, None, &SourceCounts::default()));
        for (partition, before) in source.partitions.iter().zip(&before.partitions) {
            assert_eq!((partition.start, partition.end), (before.end, before.end));
            assert!(partition.lost.is_empty() && partition.unreadable.is_empty());
        }
        let ([before], [task]) = (&newest.tasks[..], &Carried::on_from(&newest).tasks[..]) else { panic!("one task") };
        assert!(before.compacting.is_some() && !before.rows_bad.is_empty(), "the fixture has everything");
        assert_eq!((task.compacting, task.rows_bad.len(), &task.state), (None, 0, &before.state));
        for (step, before) in task.steps.iter().zip(&before.steps) {
            assert_eq!((step.rows_in(), step.rows_late(), step.rows_out), (0, 0, 0));
            assert_eq!((&step.tables, step.open_windows), (&before.tables, before.open_windows));
            assert!(step.inputs.iter().all(|input| input.watermark_before_us == input.watermark_after_us));
        }
    }
}
