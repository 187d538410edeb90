//! Logic per key: rules with state and timers, and patterns of rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddedColumn, Column};
use crate::document::rules::exactly_one_later;
use crate::document::schema::{Column as ColumnName, Columns, DataType, Expr, Node, OpenBlock};
use crate::document::{Duration, Open, Order, unions};

/// Rules with state and timers, per key. Exactly one of `rules` and `wasm`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::PROCESSES)]))]
pub struct Process {
    /// The source or step that is read. Its rows need an event time.
    #[schemars(with = "Node")]
    pub from: String,
    /// Columns whose equal values share a state: [card].
    #[schemars(with = "Columns")]
    pub key: Vec<String>,
    /// The order in which a key's rows are processed. EventTime (the default): by event time, once the watermark has
    /// passed them. Arrival: as they are read.
    pub order: Option<Order>,
    /// What to do for a row and when a timer fires.
    pub rules: Option<Rules>,
    /// A WebAssembly module in place of rules.
    #[schemars(with = "Option<OpenBlock>")]
    pub wasm: Option<Open>,
    /// How much each key may hold.
    pub limits: Option<ProcessLimits>,
}

/// How much each key may hold. A row that would exceed it is bad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessLimits {
    /// Timers, 1 to 1000.
    #[schemars(range(min = 1, max = 1000))]
    pub timers: Option<i64>,
    /// Rows that one row or timer may emit, 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub rows: Option<i64>,
}

/// What to do for a row and when a timer fires. Rules have no names, so one applier owns them all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// The values to keep per key.
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub state: Option<Vec<StateColumn>>,
    /// What to do for each row, in this order. 1 to 64.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub on_row: Vec<OnRow>,
    /// What to do when a timer fires, by its name.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub on_timer: Option<Vec<OnTimer>>,
}

/// A value to keep per key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateColumn {
    /// The value's name in expressions.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// The type by Spark's name.
    #[serde(rename = "type")]
    #[schemars(with = "DataType")]
    pub data_type: String,
    /// A SQL expression without columns for the value before the first row: "0". By default null.
    #[schemars(with = "Option<Expr>")]
    pub initial: Option<String>,
}

/// What to do for a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnRow {
    /// A SQL expression over the row's columns and the state that gives a boolean. If left out, the rule applies to
    /// every row.
    #[schemars(with = "Option<Expr>")]
    pub when: Option<String>,
    /// New values of the state, all computed from the previous state.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub set: Option<Vec<AddedColumn>>,
    /// A timer to set, or to move if it is set already.
    pub set_timer: Option<SetTimer>,
    /// The name of a timer to remove.
    #[schemars(with = "Option<ColumnName>")]
    pub clear_timer: Option<String>,
    /// A row to emit. At most 256 columns.
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub emit: Option<Vec<Column>>,
}

/// What to do when a timer fires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnTimer {
    /// The timer's name.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// A SQL expression over the key's columns and the state that gives a boolean. If left out, the rule always
    /// applies.
    #[schemars(with = "Option<Expr>")]
    pub when: Option<String>,
    /// New values of the state, all computed from the previous state.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub set: Option<Vec<AddedColumn>>,
    /// A timer to set for a later time than this one.
    pub set_timer: Option<SetTimer>,
    /// A row to emit. At most 256 columns.
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub emit: Option<Vec<Column>>,
}

/// A timer. Each key has at most one of a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetTimer {
    /// The timer's name.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// A SQL expression that gives a timestamp: _event_time + interval '60 seconds'
    #[schemars(with = "Expr")]
    pub at: String,
    /// The clock by which it fires. Event (the default): the watermark. Processing: the time of day.
    pub clock: Option<Clock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Clock {
    Event,
    Processing,
}

/// Rows of a key that follow one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pattern {
    /// The source or step that is read. Its rows need an event time.
    #[schemars(with = "Node")]
    pub from: String,
    /// Columns whose equal values group rows: [userId].
    #[schemars(with = "Columns")]
    pub key: Vec<String>,
    /// How much later than the first row the last row may be, as a duration: 10m.
    pub within: Duration,
    /// The rows, in the order of their event times.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub sequence: Vec<PatternRow>,
    /// The columns of a match, over a.x for each name a in the sequence.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub columns: Vec<Column>,
}

/// One row of the sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatternRow {
    /// The row's name in expressions.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// A SQL expression over the row's columns that gives a boolean.
    #[serde(rename = "where")]
    #[schemars(with = "Option<Expr>")]
    pub filter: Option<String>,
    /// How often such a row occurs here. By default Once.
    pub occurs: Option<Occurs>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Occurs {
    Once,
    AtMostOnce,
    OneOrMore,
    ZeroOrMore,
    Never,
}
