//! Steps over the rows of a key: deduplicate, top, over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddedColumn, Window};
use crate::document::rules::exactly_one_later;
use crate::document::schema::{Columns, Expr, Node};
use crate::document::{Duration, Order, unions};

/// The first row of each key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Deduplicate {
    /// The source or step that is read. Its rows need an event time.
    #[schemars(with = "Node")]
    pub from: String,
    /// Columns whose equal values make two rows the same: [rideId].
    #[schemars(with = "Columns")]
    pub key: Vec<String>,
    /// How far apart in event time rows of a key may be to be the same, as a duration: 1h.
    pub within: Duration,
    /// Which one goes on. Arrival (the default): the one that is read first. EventTime: the earliest, once the watermark
    /// has passed it.
    pub order: Option<Order>,
}

/// The first rows of each key in an order.
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
    /// How many rows of a ranking go on, 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub limit: i64,
    /// Which rows are ranked together by their event time. By default the windows that the input's rows carry.
    pub window: Option<Window>,
    /// What becomes of rows that rank the same as the last one. Drop (the default): those that do not fit are left out.
    /// Keep: they go on beyond the limit.
    pub ties: Option<Ties>,
}

/// One of the things that rows are ranked by.
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

/// Aggregates over the rows before, one row out per row in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::FRAMES)]))]
pub struct Over {
    /// The source or step that is read. Its rows need an event time.
    #[schemars(with = "Node")]
    pub from: String,
    /// Columns whose equal values put rows together: [deviceId].
    #[schemars(with = "Columns")]
    pub key: Vec<String>,
    /// The rows of the key that are not older than so long before the row.
    pub range: Option<RangeFrame>,
    /// So many rows of the key before the row, and the row.
    pub rows: Option<RowsFrame>,
    /// The aggregates, over these rows.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub add_columns: Vec<AddedColumn>,
    /// Columns of the input that do not go on.
    #[schemars(with = "Option<Columns>")]
    pub drop_columns: Option<Vec<String>>,
    /// With rows, which require it: how old a row may be to count, as a duration.
    pub expire_after: Option<Duration>,
}

/// Rows by their event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RangeFrame {
    /// How long before the row, as a duration: 10m. Rows of exactly that time count.
    pub preceding: Duration,
}

/// Rows by their number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RowsFrame {
    /// How many before the row, 0 to 100000.
    #[schemars(range(min = 0, max = 100_000))]
    pub preceding: i64,
}
