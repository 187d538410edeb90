#![allow(clippy::unwrap_used)]

use chrono::DateTime;

use super::*;

fn us(rfc3339: &str) -> i64 {
    DateTime::parse_from_rfc3339(rfc3339).unwrap().timestamp_micros()
}

fn formatted(pattern: &str, time: &str) -> String {
    formatted_us(pattern, us(time))
}

fn formatted_us(pattern: &str, time_us: i64) -> String {
    let mut out = String::new();
    Pattern::compile(pattern).unwrap().write(&mut out, time_us).unwrap();
    out
}

fn refused(pattern: &str) -> String {
    Pattern::compile(pattern).unwrap_err()
}

/// The examples of Spark's documentation, with UTC for their time zone.
#[test]
fn each_letter_gives_what_spark_documents() {
    let cases = [
        ("y", "2020"),
        ("yy", "20"),
        ("yyy", "2020"),
        ("yyyy", "2020"),
        ("yyyyyy", "002020"),
        ("M", "7"),
        ("MM", "07"),
        ("MMM", "Jul"),
        ("MMMM", "July"),
        ("L", "7"),
        ("LL", "07"),
        ("LLL", "Jul"),
        ("LLLL", "July"),
        ("d", "7"),
        ("dd", "07"),
        ("D", "189"),
        ("DDD", "189"),
        ("E", "Tue"),
        ("EEE", "Tue"),
        ("EEEE", "Tuesday"),
        ("a", "PM"),
        ("H", "15"),
        ("HH", "15"),
        ("h", "3"),
        ("hh", "03"),
        ("k", "15"),
        ("kk", "15"),
        ("K", "3"),
        ("KK", "03"),
        ("m", "8"),
        ("mm", "08"),
        ("s", "9"),
        ("ss", "09"),
        ("S", "9"),
        ("SSS", "978"),
        ("SSSSSS", "978654"),
        ("SSSSSSSSS", "978654000"),
        ("Q", "3"),
        ("QQ", "03"),
        ("QQQ", "Q3"),
        ("QQQQ", "3rd quarter"),
        ("q", "3"),
        ("qqqq", "3rd quarter"),
        ("G", "AD"),
        ("GGGG", "Anno Domini"),
        ("VV", "UTC"),
        ("z", "UTC"),
        ("zzz", "UTC"),
        ("zzzz", "Coordinated Universal Time"),
        ("O", "GMT"),
        ("OOOO", "GMT"),
        ("X", "Z"),
        ("XXX", "Z"),
        ("x", "+00"),
        ("xx", "+0000"),
        ("xxx", "+00:00"),
        ("xxxxx", "+00:00"),
        ("Z", "+0000"),
        ("ZZZZ", "GMT"),
        ("ZZZZZ", "Z"),
        ("yyyy-MM-dd HH:mm:ss", "2020-07-07 15:08:09"),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2020-07-07T15:08:09.978Z"),
        ("hh 'o''clock' a", "03 o'clock PM"),
        ("''yy''", "'20'"),
        ("dd.MM.yyyy[ HH:mm]", "07.07.2020 15:08"),
        ("yyyy年", "2020年"),
        ("", ""),
    ];
    for (pattern, expected) in cases {
        assert_eq!(formatted(pattern, "2020-07-07T15:08:09.978654Z"), expected, "{pattern}");
    }
}

#[test]
fn midnight_and_noon_follow_each_clock() {
    let pattern = "H k K h a";
    assert_eq!(formatted(pattern, "2024-01-01T00:00:00Z"), "0 24 0 12 AM");
    assert_eq!(formatted(pattern, "2024-01-01T12:00:00Z"), "12 12 0 12 PM");
    assert_eq!(formatted(pattern, "2024-01-01T23:59:59Z"), "23 23 11 11 PM");
}

#[test]
fn narrow_fields_are_not_padded_and_wide_ones_are() {
    assert_eq!(formatted("y-M-d D/DD/DDD H:m:s.S", "0007-01-02T03:04:05.060Z"), "7-1-2 2/02/002 3:4:5.0");
    assert_eq!(formatted("yyy yyyy yy", "0007-01-02T03:04:05Z"), "007 0007 07");
}

#[test]
fn years_outside_four_digits_have_a_sign() {
    assert_eq!(formatted_us("yyyy", 253_402_300_800_000_000), "+10000");
    assert_eq!(formatted_us("y", 253_402_300_800_000_000), "10000");
    let year_before_0 = us("0000-01-01T00:00:00Z") - 1;
    assert_eq!(formatted_us("yyyy-MM-dd", year_before_0), "-0001-12-31");
    assert_eq!(formatted_us("y G", year_before_0), "2 BC");
    assert_eq!(formatted("y GGGG", "0000-06-01T00:00:00Z"), "1 Before Christ");
}

#[test]
fn times_before_1970_round_towards_the_past() {
    assert_eq!(
        formatted("yyyy-MM-dd HH:mm:ss.SSSSSS E", "1969-12-31T23:59:59.999999Z"),
        "1969-12-31 23:59:59.999999 Wed"
    );
}

#[test]
fn a_pattern_that_spark_refuses_is_refused_with_its_place() {
    assert_eq!(
        refused("yyyy-nn"),
        "`nn` at character 6 of the pattern `yyyy-nn` is not a pattern letter; \
         the letters are G y M L d D E a H h k K m s S Q q V z O X x Z, and other text goes in quotes"
    );
    assert_eq!(
        refused("MMMMM"),
        "`MMMMM` at character 1 of the pattern `MMMMM` has too many letters: `M` takes at most 4"
    );
    assert!(
        refused("YYYY-MM")
            .contains("`YYYY` at character 1 of the pattern `YYYY-MM` is not supported: Spark 3 has no week-based")
    );
    assert_eq!(refused("HH 'h"), "the quote at character 4 of the pattern `HH 'h` is not closed");
    assert_eq!(refused("yyyy]"), "the `]` at character 5 of the pattern `yyyy]` closes nothing");
    assert_eq!(refused("yyyy{"), "`{` at character 5 of the pattern `yyyy{` is reserved; put it in quotes");
    for wrong in [
        "yyyyyyy",
        "ddd",
        "DDDD",
        "EEEEE",
        "aa",
        "HHH",
        "SSSSSSSSSS",
        "V",
        "VVV",
        "zzzzz",
        "OO",
        "XXXXXX",
        "ZZZZZZ",
        "GGGGG",
        "F",
    ] {
        assert!(Pattern::compile(wrong).is_err(), "{wrong}");
    }
}
