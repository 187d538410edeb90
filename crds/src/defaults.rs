//! The values of fields that the document leaves out. Lowering takes defaults only from here, and a test compares the
//! reference's table with this module.
//!
//! Defaults are not written into the document, since GitOps would see that as drift.

use crate::document::{
    BadRecordsPolicy, DeletionPolicy, Direction, Empties, Envelope, Guarantee, Mode, NetworkPolicyMode, Offsets, OnEnd,
    OnLostOffsets, Order, Position, SchemaEvolution, Ties, TimestampNumbers, Tombstones, TriggerType,
};

pub(crate) const TRIGGER: TriggerType = TriggerType::AsSoonAsPossible;
pub(crate) const ON_END: OnEnd = OnEnd::KeepOpen;
pub(crate) const KEEP: i64 = 10;
pub(crate) const SNAPSHOT_EVERY: i64 = 32;
pub(crate) const RECORDS_PER_EPOCH: i64 = 2_000_000;
pub(crate) const BYTES_PER_EPOCH: &str = "512Mi";
pub(crate) const TIME_ZONE: &str = "UTC";
/// Long enough that a producer which pauses between two batches does not count as idle.
pub(crate) const IDLE_AFTER: &str = "1m";
/// With the timestamps of Kafka; an expression needs a delay of its own.
pub(crate) const WATERMARK_DELAY: &str = "0s";
/// More than clocks differ by, and less than a time zone mistaken for another one shifts a time.
pub(crate) const MAX_FUTURE: &str = "1h";
pub(crate) const REPLICAS: i64 = 1;
pub(crate) const SUSPEND: bool = false;
pub(crate) const DELETION_POLICY: DeletionPolicy = DeletionPolicy::Retain;
pub(crate) const NETWORK_POLICY_MODE: NetworkPolicyMode = NetworkPolicyMode::Managed;
pub(crate) const DISCARD_OFFSETS: Offsets = Offsets::Keep;
pub(crate) const FORCE_PATH_STYLE: bool = false;
pub(crate) const START_FROM: Position = Position::Latest;
/// The safe choice: a person has to decide about a gap, not the program.
pub(crate) const ON_LOST_OFFSETS: OnLostOffsets = OnLostOffsets::Fail;
pub(crate) const REQUIRED: bool = false;
pub(crate) const TIMESTAMP_NUMBERS: TimestampNumbers = TimestampNumbers::Refuse;
pub(crate) const BAD_RECORDS: BadRecordsPolicy = BadRecordsPolicy::Fail;
pub(crate) const TOMBSTONES: Tombstones = Tombstones::Bad;
/// How much later than usual windows begin.
pub(crate) const WINDOW_OFFSET: &str = "0s";
pub(crate) const EMPTIES: Empties = Empties::Drop;
pub(crate) const ORDER: Order = Order::Arrival;
pub(crate) const DIRECTION: Direction = Direction::Asc;
pub(crate) const TIES: Ties = Ties::Drop;
pub(crate) const MODE: Mode = Mode::Append;
pub(crate) const GUARANTEE: Guarantee = Guarantee::ExactlyOnce;
pub(crate) const ENVELOPE: Envelope = Envelope::Plain;
pub(crate) const TARGET_FILE_SIZE: &str = "128Mi";
/// Reading a hundred commits from S3 takes a third of a second.
pub(crate) const LOG_CHECKPOINT_EVERY: i64 = 100;
pub(crate) const CONSOLE_ROWS: i64 = 20;
pub(crate) const CONSOLE_TRUNCATE: i64 = 20;
pub(crate) const SCHEMA_EVOLUTION: SchemaEvolution = SchemaEvolution::Refuse;

/// The consumer group of a pipeline. Each pipeline has its own, so that Kafka's tools show its lag under its name.
pub(crate) fn group_id(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("weir-{namespace}-{name}"),
        None => format!("weir-{name}"),
    }
}

/// All defaults: the field's path (`[]` for any element) and the value as YAML.
#[must_use]
pub fn table() -> Vec<(&'static str, String)> {
    vec![
        ("spec.trigger.type", format!("{TRIGGER:?}")),
        ("spec.trigger.onEnd", format!("{ON_END:?}")),
        ("spec.checkpoint.keep", KEEP.to_string()),
        ("spec.checkpoint.snapshotEvery", SNAPSHOT_EVERY.to_string()),
        ("spec.storage[].s3.forcePathStyle", FORCE_PATH_STYLE.to_string()),
        ("spec.sources[].envelope", format!("{ENVELOPE:?}")),
        ("spec.sources[].kafka.groupId", group_id(Some("<namespace>"), "<name>")),
        ("spec.sources[].badRecords.policy", format!("{BAD_RECORDS:?}")),
        ("spec.sources[].tombstones", format!("{TOMBSTONES:?}")),
        ("spec.sources[].eventTime.idleAfter", IDLE_AFTER.to_owned()),
        ("spec.sources[].eventTime.maxFuture", MAX_FUTURE.to_owned()),
        ("spec.sources[].kafka.startFrom.position", format!("{START_FROM:?}")),
        ("spec.sources[].kafka.onLostOffsets", format!("{ON_LOST_OFFSETS:?}")),
        ("spec.sources[].format.json.timestampNumbers", format!("{TIMESTAMP_NUMBERS:?}")),
        ("spec.sources[].columns[].required", REQUIRED.to_string()),
        ("spec.steps[].aggregate.window.tumbling.offset", WINDOW_OFFSET.to_owned()),
        ("spec.steps[].aggregate.window.sliding.offset", WINDOW_OFFSET.to_owned()),
        ("spec.steps[].aggregate.window.cumulate.offset", WINDOW_OFFSET.to_owned()),
        ("spec.steps[].aggregate.window.calendar.timeZone", TIME_ZONE.to_owned()),
        ("spec.steps[].aggregate.window.calendar.offset", WINDOW_OFFSET.to_owned()),
        ("spec.steps[].unnest.empty", format!("{EMPTIES:?}")),
        ("spec.steps[].deduplicate.order", format!("{ORDER:?}")),
        ("spec.steps[].top.orderBy[].direction", format!("{DIRECTION:?}")),
        ("spec.steps[].top.ties", format!("{TIES:?}")),
        ("spec.steps[].top.window.tumbling.offset", WINDOW_OFFSET.to_owned()),
        ("spec.steps[].top.window.sliding.offset", WINDOW_OFFSET.to_owned()),
        ("spec.steps[].top.window.cumulate.offset", WINDOW_OFFSET.to_owned()),
        ("spec.steps[].top.window.calendar.timeZone", TIME_ZONE.to_owned()),
        ("spec.steps[].top.window.calendar.offset", WINDOW_OFFSET.to_owned()),
        ("spec.sinks[].mode", format!("{MODE:?}")),
        ("spec.sinks[].guarantee", format!("{GUARANTEE:?}")),
        ("spec.sinks[].delta.targetFileSize", TARGET_FILE_SIZE.to_owned()),
        ("spec.sinks[].delta.schemaEvolution", format!("{SCHEMA_EVOLUTION:?}")),
        ("spec.sinks[].delta.maintenance.checkpointEvery", LOG_CHECKPOINT_EVERY.to_string()),
        ("spec.sinks[].console.rows", CONSOLE_ROWS.to_string()),
        ("spec.sinks[].console.truncate", CONSOLE_TRUNCATE.to_string()),
        ("spec.limits.recordsPerEpoch", RECORDS_PER_EPOCH.to_string()),
        ("spec.limits.bytesPerEpoch", BYTES_PER_EPOCH.to_owned()),
        ("spec.timeZone", TIME_ZONE.to_owned()),
        ("spec.suspend", SUSPEND.to_string()),
        ("spec.networkPolicy.mode", format!("{NETWORK_POLICY_MODE:?}")),
        ("spec.replicas", REPLICAS.to_string()),
        ("spec.deletionPolicy", format!("{DELETION_POLICY:?}")),
        ("spec.stateAction.discard.offsets", format!("{DISCARD_OFFSETS:?}")),
    ]
}
