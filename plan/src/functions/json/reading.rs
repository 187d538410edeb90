//! `from_json`: documents as values of a type. As in Spark's mode PERMISSIVE, what does not fit its field is null.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int32Array,
    Int64Array, ListArray, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use datafusion_common::{Result, exec_err};

use super::super::datetime_text::{day_of, time_us_of};
use super::super::reading;
use super::document::Json;
use crate::types::timestamp_type;

/// The root of a document as a value of a type: a struct for any document, an array only for one that is one.
pub(super) fn root<'j, 't>(document: Option<&'j Json<'t>>, of: &DataType) -> Option<Root<'j, 't>> {
    match (of, document) {
        (DataType::List(item), Some(one @ Json::Object(_))) if matches!(item.data_type(), DataType::Struct(_)) => {
            Some(Root::OneItem(one))
        }
        (DataType::List(_), Some(Json::Array(items))) => {
            let fits = |item: &Json<'_>| fits(item, of);
            items.iter().all(fits).then_some(Root::Value(document?))
        }
        (DataType::List(_), _) => None,
        (_, Some(one @ Json::Object(_))) => Some(Root::Value(one)),
        _ => Some(Root::AllNull),
    }
}

/// Whether an item can stand in an array of this type: one that can't makes the whole array null.
fn fits(item: &Json<'_>, array: &DataType) -> bool {
    match array {
        DataType::List(of) => match of.data_type() {
            DataType::Struct(_) => matches!(item, Json::Object(_) | Json::Null),
            DataType::Int32 | DataType::Int64 => matches!(item, Json::Null) || whole(item).is_some(),
            DataType::Boolean => matches!(item, Json::Boolean(_) | Json::Null),
            _ => true,
        },
        _ => true,
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
pub(super) fn documents(roots: &[Option<Root<'_, '_>>], of: &DataType) -> Result<ArrayRef> {
    if let DataType::List(item) = of {
        let items_of = |root: &Option<Root<'_, '_>>| match root {
            Some(Root::OneItem(_)) => 1,
            Some(Root::Value(Json::Array(items))) => items.len(),
            _ => 0,
        };
        let mut items = Vec::new();
        for root in roots.iter().flatten() {
            match root {
                Root::OneItem(one) => items.push(Some(*one)),
                Root::Value(Json::Array(all)) => items.extend(all.iter().map(Some)),
                _ => {}
            }
        }
        let offsets = OffsetBuffer::from_lengths(roots.iter().map(items_of));
        let nulls = NullBuffer::from_iter(roots.iter().map(Option::is_some));
        let values = array(&items, item.data_type())?;
        return Ok(Arc::new(ListArray::new(Arc::clone(item), offsets, values, Some(nulls))));
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
fn array(values: &[Option<&Json<'_>>], of: &DataType) -> Result<ArrayRef> {
    fn each<'j, 't: 'j, T>(
        values: &'j [Option<&Json<'t>>],
        read: impl Fn(&Json<'t>) -> Option<T> + 'j,
    ) -> impl Iterator<Item = Option<T>> + 'j {
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
        DataType::Date32 => Arc::new(each(values, |value| day_of(&text(value)?)).collect::<Date32Array>()),
        DataType::Timestamp(..) => {
            let times: TimestampMicrosecondArray = each(values, |value| time_us_of(&text(value)?)).collect();
            Arc::new(times.with_data_type(timestamp_type()))
        }
        DataType::Binary => {
            let bytes: Vec<_> = each(values, |value| super::super::strings::unbase64(&text(value)?)).collect();
            Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>())
        }
        DataType::List(item) => list(values, item, of)?,
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
        other => return exec_err!("`from_json` gives no {other}"),
    })
}

fn list(values: &[Option<&Json<'_>>], item: &Arc<Field>, of: &DataType) -> Result<ArrayRef> {
    let items_of = |value: &Option<&Json<'_>>| match value {
        Some(Json::Array(items)) if items.iter().all(|item| fits(item, of)) => Some(items.len()),
        _ => None,
    };
    let mut items = Vec::new();
    for value in values.iter().filter(|value| items_of(value).is_some()) {
        if let Some(Json::Array(all)) = value {
            items.extend(all.iter().map(Some));
        }
    }
    let offsets = OffsetBuffer::from_lengths(values.iter().map(|value| items_of(value).unwrap_or(0)));
    let nulls = NullBuffer::from_iter(values.iter().map(|value| items_of(value).is_some()));
    Ok(Arc::new(ListArray::new(Arc::clone(item), offsets, array(&items, item.data_type())?, Some(nulls))))
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
