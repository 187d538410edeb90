//! Steps that process one row at a time, and SQL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AddedColumn, Column};
use crate::document::rules::rule;
use crate::document::schema::{Column as ColumnName, Columns, Expr, Node, Nodes, Query};

/// Filters rows and computes columns, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [rule(
    "!has(self.columns) || (!has(self.addColumns) && !has(self.dropColumns))",
    "columns",
    COLUMNS_ARE_ALL,
)]))]
pub struct Map {
    /// The source or step whose rows are read.
    #[schemars(with = "Node")]
    pub from: String,
    /// A SQL expression that gives a boolean: price >= 0. Rows for which it is false or null are dropped.
    #[serde(rename = "where")]
    #[schemars(with = "Option<Expr>")]
    pub filter: Option<String>,
    /// The output columns, in this order. If left out, the input's columns unchanged. 1 to 256.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub columns: Option<Vec<Column>>,
    /// Columns to add to the input's. A column replaces the input's column of that name in place. 1 to 256.
    #[schemars(
        length(min = 1, max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub add_columns: Option<Vec<AddedColumn>>,
    /// Columns of the input to drop. At most 256.
    #[schemars(with = "Option<Columns>")]
    pub drop_columns: Option<Vec<String>>,
}

pub(crate) const COLUMNS_ARE_ALL: &str =
    "columns are all that go on: write either columns, or addColumns and dropColumns, which change the input's";

/// The rows of several inputs, whose columns match by name and type. The order of the columns is the first one's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Union {
    /// Sources and steps: [web, mobile]. 2 to 64.
    #[schemars(with = "Nodes", length(min = 2, max = 64))]
    pub inputs: Vec<String>,
}

/// One row per element of an array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unnest {
    /// The source or step whose rows are read.
    #[schemars(with = "Node")]
    pub from: String,
    /// A SQL expression over the input's columns that gives an array: items
    #[schemars(with = "Expr")]
    pub expr: String,
    /// The name of the column for the element.
    #[serde(rename = "as")]
    #[schemars(with = "ColumnName")]
    pub element: String,
    /// The name of the column for the element's position, from 0. If left out, there is none.
    #[schemars(with = "Option<ColumnName>")]
    pub position: Option<String>,
    /// What happens to a row whose array is empty or null. Drop (the default): it is dropped. Keep: it gives one row
    /// with a null element.
    pub empty: Option<Empties>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Empties {
    Drop,
    Keep,
}

/// A SQL query over the inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sql {
    /// The sources and steps that the query reads by their names: [rides]. 1 to 64.
    #[schemars(with = "Nodes", length(min = 1, max = 64))]
    pub inputs: Vec<String>,
    /// The query: SELECT city, sum(price) AS revenue FROM ...
    #[schemars(with = "Query")]
    pub query: String,
}
