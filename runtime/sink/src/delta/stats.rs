//! Statistics of a data file, for the log. Readers skip files by them, so a wrong bound loses rows, while a missing one
//! only costs time. So everything uncertain is left out: floats with a NaN (engines order it differently), infinities
//! (JSON has none), dates outside the years 0000 to 9999, structs.
//!
//! <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics>

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray as _};
use arrow::compute;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema,
    TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Datelike as _, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

/// The most characters of a string bound, as in Spark. Longer strings are cut, and the maximum is rounded up so that it
/// stays a bound.
const TEXT_CHARS_MAX: usize = 32;

/// Collects statistics over the batches of one file.
#[derive(Debug)]
pub(super) struct Stats {
    rows: u64,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    nulls: u64,
    /// Whether nulls are counted. A struct's nulls are those of its fields, and these are not collected.
    counts_nulls: bool,
    bounds: Option<(Bound, Bound)>,
    /// Set for good once a value has come that can't be bounded.
    unbounded: bool,
}

#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Bound {
    Int(i64),
    Days(i32),
    Micros(i64),
    Float(f64),
    /// The unscaled value, then the scale.
    Decimal(i128, i8),
    Text(String),
}

impl Stats {
    /// Statistics for the first `indexed` columns of the file.
    pub(super) fn new(schema: &Schema, indexed: usize) -> Self {
        let columns = schema.fields().iter().take(indexed).map(|f| Column {
            name: f.name().clone(),
            nulls: 0,
            counts_nulls: !f.data_type().is_nested() || matches!(f.data_type(), DataType::List(_) | DataType::Map(..)),
            bounds: None,
            unbounded: false,
        });
        Self { rows: 0, columns: columns.collect() }
    }

    pub(super) fn update(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            column.update(array);
        }
    }

    /// The `stats` of an `add` action: JSON in a string.
    pub(super) fn to_json(&self) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Json<'a> {
            num_records: u64,
            min_values: BTreeMap<&'a str, Box<RawValue>>,
            max_values: BTreeMap<&'a str, Box<RawValue>>,
            null_count: BTreeMap<&'a str, u64>,
        }
        let bounds = |pick: fn(&(Bound, Bound)) -> Option<String>| {
            let known = self.columns.iter().filter_map(|c| {
                let json = pick(c.bounds.as_ref()?)?;
                Some((c.name.as_str(), RawValue::from_string(json).ok()?))
            });
            known.collect()
        };
        let json = Json {
            num_records: self.rows,
            min_values: bounds(|(min, _)| min.lower_json()),
            max_values: bounds(|(_, max)| max.upper_json()),
            null_count: self.columns.iter().filter(|c| c.counts_nulls).map(|c| (c.name.as_str(), c.nulls)).collect(),
        };
        serde_json::to_string(&json).unwrap_or_else(|_| format!("{{\"numRecords\":{}}}", self.rows))
    }
}

impl Column {
    fn update(&mut self, array: &ArrayRef) {
        self.nulls += array.logical_null_count() as u64;
        if self.unbounded || array.logical_null_count() == array.len() {
            return;
        }
        match bounds(array) {
            None => self.unbounded = true,
            Some((low, high)) => {
                self.bounds = Some(match self.bounds.take() {
                    None => (low, high),
                    Some((min, max)) => (if low < min { low } else { min }, if high > max { high } else { max }),
                });
            }
        }
        if self.unbounded {
            self.bounds = None;
        }
    }
}

/// The least and the greatest value of an array; `None` if there is no value or no bound.
fn bounds(array: &ArrayRef) -> Option<(Bound, Bound)> {
    fn of<T: ArrowPrimitiveType>(array: &ArrayRef, bound: impl Fn(T::Native) -> Option<Bound>) -> Option<(Bound, Bound)>
    where
        T::Native: arrow::datatypes::ArrowNativeTypeOp,
    {
        let array = array.as_primitive::<T>();
        Some((bound(compute::min(array)?)?, bound(compute::max(array)?)?))
    }
    // Arrow orders NaNs outermost, so any NaN shows up as a bound.
    let float = |f: f64| (!f.is_nan()).then_some(Bound::Float(f));
    match array.data_type() {
        DataType::Int8 => of::<Int8Type>(array, |v| Some(Bound::Int(v.into()))),
        DataType::Int16 => of::<Int16Type>(array, |v| Some(Bound::Int(v.into()))),
        DataType::Int32 => of::<Int32Type>(array, |v| Some(Bound::Int(v.into()))),
        DataType::Int64 => of::<Int64Type>(array, |v| Some(Bound::Int(v))),
        DataType::Float32 => of::<Float32Type>(array, |v| float(v.into())),
        DataType::Float64 => of::<Float64Type>(array, float),
        DataType::Date32 => of::<Date32Type>(array, |v| Some(Bound::Days(v))),
        DataType::Timestamp(..) => of::<TimestampMicrosecondType>(array, |v| Some(Bound::Micros(v))),
        DataType::Decimal128(_, scale) => of::<Decimal128Type>(array, |v| Some(Bound::Decimal(v, *scale))),
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Some((
                Bound::Text(compute::min_string(array)?.to_owned()),
                Bound::Text(compute::max_string(array)?.to_owned()),
            ))
        }
        _ => None,
    }
}

impl Bound {
    fn lower_json(&self) -> Option<String> {
        match self {
            // Statistics have milliseconds: round the least value down and the greatest one up.
            Self::Micros(us) => timestamp(us.div_euclid(1000)),
            Self::Text(text) => serde_json::to_string(&text.chars().take(TEXT_CHARS_MAX).collect::<String>()).ok(),
            other => other.exact_json(),
        }
    }

    fn upper_json(&self) -> Option<String> {
        match self {
            Self::Micros(us) => timestamp(us.div_euclid(1000) + i64::from(us.rem_euclid(1000) != 0)),
            Self::Text(text) => serde_json::to_string(&above(text)?).ok(),
            other => other.exact_json(),
        }
    }

    fn exact_json(&self) -> Option<String> {
        match self {
            Self::Int(v) => Some(v.to_string()),
            Self::Days(days) => day(*days).map(|d| format!("\"{d}\"")),
            Self::Float(v) => serde_json::Number::from_f64(*v).map(|n| n.to_string()),
            Self::Decimal(unscaled, scale) => Some(decimal(*unscaled, *scale)),
            Self::Micros(_) | Self::Text(_) => None,
        }
    }
}

fn in_four_digits(time: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (1..=9999).contains(&time.year()).then_some(time)
}

fn timestamp(ms: i64) -> Option<String> {
    let time = in_four_digits(DateTime::from_timestamp_millis(ms)?)?;
    Some(format!("\"{}\"", time.format("%Y-%m-%dT%H:%M:%S%.3fZ")))
}

fn day(days: i32) -> Option<String> {
    let time = in_four_digits(DateTime::from_timestamp(i64::from(days) * 86_400, 0)?)?;
    Some(time.format("%Y-%m-%d").to_string())
}

/// A JSON number with all digits, because a double would round it.
fn decimal(unscaled: i128, scale: i8) -> String {
    let scale = usize::try_from(scale).unwrap_or_default();
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// A string of at most `TEXT_CHARS_MAX` characters that is not below `text`; `None` if there is none. UTF-8 sorts by
/// code points.
fn above(text: &str) -> Option<String> {
    let mut head: Vec<char> = text.chars().take(TEXT_CHARS_MAX).collect();
    if head.len() == text.chars().count() {
        return Some(text.to_owned());
    }
    while let Some(last) = head.pop() {
        // This skips the gap of the surrogates; char::MAX has no successor.
        if let Some(next) = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32) {
            head.push(next);
            return Some(head.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;

    fn stats(batches: Vec<Vec<(&str, ArrayRef)>>) -> serde_json::Value {
        let batches: Vec<_> = batches.into_iter().map(|columns| RecordBatch::try_from_iter(columns).unwrap()).collect();
        let mut stats = Stats::new(batches[0].schema_ref(), 32);
        batches.iter().for_each(|b| stats.update(b));
        serde_json::from_str(&stats.to_json()).unwrap()
    }

    #[test]
    fn bounds_and_nulls_run_over_all_batches_of_a_file() {
        let batch = |ints: Vec<Option<i64>>, days: Vec<i32>, us: Vec<i64>| -> Vec<(&str, ArrayRef)> {
            vec![
                ("i", Arc::new(Int64Array::from(ints))),
                ("d", Arc::new(Date32Array::from(days))),
                ("t", Arc::new(TimestampMicrosecondArray::from(us).with_timezone("UTC"))),
            ]
        };
        let found = stats(vec![
            batch(vec![Some(3), None], vec![0, 1], vec![-1, 0]),
            batch(vec![None, Some(-7)], vec![19_723, 5], vec![1, 1_000_001]),
        ]);
        let expected = serde_json::json!({
            "numRecords": 4,
            "minValues": {"i": -7, "d": "1970-01-01", "t": "1969-12-31T23:59:59.999Z"},
            "maxValues": {"i": 3, "d": "2024-01-01", "t": "1970-01-01T00:00:01.001Z"},
            "nullCount": {"i": 2, "d": 0, "t": 0},
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn what_has_no_certain_bound_is_left_out() {
        let found = stats(vec![vec![
            ("nan", Arc::new(Float64Array::from(vec![1.0, f64::NAN])) as ArrayRef),
            ("inf", Arc::new(Float64Array::from(vec![1.0, f64::INFINITY]))),
            ("null", Arc::new(Int64Array::from(vec![None, None]))),
            ("far", Arc::new(Date32Array::from(vec![0, i32::MAX]))),
        ]]);
        assert_eq!(found["minValues"], serde_json::json!({"inf": 1.0, "far": "1970-01-01"}));
        assert_eq!(found["maxValues"], serde_json::json!({}));
        assert_eq!(found["nullCount"], serde_json::json!({"nan": 0, "inf": 0, "null": 2, "far": 0}));
    }

    #[test]
    fn a_nan_in_a_later_batch_removes_the_bounds_for_good() {
        let floats = |v: Vec<f64>| vec![("f", Arc::new(Float64Array::from(v)) as ArrayRef)];
        let found = stats(vec![floats(vec![1.0]), floats(vec![-f64::NAN]), floats(vec![2.0])]);
        assert_eq!(found["minValues"], serde_json::json!({}));
    }

    #[test]
    fn decimals_keep_all_their_digits() {
        let array =
            Decimal128Array::from(vec![-5, 12_345_678_901_234_567_890_123]).with_precision_and_scale(30, 2).unwrap();
        let mut stats =
            Stats::new(&Schema::new(vec![arrow::datatypes::Field::new("d", array.data_type().clone(), true)]), 32);
        stats.update(&RecordBatch::try_from_iter([("d", Arc::new(array) as ArrayRef)]).unwrap());
        let json = stats.to_json();
        assert!(json.contains("\"minValues\":{\"d\":-0.05},\"maxValues\":{\"d\":123456789012345678901.23}"), "{json}");
    }

    #[test]
    fn long_strings_are_cut_and_stay_bounds() {
        let long = format!("{}é", "a".repeat(40));
        let found = stats(vec![vec![("s", Arc::new(StringArray::from(vec![long.as_str()])) as ArrayRef)]]);
        assert_eq!(found["minValues"]["s"], "a".repeat(32));
        assert_eq!(found["maxValues"]["s"], format!("{}b", "a".repeat(31)));
        assert_eq!(above("short").as_deref(), Some("short"));
        assert_eq!(above(&"\u{d7ff}".repeat(33)), Some(format!("{}\u{e000}", "\u{d7ff}".repeat(31))));
        assert_eq!(above(&format!("a{}", "\u{10ffff}".repeat(40))).as_deref(), Some("b"));
        assert_eq!(above(&"\u{10ffff}".repeat(40)), None);
    }

    #[test]
    fn only_the_first_columns_are_indexed() {
        let batch = RecordBatch::try_from_iter([
            ("a", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
            ("b", Arc::new(Int64Array::from(vec![1]))),
        ]);
        let batch = batch.unwrap();
        let mut stats = Stats::new(batch.schema_ref(), 1);
        stats.update(&batch);
        assert_eq!(
            stats.to_json(),
            r#"{"numRecords":1,"minValues":{"a":1},"maxValues":{"a":1},"nullCount":{"a":1}}"#
                .replace("{\"a\":1}}", "{\"a\":0}}")
        );
    }
}
