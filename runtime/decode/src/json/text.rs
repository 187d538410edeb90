//! JSON strings: finds where one ends and checks every rule on the way, and decodes its escapes.

/// The checked text between a string's quotes: it is UTF-8, its escapes are complete and its surrogates are paired.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Appends the string with its escapes decoded.
    #[inline]
    pub(super) fn append_to(self, out: &mut Vec<u8>) {
        if self.escaped { unescape(self.raw, out) } else { out.extend_from_slice(self.raw) }
    }

    /// The string with its escapes decoded: in place, or in `scratch` if it has escapes.
    #[inline]
    pub(super) fn bytes<'s>(self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if !self.escaped {
            return self.raw;
        }
        scratch.clear();
        unescape(self.raw, scratch);
        scratch
    }
}

/// Reads the string whose opening quote is at `quote`. Returns the string and the place after its closing quote, or the
/// place where it is wrong and the reason.
#[inline]
pub(super) fn scan(bytes: &[u8], quote: usize) -> Result<(Text<'_>, usize), (usize, &'static str)> {
    let start = quote + 1;
    let mut at = start;
    let mut escaped = false;
    loop {
        at = find_special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((Text { raw: &bytes[start..at], escaped }, at + 1)),
            Some(b'\\') => {
                escaped = true;
                at = scan_escape(bytes, at)?;
            }
            Some(_) => return Err((at, "found a control character in a string, want it escaped")),
            None => return Err((at, "the record ends within a string")),
        }
    }
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// The place of the first quote, backslash or control character at or after `at`, or else the end. This reads eight
/// bytes at a time, by "determine if a word has a byte less than n" in Sean Eron Anderson's Bit Twiddling Hacks: the
/// lowest set bit is right, and bits above it may be wrong.
#[inline]
fn find_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let special = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let special = special & HIGHS;
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&b| b != b'"' && b != b'\\' && b >= 0x20) {
        at += 1;
    }
    at
}

const LONE: &str = "found half of a surrogate pair in a string, want both \\u escapes of the character";

/// Checks the escape whose backslash is at `at`, and returns the place after it.
fn scan_escape(bytes: &[u8], at: usize) -> Result<usize, (usize, &'static str)> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match hex4(bytes, at + 2) {
            None => Err((at, "found \\u without four hexadecimal digits in a string")),
            Some(0xDC00..=0xDFFF) => Err((at, LONE)),
            Some(0xD800..=0xDBFF) => {
                let second = bytes.get(at + 6..at + 8) == Some(b"\\u");
                match hex4(bytes, at + 8) {
                    Some(0xDC00..=0xDFFF) if second => Ok(at + 12),
                    _ => Err((at, LONE)),
                }
            }
            Some(_) => Ok(at + 6),
        },
        Some(_) => Err((at, "found an escape in a string that JSON does not have")),
        None => Err((at, "the record ends within a string")),
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |unit, &b| Some(unit << 4 | char::from(b).to_digit(16)?))
}

/// Appends `raw`, which `scan` has accepted, with its escapes decoded.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < raw.len() {
        let end = find_special(raw, at);
        out.extend_from_slice(&raw[at..end]);
        let Some(&kind) = raw.get(end + 1) else { return };
        at = end + 2;
        match kind {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let first = hex4(raw, at).unwrap_or_default();
                at += 4;
                let mut code = first;
                if (0xD800..=0xDBFF).contains(&first) {
                    let second = hex4(raw, at + 2).unwrap_or_default();
                    at += 6;
                    code = 0x1_0000 + ((first & 0x3ff) << 10 | (second & 0x3ff));
                }
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            itself => out.push(itself),
        }
    }
}
