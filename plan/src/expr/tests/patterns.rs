//! Times read by patterns, in expressions.

use super::{check, failed, refused};

#[test]
fn texts_are_read_by_sparks_patterns() {
    check(&[
        (
            "to_timestamp(city || ' 31.01.2024 10:20:30', '''Paris'' dd.MM.yyyy HH:mm:ss', '''Lyon'' d.M.y H:m:s')",
            "timestamp: 2024-01-31T10:20:30Z | 2024-01-31T10:20:30Z | null",
        ),
        ("to_date('31/01/2024', 'dd/MM/yyyy')", "date: 2024-01-31 | 2024-01-31 | 2024-01-31"),
        ("to_unixtime('1970-01-02 +01', 'yyyy-MM-dd X')", "bigint: 82800 | 82800 | 82800"),
        ("to_timestamp(city, null)", "timestamp: null | null | null"),
        ("to_timestamp(null, 'yyyy')", "timestamp: null | null | null"),
        // A pattern that is not constant.
        ("to_date('2024', case when paid then 'yyyy' else 'y' end)", "date: 2024-01-01 | 2024-01-01 | 2024-01-01"),
        ("to_date(ts)", "date: 2024-01-01 | 1969-12-31 | null"),
    ]);
}

#[test]
fn texts_are_read_without_a_pattern_in_sparks_forms() {
    check(&[
        ("to_date('2024-1-3')", "date: 2024-01-03 | 2024-01-03 | 2024-01-03"),
        ("to_date('2024-01')", "date: 2024-01-01 | 2024-01-01 | 2024-01-01"),
        ("to_date(' 2300-12-31T10:00:00+14:00 ')", "date: 2300-12-31 | 2300-12-31 | 2300-12-31"),
        ("to_date(case when city = 'Paris' then '2024' end)", "date: 2024-01-01 | null | null"),
        ("to_date(day)", "date: 2024-01-01 | 1970-01-01 | null"),
        ("to_date(null)", "date: null | null | null"),
        ("try_to_date(city)", "date: null | null | null"),
        (
            "to_timestamp(case when paid then '2024-1-3 4:05' when city = 'Lyon' then '2024-01-31T10:20:30Z' end)",
            "timestamp: 2024-01-03T04:05:00Z | 2024-01-31T10:20:30Z | null",
        ),
        ("try_to_timestamp(case when paid then '2024' else city end)", "timestamp: 2024-01-01T00:00:00Z | null | null"),
    ]);
    assert_eq!(
        failed("to_date(city)"),
        "`to_date(city)`: `Paris` is no date: write it as in `2024-01-31`, or read it by its pattern, as in `to_date(…, \
         'dd/MM/yyyy')`"
    );
    assert_eq!(
        refused("to_timestamp('31/01/2024')"),
        "`31/01/2024` is no timestamp: write it as in `2024-01-31 10:20:30`, or read it by its pattern, as in `to_timestamp(…, \
         'dd/MM/yyyy HH:mm:ss')`"
    );
}

/// A pattern that comes from a column is used as it is.
#[test]
fn constant_patterns_that_mean_something_else_are_refused() {
    let hours = |pattern: &str, letter: char, instead: &str| {
        format!(
            "the pattern `{pattern}` has `{letter}`, the hours of half a day, without AM or PM: write `{instead}`, with \
             the hours from 0 to 23, or add `a`"
        )
    };
    for (sql, said) in [
        ("date_format(ts, 'hh:mm')", format!("date_format: {}", hours("hh:mm", 'h', "HH:mm"))),
        (
            "to_timestamp(city, 'yyyy-MM-dd ''h''K:mm')",
            format!("to_timestamp: {}", hours("yyyy-MM-dd 'h'K:mm", 'K', "yyyy-MM-dd 'h'H:mm")),
        ),
        (
            "date_format(ts, 'yyyy-mm-dd')",
            "date_format: the pattern `yyyy-mm-dd` has minutes, `m`, where a month, `M`, should be: write `yyyy-MM-dd`"
                .to_owned(),
        ),
    ] {
        assert_eq!(refused(sql), said, "{sql}");
    }
    check(&[
        ("date_format(ts, 'h:mm a')", "string: 1:01 AM | 11:59 PM | null"),
        ("date_format(ts, 'mm:ss')", "string: 01:01 | 59:59 | null"),
        ("date_format(ts, case when paid then 'hh' else 'kk' end)", "string: 01 | 23 | null"),
    ]);
}

#[test]
fn a_text_that_does_not_fit_fails_its_row_or_is_null_where_it_is_tried() {
    assert_eq!(
        failed("to_date(city, 'dd/MM/yyyy')"),
        "`to_date(city, 'dd/MM/yyyy')`: `Paris` does not fit the pattern `dd/MM/yyyy`: at character 1 there should be \
         two digits for `dd`"
    );
    assert_eq!(
        refused("to_timestamp('2024-02-30', 'yyyy-MM-dd')"),
        "`2024-02-30` does not fit the pattern `yyyy-MM-dd`: the day is 30, and it goes from 1 to 29"
    );
    check(&[
        ("try_to_date(city, 'dd/MM/yyyy')", "date: null | null | null"),
        ("try_to_timestamp(city)", "timestamp: null | null | null"),
        ("try_to_date('2024-02-30')", "date: null | null | null"),
        (
            "try_to_timestamp('5 Jan 2024', 'd MMM y')",
            "timestamp: 2024-01-05T00:00:00Z | 2024-01-05T00:00:00Z | 2024-01-05T00:00:00Z",
        ),
    ]);
}

#[test]
fn a_constant_pattern_that_is_wrong_is_refused() {
    for (sql, said) in [
        (
            "to_timestamp(city, 'yyyy-nn')",
            "to_timestamp: `nn` at character 6 of the pattern `yyyy-nn` is not a pattern letter; the letters are",
        ),
        (
            "coalesce(ts, to_timestamp(city, '%Y-%m-%d %H:%M:%S'))",
            "to_timestamp: `%` at character 1 of the pattern `%Y-%m-%d %H:%M:%S` is no letter of Spark's patterns: \
             write `yyyy-MM-dd HH:mm:ss`",
        ),
        (
            "to_date(city, 'DD/MM/YYYY')",
            "to_date: `YYYY` at character 7 of the pattern `DD/MM/YYYY` is not supported: Spark 3 has no week-based",
        ),
        (
            "date_format(ts, '%Y-%m-%d')",
            "date_format: `%` at character 1 of the pattern `%Y-%m-%d` is no letter of Spark's patterns: write \
             `yyyy-MM-dd`",
        ),
        ("try_to_date(city, 'yyyy[-MM]')", "try_to_date: the `[` at character 5 of the pattern `yyyy[-MM]` begins an"),
        ("to_timestamp(seats, 'yyyy')", "`to_timestamp` does not take an int (`seats`) and a string"),
        ("to_date(seats)", "`to_date` does not take an int (`seats`)"),
        ("try_to_timestamp(seats)", "`try_to_timestamp` does not take an int (`seats`)"),
    ] {
        assert!(refused(sql).starts_with(said), "{sql}: {}", refused(sql));
    }
}
