//! Functions whose result may be far larger than their arguments. The size of the result is checked before it is
//! computed, since running out of memory ends the process. `repeat('x', n)` with n from a record must fail for that
//! record only.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::VALUE_BYTES_MAX;

/// The most bytes that one call may make over all of its rows. Above it the call fails, and the caller retries with
/// fewer rows; a single row is exempt.
const CALL_BYTES_MAX: u64 = 16 * VALUE_BYTES_MAX as u64;

/// The most bytes of a character in UTF-8.
const CHARACTER_BYTES_MAX: u64 = 4;

/// The function, with a size check around it if its result may be far larger than its arguments.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let growth = match function.name() {
        "repeat" => Growth::Repeat,
        "lpad" | "rpad" => Growth::Pad,
        "replace" => Growth::Replace,
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

struct Texts {
    values: StringArray,
    is_one: bool,
}

impl Texts {
    fn of(value: &ColumnarValue) -> Result<Self> {
        let values = cast(&rows(value)?, &DataType::Utf8)?.as_string::<i32>().clone();
        Ok(Self { values, is_one: matches!(value, ColumnarValue::Scalar(_)) })
    }

    fn at(&self, row: usize) -> Option<&str> {
        let row = if self.is_one { 0 } else { row };
        if self.values.is_null(row) { None } else { Some(self.values.value(row)) }
    }
}

/// The values: one row for a constant, all rows otherwise.
fn rows(value: &ColumnarValue) -> Result<ArrayRef> {
    match value {
        ColumnarValue::Scalar(scalar) => scalar.to_array(),
        ColumnarValue::Array(array) => Ok(Arc::clone(array)),
    }
}
