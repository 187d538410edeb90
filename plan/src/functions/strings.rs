//! Functions of texts and bytes with Spark's results.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, Int32Array, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion_common::{Result, exec_err};
use datafusion_expr::ScalarUDF;
use regex::Regex;

use super::regexp_like::compiled;
use super::simple::Takes::{Bigint, Bytes, Int, Text};
use super::simple::{Gives, bytes, of, simple, texts};
use super::{CALL_BYTES_MAX, VALUE_BYTES_MAX};

const TEXT: Gives = |_| Ok(DataType::Utf8);
const INT: Gives = |_| Ok(DataType::Int32);
const BINARY: Gives = |_| Ok(DataType::Binary);

/// Text for text, bytes for bytes.
const LIKE_FIRST: Gives = |types| {
    let is_binary = types.first().is_some_and(DataType::is_binary);
    Ok(if is_binary { DataType::Binary } else { DataType::Utf8 })
};

const PARTS: &[&[super::simple::Takes]] =
    &[&[Text, Bigint], &[Text, Bigint, Bigint], &[Bytes, Bigint], &[Bytes, Bigint, Bigint]];

pub(super) fn all() -> Vec<ScalarUDF> {
    [
        simple("character_length", &[&[Text], &[Bytes]], INT, |args| {
            if args[0].data_type().is_binary() {
                return lengths(args, 1);
            }
            let count = |text: &str| i32::try_from(text.chars().count()).unwrap_or(i32::MAX);
            Ok(Arc::new(texts(args, 0)?.iter().map(|text| text.map(count)).collect::<Int32Array>()))
        })
        .also("char_length")
        .also("length")
        .also("len"),
        simple("octet_length", &[&[Bytes]], INT, |args| lengths(args, 1)),
        simple("bit_length", &[&[Bytes]], INT, |args| lengths(args, 8)),
        simple("chr", &[&[Bigint]], TEXT, |args| {
            let sign = |n: i64| match u8::try_from(n & 0xFF) {
                Ok(code) if n >= 0 => char::from(code).to_string(),
                _ => String::new(),
            };
            Ok(Arc::new(of::<Int64Type>(args, 0)?.iter().map(|n| n.map(sign)).collect::<StringArray>()))
        })
        .also("char"),
        simple("overlay", &[&[Text, Text, Int], &[Text, Text, Int, Int]], TEXT, overlay),
        simple("locate", &[&[Text, Text], &[Text, Text, Int]], INT, locate),
        simple("regexp_count", &[&[Text, Text]], INT, |args| ints(args, |regex, text| matches(regex, text).len())),
        simple("regexp_instr", &[&[Text, Text], &[Text, Text, Int]], INT, |args| {
            // Java counts the units of UTF-16.
            let place = |found: regex::Match<'_>, text: &str| text[..found.start()].encode_utf16().count() + 1;
            ints(args, |regex, text| regex.find(text).map_or(0, |found| place(found, text)))
        }),
        simple("regexp_substr", &[&[Text, Text]], TEXT, |args| {
            by_regex(args, |regex, text| regex.find(text).map(|found| found.as_str().to_owned()))
        }),
        simple("base64", &[&[Bytes]], TEXT, |args| {
            let values = bytes(args, 0)?;
            limited("base64", values.iter().map(|bytes| bytes.map(|bytes| bytes.len().div_ceil(3) * 4)))?;
            Ok(Arc::new(values.iter().map(|bytes| bytes.map(base64)).collect::<StringArray>()))
        }),
        simple("unbase64", &[&[Text]], BINARY, |args| {
            decoded(args, |text| unbase64(text).ok_or("a text in base64, in fours of signs"))
        }),
        simple("unhex", &[&[Text]], BINARY, |args| {
            let values: Vec<_> = texts(args, 0)?.iter().map(|text| text.and_then(unhex)).collect();
            Ok(Arc::new(values.iter().map(Option::as_deref).collect::<BinaryArray>()))
        }),
        simple("url_encode", &[&[Text]], TEXT, |args| {
            let values = texts(args, 0)?;
            limited("url_encode", values.iter().map(|text| text.map(|text| text.len() * 3)))?;
            Ok(Arc::new(values.iter().map(|text| text.map(url_encoded)).collect::<StringArray>()))
        }),
        simple("url_decode", &[&[Text]], TEXT, |args| url_decode(args, true)),
        simple("try_url_decode", &[&[Text]], TEXT, |args| url_decode(args, false)),
        simple("space", &[&[Int]], TEXT, |args| {
            let numbers = of::<Int32Type>(args, 0)?;
            let count = |n: i32| usize::try_from(n).unwrap_or(0);
            limited("space", numbers.iter().map(|n| n.map(count)))?;
            Ok(Arc::new(numbers.iter().map(|n| Some(" ".repeat(count(n?)))).collect::<StringArray>()))
        }),
        simple("left", &[&[Text, Bigint], &[Bytes, Bigint]], LIKE_FIRST, |args| part(args, Some(1))),
        simple("right", &[&[Text, Bigint]], TEXT, |args| {
            let pairs = texts(args, 0)?;
            let pairs = pairs.iter().zip(of::<Int64Type>(args, 1)?);
            let part = |text, length: i64| if length <= 0 { "" } else { within(text, length.saturating_neg(), None) };
            Ok(Arc::new(pairs.map(|(text, length)| Some(part(text?, length?))).collect::<StringArray>()))
        }),
        simple("substr", PARTS, LIKE_FIRST, |args| part(args, None)).also("substring"),
        simple(
            "is_valid_utf8",
            &[&[Text]],
            |_| Ok(DataType::Boolean),
            |args| Ok(Arc::new(texts(args, 0)?.iter().map(|text| text.map(|_| true)).collect::<BooleanArray>())),
        ),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

/// Refuses values that would be too long before any of them is made.
pub(super) fn limited(name: &str, lengths: impl Iterator<Item = Option<usize>>) -> Result<()> {
    let (mut all, mut rows) = (0_u64, 0_u64);
    for length in lengths.flatten() {
        if length > VALUE_BYTES_MAX {
            return exec_err!(
                "`{name}` would make a value of {length} bytes, and a value that is computed has at most \
                 {VALUE_BYTES_MAX} bytes"
            );
        }
        all += length as u64;
        rows += 1;
    }
    if all > CALL_BYTES_MAX && rows > 1 {
        return exec_err!("`{name}` would make {all} bytes of {rows} rows at once");
    }
    Ok(())
}

fn lengths(args: &[ArrayRef], bits: i32) -> Result<ArrayRef> {
    let length = |bytes: &[u8]| i32::try_from(bytes.len()).unwrap_or(i32::MAX).saturating_mul(bits);
    Ok(Arc::new(bytes(args, 0)?.iter().map(|bytes| bytes.map(length)).collect::<Int32Array>()))
}

/// A part of a text in characters, or of bytes: from `start`, or from the second argument on.
fn part(args: &[ArrayRef], start: Option<i64>) -> Result<ArrayRef> {
    let numbers = (1..args.len()).map(|at| of::<Int64Type>(args, at)).collect::<Result<Vec<_>>>()?;
    let bounds = |row: usize| {
        let numbers: Vec<_> = numbers.iter().map(|n| (!n.is_null(row)).then(|| n.value(row))).collect::<Option<_>>()?;
        match (start, &numbers[..]) {
            (Some(start), [length]) => Some((start, Some(*length))),
            (None, [start, length]) => Some((*start, Some(*length))),
            (_, numbers) => Some((numbers.first().copied().unwrap_or_default(), None)),
        }
    };
    if args[0].data_type().is_binary() {
        let values = bytes(args, 0)?;
        let part = |row: usize| {
            let (start, length) = bounds(row)?;
            let bytes = (!values.is_null(row)).then(|| values.value(row))?;
            Some(bytes_within(bytes, start, length))
        };
        return Ok(Arc::new((0..values.len()).map(part).collect::<BinaryArray>()));
    }
    let values = texts(args, 0)?;
    let part = |row: usize| {
        let (start, length) = bounds(row)?;
        (!values.is_null(row)).then(|| within(values.value(row), start, length))
    };
    Ok(Arc::new((0..values.len()).map(part).collect::<StringArray>()))
}

/// At most `length` characters of the text, or all, from the character `start` on, which is counted from 1, or from the
/// end if it is negative. Characters that would stand before the first one count for the length.
fn within(text: &str, start: i64, length: Option<i64>) -> &str {
    let first = match start {
        1.. => start - 1,
        0 => 0,
        _ => start.saturating_add(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)),
    };
    let end = length.map_or(i64::MAX, |length| first.saturating_add(length));
    let [first, end] = [first, end].map(|at| usize::try_from(at).unwrap_or(0));
    let byte_of = |text: &str, at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    if end <= first {
        return "";
    }
    let rest = text.get(byte_of(text, first)..).unwrap_or_default();
    rest.get(..byte_of(rest, end - first)).unwrap_or_default()
}

fn bytes_within(bytes: &[u8], start: i64, length: Option<i64>) -> &[u8] {
    let first = match start {
        1.. => start - 1,
        0 => 0,
        _ => start.saturating_add(i64::try_from(bytes.len()).unwrap_or(i64::MAX)),
    };
    let end = length.map_or(i64::MAX, |length| first.saturating_add(length));
    let [first, end] = [first, end].map(|at| usize::try_from(at).unwrap_or(0).min(bytes.len()));
    bytes.get(first..end).unwrap_or_default()
}

/// `overlay(text, new, start[, length])`: the text up to the start, the new text, and what follows `length` characters
/// behind the start, or as many as the new text has if the length is negative.
fn overlay(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (values, new, starts) = (texts(args, 0)?, texts(args, 1)?, of::<Int32Type>(args, 2)?);
    let counts = args.get(3).map(|_| of::<Int32Type>(args, 3)).transpose()?;
    let mut bytes = 0;
    let mut made = StringBuilder::new();
    for row in 0..values.len() {
        let is_null = values.is_null(row) || new.is_null(row) || starts.is_null(row);
        if is_null || counts.is_some_and(|counts| counts.is_null(row)) {
            made.append_null();
            continue;
        }
        let (text, new, start) = (values.value(row), new.value(row), i64::from(starts.value(row)));
        let count = counts.map_or(-1, |counts| i64::from(counts.value(row)));
        let count = if count >= 0 { count } else { i64::try_from(new.chars().count()).unwrap_or(i64::MAX) };
        let (before, behind) = (within(text, 1, Some(start - 1)), within(text, start.saturating_add(count), None));
        // What is behind may begin before the start.
        let length = before.len() + new.len() + behind.len();
        bytes += length as u64;
        if length > VALUE_BYTES_MAX || bytes > CALL_BYTES_MAX && values.len() > 1 {
            limited("overlay", [Some(length)].into_iter())?;
            return exec_err!("`overlay` would make more than {CALL_BYTES_MAX} bytes of {} rows at once", values.len());
        }
        made.append_value(format!("{before}{new}{behind}"));
    }
    Ok(Arc::new(made.finish()))
}

/// `locate(part, text[, start])`: the place of the first such part from the start on, counted from 1; 0 if there is
/// none.
fn locate(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (parts, values) = (texts(args, 0)?, texts(args, 1)?);
    let starts = args.get(2).map(|_| of::<Int32Type>(args, 2)).transpose()?;
    let place = |row: usize| {
        // As in Spark, a null among the starts is none.
        let start = match starts {
            Some(starts) if starts.is_null(row) => return Some(0),
            Some(starts) => starts.value(row),
            None => 1,
        };
        let (part, text) =
            (!parts.is_null(row) && !values.is_null(row)).then(|| (parts.value(row), values.value(row)))?;
        let Some(skipped) = usize::try_from(start).ok().and_then(|start| start.checked_sub(1)) else { return Some(0) };
        let Some(from) = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skipped) else { return Some(0) };
        let found = text[from..].find(part).map_or(0, |at| text[..from + at].chars().count() + 1);
        i32::try_from(found).ok()
    };
    Ok(Arc::new((0..values.len()).map(place).collect::<Int32Array>()))
}

/// Every match, as Java finds them: an empty one may follow another directly, but not an empty one.
pub(super) fn matches<'t>(regex: &Regex, text: &'t str) -> Vec<regex::Match<'t>> {
    let (mut found, mut from) = (Vec::new(), Some(0));
    while let Some(one) = from.and_then(|from| regex.find_at(text, from)) {
        from = if one.is_empty() {
            text[one.end()..].chars().next().map(|next| one.end() + next.len_utf8())
        } else {
            Some(one.end())
        };
        found.push(one);
    }
    found
}

/// The result of a pattern, which is compiled anew only where it changes.
pub(super) fn for_each_row<T>(
    args: &[ArrayRef],
    mut of_row: impl FnMut(usize, &Regex, &str) -> Result<Option<T>>,
) -> Result<Vec<Option<T>>> {
    let (values, patterns) = (texts(args, 0)?, texts(args, 1)?);
    let mut last: Option<(String, Regex)> = None;
    let mut results = Vec::with_capacity(values.len());
    for row in 0..values.len() {
        if patterns.is_null(row) {
            results.push(None);
            continue;
        }
        let pattern = patterns.value(row);
        let (_, regex) = match last.take() {
            Some(same) if same.0 == pattern => last.insert(same),
            _ => last.insert((pattern.to_owned(), compiled(pattern, "")?)),
        };
        results.push(if values.is_null(row) { None } else { of_row(row, regex, values.value(row))? });
    }
    Ok(results)
}

fn ints(args: &[ArrayRef], of: impl Fn(&Regex, &str) -> usize) -> Result<ArrayRef> {
    let count = |_: usize, regex: &Regex, text: &str| Ok(i32::try_from(of(regex, text)).ok());
    Ok(Arc::new(for_each_row(args, count)?.into_iter().collect::<Int32Array>()))
}

fn by_regex(args: &[ArrayRef], of: fn(&Regex, &str) -> Option<String>) -> Result<ArrayRef> {
    let values = for_each_row(args, |_, regex, text| Ok(of(regex, text)))?;
    Ok(Arc::new(values.into_iter().collect::<StringArray>()))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let sign = BASE64[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= three.len() { char::from(sign) } else { '=' });
        }
    }
    text
}

/// The bytes of a text in base64, also without `=` at the end and with line ends between.
pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    let signs: Vec<u8> = text.bytes().filter(|sign| !sign.is_ascii_whitespace()).collect();
    let padding = signs.iter().rev().take_while(|sign| **sign == b'=').count();
    let signs = &signs[..signs.len() - padding];
    if padding > 2 || signs.len() % 4 == 1 || padding > 0 && !(signs.len() + padding).is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(signs.len() / 4 * 3 + 2);
    for four in signs.chunks(4) {
        let mut bits = 0_u32;
        for i in 0..4 {
            let value = match four.get(i) {
                Some(sign) => u32::try_from(BASE64.iter().position(|known| known == sign)?).ok()?,
                None => 0,
            };
            bits = bits << 6 | value;
        }
        bytes.extend(bits.to_be_bytes()[1..].iter().take(four.len() - 1));
    }
    Some(bytes)
}

/// The bytes of digits; a first digit may stand alone, as in Spark.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let (first, pairs) = digits.split_at(digits.len() % 2);
    Some(first.iter().copied().chain(pairs.chunks(2).map(|pair| pair[0] << 4 | pair[1])).collect())
}

fn decoded(args: &[ArrayRef], of: fn(&str) -> std::result::Result<Vec<u8>, &'static str>) -> Result<ArrayRef> {
    let values = texts(args, 0)?;
    let bytes = values.iter().map(|text| match text.map(|text| (text, of(text))) {
        Some((_, Ok(bytes))) => Ok(Some(bytes)),
        Some((text, Err(wanted))) => exec_err!("{} is not {wanted}", crate::quote::quoted(text)),
        None => Ok(None),
    });
    let bytes = bytes.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryArray>()))
}

/// As Java's `URLEncoder`: a space is a plus.
fn url_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'.' | b'-' | b'*' | b'_' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

fn url_decode(args: &[ArrayRef], fails: bool) -> Result<ArrayRef> {
    let values = texts(args, 0)?;
    let decoded = values.iter().map(|text| {
        let Some(text) = text else { return Ok(None) };
        match url_decoded(text) {
            None if fails => {
                exec_err!("{} is no encoded URL: write `try_url_decode(…)` for null", crate::quote::quoted(text))
            }
            decoded => Ok(decoded),
        }
    });
    Ok(Arc::new(decoded.collect::<Result<StringArray>>()?))
}

fn url_decoded(text: &str) -> Option<String> {
    let (mut decoded, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let (digits, behind) = rest.split_at_checked(2)?;
                decoded.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                rest = behind;
            }
            byte => decoded.push(*byte),
        }
    }
    // As in Java, bytes that are no UTF-8 become the sign for it.
    Some(String::from_utf8_lossy(&decoded).into_owned())
}
