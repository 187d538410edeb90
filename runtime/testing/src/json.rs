//! An independent, slow decoder of JSON: serde_json for the grammar, chrono for times, strings for decimals. It shares
//! no code with ours. A comment marks each place where our rules differ from serde_json's.

use std::fmt;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use weir_plan::plan::TimestampNumbers;
use weir_plan::types::{Column, DataType};

/// A value of any type that can be compared bit by bit.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Boolean(bool),
    /// An int, a bigint, a date (days) or a timestamp (µs).
    Integer(i64),
    Float(u32),
    Double(u64),
    Decimal(i128),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Cell>),
    Struct(Vec<Cell>),
    Map(Vec<(Cell, Cell)>),
}

/// JSON that keeps its numbers as written, and all fields of one name.
enum Json {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// The record's row, or `None` if the record must be refused.
pub fn row(columns: &[Column], numbers: TimestampNumbers, record: &[u8]) -> Option<Vec<Cell>> {
    let raw: &RawValue = serde_json::from_str(std::str::from_utf8(record).ok()?).ok()?;
    match json(raw.get(), 1)? {
        Json::Object(fields) => object(columns, numbers, &fields),
        _ => None,
    }
}

fn json(raw: &str, level: usize) -> Option<Json> {
    match raw.as_bytes()[0] {
        // Our rule is at most 128 levels; serde_json has no limit here, because it reads one level at a time.
        b'{' | b'[' if level > 128 => None,
        b'{' => {
            let fields: Pairs = serde_json::from_str(raw).ok()?;
            fields
                .0
                .into_iter()
                .map(|(name, value)| Some((name, json(value.get(), level + 1)?)))
                .collect::<Option<_>>()
                .map(Json::Object)
        }
        b'[' => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
            elements.into_iter().map(|value| json(value.get(), level + 1)).collect::<Option<_>>().map(Json::Array)
        }
        // Our rule checks surrogates in ignored strings too; serde_json checks them only when it makes a string.
        b'"' => serde_json::from_str(raw).ok().map(Json::Text),
        b't' | b'f' => Some(Json::Boolean(raw == "true")),
        b'n' => Some(Json::Null),
        _ => Some(Json::Number(raw.to_owned())),
    }
}

struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn object(columns: &[Column], numbers: TimestampNumbers, fields: &[(String, Json)]) -> Option<Vec<Cell>> {
    let mut row = Vec::new();
    for column in columns {
        // Our rule: if two fields have one name, both must fit, and the last one counts.
        let values: Vec<_> = fields
            .iter()
            .filter(|(name, _)| *name == column.name)
            .map(|(_, value)| cell(&column.data_type, column.nullable, numbers, value))
            .collect::<Option<_>>()?;
        row.push(values.into_iter().next_back().or(column.nullable.then_some(Cell::Null))?);
    }
    Some(row)
}

fn cell(data_type: &DataType, nullable: bool, numbers: TimestampNumbers, json: &Json) -> Option<Cell> {
    Some(match (data_type, json) {
        (_, Json::Null) if nullable => Cell::Null,
        (DataType::Boolean, Json::Boolean(value)) => Cell::Boolean(*value),
        // Rust's own parser reads "-0" as 0, as we do, and refuses fractions and exponents.
        (DataType::Int, Json::Number(text)) => Cell::Integer(text.parse::<i32>().ok()?.into()),
        (DataType::Bigint, Json::Number(text)) => Cell::Integer(text.parse().ok()?),
        (DataType::Float, Json::Number(text)) => {
            Cell::Float(text.parse().ok().filter(|v: &f32| v.is_finite())?.to_bits())
        }
        (DataType::Double, Json::Number(text)) => {
            Cell::Double(text.parse().ok().filter(|v: &f64| v.is_finite())?.to_bits())
        }
        (DataType::Decimal { precision, scale }, Json::Number(text)) => {
            Cell::Decimal(decimal(text, *precision, *scale)?)
        }
        (DataType::Decimal { precision, scale }, Json::Text(text)) => {
            let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
                && text.ends_with(|c: char| c.is_ascii_digit());
            serde_json::from_str::<&RawValue>(text).ok().filter(|_| is_number)?;
            Cell::Decimal(decimal(text, *precision, *scale)?)
        }
        (DataType::String, Json::Text(text)) => Cell::Text(text.clone()),
        (DataType::Binary, Json::Text(text)) => Cell::Bytes(base64(text)?),
        (DataType::Date, Json::Text(text)) => Cell::Integer(date(text)?),
        (DataType::Timestamp, Json::Text(text)) => Cell::Integer(timestamp(text)?),
        (DataType::Timestamp, Json::Number(text)) if numbers == TimestampNumbers::EpochMillis => {
            let time = DateTime::from_timestamp_millis(text.parse().ok()?)?;
            Cell::Integer((1..=9999).contains(&time.year()).then(|| time.timestamp_micros())?)
        }
        (DataType::Array(element), Json::Array(values)) => {
            Cell::Array(values.iter().map(|value| cell(element, true, numbers, value)).collect::<Option<_>>()?)
        }
        (DataType::Map(_, value), Json::Object(fields)) => {
            // Our rule: a key occurs once.
            let distinct: std::collections::HashSet<_> = fields.iter().map(|(name, _)| name).collect();
            let of_field =
                |(name, json): &(String, Json)| Some((Cell::Text(name.clone()), cell(value, true, numbers, json)?));
            let entries = fields.iter().map(of_field).collect::<Option<_>>()?;
            Cell::Map((distinct.len() == fields.len()).then_some(entries)?)
        }
        (DataType::Struct(columns), Json::Object(fields)) => Cell::Struct(object(columns, numbers, fields)?),
        _ => return None,
    })
}

/// Computes the decimal by moving the point in the text.
fn decimal(number: &str, precision: u8, scale: i8) -> Option<i128> {
    let (sign, number) = number.strip_prefix('-').map_or((1, number), |rest| (-1, rest));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if mantissa.chars().all(|c| c == '0' || c == '.') {
        return Some(0);
    }
    // With more zeros than this around its digits, no number but 0 fits a column.
    let reach = mantissa.len() + 100;
    let exponent: i32 = exponent.parse().ok().filter(|e: &i32| e.unsigned_abs() as usize <= reach)?;
    let zeros = "0".repeat(reach);
    let mut digits = format!("{zeros}{whole}{fraction}{zeros}");
    let point = (reach + whole.len()).checked_add_signed(exponent as isize).unwrap();
    let fraction = digits.split_off(point);
    let (whole, fraction) = (digits.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let scale = usize::try_from(scale).unwrap();
    if fraction.len() > scale || whole.len() > usize::from(precision) - scale {
        return None;
    }
    Some(sign * format!("0{whole}{fraction:0<scale$}").parse::<i128>().unwrap())
}

fn date(text: &str) -> Option<i64> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    // chrono also accepts 2024-1-5; only the spelling that chrono itself would write is right.
    let is_canonical = day.format("%Y-%m-%d").to_string() == text && (1..=9999).contains(&day.year());
    is_canonical.then(|| (day - NaiveDate::default()).num_days())
}

/// Reads the parts with chrono's own parser for RFC 3339. It knows fewer spellings of zones than we do, and accepts
/// more in every other part.
pub fn timestamp(text: &str) -> Option<i64> {
    // Seconds may be left out; then there is no fraction either.
    let (minutes, rest) = text.split_at_checked(16)?;
    let with_seconds = if rest.starts_with([':', '.']) { text.to_owned() } else { format!("{minutes}:00{rest}") };
    let text = with_seconds.as_str();
    let (head, tail) = text.split_at_checked(19)?;
    let head = head.replacen(' ', "T", 1);
    let time = NaiveDateTime::parse_from_str(&head, "%Y-%m-%dT%H:%M:%S").ok()?;
    if time.format("%Y-%m-%dT%H:%M:%S").to_string() != head || head.ends_with("60") {
        return None;
    }
    let zone_start = tail.find(['Z', '+', '-']).unwrap_or(tail.len());
    let (fraction, zone) = tail.split_at(zone_start);
    let is_fraction =
        |f: &str| (2..=10).contains(&f.len()) && f.starts_with('.') && f[1..].bytes().all(|b| b.is_ascii_digit());
    if !fraction.is_empty() && !is_fraction(fraction) {
        return None;
    }
    let zone = match (zone.len(), zone.is_ascii()) {
        (0, _) => "Z".to_owned(),
        (1, _) if zone == "Z" => zone.to_owned(),
        (3, true) => format!("{zone}:00"),
        (5, true) => format!("{}:{}", &zone[..3], &zone[3..]),
        (6, true) => zone.to_owned(),
        _ => return None,
    };
    let time = DateTime::parse_from_rfc3339(&format!("{head}{fraction}{zone}")).ok()?.to_utc();
    (1..=9999).contains(&time.year()).then(|| time.timestamp_micros())
}

/// Decodes bit by bit.
fn base64(text: &str) -> Option<Vec<u8>> {
    const SYMBOLS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let symbols = text.trim_end_matches('=');
    let mut bits = String::new();
    for symbol in symbols.chars() {
        bits += &format!("{:06b}", SYMBOLS.find(symbol)?);
    }
    let unused = bits.split_off(bits.len() / 8 * 8);
    let padding = text.len() - symbols.len();
    let is_canonical = unused.len() < 6 && !unused.contains('1') && padding < 3 && text.len().is_multiple_of(4);
    is_canonical.then(|| {
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    })
}

/// The rows of a batch.
pub fn rows(batch: &RecordBatch) -> Vec<Vec<Cell>> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell_of(column, row)).collect()).collect()
}

fn cell_of(array: &dyn Array, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        ArrowType::Boolean => Cell::Boolean(array.as_boolean().value(row)),
        ArrowType::Int32 => Cell::Integer(array.as_primitive::<Int32Type>().value(row).into()),
        ArrowType::Int64 => Cell::Integer(array.as_primitive::<Int64Type>().value(row)),
        ArrowType::Date32 => Cell::Integer(array.as_primitive::<Date32Type>().value(row).into()),
        ArrowType::Timestamp(_, _) => Cell::Integer(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        ArrowType::Float32 => Cell::Float(array.as_primitive::<Float32Type>().value(row).to_bits()),
        ArrowType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        ArrowType::Decimal128(_, _) => Cell::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        ArrowType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).into()),
        ArrowType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        ArrowType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            Cell::Array((0..elements.len()).map(|i| cell_of(&elements, i)).collect())
        }
        ArrowType::Struct(_) => {
            Cell::Struct(array.as_struct().columns().iter().map(|column| cell_of(column, row)).collect())
        }
        ArrowType::Map(..) => {
            let entries = array.as_map().value(row);
            let [keys, values] = [0, 1].map(|column| entries.column(column));
            Cell::Map((0..entries.len()).map(|i| (cell_of(keys, i), cell_of(values, i))).collect())
        }
        other => panic!("no column has the type {other}"),
    }
}
