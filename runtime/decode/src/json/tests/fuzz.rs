//! The decoder and the reference read the same random records; their verdicts and values must be equal.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_plan::plan::{JsonFormat, TimestampNumbers};
use weir_testing::json as reference;

use super::super::JsonDecoder;
use super::{generator, rows};
use crate::Decoder;

const SCHEMAS: u64 = 220;
const RECORDS_PER_SCHEMA: usize = 100;

#[test]
fn the_decoder_and_the_reference_agree_on_random_records() {
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..SCHEMAS {
        let mut rng = StdRng::seed_from_u64(seed);
        let columns = generator::columns(&mut rng, 3);
        let timestamp_numbers = if rng.random() { TimestampNumbers::EpochMillis } else { TimestampNumbers::Refuse };
        let mut decoder = JsonDecoder::new(&columns, JsonFormat { timestamp_numbers });
        let mut expected = Vec::new();
        for i in 0..RECORDS_PER_SCHEMA {
            let mut record = generator::object(&mut rng, &columns).into_bytes();
            if rng.random_bool(0.4) {
                record = generator::mutate(&mut rng, record);
            }
            let shown =
                || format!("seed {seed}, record {i}, columns {columns:?}\n{}", String::from_utf8_lossy(&record));
            let verdict = decoder.decode(Some(&record));
            match reference::row(&columns, timestamp_numbers, &record) {
                Some(row) => {
                    assert!(verdict.is_ok(), "refused {}, {}", verdict.unwrap_err(), shown());
                    expected.push(row);
                }
                None => {
                    assert!(verdict.is_err(), "accepted, {}", shown());
                    refused += 1;
                }
            }
            if i + 1 == RECORDS_PER_SCHEMA || rng.random_bool(0.05) {
                accepted += expected.len();
                assert_eq!(rows(&decoder.finish().unwrap()), std::mem::take(&mut expected), "{}", shown());
            }
        }
    }
    // If either were rare, the comparison would say little.
    assert!(accepted > 6_000 && refused > 6_000, "{accepted} accepted, {refused} refused");
}
