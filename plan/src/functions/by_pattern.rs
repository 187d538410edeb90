//! Reading texts as times by Spark's patterns: the code that `to_timestamp`, `to_date` and similar functions share.

use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use datafusion_common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion_expr::{Expr, ReturnFieldArgs};

use super::datetime_pattern::{Pattern, Reader};

/// The functions that read a text, with patterns as the arguments behind it.
const READING: [&str; 9] = [
    "to_date",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "try_to_date",
    "try_to_timestamp",
];
const WRITING: [&str; 1] = ["date_format"];

/// Why a constant pattern of this call is refused. `None` if all are right, or if the function takes no patterns.
pub(crate) fn refused_pattern(name: &str, args: &[Expr]) -> Option<String> {
    let patterns = args.iter().skip(1).filter_map(|arg| match arg {
        Expr::Literal(value, _) => text_of(value),
        _ => None,
    });
    let why = if READING.contains(&name) {
        patterns.filter_map(|pattern| Reader::of_constant(pattern).err()).next()
    } else if WRITING.contains(&name) {
        patterns.filter_map(|pattern| Pattern::of_constant(pattern).err()).next()
    } else {
        None
    };
    why.map(|why| format!("{name}: {why}"))
}

fn text_of(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => text.as_deref(),
        _ => None,
    }
}

/// Refuses wrong constant patterns when the expression is compiled.
pub(super) fn check_constant_patterns(name: &str, args: &ReturnFieldArgs<'_>) -> Result<()> {
    for pattern in args.scalar_arguments.iter().skip(1).flatten().filter_map(|value| text_of(value)) {
        Reader::of_constant(pattern).or_else(|why| plan_err!("{name}: {why}"))?;
    }
    Ok(())
}

/// The result for a text that fits no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Misfit {
    Fails,
    IsNull,
}

/// Whether the function's result may be null.
pub(super) fn is_nullable(is_cast: bool, misfit: Misfit, args: &ReturnFieldArgs<'_>) -> bool {
    !is_cast || misfit == Misfit::IsNull || args.arg_fields.iter().any(|arg| arg.is_nullable())
}

/// Reads each text by the first pattern that fits. A row is null if its text or all of its patterns are null.
pub(super) fn times(
    name: &str,
    misfit: Misfit,
    texts: &ArrayRef,
    patterns: &[ArrayRef],
) -> Result<TimestampMicrosecondArray> {
    let strings = |array: &'_ ArrayRef| -> Result<StringArray> {
        array.as_string_opt::<i32>().cloned().ok_or_else(|| {
            exec_datafusion_err!("{name} takes a text and its patterns, and found {}", array.data_type())
        })
    };
    let texts = strings(texts)?;
    let patterns = patterns.iter().map(strings).collect::<Result<Vec<_>>>()?;
    // The last compiled pattern is kept: patterns usually stay the same from row to row.
    let mut last: Vec<Option<(&str, Reader)>> = vec![None; patterns.len()];
    let mut time_of = |row: usize, text: &str| -> Result<Option<i64>> {
        let mut refused = None;
        for (column, last) in patterns.iter().zip(&mut last).filter(|(column, _)| !column.is_null(row)) {
            let pattern = column.value(row);
            if last.as_ref().is_none_or(|(same, _)| *same != pattern) {
                let reader = Reader::compile(pattern).map_err(|why| exec_datafusion_err!("{name}: {why}"))?;
                *last = Some((pattern, reader));
            }
            match last.as_ref().map(|(_, reader)| reader.read(text)) {
                Some(Ok(time_us)) => return Ok(Some(time_us)),
                Some(Err(why)) => refused = Some(why),
                None => {}
            }
        }
        match refused {
            Some(why) if misfit == Misfit::Fails => exec_err!("{why}"),
            _ => Ok(None),
        }
    };
    let times = texts.iter().enumerate().map(|(row, text)| text.map_or(Ok(None), |text| time_of(row, text)));
    times.collect()
}
