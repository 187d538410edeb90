//! Records, through the decoder of a source and through an independent one.

use weir_decode::Decoder as _;
use weir_decode::json::JsonDecoder;
use weir_plan::plan::{JsonFormat, TimestampNumbers};
use weir_plan::types::{Column, DataType};
use weir_testing::json::{row, rows};

/// Divides the input into records. No UTF-8 contains it.
const SEPARATOR: u8 = 0xff;

/// Names, types, and whether a value may be null.
const COLUMNS: [(&str, &str, bool); 15] = [
    ("a", "boolean", true),
    ("b", "int", true),
    ("c", "bigint", true),
    ("d", "float", true),
    ("e", "double", true),
    ("f", "decimal(10,2)", true),
    ("g", "decimal(38,38)", true),
    ("h", "string", true),
    ("i", "binary", true),
    ("j", "date", true),
    ("k", "timestamp", true),
    ("l", "array<struct<x: int, y: array<string>>>", true),
    ("m", "struct<p: decimal(38,0), q: struct<r: timestamp>>", true),
    ("o", "map<string, array<map<string, int>>>", true),
    ("n", "bigint", false),
];

/// The decoder accepts a record if and only if the independent one does, and its row has the same values. Bad records
/// leave no trace between the others. The first byte says how timestamps are written.
pub fn json(input: &[u8]) {
    let Some((first, records)) = input.split_first() else { return };
    let timestamp_numbers = if first % 2 == 0 { TimestampNumbers::Refuse } else { TimestampNumbers::EpochMillis };
    let columns: Vec<_> = COLUMNS.iter().map(column).collect();
    let mut decoder = JsonDecoder::new(&columns, JsonFormat { timestamp_numbers });
    let mut expected = Vec::new();
    for record in records.split(|byte| *byte == SEPARATOR) {
        let verdict = decoder.decode(Some(record));
        match row(&columns, timestamp_numbers, record) {
            Some(row) => {
                assert!(verdict.is_ok(), "refused though it is right: {verdict:?}");
                expected.push(row);
            }
            None => match verdict {
                Ok(()) => panic!("accepted though it is wrong: {}", String::from_utf8_lossy(record)),
                Err(refused) => super::check_message(&refused.to_string(), input),
            },
        }
    }
    match decoder.finish() {
        Ok(batch) => assert_eq!(rows(&batch), expected),
        Err(bug) => panic!("{bug}"),
    }
}

fn column((name, data_type, nullable): &(&str, &str, bool)) -> Column {
    match DataType::parse(data_type) {
        Ok(data_type) => Column { name: (*name).to_owned(), data_type, nullable: *nullable },
        Err(wrong) => panic!("{wrong}"),
    }
}
