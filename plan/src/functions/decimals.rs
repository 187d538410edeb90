//! Doubles as the decimals of their shortest text, as in Java: that is how Spark rounds doubles and makes decimals and
//! texts of them.

use arrow::datatypes::i256;

/// 10 to this power; `None` beyond 128 bits.
pub(crate) fn pow10(power: u32) -> Option<i128> {
    10_i128.checked_pow(power)
}

/// `a * 10^shift / b`, rounded half away from zero; `None` if `b` is 0 or the result is beyond 128 bits.
pub(crate) fn quotient(a: i128, b: i128, shift: i8) -> Option<i128> {
    let power = u32::try_from(shift).ok()?;
    let (whole, is_up) = match pow10(power).and_then(|power| a.checked_mul(power)) {
        Some(dividend) => {
            let rest = dividend.checked_rem(b)?.unsigned_abs();
            (dividend.checked_div(b)?, rest >= b.unsigned_abs() - rest)
        }
        None => {
            let dividend = i256::from_i128(a).checked_mul(i256::from_i128(10).checked_pow(power)?)?;
            let (divisor, rest) = (i256::from_i128(b), dividend.checked_rem(i256::from_i128(b))?.wrapping_abs());
            (dividend.checked_div(divisor)?.to_i128()?, rest >= divisor.wrapping_abs().wrapping_sub(rest))
        }
    };
    if is_up { whole.checked_add(a.signum() * b.signum()) } else { Some(whole) }
}

/// A whole number with its last `dropped` digits rounded to zeros.
pub(super) fn without_digits(number: i128, dropped: i64, to_even: bool) -> i128 {
    let Ok(dropped) = u32::try_from(dropped) else { return number };
    // A number has at most 39 digits.
    let Some(unit) = pow10(dropped) else { return 0 };
    let (whole, rest) = (number / unit, (number % unit).unsigned_abs());
    let is_up = match rest.cmp(&(unit.unsigned_abs() - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => dropped > 0 && (!to_even || whole % 2 != 0),
        std::cmp::Ordering::Greater => true,
    };
    (whole + if is_up { number.signum() } else { 0 }).saturating_mul(unit)
}

/// A float with its shortest text.
pub(crate) trait Shortest: Copy {
    /// The digits without zeros at the end, as a whole number, and the power of ten to multiply it by. `None` for what
    /// is not finite.
    fn digits(self) -> Option<(i128, i32)>;
    fn parsed(text: &str) -> Self;
    fn zero() -> Self;
}

macro_rules! shortest {
    ($($float:ty),*) => { $(
        impl Shortest for $float {
            fn digits(self) -> Option<(i128, i32)> {
                if !self.is_finite() {
                    return None;
                }
                let text = format!("{self:e}");
                let (mantissa, power) = text.split_once('e')?;
                let power: i32 = power.parse().ok()?;
                let behind = mantissa.split_once('.').map_or(0, |(_, behind)| behind.len());
                let digits = mantissa.replace('.', "").parse().ok()?;
                Some((digits, power - i32::try_from(behind).ok()?))
            }
            fn parsed(text: &str) -> Self {
                text.parse().unwrap_or(<$float>::NAN)
            }
            fn zero() -> Self {
                0.0
            }
        }
    )* };
}

shortest!(f32, f64);

/// The float with this many places behind the point, or with zeros before it if negative.
pub(super) fn rounded<F: Shortest>(value: F, places: i32, to_even: bool) -> F {
    let Some((digits, power)) = value.digits() else { return value };
    let dropped = -i64::from(power) - i64::from(places);
    if dropped <= 0 && digits != 0 {
        return value;
    }
    match without_digits(digits, dropped, to_even) {
        0 => F::zero(),
        digits => F::parsed(&format!("{digits}e{power}")),
    }
}

/// The float as a decimal of this scale, rounded half up; `None` if it is not finite or beyond 128 bits.
pub(crate) fn decimal<F: Shortest>(value: F, scale: i8) -> Option<i128> {
    let (digits, power) = value.digits()?;
    let shift = i64::from(power) + i64::from(scale);
    if shift >= 0 {
        return digits.checked_mul(pow10(u32::try_from(shift).ok()?)?);
    }
    Some(match pow10(u32::try_from(-shift).ok()?) {
        Some(unit) => without_digits(digits, -shift, false) / unit,
        None => 0,
    })
}

/// The float as Java writes it: `1.5`, `1.0E20`, `Infinity`.
pub(crate) fn text<F: Shortest + Into<f64>>(value: F) -> String {
    let double: f64 = value.into();
    let Some((digits, power)) = value.digits() else {
        return if double.is_nan() {
            "NaN"
        } else if double > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    };
    let sign = if double.is_sign_negative() { "-" } else { "" };
    if digits == 0 {
        return format!("{sign}0.0");
    }
    let digits = digits.unsigned_abs().to_string();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    // The place of the point behind the first digit.
    let exponent = power + count - 1;
    let (whole, fraction) = if (-3..7).contains(&exponent) {
        let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
        if exponent < 0 {
            ("0".to_owned(), format!("{}{digits}", zeros(-exponent - 1)))
        } else if exponent + 1 >= count {
            (format!("{digits}{}", zeros(exponent + 1 - count)), String::new())
        } else {
            let (whole, fraction) = digits.split_at(usize::try_from(exponent + 1).unwrap_or(0));
            (whole.to_owned(), fraction.to_owned())
        }
    } else {
        let (whole, fraction) = digits.split_at(1);
        (whole.to_owned(), fraction.to_owned())
    };
    let fraction = if fraction.is_empty() { "0".to_owned() } else { fraction };
    let power = if (-3..7).contains(&exponent) { String::new() } else { format!("E{exponent}") };
    format!("{sign}{whole}.{fraction}{power}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quotients are Python's, of whole numbers without a bound.
    #[test]
    fn quotients_are_rounded_half_away_from_zero_and_may_pass_through_more_than_128_bits() {
        for (a, b, shift, expected) in [
            (5, 2, 0, Some(3)),
            (-5, 2, 0, Some(-3)),
            (5, -2, 0, Some(-3)),
            (4, 3, 0, Some(1)),
            (-1, 3, 1, Some(-3)),
            (12345678901234567890123456789012345678, 1000000000000000000000000000000, 6, Some(12345678901235)),
            (-12345678901234567890123456789012345678, 1000000000000000000000000000000, 6, Some(-12345678901235)),
            (12345678901234567890123456789012345678, -1000000000000000000000000000001, 7, Some(-123456789012346)),
            (
                10000000000000000000000000000000000000,
                19999999999999999999999999999999999999,
                38,
                Some(50000000000000000000000000000000000003),
            ),
            (1, 0, 0, None),
            (i128::MAX, 1, 1, None),
            (i128::MIN, -1, 0, None),
        ] {
            assert_eq!(quotient(a, b, shift), expected, "{a} / {b} by 10^{shift}");
        }
    }
}
