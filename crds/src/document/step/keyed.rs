//! Steps over the rows of each key: deduplicate, top, over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddedColumn, Window};
use crate::document::rules::exactly_one;
use crate::document::schema::{Columns, Expr, Node};
use crate::document::{Duration, Order, unions};

/// The first row of each key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deduplicate {
    /// The source or step that is read. Its rows need an event time.
    #[schemars(with = "Node")]
    pub from: String,
    /// Columns whose equal values make two rows duplicates: [rideId].
    #[schemars(with = "Columns")]
    pub key: Vec<String>,
    /// How far apart in event time duplicates may be, as a duration: 1h.
    pub within: Duration,
    /// Which row is kept. Arrival (the default): the one that is read first. EventTime: the earliest, once the
    /// watermark has passed it.
    pub order: Option<Order>,
}

/// The first rows of each key and window, by an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Top {
    /// The source or step whose rows are read.
    #[schemars(with = "Node")]
    pub from: String,
    /// Columns whose equal values put rows into one ranking: [window_start].
    #[schemars(with = "Columns")]
    pub key: Vec<String>,
    /// What rows are ranked by.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub order_by: Vec<OrderBy>,
    /// How many rows of a ranking are kept, 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: i64,
    /// Which rows are ranked together by their event time. By default the windows that the input's rows have.
    pub window: Option<Window>,
    /// What happens to rows that tie with the last row kept. Drop (the default): those beyond the limit are dropped.
    /// Keep: they are kept.
    pub ties: Option<Ties>,
}

/// One criterion by which rows are ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderBy {
    /// A SQL expression over the input's columns: revenue
    #[schemars(with = "Expr")]
    pub expr: String,
    /// Asc (the default): the least first. Desc: the greatest first.
    pub direction: Option<Direction>,
    /// Where nulls are ranked. By default First for Asc and Last for Desc.
    pub nulls: Option<Nulls>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Direction {
    Asc,
    Desc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Nulls {
    First,
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Ties {
    Drop,
    Keep,
}

/// Aggregates over preceding rows, with one output row per input row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::FRAMES)]))]
pub struct Over {
    /// The source or step that is read. Its rows need an event time.
    #[schemars(with = "Node")]
    pub from: String,
    /// Columns whose equal values group rows: [deviceId].
    #[schemars(with = "Columns")]
    pub key: Vec<String>,
    /// The key's rows that are at most this much older than the row.
    pub range: Option<RangeFrame>,
    /// The row, and this many rows of the key before it.
    pub rows: Option<RowsFrame>,
    /// The aggregates over these rows.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub add_columns: Vec<AddedColumn>,
    /// Columns of the input to drop.
    #[schemars(with = "Option<Columns>")]
    pub drop_columns: Option<Vec<String>>,
    /// Required with rows: how old a row may be to be counted, as a duration.
    pub expire_after: Option<Duration>,
}

/// Preceding rows by event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RangeFrame {
    /// How far back from the row, as a duration: 10m. Rows of exactly that age count.
    pub preceding: Duration,
}

/// Preceding rows by number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RowsFrame {
    /// How many rows before the row, 0 to 100000.
    #[schemars(range(min = 0, max = 100_000))]
    pub preceding: i64,
}
