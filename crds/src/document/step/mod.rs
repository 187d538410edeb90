//! Steps: a name and exactly one operation each.

mod aggregate;
mod join;
mod keyed;
mod logic;
mod rows;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::exactly_one;
use super::schema::{Column as ColumnName, Expr, Name};
use super::{BadRecords, unions};

pub use aggregate::{Aggregate, AggregateColumn, Calendar, CalendarUnit, Cumulate, Session, Sliding, Tumbling, Window};
pub use join::{Between, Join, JoinKey, JoinType, Lookup, LookupKey, LookupType};
pub use keyed::{Deduplicate, Direction, Nulls, OrderBy, Over, RangeFrame, RowsFrame, Ties, Top};
pub use logic::{
    Clock, Occurs, OnRow, OnTimer, Pattern, PatternRow, Process, ProcessLimits, Rules, SetTimer, StateColumn,
};
pub(crate) use rows::COLUMNS_ARE_ALL;
pub use rows::{Empties, Map, Sql, Union, Unnest};

/// A name and exactly one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [exactly_one(unions::STEP_KINDS)]))]
pub struct Step {
    /// The step's name, by which steps and sinks read it and its state is stored: at most 50 lower-case letters, digits
    /// and hyphens.
    #[schemars(with = "Name")]
    pub name: String,
    /// Filters rows and computes columns, row by row.
    pub map: Option<Map>,
    /// Computes one row per window and group.
    pub aggregate: Option<Aggregate>,
    /// The rows of several inputs.
    pub union: Option<Union>,
    /// One row per element of an array.
    pub unnest: Option<Unnest>,
    /// The first row of each key.
    pub deduplicate: Option<Deduplicate>,
    /// The first rows of each key and window, by an order.
    pub top: Option<Top>,
    /// Aggregates over preceding rows, with one output row per input row.
    pub over: Option<Over>,
    /// Not supported yet. Pairs of rows of two inputs.
    pub join: Option<Join>,
    /// Not supported yet. Rows, each with the table's matching row.
    pub lookup: Option<Lookup>,
    /// Not supported yet. Rules with state and timers, per key.
    pub process: Option<Process>,
    /// Not supported yet. Rows of a key that follow one another.
    pub pattern: Option<Pattern>,
    /// A SQL query over the inputs.
    pub sql: Option<Sql>,
    /// Not supported yet. What happens to a row that the step can't compute. By default its strictest source decides.
    pub bad_records: Option<BadRecords>,
}

/// A column and how it is computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Column {
    /// The column's name.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// A SQL expression over the input's columns: upper(city). If left out, the input's column of that name.
    #[schemars(with = "Option<Expr>")]
    pub expr: Option<String>,
}

/// A computed column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddedColumn {
    /// The column's name. It replaces the input's column of that name in place.
    #[schemars(with = "ColumnName")]
    pub name: String,
    /// A SQL expression over the input's columns: upper(city)
    #[schemars(with = "Expr")]
    pub expr: String,
}
