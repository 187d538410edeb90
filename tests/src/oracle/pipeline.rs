//! A pipeline as the tests describe it: one source, a map, a tumbling window, a map, one sink. `document` writes it for the engine.

use serde_json::{Value as Json, json};

use super::expr::{Expr, Row, column};
pub use super::site::{S3_SECRET, Site};
use super::time;
use super::value::{Type, Value};
use crate::topic::Stored;

#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    pub name: String,
    pub columns: Vec<Column>,
    /// A column of type timestamp.
    pub event_time: String,
    pub delay_us: i64,
    /// The engine's default if not given.
    pub idle_after_us: Option<i64>,
    pub bad_records: BadRecords,
    /// A sink `late` writes the rows that missed their window.
    pub keeps_late: bool,
    /// The engine's default if not given.
    pub max_future_us: Option<i64>,
    pub max_skew_us: Option<i64>,
    pub close_idle_windows_after_us: Option<i64>,
    pub before: Option<Map>,
    pub window_us: i64,
    pub group_by: Vec<String>,
    pub aggregates: Vec<(String, Aggregate)>,
    pub after: Option<Map>,
    pub partition_by: Vec<String>,
}

/// What becomes of records that can't be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRecords {
    /// They stop the pipeline.
    Fail,
    /// They are dropped and counted.
    Drop,
    /// A sink `rejected` writes them.
    Output,
    /// The same, up to so many of a million.
    OutputUpTo(u32),
}

impl BadRecords {
    #[must_use]
    pub fn are_kept(self) -> bool {
        matches!(self, Self::Output | Self::OutputUpTo(_))
    }

    fn document(self) -> Json {
        match self {
            Self::Fail => json!({"policy": "Fail"}),
            Self::Drop => json!({"policy": "Drop"}),
            Self::Output => json!({"policy": "Output"}),
            Self::OutputUpTo(max) => json!({"policy": "Output", "maxPerMillion": max}),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub r#type: Type,
    pub required: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    pub filter: Option<Expr>,
    pub columns: Vec<(String, Expr)>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    CountAll,
    Count(Expr),
    Sum(Expr),
    Avg(Expr),
    Min(Expr),
    Max(Expr),
}

/// What the engine takes if the document does not say.
const MAX_FUTURE_US: i64 = 3_600_000_000;

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
            keeps_late: false,
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
            window_us: 300_000_000,
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

    /// The same job, which keeps what it can't use: bad records in `rejected`, late rows in `late`.
    #[must_use]
    pub fn rides_with_side_outputs() -> Self {
        Self { bad_records: BadRecords::Output, keeps_late: true, ..Self::rides() }
    }

    /// A record as a row of the source; `None` if it can't be taken in by the document's columns, or comes from the future of `clock_us`.
    #[must_use]
    pub fn decode(&self, record: &Stored, clock_us: i64) -> Option<(i64, Row)> {
        let json: Json = serde_json::from_slice(record.value.as_deref()?).ok()?;
        let fields = json.as_object()?;
        let mut row = Row::new();
        for column in &self.columns {
            let value = column.r#type.read(fields.get(&column.name).unwrap_or(&Json::Null))?;
            if value == Value::Null && column.required {
                return None;
            }
            row.insert(column.name.clone(), value);
        }
        match row[&self.event_time] {
            Value::Time(t) if t <= clock_us.saturating_add(self.max_future_us.unwrap_or(MAX_FUTURE_US)) => Some((t, row)),
            _ => None,
        }
    }

    /// What a closed window writes for one group; `None` if the map after the window filters it out.
    #[must_use]
    pub fn output(&self, window_start_us: i64, rows: &[Row]) -> Option<Row> {
        let mut out = Row::new();
        out.insert("window_start".into(), Value::Time(window_start_us));
        out.insert("window_end".into(), Value::Time(window_start_us + self.window_us));
        for key in &self.group_by {
            out.insert(key.clone(), rows[0][key].clone());
        }
        for (name, aggregate) in &self.aggregates {
            out.insert(name.clone(), aggregate.of(rows));
        }
        match &self.after {
            Some(map) => map.apply(&out),
            None => Some(out),
        }
    }

    /// The document for the engine, as JSON, which is YAML too.
    #[must_use]
    pub fn document(&self, site: &Site) -> Json {
        let columns: Vec<Json> =
            self.columns.iter().map(|c| json!({"name": c.name, "type": c.r#type.ddl(), "required": c.required})).collect();
        let mut steps = Vec::new();
        let mut last = "input".to_owned();
        if let Some(map) = &self.before {
            steps.push(json!({"name": "before", "map": map.document(&last)}));
            last = "before".into();
        }
        let aggregates: Vec<Json> = self.aggregates.iter().map(|(n, a)| json!({"name": n, "expr": a.sql()})).collect();
        steps.push(json!({"name": "windows", "aggregate": {
            "from": last, "window": {"tumbling": {"size": duration(self.window_us)}}, "groupBy": self.group_by, "columns": aggregates}}));
        last = "windows".into();
        if let Some(map) = &self.after {
            steps.push(json!({"name": "after", "map": map.document(&last)}));
            last = "after".into();
        }
        let storage: Vec<Json> = site
            .s3_prefixes()
            .iter()
            .map(|prefix| {
                json!({"uriPrefix": prefix, "s3": {"endpoint": site.s3_endpoint, "region": crate::services::s3::REGION, "forcePathStyle": true,
                       "credentialsSecretRef": {"name": S3_SECRET}}})
            })
            .collect();
        let mut event_time = json!({"expr": self.event_time, "watermarkDelay": duration(self.delay_us)});
        if let Some(us) = self.idle_after_us {
            event_time["idleAfter"] = duration(us).into();
        }
        for (field, us) in
            [("maxFuture", self.max_future_us), ("maxSkew", self.max_skew_us), ("closeIdleWindowsAfter", self.close_idle_windows_after_us)]
        {
            if let Some(us) = us {
                event_time[field] = duration(us).into();
            }
        }
        let mut delta = json!({"uri": site.table_uri});
        if !self.partition_by.is_empty() {
            delta["partitionBy"] = json!(self.partition_by);
        }
        let mut sinks = vec![json!({"name": "table", "from": last, "mode": "Append", "delta": delta})];
        if self.bad_records.are_kept() {
            sinks.push(json!({"name": "rejected", "from": "input", "output": "Rejected", "delta": {"uri": site.side_uri("rejected")}}));
        }
        if self.keeps_late {
            sinks.push(json!({"name": "late", "from": "windows", "output": "Late", "delta": {"uri": site.side_uri("late")}}));
        }
        json!({
            "apiVersion": "weir.dev/v1alpha1", "kind": "StreamPipeline", "metadata": {"name": self.name},
            "spec": {
                "trigger": site.trigger,
                "limits": {"recordsPerEpoch": site.records_per_epoch},
                "checkpoint": {"uri": site.checkpoint_uri, "keep": site.keep},
                "storage": storage,
                "connections": [{"name": "broker", "kafka": {"bootstrapServers": site.bootstrap}}],
                "sources": [{
                    "name": "input",
                    "kafka": {"connection": "broker", "topics": [site.topic], "startFrom": {"position": "Earliest"}},
                    "format": {"json": {"columns": columns}},
                    "badRecords": self.bad_records.document(),
                    "eventTime": event_time}],
                "steps": steps,
                "sinks": sinks,
            }
        })
    }

    /// The start of the window that a time lies in.
    #[must_use]
    pub fn window_of(&self, time_us: i64) -> i64 {
        time::window_start(time_us, self.window_us)
    }
}

impl Map {
    /// `None` if the row is filtered out.
    #[must_use]
    pub fn apply(&self, row: &Row) -> Option<Row> {
        if self.filter.as_ref().is_some_and(|f| !f.lets_through(row)) {
            return None;
        }
        Some(self.columns.iter().map(|(name, e)| (name.clone(), e.eval(row))).collect())
    }

    fn document(&self, from: &str) -> Json {
        let columns: Vec<Json> = self.columns.iter().map(|(n, e)| json!({"name": n, "expr": e.sql()})).collect();
        let mut map = json!({"from": from, "columns": columns});
        if let Some(filter) = &self.filter {
            map["where"] = filter.sql().into();
        }
        map
    }
}

impl Aggregate {
    #[must_use]
    pub fn sql(&self) -> String {
        match self {
            Self::CountAll => "count(*)".into(),
            Self::Count(e) => format!("count({})", e.sql()),
            Self::Sum(e) => format!("sum({})", e.sql()),
            Self::Avg(e) => format!("avg({})", e.sql()),
            Self::Min(e) => format!("min({})", e.sql()),
            Self::Max(e) => format!("max({})", e.sql()),
        }
    }

    /// Over all rows of one group, as SQL has it: nulls are left out, and nothing is null (a count is 0).
    ///
    /// # Panics
    /// If integers overflow: test data is small.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of(&self, rows: &[Row]) -> Value {
        let (Self::Count(e) | Self::Sum(e) | Self::Avg(e) | Self::Min(e) | Self::Max(e)) = self else {
            return Value::Int(rows.len().try_into().unwrap());
        };
        let values: Vec<Value> = rows.iter().map(|r| e.eval(r)).filter(|v| *v != Value::Null).collect();
        let count = values.len();
        match self {
            Self::Count(_) => Value::Int(count.try_into().unwrap()),
            _ if count == 0 => Value::Null,
            Self::Sum(_) => values.into_iter().reduce(add).unwrap(),
            Self::Avg(_) => Value::Double(values.iter().map(|v| v.number().unwrap()).sum::<f64>() / count as f64),
            Self::Min(_) => values.into_iter().reduce(|a, b| if b.compare(&a).unwrap().is_lt() { b } else { a }).unwrap(),
            _ => values.into_iter().reduce(|a, b| if b.compare(&a).unwrap().is_gt() { b } else { a }).unwrap(),
        }
    }
}

fn add(a: Value, b: Value) -> Value {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Value::Int(a.checked_add(b).expect("test data does not overflow")),
        (Value::Double(a), Value::Double(b)) => Value::Double(a + b),
        (Value::Decimal { units: a, scale }, Value::Decimal { units: b, .. }) => Value::Decimal { units: a + b, scale },
        (a, b) => panic!("sum of {a:?} and {b:?}"),
    }
}

/// As Gateway API writes durations.
fn duration(us: i64) -> String {
    assert_eq!(us % 1000, 0, "documents know milliseconds at the finest");
    if us % 1_000_000 == 0 { format!("{}s", us / 1_000_000) } else { format!("{}ms", us / 1000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[Value]) -> Vec<Row> {
        values.iter().map(|v| Row::from([("x".to_owned(), v.clone())])).collect()
    }

    #[test]
    fn aggregates_leave_nulls_out() {
        let x = *column("x");
        let some = rows(&[Value::Int(3), Value::Null, Value::Int(5)]);
        assert_eq!(Aggregate::CountAll.of(&some), Value::Int(3));
        assert_eq!(Aggregate::Count(x.clone()).of(&some), Value::Int(2));
        assert_eq!(Aggregate::Sum(x.clone()).of(&some), Value::Int(8));
        assert_eq!(Aggregate::Avg(x.clone()).of(&some), Value::Double(4.0));
        assert_eq!(Aggregate::Min(x.clone()).of(&some), Value::Int(3));
        assert_eq!(Aggregate::Max(x).of(&some), Value::Int(5));
    }

    #[test]
    fn aggregates_of_nothing_but_nulls_are_null_and_counts_zero() {
        let none = rows(&[Value::Null]);
        assert_eq!(Aggregate::Sum(*column("x")).of(&none), Value::Null);
        assert_eq!(Aggregate::Count(*column("x")).of(&none), Value::Int(0));
        assert_eq!(Aggregate::CountAll.of(&none), Value::Int(1));
    }

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
