//! Casts of texts to booleans, doubles and decimals, and of doubles to decimals, as in Spark. Arrow's take `on` for a
//! boolean, no `1e2` for a decimal, and a double for a decimal by its bits.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::decimals;
use crate::quote::quoted;

/// The function that such a cast is. Documents can't use its name.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reading {
    target: DataType,
    is_try: bool,
    signature: Signature,
}

impl Reading {
    /// `None` if Arrow's casts between these types do what Spark's do.
    pub fn of(found: &DataType, target: &DataType, is_try: bool) -> Option<Self> {
        let is_ours = match target {
            DataType::Boolean | DataType::Float32 | DataType::Float64 => found.is_string(),
            DataType::Decimal128(..) => found.is_string() || found.is_floating(),
            _ => false,
        };
        let signature = Signature::any(1, Volatility::Immutable);
        is_ours.then(|| Self { target: target.clone(), is_try, signature })
    }
}

impl ScalarUDFImpl for Reading {
    fn name(&self) -> &str {
        "read as"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.target.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = &args.args[..] else { return exec_err!("a cast takes one value") };
        Ok(match value {
            ColumnarValue::Array(values) => ColumnarValue::Array(self.read(values)?),
            ColumnarValue::Scalar(value) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&self.read(&value.to_array()?)?, 0)?)
            }
        })
    }
}

impl Reading {
    fn read(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let texts = || -> Result<StringArray> { Ok(cast(values, &DataType::Utf8)?.as_string::<i32>().clone()) };
        Ok(match &self.target {
            DataType::Boolean => Arc::new(self.each::<_, _, BooleanArray>(texts()?.iter(), boolean, quoted)?),
            DataType::Float32 => Arc::new(self.each::<_, _, Float32Array>(texts()?.iter(), float, quoted)?),
            DataType::Float64 => Arc::new(self.each::<_, _, Float64Array>(texts()?.iter(), float, quoted)?),
            DataType::Decimal128(precision, scale) => {
                let of_digits = |digits: Option<i128>| {
                    digits.filter(|digits| {
                        let beyond = decimals::pow10(u32::from(*precision)).unwrap_or(i128::MAX);
                        digits.unsigned_abs() < beyond.unsigned_abs()
                    })
                };
                let decimals: Decimal128Array = match values.data_type() {
                    DataType::Float64 => self.each(
                        values.as_primitive::<Float64Type>().iter(),
                        |x| of_digits(decimals::decimal(x, *scale)),
                        |x| quoted(decimals::text(x)),
                    )?,
                    DataType::Float32 => self.each(
                        values.as_primitive::<Float32Type>().iter(),
                        |x| of_digits(decimals::decimal(x, *scale)),
                        |x| quoted(decimals::text(x)),
                    )?,
                    _ => self.each(texts()?.iter(), |text| of_digits(decimal(text, *scale)), quoted)?,
                };
                Arc::new(decimals.with_precision_and_scale(*precision, *scale)?)
            }
            other => return exec_err!("a text is not read as a {other}"),
        })
    }

    fn each<V: Copy, T, A: FromIterator<Option<T>>>(
        &self,
        values: impl Iterator<Item = Option<V>>,
        read: impl Fn(V) -> Option<T>,
        shown: impl Fn(V) -> String,
    ) -> Result<A> {
        values
            .map(|value| match value.map(|value| (value, read(value))) {
                Some((_, Some(read))) => Ok(Some(read)),
                Some((value, None)) if !self.is_try => exec_err!("{}", self.misfit(&shown(value))),
                _ => Ok(None),
            })
            .collect()
    }
}

impl Reading {
    /// Why a value, in backticks, is not cast.
    fn misfit(&self, value: &str) -> String {
        let bare = value.trim_matches('`');
        match self.target {
            DataType::Decimal128(precision, _) if decimal(bare, 0).is_some() => {
                format!("{value} has more than the {precision} digits that its decimal can hold")
            }
            _ => {
                let target = crate::expr::with_article(&crate::expr::type_name(&self.target));
                format!("{value} can't be cast to {target}")
            }
        }
    }
}

/// The text without what Java counts as space.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

fn boolean(text: &str) -> Option<bool> {
    match trimmed(text).to_ascii_lowercase().as_str() {
        "t" | "true" | "y" | "yes" | "1" => Some(true),
        "f" | "false" | "n" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A float as Java and Spark read it, also `1d` and `Infinity`.
fn float<F: std::str::FromStr>(text: &str) -> Option<F> {
    let text = trimmed(text);
    let is_number = text.contains(|c: char| c.is_ascii_digit());
    let bare = text
        .strip_suffix(['d', 'D', 'f', 'F'])
        .filter(|bare| is_number && bare.ends_with(|c: char| c.is_ascii_digit() || c == '.'));
    bare.unwrap_or(text).parse().ok()
}

/// The digits of a decimal of this scale, rounded half up: `1.5`, `-.5`, `1e2`.
pub(super) fn decimal(text: &str, scale: i8) -> Option<i128> {
    let text = trimmed(text);
    let (mantissa, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The place, in the digits, behind which the decimal ends.
    let end = i64::try_from(whole.len()).ok()? + i64::from(power) + i64::from(scale);
    let digits = format!("{whole}{fraction}");
    let count = i64::try_from(digits.len()).ok()?;
    let kept = usize::try_from(end.clamp(0, count)).ok()?;
    let zeros = u32::try_from((end - count).max(0)).ok()?;
    let value: i128 = match digits[..kept].trim_start_matches('0') {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let value = if value == 0 { 0 } else { value.checked_mul(decimals::pow10(zeros)?)? };
    let is_up = end >= 0 && digits.as_bytes().get(kept).is_some_and(|digit| *digit >= b'5');
    let value = value + i128::from(is_up);
    Some(if is_negative { -value } else { value })
}
