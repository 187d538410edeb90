//! `try_add` and the like: what the operators give, and null where they fail.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Float64Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ScalarUDF;

use super::decimals::{pow10, quotient};
use super::simple::Takes::{Bigint, Date, Number};
use super::simple::{of, simple};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
    Mod,
}

pub(super) fn all() -> Vec<ScalarUDF> {
    [
        simple("try_add", &[&[Number, Number], &[Date, Bigint]], |t| typed(t, Op::Add), |args| tried(args, Op::Add)),
        simple(
            "try_subtract",
            &[&[Number, Number], &[Date, Bigint]],
            |t| typed(t, Op::Subtract),
            |args| tried(args, Op::Subtract),
        ),
        simple("try_multiply", &[&[Number, Number]], |t| typed(t, Op::Multiply), |args| tried(args, Op::Multiply)),
        simple("try_divide", &[&[Number, Number]], |t| typed(t, Op::Divide), |args| tried(args, Op::Divide)),
        simple("try_mod", &[&[Number, Number]], |t| typed(t, Op::Mod), |args| tried(args, Op::Mod)),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

/// The precision and the scale of a number as a decimal.
fn digits(of: &DataType) -> (u8, i8) {
    match of {
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        DataType::Int64 => (20, 0),
        _ => (10, 0),
    }
}

/// The type that the operator gives for these types, as the reference page has it; a quotient of whole numbers is a
/// double, as in Spark.
fn typed(types: &[DataType], op: Op) -> Result<DataType> {
    use DataType::{Date32, Decimal128, Float32, Float64, Int32, Int64};
    let [one, other] = types else { return plan_err!("two numbers") };
    Ok(match (one, other) {
        (Date32, _) => Date32,
        (Float64 | Float32, _) | (_, Float64 | Float32) => Float64,
        (Decimal128(..), _) | (_, Decimal128(..)) => {
            let ((p1, s1), (p2, s2)) = (digits(one), digits(other));
            let wide = |n: u8, s: i8| i16::from(n) - i16::from(s);
            let (precision, scale) = match op {
                Op::Add | Op::Subtract => {
                    let scale = i16::from(s1.max(s2));
                    (wide(p1, s1).max(wide(p2, s2)) + scale + 1, scale)
                }
                Op::Multiply => (i16::from(p1) + i16::from(p2) + 1, i16::from(s1) + i16::from(s2)),
                Op::Divide => (i16::from(p1) + i16::from(s2) + 4, i16::from(s1) + 4),
                Op::Mod => {
                    let scale = i16::from(s1.max(s2));
                    (wide(p1, s1).min(wide(p2, s2)) + scale, scale)
                }
            };
            let precision = u8::try_from(precision.clamp(1, 38)).unwrap_or(38);
            Decimal128(precision, i8::try_from(scale.min(38)).unwrap_or(38))
        }
        _ if op == Op::Divide => Float64,
        (Int64, _) | (_, Int64) => Int64,
        _ => Int32,
    })
}

fn tried(args: &[ArrayRef], op: Op) -> Result<ArrayRef> {
    let types: Vec<_> = args.iter().map(|arg| arg.data_type().clone()).collect();
    let result = typed(&types, op)?;
    Ok(match &result {
        DataType::Date32 => {
            let pairs = of::<Date32Type>(args, 0)?.iter().zip(of::<Int64Type>(args, 1)?);
            let sum = |day: i32, n: i64| {
                let n = if op == Op::Subtract { n.checked_neg()? } else { n };
                i32::try_from(i64::from(day).checked_add(n)?).ok().filter(|day| crate::calendar::DAYS.contains(day))
            };
            Arc::new(pairs.map(|(day, n)| sum(day?, n?)).collect::<Date32Array>())
        }
        DataType::Float64 => {
            let (ones, others) = (cast(&args[0], &DataType::Float64)?, cast(&args[1], &DataType::Float64)?);
            let pairs = ones.as_primitive::<Float64Type>().iter().zip(others.as_primitive::<Float64Type>());
            let of_pair = |a: f64, b: f64| match op {
                Op::Add => Some(a + b),
                Op::Subtract => Some(a - b),
                Op::Multiply => Some(a * b),
                Op::Divide => (b != 0.0).then(|| a / b),
                Op::Mod => (b != 0.0).then(|| a % b),
            };
            Arc::new(pairs.map(|(a, b)| of_pair(a?, b?)).collect::<Float64Array>())
        }
        DataType::Decimal128(precision, scale) => decimals(args, op, *precision, *scale)?,
        DataType::Int64 => {
            whole::<Int64Type>(args, op, i64::checked_add, i64::checked_sub, i64::checked_mul, i64::checked_rem)?
        }
        _ => whole::<Int32Type>(args, op, i32::checked_add, i32::checked_sub, i32::checked_mul, i32::checked_rem)?,
    })
}

type Checked<N> = fn(N, N) -> Option<N>;

fn whole<T: ArrowPrimitiveType>(
    args: &[ArrayRef],
    op: Op,
    add: Checked<T::Native>,
    subtract: Checked<T::Native>,
    multiply: Checked<T::Native>,
    remainder: Checked<T::Native>,
) -> Result<ArrayRef> {
    let of_pair = match op {
        Op::Add => add,
        Op::Subtract => subtract,
        Op::Multiply => multiply,
        Op::Mod => remainder,
        Op::Divide => return exec_err!("a quotient of whole numbers is a double"),
    };
    let (ones, others) = (cast(&args[0], &T::DATA_TYPE)?, cast(&args[1], &T::DATA_TYPE)?);
    let pairs = ones.as_primitive::<T>().iter().zip(others.as_primitive::<T>());
    Ok(Arc::new(pairs.map(|(a, b)| of_pair(a?, b?)).collect::<PrimitiveArray<T>>()))
}

fn decimals(args: &[ArrayRef], op: Op, precision: u8, scale: i8) -> Result<ArrayRef> {
    let scales = [digits(args[0].data_type()).1, digits(args[1].data_type()).1];
    let unscaled = |at: usize| cast(&args[at], &DataType::Decimal128(38, scales[at]));
    let (ones, others) = (unscaled(0)?, unscaled(1)?);
    let beyond = pow10(precision.into()).unwrap_or(i128::MAX).unsigned_abs();
    let power = |by: i8| pow10(u32::from(by.unsigned_abs()));
    let of_pair = |a: i128, b: i128| {
        let value = match op {
            Op::Multiply => a.checked_mul(b)?,
            Op::Divide => quotient(a, b, scale - scales[0] + scales[1])?,
            Op::Add | Op::Subtract | Op::Mod => {
                let a = a.checked_mul(power(scale - scales[0])?)?;
                let b = b.checked_mul(power(scale - scales[1])?)?;
                match op {
                    Op::Add => a.checked_add(b)?,
                    Op::Subtract => a.checked_sub(b)?,
                    _ => a.checked_rem(b)?,
                }
            }
        };
        (value.unsigned_abs() < beyond).then_some(value)
    };
    let pairs = ones.as_primitive::<Decimal128Type>().iter().zip(others.as_primitive::<Decimal128Type>());
    let values: Decimal128Array = pairs.map(|(a, b)| of_pair(a?, b?)).collect();
    Ok(Arc::new(values.with_precision_and_scale(precision, scale)?))
}
