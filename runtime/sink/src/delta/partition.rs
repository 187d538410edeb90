//! Partition values, as strings for the log and as folder names. The log's strings count; folders only help people.
//!
//! <https://github.com/delta-io/delta/blob/master/PROTOCOL.md#partition-value-serialization>

use std::fmt::Write as _;

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use chrono::DateTime;
use weir_base::failure::{Failure, Result};

/// Hive's name for null, which every engine knows.
const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";
/// The length at which a folder's name is cut: file systems allow 255 bytes. Two values that then share a folder are
/// still two partitions.
const FOLDER_VALUE_BYTES_MAX: usize = 120;

/// The value of one row as the log writes it; `None` is null. The empty string is null too, because the protocol can't
/// tell them apart.
pub(super) fn value(array: &dyn Array, row: usize) -> Result<Option<String>> {
    if array.is_null(row) {
        return Ok(None);
    }
    let text = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Date32 => {
            let seconds = i64::from(array.as_primitive::<Date32Type>().value(row)) * 86_400;
            instant(DateTime::from_timestamp(seconds, 0))?.format("%Y-%m-%d").to_string()
        }
        // With the zone, because Spark reads a string without one in the session's zone.
        DataType::Timestamp(..) => {
            let us = array.as_primitive::<TimestampMicrosecondType>().value(row);
            instant(DateTime::from_timestamp_micros(us))?.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
        }
        other => return Err(Failure::bug(format!("a partition column of type {other} was not refused"))),
    };
    Ok(Some(text).filter(|t| !t.is_empty()))
}

fn instant<T>(found: Option<T>) -> Result<T> {
    found
        .ok_or_else(|| Failure::data("a partition value is a date that has no name (more than 262,000 years from now)"))
}

/// The folder of a partition, such as `date=2024-01-01/city=S%C3%A3o`, without a trailing slash; empty without
/// partition columns.
pub(super) fn folder<'a>(values: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let parts: Vec<_> = values
        .map(|(name, value)| {
            let mut value = value.map_or_else(|| NULL_FOLDER.to_owned(), escape);
            value.truncate(FOLDER_VALUE_BYTES_MAX);
            format!("{}={value}", escape(name))
        })
        .collect();
    parts.join("/")
}

/// Escapes everything but letters, digits and a few harmless signs as %XX, so that the name means the same to file
/// systems, URIs and stores.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && !out.is_empty()) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The URI of a path. An `add`'s path is a URI, which readers decode once. After `escape`, only the percent sign is
/// left to encode.
pub(super) fn to_uri(path: &str) -> String {
    path.replace('%', "%25")
}

/// The reverse of [`to_uri`].
pub(super) fn from_uri(uri: &str) -> String {
    uri.replace("%25", "%")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn values_are_written_as_the_protocol_says() {
        let cases: Vec<(ArrayRef, Option<&str>)> = vec![
            (Arc::new(StringArray::from(vec!["a/b c=ü%"])), Some("a/b c=ü%")),
            (Arc::new(StringArray::from(vec![""])), None),
            (Arc::new(StringArray::from(vec![None::<&str>])), None),
            (Arc::new(Date32Array::from(vec![-1])), Some("1969-12-31")),
            (Arc::new(BooleanArray::from(vec![true])), Some("true")),
            (Arc::new(Decimal128Array::from(vec![-105]).with_precision_and_scale(10, 2).unwrap()), Some("-1.05")),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![1_500_000]).with_timezone("UTC")),
                Some("1970-01-01T00:00:01.500000Z"),
            ),
        ];
        for (array, expected) in cases {
            assert_eq!(value(&array, 0).unwrap().as_deref(), expected, "{array:?}");
        }
    }

    #[test]
    fn folders_are_plain_ascii_and_bounded() {
        let values = [("da te", Some("2024-01-01")), ("city", Some("a/b=ü")), ("n", None), ("dot", Some("..x"))];
        let expected = "da%20te=2024-01-01/city=a%2Fb%3D%C3%BC/n=__HIVE_DEFAULT_PARTITION__/dot=%2E.x";
        assert_eq!(folder(values.into_iter()), expected);
        assert_eq!(folder([("a", Some("x".repeat(1000).as_str()))].into_iter()).len(), 2 + FOLDER_VALUE_BYTES_MAX);
        assert_eq!(from_uri(&to_uri(expected)), expected);
    }
}
