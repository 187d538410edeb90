//! The blocks that take exactly one of several members. Lowering checks this, and an override that names another member
//! replaces the first one.

use crate::finding::one_of;

/// The message that a block has none of the members of its union, of which these are built.
pub(crate) fn none_there(built: &[&str]) -> String {
    match built {
        [only] => format!("{only} is missing"),
        _ => format!("found none of {}; exactly one should be there", one_of(built)),
    }
}

/// The rule of a union, of whose members these are built.
pub(crate) fn one_should_be_there(built: &[&str]) -> String {
    match built {
        [_] => "exactly one should be there".to_owned(),
        _ => format!("exactly one of {} should be there", one_of(built)),
    }
}

pub const STORES: &[&str] = &["s3"];
pub const CONNECTION_KINDS: &[&str] = &["kafka", "schemaRegistry"];
pub const TABLE_KINDS: &[&str] = &["delta", "kafka"];
pub const SOURCE_KINDS: &[&str] = &["kafka"];
pub const TOPICS: &[&str] = &["topics", "topicPattern", "assign"];
pub const START: &[&str] = &["position", "timestamp", "offsets"];
pub const FORMATS: &[&str] = &["json", "raw", "csv", "avro", "protobuf"];
pub const SCHEMAS: &[&str] = &["schema", "registry"];
pub const CLOCKS: &[&str] = &["expr", "kafkaTimestamp", "processingTime"];
pub const STEP_KINDS: &[&str] = &[
    "map",
    "aggregate",
    "union",
    "unnest",
    "deduplicate",
    "top",
    "over",
    "join",
    "lookup",
    "process",
    "pattern",
    "sql",
];
pub const WINDOWS: &[&str] = &["tumbling", "sliding", "session", "cumulate", "calendar", "ofInput"];
pub const FRAMES: &[&str] = &["range", "rows"];
pub const JOIN_TIMES: &[&str] = &["between", "window"];
pub const PROCESSES: &[&str] = &["rules", "wasm"];
pub const SINK_KINDS: &[&str] = &["delta", "kafka", "parquet", "console"];
pub const ENCODINGS: &[&str] = &["json", "avro", "raw"];
pub const STATE_ACTIONS: &[&str] = &["discard", "restore"];
pub const USERNAMES: &[&str] = &["value", "secretRef"];

/// Every union of the document, except those whose members are all in another union of this list. No block holds
/// members of two of them, so the keys in a block tell which union is meant.
pub const ALL: &[&[&str]] = &[
    CONNECTION_KINDS,
    TOPICS,
    START,
    FORMATS,
    SCHEMAS,
    CLOCKS,
    STEP_KINDS,
    WINDOWS,
    FRAMES,
    JOIN_TIMES,
    PROCESSES,
    SINK_KINDS,
    STATE_ACTIONS,
    USERNAMES,
];
