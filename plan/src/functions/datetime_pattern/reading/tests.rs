#![allow(clippy::unwrap_used)]

use super::Reader;

fn read(pattern: &str, text: &str) -> Result<i64, String> {
    Reader::compile(pattern)?.read(text)
}

fn refused(pattern: &str) -> String {
    Reader::compile(pattern).unwrap_err()
}

/// The expected times are what `java.time` reads when it is set up as in Spark 4
/// (`plan/fixtures/spark-times/SparkTimes.java` wrote the file).
#[test]
fn every_text_is_read_as_spark_reads_it_or_refused_as_there() {
    let path = std::env::var("SPARK_TIMES")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/spark-times/times.tsv").to_owned());
    let cases = std::fs::read_to_string(path).unwrap();
    let (mut read_in_all, mut wrong) = (0, Vec::new());
    for case in cases.lines() {
        let [pattern, text, expected] = case.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let found = read(pattern, text).map_or("-".to_owned(), |time_us| time_us.to_string());
        read_in_all += usize::from(found != "-");
        if found != expected {
            wrong.push(format!("{case}, and found {found}: {:?}", read(pattern, text)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(read_in_all > 500, "{read_in_all}");
}

#[test]
fn years_that_no_time_has_here_are_refused() {
    for (pattern, text) in [
        ("yyyy", "0000"),
        ("yyyy", "-2024"),
        ("yyyy", "+12024"),
        ("yyyyy-MM-dd", "12024-01-31"),
        ("G yyyy", "BC 0044"),
        ("yyyy-MM-dd HHX", "9999-12-31 23-05"),
        ("yyyy-MM-dd HHX", "0001-01-01 00+01"),
    ] {
        assert!(read(pattern, text).unwrap_err().contains("year"), "{pattern} {text}: {:?}", read(pattern, text));
    }
}

#[test]
fn what_does_not_fit_is_said_with_its_place() {
    let day = "yyyy-MM-dd";
    for (pattern, text, said) in [
        (
            day,
            "2024-1-31",
            "`2024-1-31` does not fit the pattern `yyyy-MM-dd`: at character 6 there should be two digits for `MM`",
        ),
        (day, "2024/01/31", "`2024/01/31` does not fit the pattern `yyyy-MM-dd`: at character 5 there should be `-`"),
        (
            day,
            "2024-01-31 10:00",
            "`2024-01-31 10:00` does not fit the pattern `yyyy-MM-dd`: the pattern ends before character 11",
        ),
        (
            day,
            "2024-02-30",
            "`2024-02-30` does not fit the pattern `yyyy-MM-dd`: the day is 30, and it goes from 1 to 29",
        ),
        (
            day,
            "2024-13-01",
            "`2024-13-01` does not fit the pattern `yyyy-MM-dd`: the month is 13, and it goes from 1 to 12",
        ),
        ("é HH", "é x", "`é x` does not fit the pattern `é HH`: at character 3 there should be two digits for `HH`"),
        (
            "d MMM",
            "1 Foo",
            "`1 Foo` does not fit the pattern `d MMM`: at character 3 there should be a name such as `Jan`",
        ),
        ("HH a", "13 AM", "`13 AM` does not fit the pattern `HH a`: the hour is 13, which is not AM"),
        (
            "HHXXX",
            "13+0100",
            "`13+0100` does not fit the pattern `HHXXX`: at character 3 there should be an offset such as Z or +01:00",
        ),
    ] {
        assert_eq!(read(pattern, text).unwrap_err(), said);
    }
}

#[test]
fn a_pattern_that_nothing_can_be_read_by_is_refused_with_its_place() {
    for (pattern, said) in [
        ("yyyy-nn", "`nn` at character 6 of the pattern `yyyy-nn` is not a pattern letter; the letters are"),
        ("YYYY-MM-dd", "`YYYY` at character 1 of the pattern `YYYY-MM-dd` is not supported: Spark 3 has no week-based"),
        ("EEE, d MMM yyyy", "`EEE` at character 1 of the pattern `EEE, d MMM yyyy` can be written but not read"),
        ("yyyy[-MM]", "the `[` at character 5 of the pattern `yyyy[-MM]` begins an optional section, and these can't"),
        ("HH:HH", "`HH` at character 4 of the pattern `HH:HH` says again what the pattern has already"),
        ("HH hh", "`hh` at character 4 of the pattern `HH hh` says again what the pattern has already"),
        (
            "dd/mm/yyyy hh:mm:ss a",
            "`mm` at character 15 of the pattern `dd/mm/yyyy hh:mm:ss a` says again what the pattern has already; `m` is \
             a minute and `M` a month: write `dd/MM/yyyy hh:mm:ss a`",
        ),
        ("dd/mm/yyyy", "the pattern `dd/mm/yyyy` has minutes, `m`, where a month, `M`, should be: write `dd/MM/yyyy`"),
        (
            "dd/mm/yyyy HH:MM:ss",
            "the pattern `dd/mm/yyyy HH:MM:ss` has minutes, `m`, where a month, `M`, should be: write `dd/MM/yyyy \
             HH:mm:ss`",
        ),
        ("dd yyyy HH:mm", "the pattern `dd yyyy HH:mm` has a day and a year, and no month: write `MM` too"),
        ("dd yyyy", "the pattern `dd yyyy` has a day and a year, and no month: write `MM` too"),
        ("yyyyMMddHHmmssSSS", "`SSS` at character 15 of the pattern `yyyyMMddHHmmssSSS` follows digits of any number"),
        ("dMMyyyy", "`yyyy` at character 4 of the pattern `dMMyyyy` follows digits of any number"),
        ("DDD", "the pattern `DDD` has `D`, which needs a year: write `yyyy` too"),
        ("yyyy-MM-DD", "the pattern `yyyy-MM-DD` has `D`, the day of the year, beside a month or a day; write `dd`"),
        ("yyyy VV", "`VV` at character 6 of the pattern `yyyy VV` can't be read: there are no names of time zones yet"),
        ("HH 'h", "the quote at character 4 of the pattern `HH 'h` is not closed"),
    ] {
        assert!(refused(pattern).starts_with(said), "{pattern}: {}", refused(pattern));
    }
}

#[test]
fn a_pattern_with_percent_signs_is_refused_with_the_same_in_sparks_letters() {
    let is_no_letter = |pattern: &str, at: usize| {
        format!("`%` at character {at} of the pattern `{pattern}` is no letter of Spark's patterns: write ")
    };
    for (pattern, at, instead) in [
        ("%Y-%m-%d %H:%M:%S", 1, "`yyyy-MM-dd HH:mm:ss`"),
        ("%Y-%m-%dT%H:%M:%S%.fZ", 1, "`yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'`"),
        ("%d/%b/%y %I:%M %p %:z", 1, "`dd/MMM/yy hh:mm a XXX`"),
        ("on %FT%T", 4, "`'on' yyyy-MM-dd'T'HH:mm:ss`"),
        ("%s", 1, "Spark's letters, as in `yyyy-MM-dd HH:mm:ss`"),
    ] {
        assert_eq!(refused(pattern), is_no_letter(pattern, at) + instead);
        if let Some(spark) = instead.strip_prefix('`').and_then(|i| i.strip_suffix('`')) {
            assert!(Reader::compile(spark).is_ok(), "{spark}");
        }
    }
    assert!(Reader::compile("HH %").is_ok());
}
