//! One total order for floating-point numbers, the same as Spark's: NaN equals itself and is greater than any other
//! value, -0.0 equals 0.0, and infinities are ordinary values. Arrow's kernels order by bits instead: there -NaN is the
//! least number (`0.0/0.0` gives one), and -0.0 is below 0.0.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};

/// An Arrow float type that this order applies to.
pub(crate) trait Float: ArrowPrimitiveType<Native: PartialOrd> {
    /// The normal form, one value for all values that are equal: 0.0 for both zeros, and one NaN for all NaNs.
    fn normal(value: Self::Native) -> Self::Native;
    fn is_nan(value: Self::Native) -> bool;
}

macro_rules! float {
    ($arrow:ty, $native:ty) => {
        impl Float for $arrow {
            fn normal(value: $native) -> $native {
                // Adding 0.0 turns -0.0 into 0.0 and changes no other value.
                if value.is_nan() { <$native>::NAN } else { value + 0.0 }
            }

            fn is_nan(value: $native) -> bool {
                value.is_nan()
            }
        }
    };
}

float!(Float32Type, f32);
float!(Float64Type, f64);

/// Whether `a` is below `b`.
pub(crate) fn is_below<T: Float>(a: T::Native, b: T::Native) -> bool {
    a < b || (T::is_nan(b) && !T::is_nan(a))
}

pub(crate) fn are_equal<T: Float>(a: T::Native, b: T::Native) -> bool {
    a == b || (T::is_nan(a) && T::is_nan(b))
}

/// The column with each floating-point number in its normal form, so that equal numbers have equal bits. Other columns
/// are returned unchanged.
#[must_use]
pub fn normalized(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => {
            Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(Float32Type::normal))
        }
        DataType::Float64 => {
            Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(Float64Type::normal))
        }
        _ => Arc::clone(column),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_greatest_and_equal_to_itself_and_the_zeros_are_one() {
        let ascending =
            [f64::NEG_INFINITY, f64::MIN, -1.0, -f64::MIN_POSITIVE, 0.0, 1.0, f64::MAX, f64::INFINITY, f64::NAN];
        for (i, a) in ascending.into_iter().enumerate() {
            for (j, b) in ascending.into_iter().enumerate() {
                assert_eq!((is_below::<Float64Type>(a, b), are_equal::<Float64Type>(a, b)), (i < j, i == j), "{a} {b}");
            }
        }
        for (a, b) in [(-0.0, 0.0), (-f64::NAN, f64::NAN)] {
            assert!(are_equal::<Float64Type>(a, b) && !is_below::<Float64Type>(a, b) && !is_below::<Float64Type>(b, a));
            assert_eq!(Float64Type::normal(a).to_bits(), Float64Type::normal(b).to_bits());
        }
    }
}
