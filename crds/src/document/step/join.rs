//! Joins of two inputs, and lookups in a table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddedColumn, Window};
use crate::document::rules::exactly_one_later;
use crate::document::schema::{Column as ColumnName, Columns, Expr, Name, Node};
use crate::document::{Duration, unions};

/// Pairs of rows of two inputs. Exactly one of `between` and `window`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one_later(unions::JOIN_TIMES)]))]
pub struct Join {
    /// The source or step that expressions call left. Its rows need an event time.
    #[schemars(with = "Node")]
    pub left: String,
    /// The source or step that expressions call right. Its rows need an event time.
    #[schemars(with = "Node")]
    pub right: String,
    /// Columns that are equal in the rows of a pair. Null is never equal.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<JoinKey>,
    /// Which rows the step gives. Inner (the default): pairs. Left, Right, Full: also unpaired rows of that side, or of
    /// both. LeftSemi: left rows that have a pair. LeftAnti: left rows that have none.
    #[serde(rename = "type")]
    pub kind: Option<JoinType>,
    /// How far apart in event time the rows of a pair may be.
    pub between: Option<Between>,
    /// The window in which both rows of a pair lie.
    pub window: Option<Window>,
    /// A SQL expression over left.x and right.x that gives a boolean: a further condition for a pair.
    #[serde(rename = "where")]
    #[schemars(with = "Option<Expr>")]
    pub filter: Option<String>,
    /// The output columns, over left.x and right.x.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub columns: Vec<AddedColumn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JoinType {
    Inner,
    Left,
    Right,
    Full,
    LeftSemi,
    LeftAnti,
}

/// Two columns that are equal in a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinKey {
    /// A column of the left input.
    #[schemars(with = "ColumnName")]
    pub left: String,
    /// A column of the right input.
    #[schemars(with = "ColumnName")]
    pub right: String,
}

/// The right row's event time is in [left's - before, left's + after].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Between {
    /// How much earlier the right row may be, as a duration: 10s.
    pub before: Duration,
    /// How much later the right row may be, as a duration: 5m.
    pub after: Duration,
}

/// Rows, each with the table's matching row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lookup {
    /// The source or step whose rows are read.
    #[schemars(with = "Node")]
    pub from: String,
    /// The name of a table in spec.tables, which expressions call table.
    #[schemars(with = "Name")]
    pub table: String,
    /// Columns that are equal in the row and in the table's row. Null is never equal.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<LookupKey>,
    /// What happens to a row without a match in the table. Left (the default): it is kept, and the table's columns are
    /// null. Inner: it is dropped.
    #[serde(rename = "type")]
    pub kind: Option<LookupType>,
    /// Columns to add to the input's, over these and table.x.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub add_columns: Vec<AddedColumn>,
    /// Columns of the input to drop.
    #[schemars(with = "Option<Columns>")]
    pub drop_columns: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LookupType {
    Inner,
    Left,
}

/// Two columns that are equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LookupKey {
    /// A column of the input.
    #[schemars(with = "ColumnName")]
    pub from: String,
    /// A column of the table.
    #[schemars(with = "ColumnName")]
    pub table: String,
}
