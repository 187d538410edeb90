//! Dates against a count of days, timestamps and numbers against chrono and the standard library, on every day and on
//! random text.

use chrono::{NaiveDate, TimeDelta};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng as _, SeedableRng as _};
use weir_testing::json as reference;
use weir_testing::property::holds;

use super::super::date::parse_date;
use super::super::number;
use super::super::timestamp::parse_timestamp;
use super::generator;

#[test]
fn the_days_of_the_calendar_are_counted_one_by_one() {
    let mut days = -719_162;
    for year in 1..=9999 {
        let february = if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 29 } else { 28 };
        for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            for day in 1..=length {
                let text = format!("{year:04}-{month:02}-{day:02}");
                assert_eq!(parse_date(text.as_bytes()), Some(days), "{text}");
                days += 1;
            }
        }
    }
    assert_eq!(parse_date(b"1970-01-01"), Some(0));
}

#[test]
fn days_that_do_not_exist_are_refused() {
    for year in [1, 4, 100, 400, 1900, 1999, 2000, 2023, 2024, 9999] {
        for (month, day) in (0..=13).flat_map(|month| (0..=32).map(move |day| (month, day))) {
            let text = format!("{year:04}-{month:02}-{day:02}");
            let exists = NaiveDate::from_ymd_opt(year, month, day).is_some();
            assert_eq!(parse_date(text.as_bytes()).is_some(), exists, "{text}");
        }
    }
    assert_eq!(parse_date(b"0000-01-01"), None);
}

#[test]
fn dates_are_written_in_one_way() {
    for wrong in [
        "",
        "2024-1-31",
        "2024-01-31 ",
        " 2024-01-31",
        "20240131",
        "2024/01/31",
        "24-01-31",
        "+2024-01-31",
        "12024-01-31",
        "2024-01-3a",
        "2024-01-31T00:00:00",
    ] {
        assert_eq!(parse_date(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn timestamps_are_read_in_all_their_forms() {
    let second = 1_706_704_496_000_000;
    for (text, us) in [
        ("2024-01-31T12:34:56", second),
        ("2024-01-31T12:34:56Z", second),
        ("2024-01-31 12:34:56Z", second),
        ("2024-01-31T12:34", second - 56_000_000),
        ("2024-01-31T13:34+01:00", second - 56_000_000),
        ("2024-01-31T12:34:56.7Z", second + 700_000),
        ("2024-01-31T12:34:56.789", second + 789_000),
        ("2024-01-31T12:34:56.789012Z", second + 789_012),
        ("2024-01-31T12:34:56.789012999Z", second + 789_012),
        ("2024-01-31T12:34:56+00:00", second),
        ("2024-01-31T12:34:56-00:00", second),
        ("2024-01-31T13:34:56+01:00", second),
        ("2024-01-31T13:34:56+0100", second),
        ("2024-01-31T13:34:56+01", second),
        ("2024-01-31 07:04:56.5-0530", second + 500_000),
        ("2024-02-01T12:33:56+23:59", second),
        ("1969-12-31T23:59:59.9999999Z", -1),
        ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999_999),
    ] {
        assert_eq!(parse_timestamp(text.as_bytes()), Some(us), "{text}");
    }
}

#[test]
fn other_ways_to_write_timestamps_are_refused() {
    for wrong in [
        "",
        "2024-01-31",
        "2024-01-31T12:34.5",
        "2024-01-31T12:34:",
        "2024-01-31T12",
        "2024-01-31t12:34:56Z",
        "2024-01-31T12:34:56z",
        "2024-01-31  12:34:56",
        "2024-01-31T24:00:00Z",
        "2024-01-31T12:60:00Z",
        "2016-12-31T23:59:60Z",
        "2024-02-30T00:00:00Z",
        "2024-01-31T12:34:56.Z",
        "2024-01-31T12:34:56,5Z",
        "2024-01-31T12:34:56.1234567890Z",
        "2024-01-31T12:34:56 Z",
        "2024-01-31T12:34:56Z ",
        "2024-01-31T12:34:56+1:00",
        "2024-01-31T12:34:56+24:00",
        "2024-01-31T12:34:56+01:60",
        "2024-01-31T12:34:56+01:00:00",
        "2024-01-31T12:34:56+",
        "2024-01-31T12:34:56UTC",
        "2024-01-31T12:34:56[UTC]",
        "20240131T123456Z",
        "1706704496",
        "0000-12-31T23:00:00-02:00",
        "0001-01-01T00:30:00+01:00",
        "9999-12-31T23:30:00-01:00",
        "+2024-01-31T12:34:56",
    ] {
        assert_eq!(parse_timestamp(wrong.as_bytes()), None, "{wrong}");
    }
}

#[test]
fn random_timestamps_are_chronos_timestamps() {
    let mut rng = StdRng::seed_from_u64(1);
    let first = NaiveDate::from_ymd_opt(1, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap();
    let mut accepted = 0;
    for _ in 0..20_000 {
        // The first and last days are close to the limits, so that offsets reach across them.
        let seconds = match rng.random_range(0..10) {
            0 => rng.random_range(0..100_000),
            1 => rng.random_range(315_537_800_000..315_537_897_600_i64),
            _ => rng.random_range(0..315_537_897_600_i64),
        };
        let time = first + TimeDelta::seconds(seconds);
        let mut text = time.format("%Y-%m-%d%H:%M:%S").to_string();
        text.insert(10, *b"TT ".choose(&mut rng).unwrap() as char);
        text += &generator::fraction_and_zone(&mut rng);
        if rng.random_bool(0.2) {
            text = generator::mutate_text(&mut rng, text);
        }
        let expected = reference::timestamp(&text);
        accepted += usize::from(expected.is_some());
        assert_eq!(parse_timestamp(text.as_bytes()), expected, "{text}");
    }
    assert!((10_000..19_500).contains(&accepted), "{accepted} of 20000 accepted");
}

#[test]
fn random_numbers_are_the_standard_librarys_numbers() {
    let mut rng = StdRng::seed_from_u64(2);
    for _ in 0..100_000 {
        let text = generator::number(&mut rng);
        let number =
            number::scan(text.as_bytes(), 0).unwrap_or_else(|at| panic!("{text} stops being a number at {at}"));
        assert_eq!(number.text, text.as_bytes());
        let double = text.parse::<f64>().ok().filter(|v| v.is_finite());
        assert_eq!(number.to_f64().map(f64::to_bits), double.map(f64::to_bits), "{text}");
        let float = text.parse::<f32>().ok().filter(|v| v.is_finite());
        assert_eq!(number.to_f32().map(f32::to_bits), float.map(f32::to_bits), "{text}");
        assert_eq!(number.to_i64(), text.parse().ok(), "{text}");
    }
}

#[test]
fn the_shortest_text_of_any_double_gives_it_back() {
    let finite = any::<u64>().prop_map(f64::from_bits).prop_filter("JSON has no others", |value| value.is_finite());
    holds(50_000, finite, |value| {
        let read = number::scan(format!("{value:e}").as_bytes(), 0).unwrap().to_f64();
        assert_eq!(read.map(f64::to_bits), Some(value.to_bits()));
    });
}
