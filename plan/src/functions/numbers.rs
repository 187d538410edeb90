//! Functions of numbers with Spark's results.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array};
use arrow::array::{Int32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int32Type, Int64Type};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ScalarUDF;

use super::decimals::pow10;
use super::simple::Takes::{Bigint, Boolean, Bytes, Double, Int, Number, Text, Whole};
use super::simple::{of, simple, texts};

const DOUBLE: super::simple::Gives = |_| Ok(DataType::Float64);
const BIGINT: super::simple::Gives = |_| Ok(DataType::Int64);
const INT: super::simple::Gives = |_| Ok(DataType::Int32);
const BOOLEAN: super::simple::Gives = |_| Ok(DataType::Boolean);
const TEXT: super::simple::Gives = |_| Ok(DataType::Utf8);
const SAME: super::simple::Gives = |types| Ok(types.first().cloned().unwrap_or(DataType::Null));

pub(super) fn all() -> Vec<ScalarUDF> {
    [
        simple("isnan", &[&[Double]], BOOLEAN, |args| {
            let is_nan = |x: Option<f64>| Some(x.is_some_and(f64::is_nan));
            Ok(Arc::new(of::<Float64Type>(args, 0)?.iter().map(is_nan).collect::<BooleanArray>()))
        }),
        simple("ceil", &[&[Number]], whole_type, |args| whole(args, f64::ceil, true)).also("ceiling"),
        simple("floor", &[&[Number]], whole_type, |args| whole(args, f64::floor, false)),
        simple("rint", &[&[Double]], DOUBLE, |args| doubles(args, f64::round_ties_even)),
        simple("sqrt", &[&[Double]], DOUBLE, |args| doubles(args, f64::sqrt)),
        simple("signum", &[&[Double]], DOUBLE, |args| {
            doubles(args, |x| if x == 0.0 || x.is_nan() { x } else { x.signum() })
        })
        .also("sign"),
        simple("expm1", &[&[Double]], DOUBLE, |args| doubles(args, f64::exp_m1)),
        simple("log1p", &[&[Double]], DOUBLE, |args| {
            let logarithm = |x: Option<f64>| x.filter(|x| *x > -1.0 || x.is_nan()).map(f64::ln_1p);
            Ok(Arc::new(of::<Float64Type>(args, 0)?.iter().map(logarithm).collect::<Float64Array>()))
        }),
        simple("hypot", &[&[Double, Double]], DOUBLE, |args| doubles_of_two(args, f64::hypot)),
        // As Java does: both zeros are the same zero.
        simple("atan2", &[&[Double, Double]], DOUBLE, |args| doubles_of_two(args, |y, x| (y + 0.0).atan2(x + 0.0))),
        simple("e", &[&[]], DOUBLE, |_| Ok(Arc::new(Float64Array::from(vec![std::f64::consts::E])))),
        simple("factorial", &[&[Int]], BIGINT, |args| {
            let factorial = |n: i32| (0..=20).contains(&n).then(|| (1..=i64::from(n)).product());
            let numbers = of::<Int32Type>(args, 0)?;
            Ok(Arc::new(numbers.iter().map(|n| factorial(n?)).collect::<Int64Array>()))
        }),
        simple("bin", &[&[Bigint]], TEXT, |args| {
            let numbers = of::<Int64Type>(args, 0)?;
            Ok(Arc::new(numbers.iter().map(|n| Some(format!("{:b}", n?))).collect::<StringArray>()))
        }),
        simple("bit_count", &[&[Whole], &[Boolean]], INT, |args| {
            let numbers = cast(&args[0], &DataType::Int64)?;
            let ones = numbers.as_primitive::<Int64Type>().unary::<_, Int32Type>(|n| n.count_ones().cast_signed());
            Ok(Arc::new(ones))
        }),
        simple("hex", &[&[Bigint], &[Bytes]], TEXT, hex),
        simple("conv", &[&[Text, Int, Int]], TEXT, conv),
        simple("positive", &[&[Number]], SAME, |args| Ok(Arc::clone(&args[0]))),
        simple("pmod", &[&[Number, Number]], same_of_two, pmod),
        simple("mod", &[&[Number, Number]], same_of_two, remainder),
        simple("shiftleft", &[&[Whole, Int]], SAME, |args| shifted(args, i32::wrapping_shl, i64::wrapping_shl)),
        simple("shiftright", &[&[Whole, Int]], SAME, |args| shifted(args, i32::wrapping_shr, i64::wrapping_shr)),
        simple("shiftrightunsigned", &[&[Whole, Int]], SAME, |args| {
            let of_int = |n: i32, by| n.cast_unsigned().wrapping_shr(by).cast_signed();
            shifted(args, of_int, |n, by| n.cast_unsigned().wrapping_shr(by).cast_signed())
        }),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

fn doubles(args: &[ArrayRef], of_one: fn(f64) -> f64) -> Result<ArrayRef> {
    Ok(Arc::new(of::<Float64Type>(args, 0)?.unary::<_, Float64Type>(of_one)))
}

fn doubles_of_two(args: &[ArrayRef], of_both: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let pairs = of::<Float64Type>(args, 0)?.iter().zip(of::<Float64Type>(args, 1)?);
    Ok(Arc::new(pairs.map(|(one, other)| Some(of_both(one?, other?))).collect::<Float64Array>()))
}

/// The type of `ceil` and `floor`: no digits behind the point, and one more before it.
fn whole_type(types: &[DataType]) -> Result<DataType> {
    Ok(match types {
        [DataType::Decimal128(precision, scale)] if *scale > 0 => {
            DataType::Decimal128((precision - scale.unsigned_abs() + 1).min(38), 0)
        }
        [DataType::Decimal128(..)] => types[0].clone(),
        _ => DataType::Int64,
    })
}

fn whole(args: &[ArrayRef], of_double: fn(f64) -> f64, is_up: bool) -> Result<ArrayRef> {
    let name = if is_up { "ceil" } else { "floor" };
    let numbers = &args[0];
    match numbers.data_type() {
        DataType::Decimal128(_, scale) if *scale > 0 => {
            let unit = pow10(scale.unsigned_abs().into()).unwrap_or(i128::MAX);
            let numbers = numbers.as_primitive::<Decimal128Type>();
            let floors = |n: i128| n.div_euclid(unit) + i128::from(is_up && n.rem_euclid(unit) != 0);
            let DataType::Decimal128(precision, _) = whole_type(&[numbers.data_type().clone()])? else {
                return exec_err!("`{name}` takes a number");
            };
            let values: Decimal128Array = numbers.unary(floors);
            Ok(Arc::new(values.with_precision_and_scale(precision, 0)?))
        }
        DataType::Float32 | DataType::Float64 => {
            let numbers = cast(numbers, &DataType::Float64)?;
            let bound = 2_f64.powi(63);
            let of_one = |x: f64| {
                let whole = of_double(x);
                if (-bound..bound).contains(&whole) {
                    #[allow(clippy::cast_possible_truncation)] // It lies within the bounds.
                    return Ok(whole as i64);
                }
                exec_err!("`{name}` gives a bigint, and {x} is none: write `round(…)` for a double")
            };
            let values = numbers.as_primitive::<Float64Type>().iter().map(|x| x.map(of_one).transpose());
            Ok(Arc::new(values.collect::<Result<Int64Array>>()?))
        }
        DataType::Decimal128(..) => Ok(Arc::clone(numbers)),
        _ => Ok(cast(numbers, &DataType::Int64)?),
    }
}

fn hex(args: &[ArrayRef]) -> Result<ArrayRef> {
    if args[0].data_type() == &DataType::Int64 {
        let numbers = of::<Int64Type>(args, 0)?;
        return Ok(Arc::new(numbers.iter().map(|n| Some(format!("{:X}", n?))).collect::<StringArray>()));
    }
    let values = super::simple::bytes(args, 0)?;
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    Ok(Arc::new(values.iter().map(|bytes| Some(digits(bytes?))).collect::<StringArray>()))
}

/// `conv(text, from, to)`: the digits of another base, as Hive and Spark have them. A text that begins with no digit is
/// 0, a negative base gives a signed number, and a number beyond 64 bits fails.
fn conv(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (numbers, from, to) = (texts(args, 0)?, of::<Int32Type>(args, 1)?, of::<Int32Type>(args, 2)?);
    let values = numbers.iter().zip(from).zip(to).map(|((number, from), to)| match (number, from, to) {
        (Some(number), Some(from), Some(to)) => converted(number.trim_matches(' '), from, to),
        _ => Ok(None),
    });
    Ok(Arc::new(values.collect::<Result<StringArray>>()?))
}

fn converted(number: &str, from: i32, to: i32) -> Result<Option<String>> {
    if !(2..=36).contains(&from) || !(2..=36).contains(&to.abs()) || number.is_empty() {
        return Ok(None);
    }
    let (is_negative, digits) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let mut value = 0_u64;
    for digit in digits.chars().map_while(|c| c.to_digit(from.cast_unsigned())) {
        let longer = value.checked_mul(u64::from(from.cast_unsigned())).and_then(|v| v.checked_add(digit.into()));
        match longer {
            Some(longer) => value = longer,
            None => return exec_err!("`conv` of a number beyond 64 bits: {}", crate::quote::quoted(number)),
        }
    }
    let value = if is_negative { value.wrapping_neg() } else { value };
    let is_minus = to < 0 && value.cast_signed() < 0;
    let mut rest = if is_minus { value.wrapping_neg() } else { value };
    let base = u64::from(to.unsigned_abs());
    let mut reversed = Vec::new();
    loop {
        let digit = u32::try_from(rest % base).unwrap_or_default();
        reversed.push(char::from_digit(digit, 36).unwrap_or('0').to_ascii_uppercase());
        rest /= base;
        if rest == 0 {
            break;
        }
    }
    reversed.extend(is_minus.then_some('-'));
    Ok(Some(reversed.into_iter().rev().collect()))
}

fn same_of_two(types: &[DataType]) -> Result<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int32, Int64};
    let [one, other] = types else { return plan_err!("two numbers") };
    Ok(match (one, other) {
        (Float64 | Float32, _) | (_, Float64 | Float32) => Float64,
        (Decimal128(..), _) | (_, Decimal128(..)) => {
            let of = |t: &DataType| match t {
                Decimal128(precision, scale) => (*precision, *scale),
                Int64 => (20, 0),
                _ => (10, 0),
            };
            let ((p1, s1), (p2, s2)) = (of(one), of(other));
            let whole = |p: u8, s: i8| i16::from(p) - i16::from(s);
            let scale = s1.max(s2);
            let precision = (whole(p1, s1).max(whole(p2, s2)) + i16::from(scale)).min(38);
            Decimal128(u8::try_from(precision).unwrap_or(38), scale)
        }
        (Int64, _) | (_, Int64) => Int64,
        _ => Int32,
    })
}

/// Both numbers in the type in which the remainder is computed.
fn both(args: &[ArrayRef]) -> Result<(ArrayRef, ArrayRef)> {
    let types: Vec<_> = args.iter().map(|arg| arg.data_type().clone()).collect();
    let of_both = same_of_two(&types)?;
    Ok((cast(&args[0], &of_both)?, cast(&args[1], &of_both)?))
}

const BY_ZERO: &str = "the remainder of a division by zero: write `nullif(…, 0)` for null";

fn remainder(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (numbers, divisors) = both(args)?;
    Ok(arrow::compute::kernels::numeric::rem(&numbers, &divisors)?)
}

/// `pmod(n, d)`: the remainder, with `d` added to a negative one: it is not negative for a positive `d`.
fn pmod(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (numbers, divisors) = both(args)?;
    macro_rules! of_type {
        ($kind:ty, $zero:expr) => {{
            let pairs = numbers.as_primitive::<$kind>().iter().zip(divisors.as_primitive::<$kind>());
            let of_pair = |n, d| {
                if d == $zero {
                    return exec_err!("{BY_ZERO}");
                }
                Ok(positive(n, d))
            };
            let values = pairs.map(|(n, d)| n.zip(d).map(|(n, d)| of_pair(n, d)).transpose());
            values.collect::<Result<arrow::array::PrimitiveArray<$kind>>>()?
        }};
    }
    fn positive<N: Copy + PartialOrd + Default + std::ops::Rem<Output = N> + std::ops::Add<Output = N> + Wraps>(
        n: N,
        d: N,
    ) -> N {
        let rest = n.remainder(d);
        if rest < N::default() { rest.plus(d).remainder(d) } else { rest }
    }
    Ok(match numbers.data_type() {
        DataType::Float64 => Arc::new(of_type!(Float64Type, 0.0)),
        DataType::Decimal128(precision, scale) => {
            Arc::new(of_type!(Decimal128Type, 0).with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Int64 => Arc::new(of_type!(Int64Type, 0)),
        _ => Arc::new(of_type!(Int32Type, 0)),
    })
}

/// Arithmetic of a remainder, which is in range but for the least number and -1.
trait Wraps {
    fn remainder(self, other: Self) -> Self;
    fn plus(self, other: Self) -> Self;
}

macro_rules! wraps {
    ($($number:ty),*) => { $(
        impl Wraps for $number {
            fn remainder(self, other: Self) -> Self {
                self.wrapping_rem(other)
            }
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        }
    )* };
}

wraps!(i32, i64, i128);

impl Wraps for f64 {
    fn remainder(self, other: Self) -> Self {
        self % other
    }
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

fn shifted(args: &[ArrayRef], of_int: fn(i32, u32) -> i32, of_bigint: fn(i64, u32) -> i64) -> Result<ArrayRef> {
    let by = of::<Int32Type>(args, 1)?;
    if args[0].data_type() == &DataType::Int64 {
        let pairs = of::<Int64Type>(args, 0)?.iter().zip(by);
        return Ok(Arc::new(pairs.map(|(n, by)| Some(of_bigint(n?, by?.cast_unsigned()))).collect::<Int64Array>()));
    }
    let numbers = cast(&args[0], &DataType::Int32)?;
    let pairs = numbers.as_primitive::<Int32Type>().iter().zip(by);
    Ok(Arc::new(pairs.map(|(n, by)| Some(of_int(n?, by?.cast_unsigned()))).collect::<Int32Array>()))
}
