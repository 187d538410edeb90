//! Rides for tests: deterministic by seed, spread over partitions, with disorder, ties and late records. The engine's
//! own producer is not used, because these rides have the corner cases that tests need.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::oracle::time;
use crate::topic::Record;

/// What rides to make.
#[derive(Debug, Clone)]
pub struct Rides {
    pub count: usize,
    pub partitions: i32,
    pub seed: u64,
    /// The event time of the first ride.
    pub start_us: i64,
    /// The difference in event time from one ride to the next, over all partitions.
    pub step_us: i64,
    /// The most by which an event time may lie before its place in the order, in microseconds.
    pub disorder_us: i64,
    /// How many of a million rides come an hour late.
    pub late_per_million: u32,
}

/// 2026-01-01T00:00:00Z, where the event time of test rides begins.
pub const START_US: i64 = 1_767_225_600_000_000;

/// Records that the rides pipeline can't take in, one of each kind.
pub const POISON: [&[u8]; 9] = [
    b"{",
    b"",
    b"[]",
    b"\xff\xfe",
    br#"{"rideId":"x"}"#,
    br#"{"rideId":1,"userId":2,"city":null,"distanceKm":1,"price":1,"ts":"2026-01-01T00:00:00Z"}"#,
    br#"{"rideId":1,"userId":2,"city":"fr","distanceKm":1,"price":1,"ts":"2026-02-30T00:00:00Z"}"#,
    br#"{"rideId":1,"userId":2,"city":"fr","distanceKm":1,"price":1,"ts":"9999-12-31T23:59:59Z"}"#,
    br#"{"rideId":1,"userId":2,"city":"fr","distanceKm":1,"price":1e999,"ts":"2026-01-01T00:00:00Z"}"#,
];

/// Replaces every `every`th record with poison.
#[must_use]
pub fn poisoned(mut records: Vec<Record>, every: usize) -> Vec<Record> {
    for (record, poison) in records.iter_mut().skip(every / 2).step_by(every).zip(POISON.iter().cycle()) {
        record.value = poison.to_vec();
    }
    records
}

const CITIES: [&str; 5] = ["fr", "us", "de", "mg", "uk"];

impl Rides {
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            count,
            partitions: 6,
            seed: 1,
            start_us: START_US,
            step_us: 1_000_000,
            disorder_us: 120_000_000,
            late_per_million: 1_000,
        }
    }

    /// Rides in the order of their event times, without late records and ties.
    #[must_use]
    pub fn ordered(count: usize) -> Self {
        Self { disorder_us: 0, late_per_million: 0, ..Self::new(count) }
    }

    /// Begins this much after [`START_US`].
    #[must_use]
    pub fn starting(self, offset_us: i64) -> Self {
        Self { start_us: START_US + offset_us, ..self }
    }

    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        (0..self.count)
            .map(|i| {
                let mut t = self.start_us + i64::try_from(i).unwrap() * self.step_us;
                if self.disorder_us > 0 {
                    t -= rng.random_range(0..=self.disorder_us);
                }
                if rng.random_range(0..1_000_000) < self.late_per_million {
                    t -= 3_600_000_000;
                }
                // Sometimes a time lies exactly on a window's boundary: ties show comparisons that are off by one.
                if self.disorder_us > 0 && rng.random_range(0..50) == 0 {
                    t -= t.rem_euclid(300_000_000);
                }
                self.ride(&mut rng, t)
            })
            .collect()
    }

    fn ride(&self, rng: &mut ChaCha8Rng, time_us: i64) -> Record {
        let ride = rng.random_range(0..1_000_000);
        let distance = 5.0 + rng.random_range(0.0..20.0);
        let price = (distance * (0.8 + rng.random_range(0.0..1.0)) * 100.0_f64).round() / 100.0;
        let value = format!(
            r#"{{"rideId":{ride},"userId":{},"city":"{}","distanceKm":{:.2},"price":{price:.2},"ts":"{}"}}"#,
            rng.random_range(0..100_000),
            CITIES[rng.random_range(0..CITIES.len())],
            distance,
            time::format_iso(time_us),
        );
        Record {
            partition: rng.random_range(0..self.partitions),
            key: Some(ride.to_string()),
            value: value.into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_rides_and_another_seed_others() {
        let rides = Rides::new(50);
        assert_eq!(rides.records(), rides.records());
        assert_ne!(rides.records(), Rides { seed: 2, ..rides }.records());
    }
}
