//! `to_json`: structs, arrays and maps as JSON, with Spark's texts of numbers and times. A null field is left out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion_common::{Result, exec_err, plan_err};

use super::super::maps::range;
use super::super::{CALL_BYTES_MAX, VALUE_BYTES_MAX, decimals, strings};
use super::document::write_text;
use crate::calendar::Civil;

pub(super) fn gives(types: &[DataType]) -> Result<DataType> {
    match types {
        [DataType::Struct(_) | DataType::List(_) | DataType::Map(..) | DataType::Null] => Ok(DataType::Utf8),
        _ => plan_err!("a struct, an array or a map stands here, as in `to_json(struct(city, price))`"),
    }
}

pub(super) fn to_json(values: &ArrayRef) -> Result<ArrayRef> {
    let (mut texts, mut bytes) = (StringBuilder::new(), 0_u64);
    for row in 0..values.len() {
        if values.is_null(row) {
            texts.append_null();
            continue;
        }
        let mut text = String::new();
        write(values, row, &mut text)?;
        bytes += text.len() as u64;
        if bytes > CALL_BYTES_MAX && values.len() > 1 {
            return exec_err!("`to_json` would make more than {CALL_BYTES_MAX} bytes of {} rows at once", values.len());
        }
        texts.append_value(text);
    }
    Ok(Arc::new(texts.finish()))
}

fn write(values: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    if values.is_null(row) {
        *out += "null";
        return Ok(());
    }
    match values.data_type() {
        DataType::Boolean => *out += if values.as_boolean().value(row) { "true" } else { "false" },
        DataType::Int32 => *out += &values.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => *out += &values.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => {
            let value = values.as_primitive::<Float32Type>().value(row);
            write_float(&decimals::text(value), value.is_finite(), out);
        }
        DataType::Float64 => {
            let value = values.as_primitive::<Float64Type>().value(row);
            write_float(&decimals::text(value), value.is_finite(), out);
        }
        DataType::Decimal128(..) => {
            let text = cast(&values.slice(row, 1), &DataType::Utf8)?;
            *out += text.as_string::<i32>().value(0);
        }
        DataType::Timestamp(..) => {
            let at = Civil::from_us(values.as_primitive::<TimestampMicrosecondType>().value(row));
            let (day, millis) = (format!("{:04}-{:02}-{:02}", at.year, at.month, at.day), at.microsecond / 1000);
            *out += &format!("\"{day}T{:02}:{:02}:{:02}.{millis:03}Z\"", at.hour, at.minute, at.second);
        }
        DataType::Binary => write_text(&strings::base64(values.as_binary::<i32>().value(row)), out),
        DataType::Utf8 => write_text(values.as_string::<i32>().value(row), out),
        DataType::Date32 => {
            let text = cast(&values.slice(row, 1), &DataType::Utf8)?;
            write_text(text.as_string::<i32>().value(0), out);
        }
        DataType::List(_) => {
            let items = values.as_list::<i32>().value(row);
            out.push('[');
            for item in 0..items.len() {
                *out += if item > 0 { "," } else { "" };
                write(&items, item, out)?;
            }
            out.push(']');
        }
        DataType::Struct(fields) => {
            out.push('{');
            let start = out.len();
            for (field, column) in fields.iter().zip(values.as_struct().columns()) {
                if column.is_null(row) {
                    continue;
                }
                *out += if out.len() > start { "," } else { "" };
                write_text(field.name(), out);
                out.push(':');
                write(column, row, out)?;
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let maps = values.as_map();
            out.push('{');
            for (i, place) in range(maps, row).enumerate() {
                *out += if i > 0 { "," } else { "" };
                write_key(maps.keys(), place, out)?;
                out.push(':');
                write(maps.values(), place, out)?;
            }
            out.push('}');
        }
        // Other types of the planner, such as those of a literal.
        other => match crate::types::normalized(other) {
            Some(stored) if stored != *other => write(&cast(&values.slice(row, 1), &stored)?, 0, out)?,
            _ => return exec_err!("`to_json` does not take a {other}"),
        },
    }
    if out.len() > VALUE_BYTES_MAX {
        return exec_err!("`to_json` would make a value of more than {VALUE_BYTES_MAX} bytes");
    }
    Ok(())
}

/// A key as a name. As Spark does, a date is written as the days since 1970, and a time as the microseconds.
fn write_key(keys: &ArrayRef, place: usize, out: &mut String) -> Result<()> {
    let key = match keys.data_type() {
        DataType::Utf8 => keys.as_string::<i32>().value(place).to_owned(),
        DataType::Date32 => keys.as_primitive::<Date32Type>().value(place).to_string(),
        DataType::Timestamp(..) => keys.as_primitive::<TimestampMicrosecondType>().value(place).to_string(),
        of if of.is_numeric() || *of == DataType::Boolean => {
            let mut text = String::new();
            write(keys, place, &mut text)?;
            text.trim_matches('"').to_owned()
        }
        of => return exec_err!("`to_json` writes no keys that are {of}"),
    };
    write_text(&key, out);
    Ok(())
}

fn write_float(text: &str, is_finite: bool, out: &mut String) {
    if is_finite {
        *out += text;
    } else {
        write_text(text, out);
    }
}
