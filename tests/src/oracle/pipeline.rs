//! A pipeline as the tests describe it (one source, a map, a window, a map, one sink), and what it computes
//! from records and groups. [`Pipeline::document`] writes the document for the engine.

use serde_json::Value as Json;

pub use super::aggregate::{Aggregate, Nulls};
use super::expr::{Expr, NoValue, Row, column};
pub use super::site::{S3_SECRET, Site};
use super::value::{Type, Value};
use super::window::Window;
use crate::topic::Stored;

#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    pub name: String,
    pub columns: Vec<Column>,
    /// The name of a column of type timestamp.
    pub event_time: String,
    pub delay_us: i64,
    /// The engine's default if absent.
    pub idle_after_us: Option<i64>,
    pub bad_records: BadRecords,
    /// Whether records without a value are skipped; otherwise they are bad.
    pub skips_tombstones: bool,
    /// Whether a sink `late` writes the rows that missed their window.
    pub keeps_late: bool,
    /// Whether sinks `bad-windows` and `bad-after` write the rows that could not be computed, if bad records are kept.
    pub keeps_bad_rows: bool,
    /// The engine's default if absent.
    pub max_future_us: Option<i64>,
    pub max_skew_us: Option<i64>,
    pub close_idle_windows_after_us: Option<i64>,
    pub before: Option<Map>,
    pub window: Window,
    pub group_by: Vec<Key>,
    pub aggregates: Vec<(String, Aggregate)>,
    pub after: Option<Map>,
    pub partition_by: Vec<String>,
}

/// A column that rows are grouped by.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub name: String,
    /// If absent, the input's column of that name.
    pub expr: Option<Expr>,
}

impl From<&str> for Key {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), expr: None }
    }
}

impl Key {
    /// The column's value for a row, as a group shows it.
    ///
    /// # Errors
    /// If there is no value: the record is bad.
    pub fn value(&self, row: &Row) -> Result<Value, NoValue> {
        match &self.expr {
            None => Ok(row[&self.name].clone().shown()),
            Some(expr) => expr.eval(row).map(Value::shown),
        }
    }
}

/// What happens to records that can't be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRecords {
    /// They stop the pipeline.
    Fail,
    /// They are dropped and counted.
    Drop,
    /// A sink `rejected` writes them.
    Output,
    /// The same, up to this many in a million records.
    OutputUpTo(u32),
}

impl BadRecords {
    #[must_use]
    pub fn are_kept(self) -> bool {
        matches!(self, Self::Output | Self::OutputUpTo(_))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub r#type: Type,
    pub required: bool,
}

/// What happens to a group whose window is over.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    Written(Row),
    /// The map after the window filters it out.
    Filtered,
    /// An aggregate has no value. Holds the group's bounds and keys.
    BadWindow(Row),
    /// The map after the window fails. Holds the row that it read.
    BadAfter(Row),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    pub filter: Option<Expr>,
    pub columns: Vec<(String, Expr)>,
}

/// The engine's default of `maxFuture`.
pub(super) const MAX_FUTURE_US: i64 = 3_600_000_000;

impl Pipeline {
    /// The rides job: revenue by city in windows of five minutes.
    #[must_use]
    pub fn rides() -> Self {
        let required = |name: &str, r#type| Column { name: name.into(), r#type, required: true };
        let named = |name: &str, e: Expr| (name.to_owned(), e);
        Self {
            name: "rides-revenue".into(),
            columns: vec![
                required("rideId", Type::Bigint),
                required("userId", Type::Bigint),
                required("city", Type::String),
                required("distanceKm", Type::Double),
                required("price", Type::Double),
                required("ts", Type::Timestamp),
            ],
            event_time: "ts".into(),
            delay_us: 600_000_000,
            idle_after_us: None,
            bad_records: BadRecords::Fail,
            skips_tombstones: false,
            keeps_late: false,
            keeps_bad_rows: false,
            max_future_us: None,
            max_skew_us: None,
            close_idle_windows_after_us: None,
            before: Some(Map {
                filter: Some(Expr::Compare(column("price"), super::expr::Op::GreaterOrEqual, Box::new(Expr::Int(0)))),
                columns: vec![
                    named("city", Expr::Upper(column("city"))),
                    named("price", *column("price")),
                    named("distanceKm", *column("distanceKm")),
                ],
            }),
            window: Window::tumbling(300_000_000),
            group_by: vec!["city".into()],
            aggregates: vec![
                ("revenue".into(), Aggregate::Sum(*column("price"))),
                ("avg_distance".into(), Aggregate::Avg(*column("distanceKm"))),
                ("cnt".into(), Aggregate::CountAll),
            ],
            after: Some(Map {
                filter: None,
                columns: vec![
                    named("date", Expr::DateOf(column("window_start"))),
                    named("city", *column("city")),
                    named("win_start", Expr::Formatted(column("window_start"))),
                    named("win_end", Expr::Formatted(column("window_end"))),
                    named("revenue", *column("revenue")),
                    named("avg_distance", *column("avg_distance")),
                    named("cnt", *column("cnt")),
                ],
            }),
            partition_by: vec!["date".into()],
        }
    }

    /// The same job with side outputs: bad records in `rejected`, late rows in `late`.
    #[must_use]
    pub fn rides_with_side_outputs() -> Self {
        Self { bad_records: BadRecords::Output, keeps_late: true, ..Self::rides() }
    }

    /// A record as a row of the source; `None` if it does not fit the document's columns, or is too far ahead of
    /// `clock_us`.
    #[must_use]
    pub fn decode(&self, record: &Stored, clock_us: i64) -> Option<(i64, Row)> {
        let row = fields(&self.columns, record)?;
        match row[&self.event_time] {
            Value::Time(t) if t <= clock_us.saturating_add(self.max_future_us.unwrap_or(MAX_FUTURE_US)) => {
                Some((t, row))
            }
            _ => None,
        }
    }

    /// Whether a decoded row can be taken in: no expression up to the window fails on it. A late row is not evaluated
    /// any further.
    #[must_use]
    pub fn takes(&self, time_us: i64, row: &Row, watermark_us: Option<i64>) -> bool {
        let is_late =
            watermark_us.is_some_and(|w| self.window.of(time_us).iter().all(|window| self.window.is_over(*window, w)));
        match self.before_windows(row) {
            Err(NoValue) => false,
            Ok(None) => true,
            Ok(Some(row)) => {
                is_late
                    || self.aggregates.iter().all(|(_, aggregate)| aggregate.evaluates(&row))
                        && self.group_by.iter().all(|key| key.value(&row).is_ok())
            }
        }
    }

    /// What happens to one group when its window closes.
    #[must_use]
    pub fn output(&self, (start_us, end_us): (i64, i64), rows: &[Row]) -> Ended {
        let mut out = Row::new();
        out.insert("window_start".into(), Value::Time(start_us));
        out.insert("window_end".into(), Value::Time(end_us));
        for key in &self.group_by {
            out.insert(key.name.clone(), key.value(&rows[0]).expect("a row that was taken in"));
        }
        let group = out.clone();
        for (name, aggregate) in &self.aggregates {
            match aggregate.of(rows) {
                Ok(value) => out.insert(name.clone(), value),
                Err(NoValue) => return Ended::BadWindow(group),
            };
        }
        match self.after.as_ref().map(|map| map.apply(&out)) {
            None => Ended::Written(out),
            Some(Ok(Some(mapped))) => Ended::Written(mapped),
            Some(Ok(None)) => Ended::Filtered,
            Some(Err(NoValue)) => Ended::BadAfter(out),
        }
    }

    /// The row that the windows get for a row of the source; `None` if the map before them filters it out.
    ///
    /// # Errors
    /// If an expression has no value for it: the record is bad.
    pub fn before_windows(&self, row: &Row) -> Result<Option<Row>, NoValue> {
        match &self.before {
            Some(map) => map.apply(row),
            None => Ok(Some(row.clone())),
        }
    }
}

/// A record's value as a row of these columns; `None` if it does not fit.
pub(super) fn fields(columns: &[Column], record: &Stored) -> Option<Row> {
    let json: Json = serde_json::from_slice(record.value.as_deref()?).ok()?;
    let fields = json.as_object()?;
    let mut row = Row::new();
    for column in columns {
        let value = column.r#type.read(fields.get(&column.name).unwrap_or(&Json::Null))?;
        if value == Value::Null && column.required {
            return None;
        }
        row.insert(column.name.clone(), value);
    }
    Some(row)
}

impl Map {
    /// The map's row for a row of its input; `None` if the row is filtered out.
    ///
    /// # Errors
    /// If an expression has no value for it.
    pub fn apply(&self, row: &Row) -> Result<Option<Row>, NoValue> {
        match &self.filter {
            Some(filter) if !filter.lets_through(row)? => Ok(None),
            _ => self
                .columns
                .iter()
                .map(|(name, e)| Ok((name.clone(), e.eval(row)?)))
                .collect::<Result<_, _>>()
                .map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_required_column_is_bad() {
        let decode = |text: &str| Pipeline::rides().decode(&text.as_bytes().to_vec().into(), i64::MAX);
        let good = r#"{"rideId":1,"userId":2,"city":"fr","distanceKm":3.5,"price":4,"ts":"2026-01-01T00:00:00Z"}"#;
        assert!(decode(good).is_some());
        assert_eq!(decode(&good.replace("2,", "null,")), None);
        assert_eq!(decode(&good.replace(r#""city":"fr","#, "")), None);
        assert_eq!(decode(&good.replace("01T", "32T")), None);
        assert_eq!(decode("{"), None);
    }
}
