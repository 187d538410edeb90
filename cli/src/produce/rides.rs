//! Generates rides. The same seed gives the same rides, whatever the speed, the machine or the version of a library for
//! random numbers: this module takes its numbers from ChaCha8 by its own arithmetic. It is pure.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use weir_plan::calendar::Date;

use super::send::Record;

pub const CITIES: [&str; 5] = ["FR", "US", "DE", "MG", "UK"];

const MINUTE_US: u64 = 60_000_000;
const MS_PER_DAY: i64 = 86_400_000;

/// How much earlier than the disorder allows the event time of a late ride is: more than the usual watermark delay of
/// ten minutes.
const LATE_US: std::ops::Range<u64> = 15 * MINUTE_US..60 * MINUTE_US;

/// The rides to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RidesSpec {
    pub seed: u64,
    /// The number of rides. `None`: no end.
    pub count: Option<u64>,
    /// Event time of the first ride, before disorder: microseconds since 1970-01-01T00:00:00Z.
    pub start_us: i64,
    pub pace: EventPace,
    /// The most by which a ride's event time is earlier than its turn. The difference is uniformly distributed.
    pub disorder_us: u64,
    /// How many of a million rides are late, on average.
    pub late_per_million: u32,
}

/// How event time advances from one ride to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPace {
    /// This many rides per second of event time.
    PerSecond(u64),
    /// `rides` rides per `span_us` microseconds of event time.
    Span { span_us: u64, rides: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ride {
    pub ride_id: u32,
    pub user_id: u32,
    pub city: &'static str,
    /// Kilometres times 100.
    pub distance_hundredths: u32,
    /// Price times 100.
    pub price_hundredths: u32,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub ts_ms: i64,
}

/// The rides of a specification, in the order in which they are sent.
#[derive(Debug, Clone)]
pub struct Rides {
    spec: RidesSpec,
    random: ChaCha8Rng,
    next: u64,
}

impl Rides {
    #[must_use]
    pub fn new(spec: RidesSpec) -> Self {
        Self { spec, random: ChaCha8Rng::seed_from_u64(spec.seed), next: 0 }
    }

    /// A uniformly distributed number in `0..bound` (Lemire, "Fast Random Integer Generation in an Interval", 2019,
    /// without its rejection step: the bias is below 2⁻³⁰ here).
    fn below(&mut self, bound: u64) -> u64 {
        u64::try_from((u128::from(self.random.next_u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }
}

impl Iterator for Rides {
    type Item = Ride;

    fn next(&mut self) -> Option<Ride> {
        if self.spec.count.is_some_and(|count| self.next >= count) {
            return None;
        }
        let turn_us = self.spec.pace.turn_us(self.next);
        self.next += 1;
        // Every ride draws the same number of random numbers, so that changing one setting does not change everything
        // else.
        let ride_id = self.below(1_000_000);
        let user_id = self.below(100_000);
        let city = self.below(CITIES.len() as u64);
        let distance_hundredths = 500 + self.below(2_000);
        let price_hundredths = (distance_hundredths * (800_000 + self.below(1_000_000)) + 500_000) / 1_000_000;
        let disorder_us = self.below(self.spec.disorder_us.saturating_add(1));
        let is_late = self.below(1_000_000) < u64::from(self.spec.late_per_million);
        let late_us = LATE_US.start + self.below(LATE_US.end - LATE_US.start);
        let behind_us = if is_late { self.spec.disorder_us.saturating_add(late_us) } else { disorder_us };
        let ts_us = i128::from(self.spec.start_us) + i128::from(turn_us) - i128::from(behind_us);
        Some(Ride {
            ride_id: small(ride_id),
            user_id: small(user_id),
            city: CITIES[city as usize],
            distance_hundredths: small(distance_hundredths),
            price_hundredths: small(price_hundredths),
            ts_ms: i64::try_from(ts_us.div_euclid(1_000)).unwrap_or(i64::MAX),
        })
    }
}

impl EventPace {
    /// The event time that has passed at the turn of the n-th ride, in microseconds.
    fn turn_us(self, n: u64) -> u64 {
        let (us, rides) = match self {
            Self::PerSecond(rides) => (1_000_000, rides),
            Self::Span { span_us, rides } => (span_us, rides),
        };
        u64::try_from(u128::from(n) * u128::from(us) / u128::from(rides.max(1))).unwrap_or(u64::MAX)
    }
}

impl Record for Ride {
    /// The key is the ride's id in decimal.
    fn write_key(&self, out: &mut Vec<u8>) {
        write_number(out, u64::from(self.ride_id), 1);
    }

    /// The value is an object of about 115 bytes.
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"rideId\":");
        write_number(out, u64::from(self.ride_id), 1);
        out.extend_from_slice(b",\"userId\":");
        write_number(out, u64::from(self.user_id), 1);
        out.extend_from_slice(b",\"city\":\"");
        out.extend_from_slice(self.city.as_bytes());
        out.extend_from_slice(b"\",\"distanceKm\":");
        write_hundredths(out, self.distance_hundredths);
        out.extend_from_slice(b",\"price\":");
        write_hundredths(out, self.price_hundredths);
        out.extend_from_slice(b",\"ts\":\"");
        write_time(out, self.ts_ms, b'T');
        out.extend_from_slice(b"Z\"}");
    }
}

/// Converts a number that is below a few millions by construction.
fn small(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn write_hundredths(out: &mut Vec<u8>, hundredths: u32) {
    write_number(out, u64::from(hundredths / 100), 1);
    out.push(b'.');
    write_number(out, u64::from(hundredths % 100), 2);
}

/// Appends a number in decimal, with leading zeros up to `width` digits.
pub fn write_number(out: &mut Vec<u8>, mut n: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut from = digits.len();
    while n > 0 {
        from -= 1;
        digits[from] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    out.extend_from_slice(&digits[from.min(digits.len() - width)..]);
}

/// As `2024-01-01T00:00:00.123`, with this sign between the day and the time. A formatting library would take longer
/// than everything else here (`weir_plan::calendar` has the figures).
pub fn write_time(out: &mut Vec<u8>, ts_ms: i64, between: u8) {
    let ms = ts_ms.rem_euclid(MS_PER_DAY).unsigned_abs();
    let Date { year, month, day, .. } = Date::of_day(ts_ms.div_euclid(MS_PER_DAY));
    for (separator, number, width) in [
        (None, year.unsigned_abs(), 4),
        (Some(b'-'), u64::from(month), 2),
        (Some(b'-'), u64::from(day), 2),
        (Some(between), ms / 3_600_000, 2),
        (Some(b':'), ms / 60_000 % 60, 2),
        (Some(b':'), ms / 1_000 % 60, 2),
        (Some(b'.'), ms % 1_000, 3),
    ] {
        out.extend(separator);
        write_number(out, number, width);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DAY_2024_US: i64 = 1_704_067_200_000_000;

    fn spec() -> RidesSpec {
        RidesSpec {
            seed: 7,
            count: Some(20_000),
            start_us: DAY_2024_US,
            pace: EventPace::Span { span_us: 24 * 60 * MINUTE_US, rides: 20_000 },
            disorder_us: 2 * MINUTE_US,
            late_per_million: 1_000,
        }
    }

    fn json(ride: &Ride) -> String {
        let mut out = Vec::new();
        ride.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn first_rides_of_a_seed_never_change() {
        let rides: Vec<_> = Rides::new(spec()).take(2).map(|r| json(&r)).collect();
        assert_eq!(
            rides,
            [
                r#"{"rideId":157796,"userId":16798,"city":"MG","distanceKm":19.53,"price":27.37,"ts":"2023-12-31T23:59:16.876Z"}"#,
                r#"{"rideId":364464,"userId":98997,"city":"US","distanceKm":12.68,"price":16.75,"ts":"2023-12-31T23:59:33.443Z"}"#,
            ]
        );
    }

    #[test]
    fn same_seed_gives_the_same_rides_and_another_seed_others() {
        let rides = |seed| Rides::new(RidesSpec { seed, ..spec() }).collect::<Vec<_>>();
        assert_eq!(rides(1), rides(1));
        assert_ne!(rides(1), rides(2));
    }

    #[test]
    fn more_late_rides_change_nothing_but_event_times() {
        let untimed = |late_per_million| {
            Rides::new(RidesSpec { late_per_million, ..spec() }).map(|r| Ride { ts_ms: 0, ..r }).collect::<Vec<_>>()
        };
        assert_eq!(untimed(0), untimed(500_000));
    }

    #[test]
    fn value_is_json_that_another_parser_reads_as_the_same_ride() {
        for ride in Rides::new(spec()).take(1_000) {
            let value: serde_json::Value = serde_json::from_str(&json(&ride)).unwrap();
            let ts = chrono::DateTime::parse_from_rfc3339(value["ts"].as_str().unwrap()).unwrap();
            assert_eq!(ts.timestamp_millis(), ride.ts_ms);
            assert_eq!(value["rideId"], ride.ride_id);
            assert_eq!(value["userId"], ride.user_id);
            assert_eq!(value["city"], ride.city);
            assert_eq!((value["distanceKm"].as_f64().unwrap() * 100.0).round(), f64::from(ride.distance_hundredths));
            assert_eq!((value["price"].as_f64().unwrap() * 100.0).round(), f64::from(ride.price_hundredths));
            assert!((100..=125).contains(&json(&ride).len()), "{}", json(&ride));
        }
    }

    #[test]
    fn timestamps_agree_with_chrono_over_four_centuries() {
        for day in (-80_000..120_000).step_by(37) {
            let ts_ms = day * 86_400_000 + 12_345_678;
            let mut out = Vec::new();
            write_time(&mut out, ts_ms, b'T');
            let expected =
                chrono::DateTime::from_timestamp_millis(ts_ms).unwrap().format("%Y-%m-%dT%H:%M:%S%.3f").to_string();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn values_keep_to_their_ranges_and_event_times_to_disorder_or_far_behind() {
        let spec = spec();
        let mut late = 0;
        for (n, ride) in (0..).zip(Rides::new(spec)) {
            assert!(
                ride.ride_id < 1_000_000 && ride.user_id < 100_000 && (500..2_500).contains(&ride.distance_hundredths)
            );
            let factor = f64::from(ride.price_hundredths) / f64::from(ride.distance_hundredths);
            assert!((0.799..1.801).contains(&factor), "{ride:?}");
            let turn_us = spec.start_us + i64::try_from(spec.pace.turn_us(n)).unwrap();
            let behind_ms = turn_us / 1_000 - ride.ts_ms;
            let disorder_ms = 120_000;
            if behind_ms > disorder_ms + 1 {
                late += 1;
                assert!(
                    (disorder_ms + 15 * 60_000..=disorder_ms + 60 * 60_000 + 1).contains(&behind_ms),
                    "{behind_ms}"
                );
            } else {
                assert!((0..=disorder_ms + 1).contains(&behind_ms), "{behind_ms}");
            }
        }
        assert!((5..60).contains(&late), "{late} of 20000 are late, about 20 should be");
    }

    #[test]
    fn the_greatest_disorder_is_no_overflow() {
        let spec = RidesSpec { disorder_us: u64::MAX, late_per_million: 1_000_000, ..spec() };
        assert_eq!(Rides::new(spec).take(10).count(), 10);
    }

    #[test]
    fn count_is_kept() {
        assert_eq!(Rides::new(spec()).count(), 20_000);
    }
}
