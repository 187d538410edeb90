//! Values as rows.json has them, to and from Arrow.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::concat;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, Timelike};
use serde_json::{Value, json};

const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();

/// An array of one value.
pub fn array_of(value: &Value, of: &DataType) -> ArrayRef {
    let text = || value.as_str().map(str::to_owned);
    match of {
        DataType::Boolean => Arc::new(BooleanArray::from(vec![value.as_bool()])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![value.as_i64().map(|n| i32::try_from(n).unwrap())])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![value.as_i64()])),
        DataType::Float32 => Arc::new(Float32Array::from(vec![text().map(|t| t.parse::<f32>().unwrap())])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![text().map(|t| t.parse::<f64>().unwrap())])),
        DataType::Decimal128(precision, scale) => {
            let digits = text().map(|t| t.replace('.', "").parse::<i128>().unwrap());
            let digits = Decimal128Array::from(vec![digits]).with_precision_and_scale(*precision, *scale);
            Arc::new(digits.unwrap())
        }
        DataType::Utf8 => Arc::new(StringArray::from(vec![text()])),
        DataType::Binary => Arc::new(BinaryArray::from_opt_vec(vec![text().map(|t| bytes(&t)).as_deref()])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![text().map(|t| {
            let day: NaiveDate = t.parse().unwrap();
            i32::try_from((day - EPOCH).num_days()).unwrap()
        })])),
        DataType::Timestamp(..) => {
            let time_us = text().map(|t| {
                NaiveDateTime::parse_from_str(&t, "%Y-%m-%d %H:%M:%S%.f").unwrap().and_utc().timestamp_micros()
            });
            Arc::new(TimestampMicrosecondArray::from(vec![time_us]).with_timezone("UTC"))
        }
        DataType::List(item) => {
            let items = value.as_array().map(|items| items.iter().map(|i| array_of(i, item.data_type())));
            let items: Vec<_> = items.into_iter().flatten().collect();
            let items: Vec<&dyn Array> = items.iter().map(AsRef::as_ref).collect();
            let values = match items.len() {
                0 => arrow::array::new_empty_array(item.data_type()),
                _ => concat(&items).unwrap(),
            };
            let nulls = NullBuffer::from(vec![!value.is_null()]);
            let offsets = OffsetBuffer::from_lengths([values.len()]);
            Arc::new(ListArray::new(Arc::clone(item), offsets, values, Some(nulls)))
        }
        DataType::Struct(fields) => {
            let of_field = |field: &str| value.get(field).unwrap_or(&Value::Null);
            let values = fields.iter().map(|field| array_of(of_field(field.name()), field.data_type())).collect();
            Arc::new(StructArray::new(fields.clone(), values, Some(NullBuffer::from(vec![!value.is_null()]))))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { panic!("a map of {entries}") };
            let pairs: Vec<_> = value.as_array().into_iter().flatten().collect();
            let columns = fields.iter().enumerate().map(|(at, field)| {
                let all: Vec<_> = pairs.iter().map(|pair| array_of(&pair[at], field.data_type())).collect();
                let all: Vec<&dyn Array> = all.iter().map(AsRef::as_ref).collect();
                if all.is_empty() { arrow::array::new_empty_array(field.data_type()) } else { concat(&all).unwrap() }
            });
            let of_pairs = StructArray::new(fields.clone(), columns.collect(), None);
            let nulls = NullBuffer::from(vec![!value.is_null()]);
            let offsets = OffsetBuffer::from_lengths([pairs.len()]);
            Arc::new(MapArray::new(Arc::clone(entries), offsets, of_pairs, Some(nulls), false))
        }
        other => panic!("a column of {other}"),
    }
}

/// The first value of an array.
pub fn value_of(array: &dyn Array) -> Value {
    if array.is_null(0) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(0)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(0)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(0)),
        DataType::Float32 => double(f64::from(array.as_primitive::<Float32Type>().value(0))),
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(0)),
        DataType::Decimal128(..) => json!(array.as_primitive::<Decimal128Type>().value_as_string(0)),
        DataType::Utf8 => json!(array.as_string::<i32>().value(0)),
        DataType::Binary => json!(hex(array.as_binary::<i32>().value(0))),
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(0);
            let day = match u64::try_from(days) {
                Ok(days) => EPOCH.checked_add_days(Days::new(days)),
                Err(_) => EPOCH.checked_sub_days(Days::new(u64::from(days.unsigned_abs()))),
            };
            json!(day.map_or_else(|| format!("{days} days"), date))
        }
        DataType::Timestamp(..) => {
            let time_us = array.as_primitive::<TimestampMicrosecondType>().value(0);
            json!(DateTime::from_timestamp_micros(time_us).map_or_else(
                || format!("{time_us} us"),
                |time| {
                    let time = time.naive_utc();
                    let of_day = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
                    let fraction = format!(".{:06}", time.nanosecond() / 1000);
                    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
                    format!("{} {of_day}{fraction}", date(time.date()))
                }
            ))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(0);
            (0..items.len()).map(|i| value_of(&items.slice(i, 1))).collect()
        }
        DataType::Struct(fields) => {
            let of = array.as_struct();
            let values = fields.iter().zip(of.columns());
            Value::Object(values.map(|(field, values)| (field.name().clone(), value_of(values))).collect())
        }
        // As pairs in the order of the keys' texts, which is not the map's: Python does not know that.
        DataType::Map(..) => {
            let entries = array.as_map().value(0);
            let part = |column: usize, i: usize| value_of(&entries.column(column).slice(i, 1));
            let mut pairs: Vec<_> = (0..entries.len()).map(|i| (part(0, i), part(1, i))).collect();
            pairs.sort_by_key(|(key, _)| key.to_string());
            pairs.into_iter().map(|(key, value)| json!([key, value])).collect()
        }
        other => panic!("a result of {other}"),
    }
}

fn date(day: NaiveDate) -> String {
    format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day())
}

fn double(value: f64) -> Value {
    json!(match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        _ => format!("{value:?}"),
    })
}

/// Whether two values are the same. Doubles may differ in their last two bits if they are computed by functions such as
/// `sin`, and decimals in their zeros at the end.
pub fn are_same(one: &Value, other: &Value, of: &str) -> bool {
    let (Some(a), Some(b)) = (one.as_str(), other.as_str()) else {
        return match (one, other) {
            (Value::Array(a), Value::Array(b)) if of.starts_with("map<") => {
                let (key, value) = of["map<".len()..of.len() - 1].split_once(',').unwrap();
                let are_same = |a: &Value, b: &Value| are_same(&a[0], &b[0], key) && are_same(&a[1], &b[1], value);
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_same(a, b))
            }
            (Value::Array(a), Value::Array(b)) => {
                let item = of.strip_prefix("array<").and_then(|of| of.strip_suffix('>')).unwrap_or(of);
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| are_same(a, b, item))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|((x, a), (y, b))| x == y && are_same(a, b, of))
            }
            _ => one == other,
        };
    };
    if of == "double" || of == "float" {
        let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) else { return false };
        let is_close = || a.is_finite() && b.is_finite() && (a - b).abs() <= 2.0 * f64::EPSILON * a.abs().max(b.abs());
        return a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan() || (a != b && is_close());
    }
    let plain = |text: &str| match text.contains('.') {
        true if of.starts_with("decimal") => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        _ => text.to_owned(),
    };
    plain(a) == plain(b)
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
