//! Steps: a name and exactly one operation each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{between, exactly_one};
use super::schema::{Column, Columns, Expr, Name, OpenBlock};
use super::{Duration, Open, unions};

/// A name and exactly one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::STEP_KINDS)]))]
pub struct Step {
    /// The name that steps and sinks read it by, and that its state belongs to: at most 50 lower-case letters, digits
    /// and hyphens.
    #[schemars(with = "Name")]
    pub name: String,
    /// Filters rows and computes columns, row by row.
    pub map: Option<Map>,
    /// Computes one row per window and group.
    pub aggregate: Option<Aggregate>,
    /// Not supported yet. The rows of several inputs.
    #[schemars(with = "Option<OpenBlock>")]
    pub union: Option<Open>,
    /// Not supported yet. Rows of two inputs that belong together.
    #[schemars(with = "Option<OpenBlock>")]
    pub join: Option<Open>,
    /// Not supported yet. The first row of each key.
    #[schemars(with = "Option<OpenBlock>")]
    pub deduplicate: Option<Open>,
    /// Not supported yet. A row per element of a list.
    #[schemars(with = "Option<OpenBlock>")]
    pub unnest: Option<Open>,
    /// Not supported yet. Running aggregates over the rows before.
    #[schemars(with = "Option<OpenBlock>")]
    pub over: Option<Open>,
    /// Not supported yet. A program of one's own.
    #[schemars(with = "Option<OpenBlock>")]
    pub process: Option<Open>,
    /// Not supported yet. A SQL query over the inputs.
    #[schemars(with = "Option<OpenBlock>")]
    pub sql: Option<Open>,
}

/// Filters rows and computes columns, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Map {
    /// The source or step whose rows are read.
    #[schemars(with = "Name")]
    pub from: String,
    /// A SQL expression that gives a boolean: price >= 0. Rows for which it is false or null are left out.
    #[serde(rename = "where")]
    #[schemars(with = "Option<Expr>")]
    pub filter: Option<String>,
    /// The columns that go on, in this order; left out, the input's as they are. 1 to 256.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub columns: Option<Vec<MapColumn>>,
}

/// A column of a map step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MapColumn {
    /// The column's name.
    #[schemars(with = "Column")]
    pub name: String,
    /// A SQL expression over the input's columns: upper(city). Left out, the input's column of that name.
    #[schemars(with = "Option<Expr>")]
    pub expr: Option<String>,
}

/// Computes one row per window and group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aggregate {
    /// The source or step whose rows are read. They need an event time.
    #[schemars(with = "Name")]
    pub from: String,
    /// Which rows are taken together by their event time. Exactly one kind of window.
    pub window: Option<Window>,
    /// Columns of the input whose equal values make a group: [city]. Left out, all rows of a window are one group. At
    /// most 256.
    #[schemars(with = "Option<Columns>")]
    pub group_by: Option<Vec<String>>,
    /// What is computed. The output has window_start, window_end, the columns of groupBy, then these. 1 to 256.
    #[schemars(length(min = 1, max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub columns: Vec<AggregateColumn>,
}

/// Exactly one kind of window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::WINDOWS)]))]
pub struct Window {
    /// Windows of one size, one after the other.
    pub tumbling: Option<Tumbling>,
    /// Not supported yet. Windows of one size that overlap.
    pub sliding: Option<Sliding>,
    /// Not supported yet. Windows that end when nothing has come for a while.
    pub session: Option<Session>,
    /// Not supported yet. Windows that grow step by step.
    #[schemars(with = "Option<OpenBlock>")]
    pub cumulate: Option<Open>,
    /// Not supported yet. Days, weeks and months of a time zone.
    #[schemars(with = "Option<OpenBlock>")]
    pub calendar: Option<Open>,
    /// Not supported yet. How much later than multiples of the size windows begin, as a duration.
    pub offset: Option<Duration>,
}

/// Windows of one size, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tumbling {
    /// How long a window is, as a duration: 5m. Windows begin at multiples of it since 1970-01-01T00:00:00Z.
    #[schemars(extend("x-kubernetes-validations" = [between("1ms", "99999h")]))]
    pub size: Duration,
}

/// Windows of one size that overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sliding {
    /// How long a window is, as a duration: 10m.
    #[schemars(extend("x-kubernetes-validations" = [between("1ms", "99999h")]))]
    pub size: Duration,
    /// How much later than the one before it a window begins, as a duration: 1m.
    #[schemars(extend("x-kubernetes-validations" = [between("1ms", "99999h")]))]
    pub slide: Duration,
}

/// Windows that end when nothing has come for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Session {
    /// How long nothing comes before a session ends, as a duration: 30m.
    #[schemars(extend("x-kubernetes-validations" = [between("1ms", "99999h")]))]
    pub gap: Duration,
}

/// A column of an aggregate step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AggregateColumn {
    /// The column's name.
    #[schemars(with = "Column")]
    pub name: String,
    /// A SQL expression with aggregates (sum, avg, count, min, max) over the input's columns: sum(price) / count(*)
    #[schemars(with = "Expr")]
    pub expr: String,
    /// A SQL expression that gives a boolean: the column's aggregates take in only the rows for which it is true.
    #[schemars(with = "Option<Expr>")]
    pub filter: Option<String>,
}
