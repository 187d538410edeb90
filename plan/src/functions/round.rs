//! `round(number[, places])`, half away from zero, and `bround`, half to the even digit, as in Spark. Doubles are
//! rounded by the digits of their shortest text, and decimals to the type that the places leave.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int32Type, Int64Type,
};
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::arguments::{Integers, rows_to_compute};
use super::decimals::{pow10, rounded, without_digits};
use super::simple::Takes::{Bigint, Number};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Round {
    to_even: bool,
    signature: Signature,
}

impl Round {
    pub fn half_up() -> Self {
        let forms = [vec![Number.coercion()], vec![Number.coercion(), Bigint.coercion()]];
        let signature = Signature::one_of(forms.map(TypeSignature::Coercible).to_vec(), Volatility::Immutable);
        Self { to_even: false, signature }
    }

    pub fn half_even() -> Self {
        Self { to_even: true, ..Self::half_up() }
    }

    fn of(&self, numbers: &ArrayRef, places: impl Fn(usize) -> Option<i64>, result: &DataType) -> Result<ArrayRef> {
        let rows = 0..numbers.len();
        let small = |places: i64| i32::try_from(places).unwrap_or(if places > 0 { i32::MAX } else { i32::MIN });
        Ok(match numbers.data_type() {
            DataType::Float64 => {
                let numbers = numbers.as_primitive::<Float64Type>();
                let of_row = |row| Some(rounded(at(numbers, row)?, small(places(row)?), self.to_even));
                Arc::new(rows.map(of_row).collect::<Float64Array>())
            }
            DataType::Float32 => {
                let numbers = numbers.as_primitive::<Float32Type>();
                let of_row = |row| Some(rounded(at(numbers, row)?, small(places(row)?), self.to_even));
                Arc::new(rows.map(of_row).collect::<Float32Array>())
            }
            DataType::Decimal128(_, scale) => {
                let DataType::Decimal128(precision, kept) = *result else {
                    return exec_err!("`{}` of a decimal gives a decimal", self.name());
                };
                let unit = pow10(u32::from((scale - kept).unsigned_abs())).unwrap_or(i128::MAX);
                let numbers = numbers.as_primitive::<Decimal128Type>();
                let of_row = |row| {
                    let dropped = i64::from(*scale).saturating_sub(places(row)?);
                    Some(without_digits(at(numbers, row)?, dropped, self.to_even) / unit)
                };
                let values: Decimal128Array = rows.map(of_row).collect();
                Arc::new(values.with_precision_and_scale(precision, kept)?)
            }
            DataType::Int64 => self.whole::<Int64Type>(numbers, places)?,
            _ => self.whole::<Int32Type>(&cast(numbers, &DataType::Int32)?, places)?,
        })
    }

    fn whole<T: ArrowPrimitiveType>(
        &self,
        numbers: &ArrayRef,
        places: impl Fn(usize) -> Option<i64>,
    ) -> Result<ArrayRef>
    where
        T::Native: Into<i128> + TryFrom<i128>,
    {
        let numbers = numbers.as_primitive::<T>();
        let of_row = |row: usize| {
            let Some((number, places)) = at(numbers, row).zip(places(row)) else { return Ok(None) };
            let whole = without_digits(number.into(), 0_i64.saturating_sub(places), self.to_even);
            match T::Native::try_from(whole) {
                Ok(whole) => Ok(Some(whole)),
                Err(_) => exec_err!("`{}` gives {whole}, which is beyond the range of its type", self.name()),
            }
        };
        Ok(Arc::new((0..numbers.len()).map(of_row).collect::<Result<PrimitiveArray<T>>>()?))
    }
}

fn at<T: ArrowPrimitiveType>(numbers: &PrimitiveArray<T>, row: usize) -> Option<T::Native> {
    (!numbers.is_null(row)).then(|| numbers.value(row))
}

/// The type of the result. How many places a column asks for is known row by row only, so the type then keeps all
/// digits, and one more before the point.
fn result_type(number: &DataType, places: Option<i64>) -> DataType {
    let DataType::Decimal128(precision, scale) = *number else {
        return if number.is_null() { DataType::Int32 } else { number.clone() };
    };
    let whole = i64::from(precision) - i64::from(scale) + 1;
    let kept = places.unwrap_or_else(|| scale.into()).min(scale.into());
    let digits = if kept < 0 { whole.max(1 - kept) } else { whole + kept };
    let small = |n: i64| u8::try_from(n.clamp(1, 38)).unwrap_or(38);
    DataType::Decimal128(small(digits), i8::try_from(kept.max(0)).unwrap_or(scale))
}

impl ScalarUDFImpl for Round {
    fn name(&self) -> &str {
        if self.to_even { "bround" } else { "round" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(result_type(arg_types.first().unwrap_or(&DataType::Null), (arg_types.len() == 1).then_some(0)))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let places = match args.scalar_arguments.get(1) {
            None => Some(0),
            Some(None) => None,
            Some(Some(places)) => match places.cast_to(&DataType::Int64)? {
                ScalarValue::Int64(places) => places,
                _ => None,
            },
        };
        let number = args.arg_fields.first().map_or(&DataType::Null, |field| field.data_type());
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), result_type(number, places), is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number, places @ ..] = &args.args[..] else { return exec_err!("`{}` takes a number", self.name()) };
        let rows = rows_to_compute(&args);
        let numbers = number.to_array(rows)?;
        let places = places.first().map(Integers::of).transpose()?;
        let places = |row| places.as_ref().map_or(Some(0), |places| places.at(row));
        super::arguments::result(&args, &self.of(&numbers, places, args.return_field.data_type())?)
    }
}
