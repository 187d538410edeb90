//! Records for the growth and latency scenarios, with a choice of keys, windows, columns and bytes. The n-th record is
//! a function of the seed and n, so the same flags give the same topic at any speed. Pure.

/// The shape of the records.
#[derive(Debug, Clone, clap::Args)]
pub struct Shape {
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Distinct values of `id`.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub keys: u32,
    /// Windows over which event times are spread, all of them from the first record on. Every pair of a key and a
    /// window occurs once in each keys × windows records.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub windows: u32,
    /// Length of a window, in milliseconds.
    #[arg(long, default_value_t = 300_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub window_ms: u32,
    /// Start of the first window, in milliseconds since 1970-01-01T00:00:00Z.
    #[arg(long, default_value_t = 1_767_225_600_000)]
    pub start_ms: u64,
    /// Number of fields of the object: `id`, `city`, `price`, `distanceKm`, `ts`, then `c5`, `c6`, …, which are whole
    /// numbers and strings in turn.
    #[arg(long, default_value_t = FIELDS, value_parser = clap::value_parser!(u32).range(i64::from(FIELDS)..=256))]
    pub columns: u32,
    /// Bytes of a record's value; a last field `note` fills it up. If absent, the value has the bytes of its fields.
    #[arg(long, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    pub size_bytes: Option<u32>,
}

const FIELDS: u32 = 5;
const CITIES: [&str; 5] = ["FR", "US", "DE", "MG", "UK"];
/// 32 letters, so that five random bits select one.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
/// A prime number: its multiples take every residue of a smaller number once before they begin again.
const STRIDE: u64 = 2_654_435_761;

/// The event time of a record: a time in its window, or the time at which the record is made, in milliseconds since
/// 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTime {
    OfWindow,
    Ms(u64),
}

impl Shape {
    /// # Errors
    /// If there are more pairs of a key and a window than can be distinguished.
    pub fn check(&self) -> Result<(), String> {
        if self.pairs() < STRIDE {
            return Ok(());
        }
        Err(format!(
            "--keys {} × --windows {} is {}: at most {} pairs are possible",
            self.keys,
            self.windows,
            self.pairs(),
            STRIDE - 1
        ))
    }

    fn pairs(&self) -> u64 {
        u64::from(self.keys) * u64::from(self.windows)
    }

    /// Appends the value of record `n`, and returns to which of this many partitions it goes.
    pub fn write(&self, n: u64, event_time: EventTime, partitions: i32, out: &mut Vec<u8>) -> i32 {
        let from = out.len();
        let mut draws = Draws::new(self.seed, n);
        let pair = n % self.pairs() * STRIDE % self.pairs();
        let (key, window) = (pair / u64::from(self.windows), pair % u64::from(self.windows));
        let partition = i32::try_from(draws.below(u64::from(partitions.unsigned_abs()))).unwrap_or(0);
        let of_window = self.start_ms + window * u64::from(self.window_ms) + draws.below(u64::from(self.window_ms));
        let ts_ms = match event_time {
            EventTime::OfWindow => of_window,
            EventTime::Ms(ms) => ms,
        };
        out.extend_from_slice(b"{\"id\":");
        write_number(out, key);
        out.extend_from_slice(b",\"city\":\"");
        out.extend_from_slice(CITIES[draws.below(CITIES.len() as u64) as usize].as_bytes());
        out.extend_from_slice(b"\",\"price\":");
        write_hundredths(out, 500 + draws.below(5_000));
        out.extend_from_slice(b",\"distanceKm\":");
        write_hundredths(out, 500 + draws.below(2_000));
        out.extend_from_slice(b",\"ts\":");
        write_number(out, ts_ms);
        for column in FIELDS..self.columns {
            out.extend_from_slice(b",\"c");
            write_number(out, u64::from(column));
            out.extend_from_slice(b"\":");
            if column % 2 == 0 {
                write_number(out, draws.below(1_000_000));
            } else {
                out.push(b'"');
                write_text(out, 8, &mut draws);
                out.push(b'"');
            }
        }
        if let Some(size_bytes) = self.size_bytes {
            const AROUND: &[u8] = b",\"note\":\"\"}";
            let room = (size_bytes as usize).saturating_sub(out.len() - from + AROUND.len());
            if room > 0 {
                out.extend_from_slice(&AROUND[..AROUND.len() - 2]);
                write_text(out, room, &mut draws);
                out.push(b'"');
            }
        }
        out.push(b'}');
        partition
    }
}

/// The random numbers of one record (Vigna, splitmix64).
struct Draws(u64);

impl Draws {
    fn new(seed: u64, n: u64) -> Self {
        // The seeds of neighbouring records are far apart, so that their numbers do not overlap.
        let mut mixed = Self(seed.wrapping_add(n.wrapping_mul(0xD134_2543_DE82_EF95)));
        Self(mixed.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

fn write_text(out: &mut Vec<u8>, letters: usize, draws: &mut Draws) {
    let mut left = letters;
    while left > 0 {
        let mut bits = draws.next();
        // A random number has bits for twelve letters.
        for _ in 0..left.min(12) {
            out.push(LETTERS[(bits & 31) as usize]);
            bits >>= 5;
        }
        left -= left.min(12);
    }
}

fn write_hundredths(out: &mut Vec<u8>, hundredths: u64) {
    write_number(out, hundredths / 100);
    let rest = (hundredths % 100) as u8;
    out.extend_from_slice(&[b'.', b'0' + rest / 10, b'0' + rest % 10]);
}

fn write_number(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn shape(keys: u32, windows: u32) -> Shape {
        Shape { seed: 1, keys, windows, window_ms: 300_000, start_ms: HOUR_MS, columns: FIELDS, size_bytes: None }
    }

    fn record(shape: &Shape, n: u64) -> (i32, Value, usize) {
        let mut out = Vec::new();
        let partition = shape.write(n, EventTime::OfWindow, 6, &mut out);
        (partition, serde_json::from_slice(&out).unwrap(), out.len())
    }

    #[test]
    fn every_key_comes_once_in_every_window() {
        let shape = shape(100, 12);
        let mut seen = BTreeMap::new();
        for n in 0..1_200 {
            let (_, value, _) = record(&shape, n);
            let window = (value["ts"].as_u64().unwrap() - HOUR_MS) / 300_000;
            *seen.entry((value["id"].as_u64().unwrap(), window)).or_insert(0) += 1;
        }
        let expected = (0..100).flat_map(|key| (0..12).map(move |window| ((key, window), 1))).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn records_of_a_seed_never_change_and_another_seed_has_others() {
        let value = |seed| {
            let mut out = Vec::new();
            let partition = Shape { seed, ..shape(10, 2) }.write(7, EventTime::OfWindow, 6, &mut out);
            (partition, String::from_utf8(out).unwrap())
        };
        let of_seed_1 = (3, r#"{"id":3,"city":"MG","price":36.56,"distanceKm":8.83,"ts":4041131}"#.to_owned());
        assert_eq!(value(1), of_seed_1);
        assert_ne!(value(2), of_seed_1);
    }

    #[test]
    fn value_has_the_columns_and_the_bytes_that_were_asked_for() {
        let wide = Shape { columns: 100, ..shape(10, 1) };
        let (_, value, length) = record(&wide, 3);
        let names: BTreeSet<_> = value.as_object().unwrap().keys().cloned().collect();
        assert_eq!((names.len(), value["c6"].is_u64(), value["c99"].is_string()), (100, true, true));
        let padded = Shape { size_bytes: Some(10_000), ..wide };
        assert_eq!(record(&padded, 3).2, 10_000);
        let too_small = Shape { size_bytes: Some(200), ..padded };
        assert_eq!(record(&too_small, 3).2, length, "what the fields take is not cut");
    }

    #[test]
    fn records_spread_evenly_over_partitions_whatever_their_key() {
        let mut by_partition = [0; 6];
        for n in (0..60_000).step_by(10) {
            let (partition, value, _) = record(&shape(10, 1), n);
            assert_eq!(value["id"], record(&shape(10, 1), 0).1["id"]);
            by_partition[usize::try_from(partition).unwrap()] += 1;
        }
        assert!(by_partition.iter().all(|count| (900..1_100).contains(count)), "{by_partition:?}");
    }

    #[test]
    fn record_of_now_says_so() {
        let mut out = Vec::new();
        shape(10, 1).write(0, EventTime::Ms(42), 1, &mut out);
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["ts"], 42);
    }

    #[test]
    fn more_pairs_than_the_stride_can_visit_are_refused() {
        assert_eq!(shape(10_000_000, 12).check(), Ok(()));
        let message = shape(1_000_000_000, 3).check().unwrap_err();
        assert!(message.contains("3000000000: at most 2654435760 pairs"), "{message}");
    }
}
