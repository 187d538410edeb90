//! JSON numbers: one pass checks the grammar and gathers the digits; the type of the column decides what is made of
//! them, and nothing is rounded on the way to it.

/// A number as it is written: `digits × 10^exponent`, with its sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) text: &'a [u8],
    pub(super) negative: bool,
    /// All digits before the exponent, the fraction's included, as one integer. Only right if `exact`.
    pub(super) digits: u64,
    /// The digits fit `digits`.
    pub(super) exact: bool,
    /// The written exponent less the number of fraction digits; very large ones saturate.
    pub(super) exponent: i32,
    /// Neither fraction nor exponent is written.
    pub(super) is_integer: bool,
}

/// 10^19 is the greatest power of ten below 2^64.
const U64_DIGITS: usize = 19;

/// Reads the number that starts at `start` (a minus or a digit); the error is the place where it stops being one. What
/// follows the number is the caller's to judge.
#[inline]
pub(super) fn scan(bytes: &[u8], start: usize) -> Result<Number<'_>, usize> {
    let negative = bytes.get(start) == Some(&b'-');
    let int_start = start + usize::from(negative);
    let (mut digits, mut at) = match bytes.get(int_start) {
        // Nothing but a point or an exponent may follow a leading zero, so the number ends here if digits do.
        Some(b'0') => (0, int_start + 1),
        _ => scan_digits(bytes, int_start, 0),
    };
    let mut digit_count = at - int_start;
    if digit_count == 0 {
        return Err(at);
    }
    let mut exponent = 0;
    let mut is_integer = true;
    if bytes.get(at) == Some(&b'.') {
        is_integer = false;
        let fraction_start = at + 1;
        (digits, at) = scan_digits(bytes, fraction_start, digits);
        let fraction_digits = at - fraction_start;
        if fraction_digits == 0 {
            return Err(at);
        }
        digit_count += fraction_digits;
        exponent = i32::try_from(fraction_digits).map_or(i32::MIN, |n| -n);
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        is_integer = false;
        let sign = bytes.get(at + 1).copied();
        let exponent_start = at + 1 + usize::from(matches!(sign, Some(b'+' | b'-')));
        let (_, end) = scan_digits(bytes, exponent_start, 0);
        if end == exponent_start {
            return Err(end);
        }
        // Only an exponent too long for i32 fails to parse.
        let written = ascii(&bytes[exponent_start..end]).parse::<i32>().unwrap_or(i32::MAX);
        exponent = exponent.saturating_add(if sign == Some(b'-') { -written } else { written });
        at = end;
    }
    Ok(Number { text: &bytes[start..at], negative, digits, exact: digit_count <= U64_DIGITS, exponent, is_integer })
}

/// Appends the digits at `at` to `value`, which wraps if there are too many.
#[inline]
fn scan_digits(bytes: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(&byte) = bytes.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

/// Powers of ten that a double holds exactly.
const F64_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// Powers of ten that a float holds exactly.
const F32_POWERS: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

impl Number<'_> {
    /// The integer, if it is written as one and fits.
    #[inline]
    pub(super) fn to_i64(self) -> Option<i64> {
        if !self.is_integer || !self.exact {
            return None;
        }
        if self.negative { 0_i64.checked_sub_unsigned(self.digits) } else { i64::try_from(self.digits).ok() }
    }

    /// The nearest double, ties to even; `None` if that is an infinity. Where digits and power are both exact doubles
    /// one operation rounds once and is right (Clinger, "How to Read Floating Point Numbers Accurately", 1990);
    /// everything else is the standard library's.
    #[inline]
    pub(super) fn to_f64(self) -> Option<f64> {
        let power = F64_POWERS.get(self.exponent.unsigned_abs() as usize);
        if let (true, Some(power)) = (self.exact && self.digits <= 1 << f64::MANTISSA_DIGITS, power) {
            let digits = self.digits as f64;
            let value = if self.exponent < 0 { digits / power } else { digits * power };
            return Some(if self.negative { -value } else { value });
        }
        ascii(self.text).parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// The nearest float, rounded once: not by way of a double.
    #[inline]
    pub(super) fn to_f32(self) -> Option<f32> {
        let power = F32_POWERS.get(self.exponent.unsigned_abs() as usize);
        if let (true, Some(power)) = (self.exact && self.digits <= 1 << f32::MANTISSA_DIGITS, power) {
            let digits = self.digits as f32;
            let value = if self.exponent < 0 { digits / power } else { digits * power };
            return Some(if self.negative { -value } else { value });
        }
        ascii(self.text).parse().ok().filter(|value: &f32| value.is_finite())
    }
}

/// Digits, signs, points and letters e: always text.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
