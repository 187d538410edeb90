//! The blocks that hold exactly one of several members. Lowering checks it, and an override that names another member
//! replaces the first.

pub const STORES: &[&str] = &["s3"];
pub const SOURCE_KINDS: &[&str] = &["kafka"];
pub const TOPICS: &[&str] = &["topics", "topicPattern", "assign"];
pub const START: &[&str] = &["position", "timestamp", "offsets"];
pub const FORMATS: &[&str] = &["json", "raw", "avro"];
pub const CLOCKS: &[&str] = &["expr", "kafkaTimestamp", "processingTime"];
pub const STEP_KINDS: &[&str] =
    &["map", "aggregate", "union", "join", "deduplicate", "unnest", "over", "process", "sql"];
pub const WINDOWS: &[&str] = &["tumbling", "sliding", "session", "cumulate", "calendar"];
pub const SINK_KINDS: &[&str] = &["delta", "kafka", "parquet", "console"];
pub const STATE_ACTIONS: &[&str] = &["discard", "restore"];
pub const USERNAMES: &[&str] = &["value", "secretRef"];

/// Every union of the document. No two of them stand side by side in one block, so sibling keys tell which one is
/// meant.
pub const ALL: &[&[&str]] =
    &[TOPICS, START, FORMATS, CLOCKS, STEP_KINDS, WINDOWS, SINK_KINDS, STATE_ACTIONS, USERNAMES];
