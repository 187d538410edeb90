//! Values as Spark's texts: what `cast(… as string)`, `concat` and `||` write. Arrow's casts write `1e20`, `inf` and
//! `2024-01-31T10:00:00Z`, and nothing for a null in an array.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimestampMicrosecondType};
use datafusion_common::{Result, exec_err};
use datafusion_expr::ScalarUDF;

use super::decimals;
use super::maps::range;
use super::simple::{Takes, simple};
use crate::calendar::Civil;
use crate::types::timestamp_type;

/// The name is no word of the language, so that no document can call it.
pub(super) const NAME: &str = "text of";

/// Whether Spark's text of a value of this type is another one than Arrow's.
pub(super) fn has_own_text(of: &DataType) -> bool {
    matches!(of, DataType::Float32 | DataType::Float64 | DataType::Timestamp(..)) || of.is_nested()
}

pub(super) fn function() -> ScalarUDF {
    simple(NAME, &[&[Takes::Any]], |_| Ok(DataType::Utf8), |args| Ok(Arc::new(of(&args[0])?))).into()
}

pub(super) fn of(values: &ArrayRef) -> Result<StringArray> {
    let mut text = String::new();
    let mut texts = StringBuilder::new();
    let writer = Writer::of(values)?;
    for row in 0..values.len() {
        if values.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        writer.write(row, &mut text)?;
        texts.append_value(&text);
    }
    Ok(texts.finish())
}

enum Writer {
    Doubles(ArrayRef),
    Floats(ArrayRef),
    Times(ArrayRef),
    Lists(ArrayRef, Box<Writer>),
    Structs(ArrayRef, Vec<Writer>),
    /// With the writers of the keys and of the values.
    Maps(ArrayRef, Box<[Writer; 2]>),
    /// What Arrow writes as Spark does.
    Others(StringArray),
}

impl Writer {
    fn of(values: &ArrayRef) -> Result<Self> {
        let values = Arc::clone(values);
        Ok(match values.data_type() {
            DataType::Float64 => Self::Doubles(values),
            DataType::Float32 => Self::Floats(values),
            DataType::Timestamp(..) => Self::Times(cast(&values, &timestamp_type())?),
            DataType::List(_) => {
                let items = Self::of(values.as_list::<i32>().values())?;
                Self::Lists(values, Box::new(items))
            }
            DataType::Struct(_) => {
                let fields = values.as_struct().columns().iter().map(Self::of).collect::<Result<_>>()?;
                Self::Structs(values, fields)
            }
            DataType::Map(..) => {
                let maps = values.as_map();
                let writers = [Self::of(maps.keys())?, Self::of(maps.values())?];
                Self::Maps(values, Box::new(writers))
            }
            other if other.is_nested() => return exec_err!("a {other} has no text"),
            _ => Self::Others(cast(&values, &DataType::Utf8)?.as_string::<i32>().clone()),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Doubles(values) | Self::Floats(values) | Self::Times(values) => values.is_null(row),
            Self::Lists(values, _) | Self::Structs(values, _) | Self::Maps(values, _) => values.is_null(row),
            Self::Others(values) => values.is_null(row),
        }
    }

    fn write(&self, row: usize, text: &mut String) -> Result<()> {
        match self {
            Self::Doubles(values) => *text += &decimals::text(values.as_primitive::<Float64Type>().value(row)),
            Self::Floats(values) => *text += &decimals::text(values.as_primitive::<Float32Type>().value(row)),
            Self::Times(values) => write_time(values.as_primitive::<TimestampMicrosecondType>().value(row), text),
            Self::Lists(values, items) => {
                let offsets = values.as_list::<i32>().value_offsets();
                let bound = |at: usize| usize::try_from(offsets[at]).unwrap_or_default();
                Self::write_all('[', (bound(row)..bound(row + 1)).map(|item| (&**items, item)), ']', text)?;
            }
            Self::Structs(_, fields) => Self::write_all('{', fields.iter().map(|field| (field, row)), '}', text)?,
            Self::Maps(maps, writers) => {
                let [keys, values] = &**writers;
                text.push('{');
                for (i, place) in range(maps.as_map(), row).enumerate() {
                    *text += if i > 0 { ", " } else { "" };
                    keys.write(place, text)?;
                    *text += " -> ";
                    values.write_or_null(place, text)?;
                }
                text.push('}');
            }
            Self::Others(values) => *text += values.value(row),
        }
        if text.len() > super::VALUE_BYTES_MAX {
            return exec_err!("the text of the value has more than {} bytes", super::VALUE_BYTES_MAX);
        }
        Ok(())
    }

    fn write_all<'w>(
        open: char,
        values: impl Iterator<Item = (&'w Writer, usize)>,
        close: char,
        text: &mut String,
    ) -> Result<()> {
        text.push(open);
        for (i, (writer, row)) in values.enumerate() {
            *text += if i > 0 { ", " } else { "" };
            writer.write_or_null(row, text)?;
        }
        text.push(close);
        Ok(())
    }

    fn write_or_null(&self, row: usize, text: &mut String) -> Result<()> {
        if self.is_null(row) {
            *text += "null";
            return Ok(());
        }
        self.write(row, text)
    }
}

fn write_time(time_us: i64, text: &mut String) {
    let at = Civil::from_us(time_us);
    let (year, month, day) = (at.year, at.month, at.day);
    // Writing to a text never fails.
    let _ = write!(text, "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", at.hour, at.minute, at.second);
    if at.microsecond > 0 {
        let fraction = format!(".{:06}", at.microsecond);
        *text += fraction.trim_end_matches('0');
    }
}
