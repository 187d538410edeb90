//! A row on its way through the graph.

use std::cmp::Ordering;

use crate::oracle::expr::{Expr, NoValue, Row};
use crate::oracle::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub struct Tuple {
    /// The event time; `None` if the source has none.
    pub time: Option<i64>,
    pub row: Row,
    /// Where the record is that the row was made from; `None` behind a keyed step.
    pub origin: Option<Origin>,
    /// The bounds of the window that the row was made from, or of the window that a step has put it into.
    pub window: Option<(i64, i64)>,
}

/// Origins are ordered as rows in order of arrival are: by name of source and topic, bytewise, partition, offset, and
/// then as steps give the rows of one record: elements by their position, and inputs of a union one after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub source: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub positions: Vec<usize>,
}

impl Tuple {
    /// The event time, for a step that needs one.
    ///
    /// # Panics
    /// If there is none, which validation refuses.
    #[must_use]
    pub fn at(&self) -> i64 {
        self.time.expect("a row with an event time")
    }

    /// # Panics
    /// If the row carries no window, which validation refuses.
    #[must_use]
    pub fn bounds(&self) -> (i64, i64) {
        self.window.expect("a row of a window")
    }

    /// What expressions see: the columns, and the event time.
    #[must_use]
    pub fn scope(&self) -> Row {
        let mut row = self.row.clone();
        row.insert("_event_time".to_owned(), self.time.map_or(Value::Null, Value::Time));
        row
    }

    /// # Errors
    /// If the expression has no value for the row.
    pub fn eval(&self, expr: &Expr) -> Result<Value, NoValue> {
        expr.eval(&self.scope())
    }

    /// The values of key columns as text that is equal for equal keys. Nulls are equal to each other.
    #[must_use]
    pub fn key(&self, columns: &[String]) -> String {
        format!("{:?}", columns.iter().map(|name| self.row[name].clone().shown()).collect::<Vec<_>>())
    }

    /// The order of rows with an event time: by time; then rows of sources by origin; then by all columns.
    #[must_use]
    pub fn order(&self, other: &Self, columns: &[String]) -> Ordering {
        (self.time, &self.origin).cmp(&(other.time, &other.origin)).then_with(|| self.by_columns(other, columns))
    }

    /// The order by all columns, nulls first.
    #[must_use]
    pub fn by_columns(&self, other: &Self, columns: &[String]) -> Ordering {
        columns.iter().map(|name| self.row[name].order(&other.row[name])).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    }

    /// The row as the input of this number brings it to a union.
    #[must_use]
    pub fn by_input(mut self, input: usize) -> Self {
        if let Some(origin) = &mut self.origin {
            origin.positions.insert(0, input);
        }
        self
    }

    /// The row as a keyed step gives it.
    #[must_use]
    pub fn keyed(self) -> Self {
        Self { origin: None, ..self }
    }
}
