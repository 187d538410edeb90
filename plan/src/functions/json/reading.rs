//! `from_json`: documents as values of a type. As in Spark's mode PERMISSIVE, what does not fit its field is null.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, ListArray, MapArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use datafusion_common::{Result, exec_err};

use super::super::datetime_text::{day_of, time_us_of};
use super::super::maps::key_and_value;
use super::super::reading;
use super::document::Json;
use crate::calendar::{DAYS, US_PER_DAY, US_PER_SECOND};
use crate::types::timestamp_type;

/// The root of a document as a value of a type: a struct for any document, an array only for one that is one.
pub(super) fn root<'j, 't>(document: Option<&'j Json<'t>>, of: &DataType) -> Option<Root<'j, 't>> {
    match (of, document) {
        (DataType::List(item), Some(one @ Json::Object(_))) if matches!(item.data_type(), DataType::Struct(_)) => {
            Some(Root::OneItem(one))
        }
        (DataType::List(_), Some(array @ Json::Array(_))) => Some(Root::Value(array)),
        (DataType::Map(..), Some(object @ Json::Object(_))) => Some(Root::Value(object)),
        (DataType::List(_) | DataType::Map(..), _) => None,
        (_, Some(one @ Json::Object(_))) => Some(Root::Value(one)),
        _ => Some(Root::AllNull),
    }
}

pub(super) enum Root<'j, 't> {
    Value(&'j Json<'t>),
    /// An object that stands for an array of one.
    OneItem(&'j Json<'t>),
    /// A struct whose fields are null.
    AllNull,
}

/// The array of documents.
pub(super) fn documents<'r, 'j, 't>(roots: &'r [Option<Root<'j, 't>>], of: &DataType) -> Result<ArrayRef> {
    if let DataType::List(item) = of {
        let items = |root: &'r Option<Root<'j, 't>>| match root {
            Some(Root::OneItem(one)) => Some(std::slice::from_ref(*one)),
            Some(Root::Value(Json::Array(items))) => Some(&items[..]),
            _ => None,
        };
        return list(&roots.iter().map(items).collect::<Vec<_>>(), item);
    }
    let empty = Json::Object(Vec::new());
    let values: Vec<_> = roots
        .iter()
        .map(|root| match root {
            Some(Root::Value(value) | Root::OneItem(value)) => Some(*value),
            Some(Root::AllNull) => Some(&empty),
            None => None,
        })
        .collect();
    array(&values, of)
}

/// The values of one field.
fn array<'j, 't>(values: &[Option<&'j Json<'t>>], of: &DataType) -> Result<ArrayRef> {
    fn each<'e, 't: 'e, T>(
        values: &'e [Option<&Json<'t>>],
        read: impl Fn(&Json<'t>) -> Option<T> + 'e,
    ) -> impl Iterator<Item = Option<T>> + 'e {
        values.iter().map(move |value| value.and_then(&read))
    }
    let text = |value: &Json<'_>| match value {
        Json::Text(text) => Some(text.clone()),
        _ => None,
    };
    Ok(match of {
        DataType::Utf8 => {
            let texts = each(values, |value| (*value != Json::Null).then(|| value.text()));
            Arc::new(texts.collect::<StringArray>())
        }
        DataType::Boolean => {
            let booleans = each(values, |value| match value {
                Json::Boolean(value) => Some(*value),
                _ => None,
            });
            Arc::new(booleans.collect::<BooleanArray>())
        }
        DataType::Int32 => {
            let numbers = each(values, |value| i32::try_from(whole(value)?).ok());
            Arc::new(numbers.collect::<Int32Array>())
        }
        DataType::Int64 => Arc::new(each(values, whole).collect::<Int64Array>()),
        DataType::Float32 => Arc::new(each(values, float::<f32>).collect::<Float32Array>()),
        DataType::Float64 => Arc::new(each(values, float::<f64>).collect::<Float64Array>()),
        DataType::Decimal128(precision, scale) => {
            let beyond = super::super::decimals::pow10((*precision).into()).unwrap_or(i128::MAX);
            let numbers = each(values, |value| {
                let number = match value {
                    Json::Number(number) => reading::decimal(number, *scale)?,
                    Json::Text(text) => reading::decimal(text, *scale)?,
                    _ => return None,
                };
                (number.unsigned_abs() < beyond.unsigned_abs()).then_some(number)
            });
            let numbers: Decimal128Array = numbers.collect();
            Arc::new(numbers.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Date32 => Arc::new(each(values, day).collect::<Date32Array>()),
        DataType::Timestamp(..) => {
            let times: TimestampMicrosecondArray = each(values, time_us).collect();
            Arc::new(times.with_data_type(timestamp_type()))
        }
        DataType::Binary => {
            let bytes: Vec<_> = each(values, |value| super::super::strings::unbase64(&text(value)?)).collect();
            Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>())
        }
        DataType::List(item) => {
            let items = |value: &Option<&'j Json<'t>>| match value {
                Some(Json::Array(items)) => Some(&items[..]),
                _ => None,
            };
            list(&values.iter().map(items).collect::<Vec<_>>(), item)?
        }
        DataType::Struct(fields) => {
            let members = |value: Option<&Json<'_>>| matches!(value, Some(Json::Object(_)));
            let nulls = NullBuffer::from_iter(values.iter().map(|value| members(*value)));
            let of_field = |field: &Arc<Field>| {
                let values: Vec<_> = values
                    .iter()
                    .map(|value| match value {
                        // The last of several members of one name counts.
                        Some(Json::Object(members)) => {
                            members.iter().rev().find(|(name, _)| name == field.name()).map(|(_, value)| value)
                        }
                        _ => None,
                    })
                    .collect();
                array(&values, field.data_type())
            };
            let columns = fields.iter().map(of_field).collect::<Result<Vec<_>>>()?;
            Arc::new(StructArray::new(fields.clone(), columns, Some(nulls)))
        }
        DataType::Map(..) => map(values, of)?,
        other => return exec_err!("`from_json` gives no {other}"),
    })
}

/// Arrays of the items of each row. An item that does not fit makes its whole array null.
fn list(rows: &[Option<&[Json<'_>]>], item: &Arc<Field>) -> Result<ArrayRef> {
    let items: Vec<_> = rows.iter().copied().flatten().flatten().map(Some).collect();
    let values = array(&items, item.data_type())?;
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|items| items.map_or(0, <[_]>::len)));
    let fits = |place: usize| !values.is_null(place) || items[place] == Some(&Json::Null);
    let mut start = 0;
    let nulls = NullBuffer::from_iter(rows.iter().map(|items| {
        let places = start..start + items.map_or(0, <[_]>::len);
        start = places.end;
        items.is_some() && places.into_iter().all(fits)
    }));
    Ok(Arc::new(ListArray::new(Arc::clone(item), offsets, values, Some(nulls))))
}

/// Maps of the members of each row's object. A value that does not fit makes its whole map null, and so does a name
/// that occurs twice: Spark keeps both, which is no map.
fn map<'j, 't>(values: &[Option<&'j Json<'t>>], of: &DataType) -> Result<ArrayRef> {
    let (DataType::Map(entries, is_sorted), Some((_, value))) = (of, key_and_value(of)) else {
        return exec_err!("`from_json` gives no {of}");
    };
    let members = |value: &Option<&'j Json<'t>>| match value {
        Some(Json::Object(members)) => {
            let names: HashSet<_> = members.iter().map(|(name, _)| name).collect();
            (names.len() == members.len()).then_some(&members[..])
        }
        _ => None,
    };
    let rows: Vec<_> = values.iter().map(members).collect();
    let all: Vec<_> = rows.iter().copied().flatten().flatten().collect();
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(all.iter().map(|(name, _)| name)));
    let found = array(&all.iter().map(|(_, value)| Some(value)).collect::<Vec<_>>(), value.data_type())?;
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|members| members.map_or(0, <[_]>::len)));
    let fits = |place: usize| !found.is_null(place) || all[place].1 == Json::Null;
    let mut start = 0;
    let nulls = NullBuffer::from_iter(rows.iter().map(|members| {
        let places = start..start + members.map_or(0, <[_]>::len);
        start = places.end;
        members.is_some() && places.into_iter().all(fits)
    }));
    let DataType::Struct(fields) = entries.data_type() else { return exec_err!("`from_json` gives no {of}") };
    let pairs = StructArray::new(fields.clone(), vec![names, found], None);
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, Some(nulls), *is_sorted)?))
}

/// A date by its text, or as the number of its days since 1970 in a text, which Spark 1 wrote.
fn day(value: &Json<'_>) -> Option<i32> {
    match value {
        Json::Text(text) => day_of(text).or_else(|| text.parse().ok().filter(|day| DAYS.contains(day))),
        _ => None,
    }
}

/// A time by its text, or by its seconds since 1970.
fn time_us(value: &Json<'_>) -> Option<i64> {
    match value {
        Json::Text(text) => time_us_of(text),
        Json::Number(_) => {
            let is_in_years = |us: &i64| i32::try_from(us.div_euclid(US_PER_DAY)).is_ok_and(|day| DAYS.contains(&day));
            whole(value)?.checked_mul(US_PER_SECOND).filter(is_in_years)
        }
        _ => None,
    }
}

fn whole(value: &Json<'_>) -> Option<i64> {
    match value {
        Json::Number(number) => number.parse().ok(),
        _ => None,
    }
}

fn float<F: std::str::FromStr>(value: &Json<'_>) -> Option<F> {
    match value {
        Json::Number(number) => number.parse().ok(),
        Json::Text(text) if ["NaN", "Infinity", "-Infinity", "+INF", "-INF", "INF"].contains(&&**text) => {
            text.to_lowercase().parse().ok()
        }
        _ => None,
    }
}
