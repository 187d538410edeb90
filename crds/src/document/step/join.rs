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
    /// The source or step whose rows expressions call left. They need an event time.
    #[schemars(with = "Node")]
    pub left: String,
    /// The source or step whose rows expressions call right. They need an event time.
    #[schemars(with = "Node")]
    pub right: String,
    /// Columns that are equal in the rows of a pair. A null is equal to nothing.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<JoinKey>,
    /// Which rows go on. Inner (the default): pairs. Left, Right, Full: also rows of that side, or of both, for which
    /// there is none. LeftSemi: rows of the left for which there is one. LeftAnti: those for which there is none.
    #[serde(rename = "type")]
    pub kind: Option<JoinType>,
    /// How far apart in event time the rows of a pair are at most.
    pub between: Option<Between>,
    /// The rows of a pair are in one window.
    pub window: Option<Window>,
    /// A SQL expression over left.x and right.x that gives a boolean: part of what makes a pair.
    #[serde(rename = "where")]
    #[schemars(with = "Option<Expr>")]
    pub filter: Option<String>,
    /// The columns that go on, over left.x and right.x.
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

/// Rows with what a table has for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lookup {
    /// The source or step whose rows are read.
    #[schemars(with = "Node")]
    pub from: String,
    /// The name of one of spec.tables, which expressions call table.
    #[schemars(with = "Name")]
    pub table: String,
    /// Columns that are equal in the row and in the table's. A null is equal to nothing.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<LookupKey>,
    /// What becomes of a row that the table has nothing for. Left (the default): it goes on, and the table's columns
    /// are null. Inner: it is left out.
    #[serde(rename = "type")]
    pub kind: Option<LookupType>,
    /// Columns beside the input's, over these and table.x.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub add_columns: Vec<AddedColumn>,
    /// Columns of the input that do not go on.
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
