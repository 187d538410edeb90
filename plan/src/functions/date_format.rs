//! `date_format(timestamp | date, pattern)`, also called `to_char` as in Spark 4, with Spark's patterns. DataFusion's
//! functions of these names take chrono's patterns.
//!
//! A literal pattern is checked when the expression is compiled; a pattern from a column is checked row by row.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimestampMicrosecondType};
use datafusion_common::{DataFusionError, Result, ScalarValue, exec_datafusion_err, plan_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::datetime_pattern::Pattern;
use crate::types::timestamp_type;

const NAME: &str = "date_format";

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateFormat {
    signature: Signature,
    aliases: Vec<String>,
}

impl DateFormat {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), aliases: vec!["to_char".to_owned()] }
    }
}

impl ScalarUDFImpl for DateFormat {
    fn name(&self) -> &str {
        NAME
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [time, pattern] = arg_types else {
            return plan_err!("{NAME} takes a timestamp and a pattern, not {} arguments", arg_types.len());
        };
        let is_text =
            |t: &DataType| matches!(t, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null);
        if !matches!(time, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 | DataType::Null) {
            let instead = match time {
                t if t.is_numeric() => {
                    "make a time of the number by `to_timestamp_seconds(…)`, `to_timestamp_millis(…)` or \
                     `to_timestamp_micros(…)`"
                }
                t if t.is_string() => "read the text first, by `to_timestamp(…)`",
                _ => "name a time",
            };
            return plan_err!("{NAME} takes a timestamp or a date, not a {time}: {instead}");
        }
        if !is_text(pattern) {
            return plan_err!("{NAME} takes a pattern that is a string, such as 'yyyy-MM-dd', not a {pattern}");
        }
        Ok(vec![timestamp_type(), DataType::Utf8])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(Some(ScalarValue::Utf8(Some(pattern)))) = args.scalar_arguments.get(1) {
            Pattern::of_constant(pattern).or_else(|why| plan_err!("{NAME}: {why}"))?;
        }
        let nullable = args.arg_fields.iter().any(|f| f.is_nullable());
        Ok(Arc::new(Field::new(NAME, DataType::Utf8, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [time, pattern] = <[ColumnarValue; 2]>::try_from(args.args)
            .map_err(|args| exec_datafusion_err!("{NAME} takes two arguments, not {}", args.len()))?;
        match (time, pattern) {
            (_, ColumnarValue::Scalar(ScalarValue::Utf8(None) | ScalarValue::Null)) => {
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None)))
            }
            (ColumnarValue::Scalar(time), ColumnarValue::Scalar(ScalarValue::Utf8(Some(pattern)))) => {
                let formatted = format_all(times(&time.to_array()?)?, &compile(&pattern)?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&formatted, 0)?))
            }
            (ColumnarValue::Array(time), ColumnarValue::Scalar(ScalarValue::Utf8(Some(pattern)))) => {
                Ok(ColumnarValue::Array(format_all(times(&time)?, &compile(&pattern)?)?))
            }
            (time, pattern) => {
                Ok(ColumnarValue::Array(format_each(times(&time.into_array(rows)?)?, &pattern.into_array(rows)?)?))
            }
        }
    }
}

fn compile(pattern: &str) -> Result<Pattern> {
    Pattern::compile(pattern).map_err(|why| exec_datafusion_err!("{NAME}: {why}"))
}

fn times(array: &ArrayRef) -> Result<&TimestampMicrosecondArray> {
    array
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| exec_datafusion_err!("{NAME} takes a timestamp in microseconds, not a {}", array.data_type()))
}

/// Formats all times. Consecutive rows often have the same time (a window's start): its text is written once and
/// copied.
fn format_all(times: &TimestampMicrosecondArray, pattern: &Pattern) -> Result<ArrayRef> {
    let mut out = StringBuilder::with_capacity(times.len(), times.len() * 20);
    let mut last = None;
    let mut text = String::new();
    for time_us in times {
        let Some(time_us) = time_us else {
            out.append_null();
            continue;
        };
        if last != Some(time_us) {
            text.clear();
            pattern.write(&mut text, time_us).map_err(unwritable)?;
            last = Some(time_us);
        }
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}

fn format_each(times: &TimestampMicrosecondArray, patterns: &ArrayRef) -> Result<ArrayRef> {
    let patterns = patterns.as_string_opt::<i32>().ok_or_else(|| {
        exec_datafusion_err!("{NAME} takes a pattern that is a string, not a {}", patterns.data_type())
    })?;
    let mut out = StringBuilder::with_capacity(times.len(), times.len() * 20);
    let mut last: Option<(&str, Pattern)> = None;
    for (time_us, text) in times.iter().zip(patterns) {
        let (Some(time_us), Some(text)) = (time_us, text) else {
            out.append_null();
            continue;
        };
        let pattern = match last.take() {
            Some((same, pattern)) if same == text => pattern,
            _ => compile(text)?,
        };
        pattern.write(&mut out, time_us).map_err(unwritable)?;
        out.append_value("");
        last = Some((text, pattern));
    }
    Ok(Arc::new(out.finish()))
}

fn unwritable(_: std::fmt::Error) -> DataFusionError {
    exec_datafusion_err!("{NAME} could not write its result")
}
