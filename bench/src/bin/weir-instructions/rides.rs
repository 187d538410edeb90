//! Rides as records, always the same: they have the shape of `weir produce rides`, but come from a small generator that
//! nobody has a reason to change, since other records would give other figures.

use std::io::Write as _;

const CITIES: [&str; 5] = ["FR", "US", "DE", "MG", "UK"];
/// The event time that all rides together cover, in milliseconds.
const SPAN_MS: u64 = 3_600_000;
const DISORDER_MS: u64 = 120_000;
const USERS: u64 = 2_000;

/// Record values, stored one after the other.
pub struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[*start..*end])
    }
}

pub fn records(count: u64) -> Records {
    let mut random = Random(1);
    let mut records = Records { bytes: Vec::new(), ends: Vec::new() };
    for i in 0..count {
        let (ride, user, city) = (random.below(1_000_000), random.below(USERS), CITIES[random.below(5) as usize]);
        let (distance, price) = (500 + random.below(2_000), 400 + random.below(3_200));
        let at_ms = DISORDER_MS + i * SPAN_MS / count - random.below(DISORDER_MS);
        let (minute, second, ms) = (at_ms / 60_000, at_ms / 1_000 % 60, at_ms % 1_000);
        let (hour, minute) = (minute / 60, minute % 60);
        // Writing into a vector can't fail.
        let _ = write!(
            records.bytes,
            r#"{{"rideId":{ride},"userId":{user},"city":"{city}","distanceKm":{}.{:02},"price":{}.{:02},"ts":"2026-01-01T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"}}"#,
            distance / 100,
            distance % 100,
            price / 100,
            price % 100,
        );
        records.ends.push(records.bytes.len());
    }
    records
}

/// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
