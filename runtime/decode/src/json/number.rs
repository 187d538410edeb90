//! JSON numbers. One pass checks the grammar and gathers the digits; then the column's type decides what they become.
//! Nothing is rounded before that.

/// A number as it is written: its sign and `digits × 10^exponent`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'a> {
    pub(super) text: &'a [u8],
    pub(super) negative: bool,
    /// All digits before the exponent, including the fraction's, as one integer. Only correct if `exact`.
    pub(super) digits: u64,
    /// Whether the digits fit into `digits`.
    pub(super) exact: bool,
    /// The written exponent minus the number of fraction digits; very large values saturate.
    pub(super) exponent: i32,
    /// Whether the number is written without fraction and exponent.
    pub(super) is_integer: bool,
}

/// The most digits that always fit into a u64: 10^19 is the greatest power of ten below 2^64.
const U64_DIGITS: usize = 19;

/// Reads the number that starts at `start` (with a minus or a digit). The error is the place where the text stops being
/// a number. The caller judges what follows the number.
#[inline]
pub(super) fn scan(bytes: &[u8], start: usize) -> Result<Number<'_>, usize> {
    let negative = bytes.get(start) == Some(&b'-');
    let int_start = start + usize::from(negative);
    let (mut digits, mut at) = match bytes.get(int_start) {
        // Only a point or an exponent may follow a leading zero, so the number ends here if a digit follows.
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
        // Parsing fails only if the exponent is too long for i32.
        let written = ascii(&bytes[exponent_start..end]).parse::<i32>().unwrap_or(i32::MAX);
        exponent = exponent.saturating_add(if sign == Some(b'-') { -written } else { written });
        at = end;
    }
    Ok(Number { text: &bytes[start..at], negative, digits, exact: digit_count <= U64_DIGITS, exponent, is_integer })
}

/// Appends the digits at `at` to `value`, which wraps around if there are too many.
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

/// Powers of ten that a double represents exactly.
const F64_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// Powers of ten that a float represents exactly.
const F32_POWERS: [f32; 11] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

impl Number<'_> {
    /// The integer, if the number is written as one and fits.
    #[inline]
    pub(super) fn to_i64(self) -> Option<i64> {
        if !self.is_integer || !self.exact {
            return None;
        }
        if self.negative { 0_i64.checked_sub_unsigned(self.digits) } else { i64::try_from(self.digits).ok() }
    }

    /// The nearest double, ties to even; `None` if that is an infinity. Where digits and power are both exact doubles,
    /// one operation rounds once and is correct (Clinger, "How to Read Floating Point Numbers Accurately", 1990). The
    /// standard library parses everything else.
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

    /// The nearest float, rounded once and not by way of a double.
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

/// The bytes of a number as text: digits, signs, points and the letter e are always UTF-8.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
