//! Key groups: the units into which keyed state is divided for scale-out. Their number is pinned in the checkpoint's
//! `identity`, and the hash is part of the saved format (docs/formats/state-v2.md), so neither may ever change for a
//! lineage.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Date32Type, Float32Type, Float64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use xxhash_rust::xxh3::xxh3_64;

/// The number of key groups of a new lineage: a power of two well above any sensible number of pods.
pub const KEY_GROUPS: u16 = 128;

/// The hash's name as `identity` pins it.
pub const KEY_HASH: &str = "xxh3-64/v1";

/// How key groups are distributed over workers: each worker has a range of them, in the workers' order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRanges {
    workers: u16,
}

impl KeyRanges {
    /// Distributes the key groups over `workers` workers, but at least one and at most one per key group.
    #[must_use]
    pub fn of(workers: usize) -> Self {
        Self { workers: u16::try_from(workers).unwrap_or(KEY_GROUPS).clamp(1, KEY_GROUPS) }
    }

    #[must_use]
    pub fn workers(self) -> usize {
        usize::from(self.workers)
    }

    /// The range of key groups that a worker has.
    #[must_use]
    pub fn range(self, worker: usize) -> Range<u16> {
        let end_of =
            |workers: usize| u16::try_from(usize::from(KEY_GROUPS) * workers / self.workers()).unwrap_or(KEY_GROUPS);
        end_of(worker)..end_of(worker + 1)
    }

    /// The index of the worker that has `key_group`.
    #[must_use]
    pub fn worker(self, key_group: u16) -> usize {
        ((usize::from(key_group) + 1) * self.workers() - 1) / usize::from(KEY_GROUPS)
    }
}

const AS_DISPLAYED: FormatOptions<'static> = FormatOptions::new();

/// The key group of each row of `keys`, in `0..KEY_GROUPS`.
///
/// The hash runs over each key's text form, as `arrow`'s display format gives it, in the order of the group columns:
/// its length as a little-endian u32, then its bytes; a null is the length `u32::MAX` alone. Without key columns all
/// rows are in group 0. Floating-point numbers are hashed as their bits in hexadecimal: keys are
/// [`crate::floats::normalized`], so equal keys have equal bits. Dates and timestamps outside of arrow's calendar are
/// hashed as their days or microseconds since 1970-01-01, in decimal.
///
/// # Errors
/// If a column's type has no text form. Validation refuses to group by such a type.
pub fn key_groups(keys: &[ArrayRef], rows: usize) -> Result<Vec<u16>, ArrowError> {
    if keys.is_empty() {
        return Ok(vec![0; rows]);
    }
    let texts = keys.iter().map(KeyText::of).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = Vec::new();
    let mut groups = Vec::with_capacity(rows);
    for row in 0..rows {
        bytes.clear();
        for text in &texts {
            text.append_to(&mut bytes, row)?;
        }
        groups.push(u16::try_from(xxh3_64(&bytes) % u64::from(KEY_GROUPS)).unwrap_or(0));
    }
    Ok(groups)
}

/// A key column whose values are turned into text. Strings and integers, the most frequent keys, need no formatter.
enum KeyText<'a> {
    String(&'a StringArray),
    Int(&'a Int32Array),
    Bigint(&'a Int64Array),
    Float(&'a Float32Array),
    Double(&'a Float64Array),
    Other(&'a dyn Array, ArrayFormatter<'a>),
}

impl<'a> KeyText<'a> {
    fn of(key: &'a ArrayRef) -> Result<Self, ArrowError> {
        Ok(match key.data_type() {
            DataType::Utf8 => Self::String(key.as_string()),
            DataType::Int32 => Self::Int(key.as_primitive()),
            DataType::Int64 => Self::Bigint(key.as_primitive()),
            DataType::Float32 => Self::Float(key.as_primitive::<Float32Type>()),
            DataType::Float64 => Self::Double(key.as_primitive::<Float64Type>()),
            _ => Self::Other(key.as_ref(), ArrayFormatter::try_new(key.as_ref(), &AS_DISPLAYED)?),
        })
    }

    fn append_to(&self, out: &mut Vec<u8>, row: usize) -> Result<(), ArrowError> {
        let is_null = match self {
            Self::String(key) => key.is_null(row),
            Self::Int(key) => key.is_null(row),
            Self::Bigint(key) => key.is_null(row),
            Self::Float(key) => key.is_null(row),
            Self::Double(key) => key.is_null(row),
            Self::Other(key, _) => key.is_null(row),
        };
        if is_null {
            out.extend_from_slice(&u32::MAX.to_le_bytes());
            return Ok(());
        }
        match self {
            Self::String(key) => append(out, key.value(row)),
            Self::Int(key) => append(out, itoa::Buffer::new().format(key.value(row))),
            Self::Bigint(key) => append(out, itoa::Buffer::new().format(key.value(row))),
            Self::Float(key) => append(out, &format!("{:08x}", key.value(row).to_bits())),
            Self::Double(key) => append(out, &format!("{:016x}", key.value(row).to_bits())),
            Self::Other(key, formatter) => match (formatter.value(row).try_to_string(), key.data_type()) {
                (Ok(text), _) => append(out, &text),
                (Err(_), DataType::Date32) => append(out, &key.as_primitive::<Date32Type>().value(row).to_string()),
                (Err(_), DataType::Timestamp(..)) => {
                    append(out, &key.as_primitive::<TimestampMicrosecondType>().value(row).to_string())
                }
                (Err(error), _) => return Err(error),
            },
        }
        Ok(())
    }
}

fn append(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX - 1).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Date32Array, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn each_key_group_is_in_the_range_of_one_worker_and_ranges_are_as_equal_as_they_can_be() {
        for workers in 1..=usize::from(KEY_GROUPS) {
            let ranges = KeyRanges::of(workers);
            let of_workers: Vec<_> =
                (0..workers).flat_map(|worker| ranges.range(worker).map(move |group| (group, worker))).collect();
            assert!(of_workers.iter().map(|(group, _)| *group).eq(0..KEY_GROUPS), "{workers} workers");
            assert!(of_workers.iter().all(|(group, worker)| ranges.worker(*group) == *worker), "{workers} workers");
            let sizes: Vec<_> = (0..workers).map(|worker| ranges.range(worker).len()).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
        assert_eq!([0, 1, 128, 129, usize::MAX].map(|workers| KeyRanges::of(workers).workers()), [1, 1, 128, 128, 128]);
    }

    /// The key group as docs/formats/state-v2.md defines it, computed with the formatter alone.
    fn as_documented(keys: &[ArrayRef], row: usize) -> u16 {
        let mut bytes = Vec::new();
        for key in keys {
            if key.is_null(row) {
                bytes.extend([0xff; 4]);
                continue;
            }
            let text = ArrayFormatter::try_new(key.as_ref(), &FormatOptions::default()).unwrap().value(row).to_string();
            bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        u16::try_from(xxh3_64(&bytes) % 128).unwrap()
    }

    #[test]
    fn the_ways_around_the_formatter_give_what_it_gives() {
        let keys: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![Some("Paris"), Some(""), None, Some("é\u{1F600}"), Some("a\0b")])),
            Arc::new(Int32Array::from(vec![Some(0), Some(i32::MIN), Some(i32::MAX), None, Some(-7)])),
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX), Some(10), Some(-1)])),
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true), Some(true)])),
            Arc::new(Date32Array::from(vec![Some(0), Some(20_000), Some(-1), None, Some(1)])),
        ];
        let expected: Vec<_> = (0..5).map(|row| as_documented(&keys, row)).collect();
        assert_eq!(key_groups(&keys, 5).unwrap(), expected);
        for key in keys {
            let key = [key];
            let expected: Vec<_> = (0..5).map(|row| as_documented(&key, row)).collect();
            assert_eq!(key_groups(&key, 5).unwrap(), expected);
        }
    }

    #[test]
    fn every_date_timestamp_and_number_has_a_group() {
        let text_of = |text: &str| {
            u16::try_from(xxh3_64(&[&u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()) % 128)
                .unwrap()
        };
        let cases: Vec<(ArrayRef, Vec<&str>)> = vec![
            (
                Arc::new(Date32Array::from(vec![i32::MIN, -1, i32::MAX])),
                vec!["-2147483648", "1969-12-31", "2147483647"],
            ),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![i64::MIN, -1, i64::MAX]).with_timezone("UTC")),
                vec!["-9223372036854775808", "1969-12-31T23:59:59.999999Z", "9223372036854775807"],
            ),
            (
                Arc::new(Float64Array::from(vec![0.0, 1.5, f64::INFINITY])),
                vec!["0000000000000000", "3ff8000000000000", "7ff0000000000000"],
            ),
            (Arc::new(Float32Array::from(vec![0.0, 1.5, f32::NAN])), vec!["00000000", "3fc00000", "7fc00000"]),
        ];
        for (key, texts) in cases {
            assert_eq!(key_groups(&[key], 3).unwrap(), texts.into_iter().map(text_of).collect::<Vec<_>>());
        }
    }
}
