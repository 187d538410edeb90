//! Plans for unit tests: whatever a test does not look at is filled in.

use arrow::datatypes::SchemaRef;
use weir_plan::Plan;
use weir_plan::outputs::Output;
use weir_plan::plan::{Checkpoint, DeltaSink, Input, Limits, Maintenance, OnEnd, Sink, SinkKind, Source, Step, Trigger};

pub fn plan(sources: Vec<Source>, steps: Vec<Step>, sinks: Vec<Sink>) -> Plan {
    Plan {
        pipeline: "test".into(),
        trigger: Trigger::AsSoonAsPossible,
        on_end: OnEnd::KeepOpen,
        checkpoint: Checkpoint { uri: String::new(), keep: 2, snapshot_every: 1 },
        storage: vec![],
        state_action: None,
        limits: Limits { records_per_epoch: 1, bytes_per_epoch: 1 },
        sources,
        steps,
        sinks,
    }
}

/// A sink of a node's rows.
pub fn sink(name: &str, input: Input, schema: SchemaRef) -> Sink {
    let maintenance = Maintenance { checkpoint_every: 1, compact_every: None, vacuum_after: None };
    let delta = DeltaSink { uri: String::new(), partition_by: vec![], target_file_size_bytes: 1, maintenance };
    Sink { name: name.into(), input, output: Output::Main, kind: SinkKind::Delta(delta), schema }
}
