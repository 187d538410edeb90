//! Arithmetic that fails where DataFusion's own would wrap around or give a value that its type can't hold, and texts
//! joined by `||` that fail before they fill the memory.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::kernels::numeric::neg;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Schema, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampSecondType,
};
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::expressions::{BinaryExpr, NegativeExpr};
use datafusion_physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::quotients::Quotient;
use super::refuse_oversized;
use crate::calendar::{DAYS, US_PER_DAY, US_PER_SECOND};
use crate::functions::CALL_BYTES_MAX;

/// Base of a decimal's bound: a decimal of p digits holds only values below 10^p.
const TEN: u128 = 10;

pub(super) fn is_arithmetic(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo)
}

/// The expression with `+`, `-`, `*`, `/`, `%` and functions replaced by versions that fail on results that their type
/// can't hold.
pub(super) fn checked(physical: Arc<dyn PhysicalExpr>, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    let rewritten = physical.transform_up(|e| {
        let strict: Arc<dyn PhysicalExpr> = if let Some(binary) = e.downcast_ref::<BinaryExpr>() {
            let op = *binary.op();
            if op == Operator::StringConcat {
                return Ok(Transformed::yes(Arc::new(InBytes { of: Arc::clone(&e) })));
            }
            if !is_arithmetic(op) {
                return Ok(Transformed::no(e));
            }
            let same = BinaryExpr::new(Arc::clone(binary.left()), op, Arc::clone(binary.right()));
            if op == Operator::Divide && matches!(same.data_type(schema)?, DataType::Decimal128(..)) {
                Arc::new(Quotient { of: Arc::new(same) })
            } else {
                let fails = matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply);
                Arc::new(same.with_fail_on_overflow(fails))
            }
        } else if let Some(negative) = e.downcast_ref::<NegativeExpr>() {
            Arc::new(Negation { of: Arc::clone(negative.arg()) })
        } else if e.downcast_ref::<ScalarFunctionExpr>().is_some() {
            Arc::clone(&e)
        } else {
            return Ok(Transformed::no(e));
        };
        Ok(Transformed::yes(match strict.data_type(schema)? {
            // The kernels check only that a decimal fits 128 bits, not that it fits the digits of its type.
            DataType::Decimal128(precision, scale) => Arc::new(InDigits { of: strict, precision, scale }),
            DataType::Date32 | DataType::Timestamp(..) => Arc::new(InYears { of: strict }),
            _ => strict,
        }))
    })?;
    Ok(rewritten.data)
}

/// Negation that fails for an integer type's least value, whose negative the type can't hold.
#[derive(Debug, Eq)]
struct Negation {
    of: Arc<dyn PhysicalExpr>,
}

impl PartialEq for Negation {
    fn eq(&self, other: &Self) -> bool {
        self.of.eq(&other.of)
    }
}

impl Hash for Negation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
    }
}

impl fmt::Display for Negation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(- {})", self.of)
    }
}

impl PhysicalExpr for Negation {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.of.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.of.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(match self.of.evaluate(batch)? {
            ColumnarValue::Array(array) => ColumnarValue::Array(neg(&array)?),
            ColumnarValue::Scalar(scalar) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&neg(&scalar.to_array()?)?, 0)?)
            }
        })
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.of]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { of: Arc::clone(&children[0]) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(- ")?;
        self.of.fmt_sql(f)?;
        f.write_str(")")
    }
}

/// Checks that the decimals of the inner expression fit the digits of their type.
#[derive(Debug, Eq)]
struct InDigits {
    of: Arc<dyn PhysicalExpr>,
    precision: u8,
    scale: i8,
}

impl PartialEq for InDigits {
    fn eq(&self, other: &Self) -> bool {
        self.of.eq(&other.of) && (self.precision, self.scale) == (other.precision, other.scale)
    }
}

impl Hash for InDigits {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
        (self.precision, self.scale).hash(state);
    }
}

impl fmt::Display for InDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt(f)
    }
}

impl InDigits {
    fn refuse_beyond(&self, found: &dyn Array) -> Result<()> {
        let found = found.as_primitive::<Decimal128Type>();
        let least_beyond = TEN.pow(u32::from(self.precision));
        // The value below a null is undefined and must not fail.
        let fits = found.values().iter().all(|value| value.unsigned_abs() < least_beyond);
        if fits {
            return Ok(());
        }
        match found.iter().flatten().find(|value| value.unsigned_abs() >= least_beyond) {
            None => Ok(()),
            Some(value) => exec_err!(
                "`{}` has more digits than its type, decimal({},{}), can hold: cast the operands to decimals of fewer \
                 digits",
                decimal_text(value, self.scale),
                self.precision,
                self.scale
            ),
        }
    }
}

impl PhysicalExpr for InDigits {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.of.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.of.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let found = self.of.evaluate(batch)?;
        match &found {
            ColumnarValue::Array(array) => self.refuse_beyond(array)?,
            ColumnarValue::Scalar(scalar) => self.refuse_beyond(&scalar.to_array()?)?,
        }
        Ok(found)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.of]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { of: Arc::clone(&children[0]), precision: self.precision, scale: self.scale }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt_sql(f)
    }
}

/// Checks that the dates or timestamps of the inner expression lie in the years 1 to 9999.
#[derive(Debug, Eq)]
struct InYears {
    of: Arc<dyn PhysicalExpr>,
}

impl PartialEq for InYears {
    fn eq(&self, other: &Self) -> bool {
        self.of.eq(&other.of)
    }
}

impl Hash for InYears {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
    }
}

impl fmt::Display for InYears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt(f)
    }
}

fn all<T: ArrowPrimitiveType>(values: &PrimitiveArray<T>, fits: impl Fn(T::Native) -> bool) -> bool {
    values.values().iter().all(|value| fits(*value)) || values.iter().flatten().all(fits)
}

/// Refuses dates and timestamps that lie beyond the years 1 to 9999.
pub(super) fn refuse_beyond_years(times: &dyn Array) -> Result<()> {
    // The value below a null is undefined and must not fail.
    let all_fit = match times.data_type() {
        DataType::Date32 => all(times.as_primitive::<Date32Type>(), |day| DAYS.contains(&day)),
        DataType::Timestamp(unit, _) => {
            let per_day = US_PER_DAY
                / match unit {
                    TimeUnit::Second => US_PER_SECOND,
                    TimeUnit::Millisecond => 1000,
                    TimeUnit::Microsecond => 1,
                    // Nanoseconds end long before.
                    TimeUnit::Nanosecond => return Ok(()),
                };
            let is_time = |time: i64| i32::try_from(time.div_euclid(per_day)).is_ok_and(|day| DAYS.contains(&day));
            match unit {
                TimeUnit::Second => all(times.as_primitive::<TimestampSecondType>(), is_time),
                TimeUnit::Millisecond => all(times.as_primitive::<TimestampMillisecondType>(), is_time),
                _ => all(times.as_primitive::<TimestampMicrosecondType>(), is_time),
            }
        }
        _ => true,
    };
    if all_fit {
        Ok(())
    } else {
        exec_err!("the result lies beyond the years 1 to 9999, and all dates and times lie there")
    }
}

impl PhysicalExpr for InYears {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.of.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.of.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let found = self.of.evaluate(batch)?;
        match &found {
            ColumnarValue::Array(array) => refuse_beyond_years(array)?,
            ColumnarValue::Scalar(scalar) => refuse_beyond_years(&scalar.to_array()?)?,
        }
        Ok(found)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.of]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { of: Arc::clone(&children[0]) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt_sql(f)
    }
}

/// Checks that texts joined by the inner expression, which is a `||`, are not too long. Each `||` of a long chain is
/// checked, so no step makes much more than it may.
#[derive(Debug, Eq)]
struct InBytes {
    of: Arc<dyn PhysicalExpr>,
}

impl PartialEq for InBytes {
    fn eq(&self, other: &Self) -> bool {
        self.of.eq(&other.of)
    }
}

impl Hash for InBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.hash(state);
    }
}

impl fmt::Display for InBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt(f)
    }
}

impl PhysicalExpr for InBytes {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.of.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.of.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let joined = self.of.evaluate(batch)?;
        let texts = match &joined {
            ColumnarValue::Array(texts) => Arc::clone(texts),
            ColumnarValue::Scalar(text) => text.to_array()?,
        };
        refuse_oversized(&texts).or_else(|why| exec_err!("{why}"))?;
        let bytes = texts.as_string_opt::<i32>().map_or(0, |texts| texts.values().len() as u64);
        if bytes > CALL_BYTES_MAX && texts.len() > 1 {
            return exec_err!("`||` would make {bytes} bytes of {} rows at once", texts.len());
        }
        Ok(joined)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.of]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { of: Arc::clone(&children[0]) }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.of.fmt_sql(f)
    }
}

/// The decimal as text: `123` with a scale of 2 is `1.23`.
pub(super) fn decimal_text(unscaled: i128, scale: i8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    let Ok(scale @ 1..) = usize::try_from(scale) else { return format!("{sign}{digits}") };
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}
