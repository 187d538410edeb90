//! Plans for unit tests. These functions fill in what a test does not look at.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_plan::Plan;
use weir_plan::expr::ScalarExpr;
use weir_plan::outputs::Output;
use weir_plan::plan::{
    BadRecords, BadRecordsPolicy, Checkpoint, Clock, DeltaSink, EventTime, Format, Http, Input, JsonFormat,
    KafkaConnection, KafkaSource, Limits, Maintenance, Mode, OnEnd, OnLostOffsets, Sink, SinkKind, Source, StartFrom,
    Step, TimestampNumbers, Tombstones, Trigger,
};
use weir_plan::topics::Topics;

pub fn plan(sources: Vec<Source>, steps: Vec<Step>, sinks: Vec<Sink>) -> Plan {
    Plan {
        pipeline: "test".into(),
        trigger: Trigger::AsSoonAsPossible,
        on_end: OnEnd::KeepOpen,
        checkpoint: Checkpoint { uri: String::new(), keep: 2, snapshot_every: 1 },
        storage: vec![],
        state_action: None,
        limits: Limits { records_per_epoch: 1, bytes_per_epoch: 1 },
        http: Http::default(),
        sources,
        steps,
        sinks,
    }
}

/// A source of JSON with these columns. Its rows have an event time if `event_time` is given.
pub fn source(name: &str, event_time: Option<EventTime>, schema: SchemaRef) -> Source {
    Source {
        name: name.into(),
        kafka: KafkaSource {
            connection: KafkaConnection::plaintext(""),
            topics: Topics::Named(vec![]),
            group_id: String::new(),
            start_from: StartFrom::Earliest,
            on_lost_offsets: OnLostOffsets::Fail,
        },
        columns: vec![],
        format: Format::Json(JsonFormat { timestamp_numbers: TimestampNumbers::Refuse }),
        metadata_columns: vec![],
        bad_records: BadRecords { policy: BadRecordsPolicy::Drop, max_per_million: None },
        tombstones: Tombstones::Bad,
        event_time,
        schema,
    }
}

/// An event time from an expression, with no watermark delay and no other options.
pub fn event_time(expr: ScalarExpr) -> EventTime {
    EventTime {
        clock: Clock::Expr(expr),
        watermark_delay_us: 0,
        idle_after_us: 0,
        max_future_us: 0,
        max_skew_us: None,
        close_idle_windows_after_us: None,
    }
}

/// A sink of the main output of a node.
pub fn sink(name: &str, input: Input, schema: SchemaRef) -> Sink {
    let maintenance = Maintenance { checkpoint_every: 1, compact_every: None, vacuum_after: None };
    let delta = DeltaSink { uri: String::new(), partition_by: vec![], target_file_size_bytes: 1, maintenance };
    Sink {
        name: name.into(),
        input,
        output: Output::Main,
        kind: SinkKind::Delta(delta),
        mode: Mode::Append,
        given: Arc::clone(&schema),
        keeps: None,
        schema,
    }
}
