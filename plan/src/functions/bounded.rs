//! Functions whose result may be far larger than their arguments, or that may take far longer to compute. The size of
//! the result is checked before it is computed, since running out of memory ends the process. `repeat('x', n)` with n
//! from a record must fail for that record only.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::arguments::{Texts, rows};
use super::{CALL_BYTES_MAX, VALUE_BYTES_MAX};

/// The most pairs of bytes that `levenshtein` compares for one row: two texts of 10,000 bytes, in about a tenth of a
/// second.
const PAIRS_MAX: u64 = 100_000_000;

/// The most bytes of a character in UTF-8.
const CHARACTER_BYTES_MAX: u64 = 4;

/// The function, with a size check around it if its result may be far larger than its arguments.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let growth = match function.name() {
        "repeat" => Growth::Repeat,
        "lpad" | "rpad" => Growth::Pad,
        "replace" => Growth::Replace,
        "concat" | "overlay" => Growth::Join,
        "concat_ws" => Growth::JoinWith,
        "encode" => Growth::Encode,
        "levenshtein" => Growth::Compare,
        _ => return function,
    };
    Arc::new(ScalarUDF::from(Bounded { function, growth }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    growth: Growth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// Arguments: (text, times).
    Repeat,
    /// Arguments: (text, characters, …).
    Pad,
    /// Arguments: (text, from, to).
    Replace,
    /// Arguments: texts, and numbers that do not matter. The result is null where one is.
    Join,
    /// Arguments: (separator, text, …).
    JoinWith,
    /// Arguments: (bytes, name of an encoding that makes at most two of each).
    Encode,
    /// Arguments: (text, text). The time grows, and not the result.
    Compare,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.function.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.refuse_oversized(&args)?;
        if let (Growth::Pad, [_, characters, ..]) = (self.growth, &mut args.args[..]) {
            *characters = not_negative(characters)?;
        }
        self.function.inner().invoke_with_args(args)
    }
}

/// Replaces negative numbers by 0. DataFusion's `lpad` takes a negative number from a column for a huge one.
fn not_negative(value: &ColumnarValue) -> Result<ColumnarValue> {
    let numbers = cast(&rows(value)?, &DataType::Int64)?;
    let numbers: ArrayRef = Arc::new(numbers.as_primitive::<Int64Type>().unary::<_, Int64Type>(|n| n.max(0)));
    Ok(match value {
        ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::try_from_array(&numbers, 0)?),
        ColumnarValue::Array(_) => ColumnarValue::Array(numbers),
    })
}

impl Bounded {
    fn refuse_oversized(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let bytes_of_row: Box<dyn Fn(usize) -> Option<u64>> = match (self.growth, &args.args[..]) {
            (Growth::Repeat, [text, times]) => {
                let (text, times) = (Numbers::lengths(text)?, Numbers::of(times)?);
                Box::new(move |row| Some(text.at(row)?.saturating_mul(times.at(row)?)))
            }
            (Growth::Pad, [_, characters, ..]) => {
                let characters = Numbers::of(characters)?;
                Box::new(move |row| characters.at(row))
            }
            (Growth::Replace, [text, from, to]) => {
                let (text, from, to) = (Texts::of(text)?, Texts::of(from)?, Texts::of(to)?);
                Box::new(move |row| replaced(text.at(row)?, from.at(row)?, to.at(row)?))
            }
            (Growth::Join, texts) => {
                let lengths = lengths(texts)?;
                Box::new(move |row| {
                    lengths
                        .iter()
                        .map(|length| length.at(row))
                        .try_fold(0_u64, |all, length| Some(all.saturating_add(length?)))
                })
            }
            (Growth::JoinWith, [separator, texts @ ..]) => {
                let (separator, lengths) = (Numbers::lengths(separator)?, lengths(texts)?);
                Box::new(move |row| {
                    let separators = separator.at(row)?.saturating_mul(lengths.len() as u64);
                    Some(joined(&lengths, row).saturating_add(separators))
                })
            }
            (Growth::Encode, [bytes, ..]) => {
                let bytes = Numbers::lengths(bytes)?;
                Box::new(move |row| Some(bytes.at(row)?.saturating_mul(2)))
            }
            (Growth::Compare, [one, other]) => return self.refuse_long_comparison(one, other, args.number_rows),
            // Wrong arguments: the function itself reports them.
            _ => return Ok(()),
        };
        // A call with only constants is computed once, whatever the number of rows.
        let rows =
            if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) { 1 } else { args.number_rows };
        let mut all = 0_u64;
        for row in 0..rows {
            let Some(bytes) = bytes_of_row(row) else { continue };
            if bytes > VALUE_BYTES_MAX as u64 {
                return exec_err!(
                    "`{}` would make a value of {bytes} {}, and a value that is computed has at most \
                     {VALUE_BYTES_MAX} bytes",
                    self.name(),
                    if self.growth == Growth::Pad { "characters" } else { "bytes" }
                );
            }
            all = all.saturating_add(if self.growth == Growth::Pad { CHARACTER_BYTES_MAX * bytes } else { bytes });
        }
        if all > CALL_BYTES_MAX && rows > 1 {
            return exec_err!("`{}` would make {all} bytes of {rows} rows at once", self.name());
        }
        Ok(())
    }

    fn refuse_long_comparison(&self, one: &ColumnarValue, other: &ColumnarValue, rows: usize) -> Result<()> {
        let (one, other) = (Numbers::lengths(one)?, Numbers::lengths(other)?);
        for row in 0..if one.is_one && other.is_one { 1 } else { rows } {
            let (Some(one), Some(other)) = (one.at(row), other.at(row)) else { continue };
            if one.saturating_mul(other) > PAIRS_MAX {
                return exec_err!(
                    "`{}` would compare a text of {one} bytes with one of {other}, which takes too long: compare their \
                     beginnings, as `left(…, 1000)`",
                    self.name()
                );
            }
        }
        Ok(())
    }
}

/// The lengths of the arguments that are texts.
fn lengths(args: &[ColumnarValue]) -> Result<Vec<Numbers>> {
    let is_text = |arg: &&ColumnarValue| {
        matches!(arg.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Binary)
    };
    args.iter().filter(is_text).map(Numbers::lengths).collect()
}

/// The length of all texts of a row together. Nulls have none.
fn joined(lengths: &[Numbers], row: usize) -> u64 {
    lengths.iter().filter_map(|length| length.at(row)).fold(0, u64::saturating_add)
}

/// The length of `replace(text, from, to)` in bytes; `None` if it can't be too long. The occurrences are counted only
/// when needed.
fn replaced(text: &str, from: &str, to: &str) -> Option<u64> {
    let growth = to.len().saturating_sub(from.len());
    let places_max = if from.is_empty() { 0 } else { text.len() / from.len() };
    if places_max.saturating_mul(growth).saturating_add(text.len()) <= VALUE_BYTES_MAX {
        return None;
    }
    Some(text.matches(from).count().saturating_mul(growth).saturating_add(text.len()) as u64)
}

/// One non-negative number per row. A negative number counts as `None`.
struct Numbers {
    values: Int64Array,
    is_one: bool,
}

impl Numbers {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Self::from(rows(value)?, matches!(value, ColumnarValue::Scalar(_)))
    }

    fn lengths(text: &ColumnarValue) -> Result<Self> {
        Self::from(length(&rows(text)?)?, matches!(text, ColumnarValue::Scalar(_)))
    }

    fn from(array: ArrayRef, is_one: bool) -> Result<Self> {
        Ok(Self { values: cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().clone(), is_one })
    }

    fn at(&self, row: usize) -> Option<u64> {
        let row = if self.is_one { 0 } else { row };
        if self.values.is_null(row) { None } else { u64::try_from(self.values.value(row)).ok() }
    }
}
