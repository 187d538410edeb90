//! Plain scalars that YAML 1.1 and YAML 1.2 read differently. kubectl and Helm read documents with sigs.k8s.io/yaml,
//! which mostly follows YAML 1.1; `weir` follows YAML 1.2. A file must not have two meanings, so such scalars are
//! refused unless they are in quotes.
//!
//! The list is that of `resolve` in `resolve.go` of go.yaml.in/yaml/v2 (v2.4.4), which sigs.k8s.io/yaml (v1.6.0) uses:
//! - twenty-two words for true and false, of which YAML 1.2 knows only the six spellings of `true` and `false`;
//! - whole numbers with leading zeros, which are octal there (`0777`; but `0899` is decimal);
//! - numbers that contain underscores (`1_000`), and the prefixes `0X`, `0O`, `0B`.
//!
//! Both read nulls, dates, and numbers in other spellings alike. Sexagesimal numbers (`1:30`) are text in both.

pub(crate) const NUMBER: &str = "a number";

/// Whether YAML 1.1 also reads a text without quotes as text, given that YAML 1.2 does.
pub(crate) fn is_read_alike(plain: &str) -> bool {
    other_reading(plain).is_none()
}

/// What YAML 1.1 reads a text of YAML 1.2 as; `None` if it is text there too.
pub(crate) fn other_reading(plain: &str) -> Option<&'static str> {
    match plain {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some("true"),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some("false"),
        _ if is_number(plain) => Some(NUMBER),
        _ => None,
    }
}

fn is_number(plain: &str) -> bool {
    if !plain.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return false;
    }
    let digits = plain.replace('_', "");
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(&digits);
    let is_all = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    let radix =
        |prefix: [&str; 2], radix| prefix.iter().filter_map(|p| digits.strip_prefix(p)).any(|rest| is_all(rest, radix));
    radix(["0x", "0X"], 16) || radix(["0o", "0O"], 8) || radix(["0b", "0B"], 2) || is_decimal(digits)
}

/// Whether the text is `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, optionally followed by `[eE][-+]?[0-9]+`.
fn is_decimal(text: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (number, exponent) =
        text.split_once(['e', 'E']).map_or((text, None), |(number, exponent)| (number, Some(exponent)));
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && is_digits(e)
    });
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    exponent_fits && !(whole.is_empty() && fraction.is_empty()) && is_digits(whole) && is_digits(fraction)
}
