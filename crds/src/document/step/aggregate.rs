//! Aggregates, and the windows over which they are computed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Column;
use crate::document::rules::{between, exactly_one};
use crate::document::schema::{Column as ColumnName, Expr, Node, TimeZone};
use crate::document::{Duration, Empty, unions};

/// Computes one row per window and group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aggregate {
    /// The source or step whose rows are read.
    #[schemars(with = "Node")]
    pub from: String,
    /// Which rows belong together by their event time. Exactly one kind of window. Without a window: all rows of a
    /// group, for sinks of the modes Update and Complete.
    pub window: Option<Window>,
    /// The columns to group by: {name: city}, or {name: day, expr: cast(ts as date)}. If left out, all rows of a window
    /// are one group. At most 256.
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "atomic"))]
    pub group_by: Option<Vec<Column>>,
    /// What to compute. The output has window_start, window_end, the columns of groupBy, then these. 1 to 256.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub columns: Vec<AggregateColumn>,
    /// For an aggregate without a window: how long after its last row a group is forgotten, as a duration.
    pub expire_after: Option<Duration>,
}

/// A column of an aggregate step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AggregateColumn {
    /// The column's name.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// A SQL expression with aggregates (sum, avg, count, min, max) over the input's columns: sum(price) / count(*)
    #[schemars(with = "Expr")]
    pub expr: String,
    /// A SQL expression that gives a boolean: the column's aggregates use only the rows for which it is true.
    #[schemars(with = "Option<Expr>")]
    pub filter: Option<String>,
}

/// Exactly one kind of window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::WINDOWS)]))]
pub struct Window {
    /// Windows of one size that follow each other.
    pub tumbling: Option<Tumbling>,
    /// Windows of one size that overlap.
    pub sliding: Option<Sliding>,
    /// Windows that end when no row comes for a while.
    pub session: Option<Session>,
    /// Windows that grow step by step.
    pub cumulate: Option<Cumulate>,
    /// Days, weeks or months of a time zone.
    pub calendar: Option<Calendar>,
    /// The windows that the input's rows have already: {}
    pub of_input: Option<Empty>,
}

/// Windows of one size that follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tumbling {
    /// The size of a window, as a duration: 5m. Windows begin at multiples of it since 1970-01-01T00:00:00Z.
    #[schemars(extend("x-kubernetes-validations" = [between("1ms", "99999h")]))]
    pub size: Duration,
    /// How much later than these multiples windows begin, as a duration shorter than the size.
    pub offset: Option<Duration>,
}

/// Windows of one size that overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sliding {
    /// The size of a window, as a duration: 10m.
    pub size: Duration,
    /// How much later than the one before it each window begins, as a duration: 1m. At most the size.
    pub slide: Duration,
    /// How much later than multiples of the slide windows begin, as a duration shorter than the slide.
    pub offset: Option<Duration>,
}

/// Windows that end when no row comes for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Session {
    /// How long no row comes before a session ends, as a duration: 30m. Each group has its own sessions.
    pub gap: Duration,
}

/// Windows that begin together and end one step apart, until the size is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cumulate {
    /// The size of the longest window, as a duration: 24h. A multiple of the step.
    pub size: Duration,
    /// How much longer each window is than the one before, as a duration: 1h.
    pub step: Duration,
    /// How much later than multiples of the size windows begin, as a duration shorter than the size.
    pub offset: Option<Duration>,
}

/// Days, weeks or months of a time zone, whatever their length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Calendar {
    /// Day, Week (from Monday) or Month.
    pub unit: CalendarUnit,
    /// The time zone's name: Europe/Paris. By default spec.timeZone.
    #[schemars(with = "Option<TimeZone>")]
    pub time_zone: Option<String>,
    /// How much later than midnight windows begin, in local time, as a duration: 6h.
    pub offset: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CalendarUnit {
    Day,
    Week,
    Month,
}
