//! Times from the year 1 to the year 9999, which JSON can have, work everywhere. Nothing is computed in nanoseconds,
//! which end in 2262.

#![allow(clippy::unwrap_used)]

use super::extremes::Row;
use crate::expr::compile;

const FAR: [&str; 4] =
    ["0001-01-01T00:00:00Z", "1600-02-29T23:59:59.999999Z", "1677-09-21T00:12:43Z", "9999-12-31T23:59:59.999999Z"];

/// Compares the value for each of the far times.
fn check(sql: &str, expected: [&str; 4]) {
    for (ts, expected) in FAR.into_iter().zip(expected) {
        let row = Row::of(&[
            ("ts", "timestamp", ts),
            ("day", "date", &ts[..10]),
            ("text", "string", ts),
            ("n", "bigint", "1"),
        ]);
        assert_eq!(row.eval(sql).as_deref(), Ok(expected), "{sql} of {ts}");
    }
}

#[test]
fn far_times_are_truncated_and_binned() {
    let of = |rest: &str| {
        ["0001-01-01", "1600-02-29", "1677-09-21", "9999-12-31"].map(|day| format!("timestamp: {day}{rest}"))
    };
    check("date_trunc('day', ts)", of("T00:00:00Z").each_ref().map(String::as_str));
    check("date_trunc('DD', day)", of("T00:00:00Z").each_ref().map(String::as_str));
    check("date_bin(interval '1 day', ts)", of("T00:00:00Z").each_ref().map(String::as_str));
    let firsts = |days: [&str; 4]| days.map(|day| format!("timestamp: {day}T00:00:00Z"));
    let months = firsts(["0001-01-01", "1600-02-01", "1677-09-01", "9999-12-01"]);
    check("date_trunc('month', ts)", months.each_ref().map(String::as_str));
    check("date_bin(interval '1 month', ts)", months.each_ref().map(String::as_str));
    let years = firsts(["0001-01-01", "1600-01-01", "1677-01-01", "9999-01-01"]);
    check("date_trunc('year', ts)", years.each_ref().map(String::as_str));
    let quarters = firsts(["0001-01-01", "1600-01-01", "1677-07-01", "9999-10-01"]);
    check("date_trunc('quarter', ts)", quarters.each_ref().map(String::as_str));
    check("date_bin(interval '3 months', ts)", quarters.each_ref().map(String::as_str));
    // All four are Mondays; 0001-01-01 was one.
    let weeks = firsts(["0001-01-01", "1600-02-28", "1677-09-20", "9999-12-27"]);
    check("date_trunc('week', ts)", weeks.each_ref().map(String::as_str));
    check(
        "date_trunc('second', ts)",
        [
            "timestamp: 0001-01-01T00:00:00Z",
            "timestamp: 1600-02-29T23:59:59Z",
            "timestamp: 1677-09-21T00:12:43Z",
            "timestamp: 9999-12-31T23:59:59Z",
        ],
    );
    check(
        "date_bin(interval '5 minutes', ts, timestamp '0001-01-01 00:05:00')",
        [
            "timestamp: 0001-01-01T00:00:00Z",
            "timestamp: 1600-02-29T23:55:00Z",
            "timestamp: 1677-09-21T00:10:00Z",
            "timestamp: 9999-12-31T23:55:00Z",
        ],
    );
}

#[test]
fn far_times_are_read_and_written() {
    let same = FAR.map(|ts| format!("timestamp: {ts}"));
    for sql in [
        "to_timestamp(text)",
        "cast(text as timestamp)",
        "to_timestamp(ts)",
        "to_timestamp_micros(text)",
        "to_timestamp_seconds(text)",
    ] {
        check(sql, same.each_ref().map(String::as_str));
    }
    check(
        "to_timestamp(text, 'yyyy-MM-dd''T''HH:mm:ssX', 'yyyy-MM-dd''T''HH:mm:ss.SSSSSSX')",
        same.each_ref().map(String::as_str),
    );
    check(
        "date_format(ts, 'yyyy/MM/dd')",
        ["string: 0001/01/01", "string: 1600/02/29", "string: 1677/09/21", "string: 9999/12/31"],
    );
    let written = FAR.map(|ts| format!("string: {}", ts.replace('T', " ").trim_end_matches('Z')));
    check("cast(ts as string)", written.each_ref().map(String::as_str));
    check("cast(ts as date)", ["date: 0001-01-01", "date: 1600-02-29", "date: 1677-09-21", "date: 9999-12-31"]);
    check(
        "to_date(substr(text, 1, 10))",
        ["date: 0001-01-01", "date: 1600-02-29", "date: 1677-09-21", "date: 9999-12-31"],
    );
    check("date_part('year', ts)", ["int: 1", "int: 1600", "int: 1677", "int: 9999"]);
    check("extract(day from ts)", ["int: 1", "int: 29", "int: 21", "int: 31"]);
    check(
        "to_unixtime(date_trunc('second', ts))",
        ["bigint: -62135596800", "bigint: -11670912001", "bigint: -9223372037", "bigint: 253402300799"],
    );
    check(
        "to_timestamp_seconds(to_unixtime(day))",
        [
            "timestamp: 0001-01-01T00:00:00Z",
            "timestamp: 1600-02-29T00:00:00Z",
            "timestamp: 1677-09-21T00:00:00Z",
            "timestamp: 9999-12-31T00:00:00Z",
        ],
    );
}

#[test]
fn whole_seconds_are_those_that_had_begun_before_1970_too() {
    // The same values as Spark's cast(ts as bigint) and unix_seconds(ts).
    for (ts, seconds) in [
        ("1969-12-31T23:59:59.500000Z", -1_i64),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1969-12-31T23:59:59.000000Z", -1),
        ("1969-12-31T23:59:58.999999Z", -2),
        ("1970-01-01T00:00:00.000000Z", 0),
        ("1970-01-01T00:00:00.999999Z", 0),
        ("0001-01-01T00:00:00.000001Z", -62_135_596_800),
        ("9999-12-31T23:59:59.999999Z", 253_402_300_799),
    ] {
        let row = Row::of(&[("ts", "timestamp", ts), ("text", "string", ts)]);
        let expected = format!("bigint: {seconds}");
        let formatted = "to_unixtime(text, 'yyyy-MM-dd''T''HH:mm:ss.SSSSSSX')";
        for sql in ["to_unixtime(ts)", "to_unixtime(text)", formatted, &format!("to_unixtime(timestamp '{ts}')")] {
            assert_eq!(row.eval(sql).as_deref(), Ok(&*expected), "{sql} of {ts}");
        }
    }
    let row = Row::of(&[("n", "bigint", "-7"), ("x", "double", "-7.9"), ("ts", "timestamp", "null")]);
    for (sql, expected) in
        [("to_unixtime(n)", "bigint: -7"), ("to_unixtime(x)", "bigint: -7"), ("to_unixtime(ts)", "bigint: null")]
    {
        assert_eq!(row.eval(sql).as_deref(), Ok(expected), "{sql}");
    }
}

#[test]
fn far_times_are_compared() {
    for sql in [
        "ts > timestamp '0001-01-01 00:00:00' or ts = timestamp '0001-01-01 00:00:00'",
        "ts <= '9999-12-31T23:59:59.999999Z'",
        "ts >= '0001-01-01'",
        "ts < date '9999-12-31' or day = date '9999-12-31'",
        "ts between '0001-01-01' and '9999-12-31T23:59:59.999999Z'",
        "day <= ts",
        "ts in (to_timestamp(text), '2000-01-01')",
        "ts = to_timestamp(text)",
        "coalesce(day, ts) <= ts",
        "greatest(day, ts) = ts",
        "date_part('year', ts) = date_part('year', day)",
        "ts between ts and ts",
    ] {
        check(sql, ["boolean: true"; 4]);
    }
}

#[test]
fn numbers_of_a_unit_become_times_or_errors() {
    let row = Row::of(&[
        ("s", "bigint", "253402300799"),
        ("huge", "bigint", "9223372036854775807"),
        ("x", "double", "-62135596799.5"),
        ("d", "decimal(20,3)", "1.234"),
        ("nan", "double", "NaN"),
        ("big", "double", "1e300"),
    ]);
    for (sql, expected) in [
        ("to_timestamp(s)", "timestamp: 9999-12-31T23:59:59Z"),
        ("to_timestamp_seconds(s)", "timestamp: 9999-12-31T23:59:59Z"),
        ("to_timestamp_millis(s)", "timestamp: 1978-01-11T21:31:40.799Z"),
        ("to_timestamp_micros(s)", "timestamp: 1970-01-03T22:23:22.300799Z"),
        ("to_timestamp_nanos(s)", "timestamp: 1970-01-01T00:04:13.402300Z"),
        ("to_timestamp(x)", "timestamp: 0001-01-01T00:00:00.500Z"),
        ("to_timestamp(d)", "timestamp: 1970-01-01T00:00:01.234Z"),
        ("to_timestamp_millis(d)", "timestamp: 1970-01-01T00:00:00.001234Z"),
        ("from_unixtime(s)", "timestamp: 9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(row.eval(sql).as_deref(), Ok(expected), "{sql}");
    }
    let beyond = Row::of(&[
        ("ts", "timestamp", "9999-12-31T23:59:59.999999Z"),
        ("first", "timestamp", "0001-01-01T00:00:00Z"),
        ("day", "date", "9999-12-31"),
        ("n", "bigint", "253402300800"),
        ("y", "int", "10000"),
    ]);
    for sql in [
        "ts + interval '1 microsecond'",
        "first - interval '1 microsecond'",
        "day + 1",
        "day + interval '1 month'",
        "date_add(day, y)",
        "make_date(y, 1, 1)",
        "make_date(y - 10000, 1, 1)",
        "to_timestamp(n)",
        "from_unixtime(n)",
        "timestamp_seconds(n)",
        "date_trunc('week', first) - interval '1 day' < first",
    ] {
        let error = beyond.eval(sql).unwrap_err();
        assert!(error.contains("beyond the years 1 to 9999"), "{sql}: {error}");
    }
    for sql in ["date '9999-12-31' + 1", "make_date(0, 1, 1)", "timestamp_seconds(253402300800)"] {
        assert!(super::refused(sql).contains("beyond the years 1 to 9999"), "{sql}");
    }
    for sql in ["to_timestamp(huge)", "to_timestamp_millis(huge)", "to_timestamp(nan)", "to_timestamp_micros(big)"] {
        let error = row.eval(sql).unwrap_err();
        assert!(error.contains("beyond the range of a timestamp"), "{sql}: {error}");
    }
    assert_eq!(
        compile("date_bin(interval '0 days', ts)", &super::schema(), "out").unwrap_err().to_string().split(':').count(),
        1
    );
}

#[test]
fn a_number_is_not_cast_to_a_time_since_its_unit_is_unknown() {
    let refused = |sql: &str| super::refused(sql);
    let to_time = "since nothing says which unit it counts: write to_timestamp_seconds(…), to_timestamp_millis(…) or \
                   to_timestamp_micros(…)";
    assert_eq!(refused("cast(1588252618 as timestamp)"), format!("a bigint can't be cast to a timestamp, {to_time}"));
    assert_eq!(
        refused("cast(userId as timestamp)"),
        format!("a bigint (`userId`) can't be cast to a timestamp, {to_time}")
    );
    assert_eq!(
        refused("try_cast(price as timestamp)"),
        format!("a double (`price`) can't be cast to a timestamp, {to_time}")
    );
    assert_eq!(refused("userId::timestamp"), format!("a bigint (`userId`) can't be cast to a timestamp, {to_time}"));
    assert_eq!(
        refused("cast(ts as bigint)"),
        "a timestamp (`ts`) can't be cast to a bigint, since nothing says which unit it counts: write to_unixtime(…) \
         for seconds, or \
         arrow_cast(…, 'Int64') for microseconds"
    );
    assert!(
        refused("cast(seats as date)")
            .ends_with("write cast(to_timestamp_seconds(…) as date), with …_millis or …_micros for other units")
    );
    for sql in [
        "to_unixtime(ts)",
        "arrow_cast(ts, 'Int64')",
        "cast(to_timestamp_seconds(seats) as date)",
        "cast(null as timestamp)",
    ] {
        compile(sql, &super::schema(), "out").unwrap();
    }
}
