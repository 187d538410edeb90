//! Offsets from UTC as the letters `X`, `x` and `Z` read them: `+01`, `+0100`, `+01:00`, with or without seconds.

use std::fmt;

use super::prefix::without_prefix;

const SECONDS_MAX: i64 = 18 * 3600;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    colon: bool,
    minutes: Part,
    seconds: Part,
    /// The text that stands for UTC.
    zero: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    No,
    Optional,
    Required,
}

impl Offset {
    /// The offset for `X` to `XXXXX`, which read `Z` for UTC.
    pub fn or_z(count: usize) -> Option<Self> {
        Self::of(count, "Z")
    }

    /// The offset for `x` to `xxxxx`, which read zeros for UTC.
    pub fn or_zeros(count: usize) -> Option<Self> {
        Self::of(count, ["+00", "+0000", "+00:00", "+0000", "+00:00"].get(count.checked_sub(1)?)?)
    }

    /// The offset for `Z` to `ZZZ`, and `ZZZZZ`.
    pub fn of_capital_z(count: usize) -> Option<Self> {
        match count {
            1..=3 => Self::of(2, "+0000"),
            5 => Self::or_z(5),
            _ => None,
        }
    }

    fn of(count: usize, zero: &'static str) -> Option<Self> {
        let (colon, minutes, seconds) = match count {
            1 => (false, Part::Optional, Part::No),
            2 => (false, Part::Required, Part::No),
            3 => (true, Part::Required, Part::No),
            4 => (false, Part::Required, Part::Optional),
            5 => (true, Part::Required, Part::Optional),
            _ => return None,
        };
        Some(Self { colon, minutes, seconds, zero })
    }

    /// The offset in seconds east of UTC, and the text behind it.
    pub fn read<'a>(&self, text: &'a str) -> Option<(i64, &'a str)> {
        if let Some(rest) = without_prefix(text, self.zero) {
            return Some((0, rest));
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, rest) = two_digits(&text[1..])?;
        let (minutes, rest) = self.part(self.minutes, rest)?;
        let (seconds, rest) = self.part(self.seconds, rest)?;
        let is_right = hours <= 23 && minutes <= 59 && seconds <= 59;
        let seconds = hours * 3600 + minutes * 60 + seconds;
        (is_right && seconds <= SECONDS_MAX).then_some((sign * seconds, rest))
    }

    fn part<'a>(&self, part: Part, text: &'a str) -> Option<(i64, &'a str)> {
        let after_colon = if self.colon { text.strip_prefix(':') } else { Some(text) };
        match (part, after_colon.and_then(two_digits)) {
            (Part::No, _) | (Part::Optional, None) => Some((0, text)),
            (Part::Required, None) => None,
            (_, found) => found,
        }
    }
}

fn two_digits(text: &str) -> Option<(i64, &str)> {
    let digits = text.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_digit()))?;
    Some((digits.parse().ok()?, &text[2..]))
}

/// The form in words: `Z or +01:00`.
impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.colon { ":" } else { "" };
        match self.minutes {
            Part::Optional => write!(f, "{} or +01", self.zero),
            _ => write!(f, "{} or +01{colon}00", self.zero),
        }
    }
}
