//! Decimals: from the written digits to an exact unscaled integer. A value that the column can't hold is an error and
//! is never rounded. Zeros at either end carry no value and do not count.

use super::number::Number;

/// Why the column can't hold a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DecimalError {
    TooManyIntegerDigits,
    TooManyFractionDigits,
}

/// The most digits that a decimal column can have.
const PRECISION_MAX: usize = 38;

const POWERS: [i128; PRECISION_MAX + 1] = {
    let mut powers = [1; PRECISION_MAX + 1];
    let mut i = 1;
    while i <= PRECISION_MAX {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// `number × 10^scale` as an integer of at most `precision` digits.
#[inline]
pub(super) fn to_unscaled(number: Number<'_>, precision: u8, scale: i8) -> Result<i128, DecimalError> {
    let shift = number.exponent.saturating_add(i32::from(scale));
    // The common case: no more fraction digits than the scale. The product is below 10^19 × 10^18, so nothing
    // overflows.
    let unscaled = if number.exact && (0..=18).contains(&shift) {
        let unscaled = i128::from(number.digits) * POWERS[shift.unsigned_abs() as usize];
        if unscaled >= POWERS[usize::from(precision)] {
            return Err(DecimalError::TooManyIntegerDigits);
        }
        unscaled
    } else {
        by_digits(number, precision, scale)?
    };
    Ok(if number.negative { -unscaled } else { unscaled })
}

/// The general case, for any number of digits and any exponent.
fn by_digits(number: Number<'_>, precision: u8, scale: i8) -> Result<i128, DecimalError> {
    let mantissa = number.text.split(|b| matches!(b, b'e' | b'E')).next().unwrap_or_default();
    let digits = || mantissa.iter().filter(|b| b.is_ascii_digit());
    let leading_zeros = digits().take_while(|&&b| b == b'0').count();
    let all = digits().count();
    if leading_zeros == all {
        return Ok(0);
    }
    let trailing_zeros = digits().rev().take_while(|&&b| b == b'0').count();
    let significant = all - leading_zeros - trailing_zeros;
    // In i64 nothing below can overflow: a record is shorter than 2^31 bytes, and an exponent is an i32.
    let shift = i64::from(number.exponent) + trailing_zeros as i64 + i64::from(scale);
    if shift < 0 {
        return Err(DecimalError::TooManyFractionDigits);
    }
    if significant as i64 + shift > i64::from(precision) {
        return Err(DecimalError::TooManyIntegerDigits);
    }
    let unscaled =
        digits().skip(leading_zeros).take(significant).fold(0_i128, |value, b| value * 10 + i128::from(b - b'0'));
    Ok(unscaled * POWERS[shift as usize])
}
