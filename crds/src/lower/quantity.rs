//! Sizes and amounts as Kubernetes quantities: `128Mi`, `1G`, `1.5Gi`, `1e9`, `500m`, or a plain number.

use weir_plan::quote::quoted;

/// Parses a number of bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    bytes(text).ok_or_else(|| {
        format!(
            "found {}: write a whole number of bytes as a Kubernetes quantity, such as 128Mi, 1G or \
             134217728",
            quoted(text)
        )
    })
}

/// Parses an amount of CPU, memory or another resource, in thousandths (the unit `m`), so that amounts can be compared.
pub(crate) fn parse_thousandths(text: &str) -> Result<u128, String> {
    let thousandths = match text.strip_suffix('m') {
        Some(number) => scaled(number, |suffix| suffix.is_empty().then_some(1)),
        None => scaled(text, |suffix| multiplier(suffix)?.checked_mul(1000)),
    };
    thousandths
        .ok_or_else(|| format!("found `{text}`: write an amount as a Kubernetes quantity, such as 500m, 2 or 1Gi"))
}

fn bytes(text: &str) -> Option<u64> {
    u64::try_from(scaled(text, multiplier)?).ok()
}

fn scaled(text: &str, multiplier: impl Fn(&str) -> Option<u128>) -> Option<u128> {
    let number_len = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let (number, suffix) = text.split_at(number_len);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || whole.len() + fraction.len() > 30 {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scaled = digits.checked_mul(multiplier(suffix)?)?;
    let divisor = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    // A fraction of the unit, such as half a byte, is a mistake.
    scaled.is_multiple_of(divisor).then(|| scaled / divisor)
}

fn multiplier(suffix: &str) -> Option<u128> {
    let decimal = |exponent| 10_u128.checked_pow(exponent);
    match suffix {
        "" => Some(1),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => Some(1 << 10),
        "Mi" => Some(1 << 20),
        "Gi" => Some(1 << 30),
        "Ti" => Some(1 << 40),
        "Pi" => Some(1 << 50),
        "Ei" => Some(1 << 60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            decimal(exponent.parse().ok().filter(|e| *e <= 18)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly() {
        for (text, right) in [
            ("0", 0),
            ("134217728", 134_217_728),
            ("128Mi", 134_217_728),
            ("1G", 1_000_000_000),
            ("1.5Gi", 1_610_612_736),
            (".5k", 500),
            ("1e3", 1_000),
            ("2E3", 2_000),
            ("1E", 1_000_000_000_000_000_000),
        ] {
            assert_eq!(parse_bytes(text), Ok(right), "{text}");
        }
    }

    #[test]
    fn amounts_are_read_in_thousandths() {
        for (text, right) in
            [("2", 2_000), ("500m", 500), ("0.5", 500), ("1Ki", 1_024_000), ("1.5G", 1_500_000_000_000)]
        {
            assert_eq!(parse_thousandths(text), Ok(right), "{text}");
        }
        for text in ["", "m", "0.0001", "1Mim", "-1", "2 cores", "0.5m"] {
            assert!(parse_thousandths(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_of_bytes_is_refused() {
        for text in [
            "",
            ".",
            "Mi",
            "128MB",
            "128 Mi",
            "-1",
            "0.5",
            "100m",
            "1.5.5",
            "16Ei",
            "1e99",
            "99999999999999999999999999999999",
        ] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
