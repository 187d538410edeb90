//! Pipelines and data generated from a seed, for cases that nobody thought of. `WEIR_SEEDS` sets how many, `WEIR_SEED`
//! runs one.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::oracle::expr::{Expr, Op, column};
use weir_tests::oracle::pipeline::{Aggregate, BadRecords, Column, Key, Map};
use weir_tests::oracle::value::Type;
use weir_tests::oracle::{Pipeline, Window, time};
use weir_tests::rides::START_US;
use weir_tests::rig::{Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Record};
use weir_tests::{or_skip, table};

/// On the machine of two cores that all tests run on, a seed takes about four seconds.
const SEEDS: u64 = 9;
const HOUR_US: i64 = 3_600_000_000;
const MARCH_2024_US: i64 = 1_709_251_200_000_000;
const OCTOBER_2024_US: i64 = 1_727_740_800_000_000;
const PARTITIONS: i32 = 3;

#[test]
fn any_pipeline_writes_what_the_oracle_expects() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let seeds = match std::env::var("WEIR_SEED") {
        Ok(one) => vec![one.parse().unwrap()],
        Err(_) => (1..=std::env::var("WEIR_SEEDS").map_or(SEEDS, |n| n.parse().unwrap())).collect::<Vec<u64>>(),
    };
    let (mut rows_in_all, mut bad_in_all) = (0, 0);
    for seed in seeds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let pipeline = pipeline(&mut rng);
        let records = records(&mut rng, &pipeline);
        println!("seed {seed}: {} records", records.len());
        let mut rig = Rig::new(pipeline, kafka, Store::Local, PARTITIONS, &records);
        rig.site.records_per_epoch = rng.random_range(100..600);
        rig.workers = Some(rng.random_range(1..5));
        println!("{}", rig.pipeline.document(&rig.site));
        for n in 0..rng.random_range(0..5) {
            topic::produce_tombstone(
                &rig.site.bootstrap,
                &rig.site.topic,
                rng.random_range(0..PARTITIONS),
                &n.to_string(),
            );
        }
        rig.finish();
        let outcome = rig.assert_right();
        rows_in_all += outcome.rows.len();
        bad_in_all += outcome.bad_rows.values().map(Vec::len).sum::<usize>();
    }
    // A single seed may have no such row.
    assert!(bad_in_all > 0 || std::env::var("WEIR_SEED").is_ok(), "no seed had a row that could not be computed");
    assert!(rows_in_all > 0, "no seed wrote a row: the generator has become useless");
}

fn pipeline(rng: &mut ChaCha8Rng) -> Pipeline {
    let of = |name: &str, r#type, required| Column { name: name.into(), r#type, required };
    let columns = vec![
        of("k", Type::String, false),
        of("g", Type::Bigint, false),
        of("n", Type::Bigint, rng.random()),
        of("x", Type::Double, false),
        of("flag", Type::Boolean, false),
        of("day", Type::Date, false),
        of("amount", Type::Decimal { precision: 12, scale: 2 }, false),
        of("seen", Type::Timestamp, false),
        of("at", Type::Timestamp, true),
    ];
    let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
    let before = rng.random_bool(0.7).then(|| Map {
        filter: rng.random_bool(0.7).then(|| condition(rng, 2)),
        columns: names.iter().map(|n| (n.clone(), before_column(rng, n))).collect(),
    });
    let mut keys: Vec<&str> = ["k", "g", "flag", "day"].into_iter().filter(|_| rng.random_bool(0.4)).collect();
    keys.extend(["x", "seen"].into_iter().filter(|_| rng.random_bool(0.2)));
    let keys: Vec<Key> = keys.into_iter().map(|name| key(rng, name)).collect();
    let mut aggregates: Vec<(String, Aggregate)> =
        (0..rng.random_range(1..=5)).map(|i| (format!("a{i}"), aggregate(rng))).collect();
    // It divides by zero if all of a group's values are null.
    let divides = rng.random_bool(0.5);
    if divides {
        aggregates.push(("all_rows".into(), Aggregate::CountAll));
        aggregates.push(("known".into(), Aggregate::Count(*column("amount"))));
    }
    let after = rng.random_bool(0.6).then(|| {
        let start = || column("window_start");
        let mut columns = vec![
            ("date".to_owned(), Expr::DateOf(start())),
            ("win_start".to_owned(), Expr::Formatted(start())),
            ("win_end".to_owned(), *column("window_end")),
        ];
        if divides {
            columns.push(("share".to_owned(), Expr::Divide(column("all_rows"), column("known"))));
        }
        let names = keys.iter().map(|key| &key.name).chain(aggregates.iter().map(|(n, _)| n));
        columns.extend(names.map(|n| (n.clone(), *column(n))));
        Map { filter: None, columns }
    });
    Pipeline {
        name: "generated".into(),
        columns,
        event_time: "at".into(),
        idle_after_us: None,
        delay_us: *[0, 1_000_000, 90_000_000].choose(rng).unwrap(),
        bad_records: if rng.random() { BadRecords::Drop } else { BadRecords::Output },
        skips_tombstones: rng.random(),
        keeps_late: rng.random(),
        keeps_bad_rows: rng.random_bool(0.7),
        max_future_us: None,
        max_skew_us: None,
        close_idle_windows_after_us: None,
        before,
        window: window(rng),
        group_by: keys,
        aggregates,
        partition_by: if after.is_some() && rng.random() { vec!["date".into()] } else { vec![] },
        after,
    }
}

fn window(rng: &mut ChaCha8Rng) -> Window {
    let size_us = *[1_000_000, 7_000_000, 60_000_000, 3_600_000_000].choose(rng).unwrap();
    let part_us = size_us / rng.random_range(1..=12) / 1_000 * 1_000;
    let offset_us = if rng.random() { 0 } else { rng.random_range(0..part_us / 1_000) * 1_000 };
    match rng.random_range(0..8) {
        0..2 => Window::Tumbling { size_us, offset_us },
        2..4 => Window::Sliding { size_us, slide_us: part_us, offset_us },
        5..7 => Window::Session { gap_us: part_us },
        4 => Window::Cumulate { size_us: part_us * rng.random_range(1..=12), step_us: part_us, offset_us },
        _ => Window::ParisDays { offset_us: *[0, 6 * HOUR_US, 5 * HOUR_US / 2].choose(rng).unwrap() },
    }
}

/// A group column: an input column or an expression over it, under the column's own name, so that the name means
/// another value in aggregates.
fn key(rng: &mut ChaCha8Rng, name: &str) -> Key {
    let same = column(name);
    let computed = |expr| Key { name: name.to_owned(), expr: Some(expr) };
    match name {
        "k" if rng.random() => computed(Expr::Upper(same)),
        // Modulo zero if n is 0.
        "g" if rng.random_bool(0.2) => computed(Expr::Modulo(same, column("n"))),
        "x" if rng.random() => computed(Expr::Multiply(same, Box::new(Expr::Double(0.0)))),
        "seen" if rng.random() => Key { name: "seen_on".to_owned(), expr: Some(Expr::DateOf(same)) },
        _ => name.into(),
    }
}

fn before_column(rng: &mut ChaCha8Rng, name: &str) -> Expr {
    let same = column(name);
    match name {
        "k" if rng.random() => Expr::Upper(same),
        "k" if rng.random() => Expr::Coalesce(same, Box::new(Expr::Text("it's null".into()))),
        "n" if rng.random() => Expr::Add(same, column("g")),
        // Division by zero if g is 0.
        "n" if rng.random_bool(0.2) => Expr::Divide(same, column("g")),
        // One row in a hundred has no value for this.
        "n" if rng.random() => Expr::Divide(same.clone(), Box::new(Expr::Add(same, Box::new(Expr::Int(50))))),
        "n" if rng.random() => Expr::Negate(Box::new(Expr::Modulo(column("g"), same))),
        // NaN and infinities if n is 0.
        "x" if rng.random() => Expr::Divide(same, column("n")),
        "x" if rng.random() => Expr::Multiply(same, Box::new(Expr::Double(0.5))),
        "x" if rng.random() => Expr::Add(same, column("n")),
        _ => *same,
    }
}

fn condition(rng: &mut ChaCha8Rng, depth: u32) -> Expr {
    let sub = |rng: &mut ChaCha8Rng| Box::new(condition(rng, depth - 1));
    let op =
        *[Op::Less, Op::LessOrEqual, Op::Equal, Op::NotEqual, Op::GreaterOrEqual, Op::Greater].choose(rng).unwrap();
    match rng.random_range(0..if depth == 0 { 5 } else { 8 }) {
        0 => Expr::Compare(column("n"), op, Box::new(Expr::Int(rng.random_range(-20..20)))),
        1 if rng.random() => {
            Expr::Compare(Box::new(Expr::Divide(column("x"), column("n"))), op, Box::new(Expr::Double(0.0)))
        }
        1 => Expr::Compare(column("x"), op, Box::new(Expr::Double(f64::from(rng.random_range(-40..40)) / 4.0))),
        2 => Expr::Compare(column("k"), op, Box::new(Expr::Text("b".into()))),
        3 => Expr::IsNull(column(["k", "g", "x", "flag", "day", "amount"].choose(rng).unwrap())),
        // It overflows if the value is above 46.
        4 => Expr::Compare(
            Box::new(Expr::Multiply(column("n"), Box::new(Expr::Int(200_000_000_000_000_000)))),
            op,
            column("g"),
        ),
        5 => Expr::And(sub(rng), sub(rng)),
        6 => Expr::Or(sub(rng), sub(rng)),
        _ => Expr::Not(sub(rng)),
    }
}

fn aggregate(rng: &mut ChaCha8Rng) -> Aggregate {
    let any = *column(["k", "g", "n", "x", "day", "amount", "seen"].choose(rng).unwrap());
    let number = *column(["g", "n", "x"].choose(rng).unwrap());
    let ratio = Expr::Divide(column("x"), column("n"));
    match rng.random_range(0..10) {
        0 => Aggregate::CountAll,
        1 => Aggregate::Count(any),
        2 => Aggregate::Sum(number),
        3 => Aggregate::Avg(number),
        4 => Aggregate::Min(any),
        5 => Aggregate::Max(any),
        6 => Aggregate::Min(ratio),
        7 => Aggregate::Max(ratio),
        // The sum of two of these may not fit a bigint.
        8 => Aggregate::Sum(Expr::Multiply(column("g"), Box::new(Expr::Int(3_000_000_000_000_000_000)))),
        _ => Aggregate::Sum(*column("amount")),
    }
}

/// Disorder, ties, nulls, late and bad records; sometimes a partition without any.
fn records(rng: &mut ChaCha8Rng, pipeline: &Pipeline) -> Vec<Record> {
    let count = rng.random_range(200..2_000);
    let size_us = pipeline.window.size_us();
    let step_us = rng.random_range(1..=size_us / 20);
    let used = if rng.random_bool(0.15) { PARTITIONS - 1 } else { PARTITIONS };
    // Sometimes the times lie in the 19th century, before the first nanosecond in 64 bits (1677), or in the first days
    // that exist.
    let begin_us = match rng.random_range(0..12) {
        // The oracle knows the clocks of our time only; they are set forward and back in these months.
        n if matches!(pipeline.window, Window::ParisDays { .. }) => [MARCH_2024_US, OCTOBER_2024_US][n % 2],
        0..2 => -3_800_000_000_000_000,
        2 => -11_676_096_000_000_000,
        3 => -62_135_251_200_000_000,
        _ => START_US,
    };
    (0..count)
        .map(|i| {
            let mut t = begin_us + i * step_us;
            t -= rng.random_range(0..=pipeline.delay_us.max(1));
            if rng.random_bool(0.05) {
                t -= t.rem_euclid(size_us);
            }
            if rng.random_bool(0.01) {
                t -= rng.random_range(0..=20 * size_us);
            }
            let value = match rng.random_range(0..400) {
                0..2 => bad(rng),
                2 => of_the_future(rng, t).to_string().into_bytes(),
                _ => good(rng, t).to_string().into_bytes(),
            };
            Record { partition: rng.random_range(0..used), key: None, value }
        })
        .collect()
}

fn good(rng: &mut ChaCha8Rng, time_us: i64) -> Json {
    let at = match rng.random_range(0..3) {
        0 => time::format_micros(time_us),
        1 => time::format_micros(time_us).replace('Z', "+00:00"),
        _ => time::format_micros(time_us + 7_200_000_000).replace('Z', "+02:00"),
    };
    let day = match rng.random_range(0..5) {
        0 => (*["0001-01-01", "1600-02-29", "1969-12-31", "2262-04-12", "9999-12-31"].choose(rng).unwrap()).to_owned(),
        _ => time::format_date(rng.random_range(20_000..20_003)),
    };
    let seen =
        *["1600-02-29T12:00:00Z", "1969-12-31T23:59:59.999999Z", "2263-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
            .choose(rng)
            .unwrap();
    // A multiple of a quarter, so that sums are exact and rounding hides no fault.
    let quarter = f64::from(rng.random_range(-400..400)) / 4.0;
    let x = if rng.random_bool(0.1) { *[0.0, -0.0].choose(rng).unwrap() } else { quarter };
    let text = *["a", "b", "B", "", "é", "a\"b\\c\n"].choose(rng).unwrap();
    let mut record = json!({
        "k": text, "g": rng.random_range(0..4), "n": rng.random_range(-50..50), "x": x, "flag": rng.random::<bool>(), "day": day,
        "amount": quarter, "seen": seen, "at": at, "unknown": {"to": ["the", "document"]},
    });
    for name in ["k", "g", "x", "flag", "day", "amount", "seen"] {
        match rng.random_range(0..10) {
            0 => record[name] = Json::Null,
            1 => drop(record.as_object_mut().unwrap().remove(name)),
            _ => {}
        }
    }
    record
}

/// An event time far in the future: around the last nanosecond in 64 bits (2262), in the last year that exists, or
/// after it.
fn of_the_future(rng: &mut ChaCha8Rng, time_us: i64) -> Json {
    let mut record = good(rng, time_us);
    let times = [
        "2262-04-11T23:47:16.854775Z",
        "2262-04-11T23:47:16.854776Z",
        "2263-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59.999999-02:00",
    ];
    record["at"] = (*times.choose(rng).unwrap()).into();
    record
}

fn bad(rng: &mut ChaCha8Rng) -> Vec<u8> {
    [
        &b""[..],
        b"{",
        b"null",
        b"[1]",
        br#"{"n":1}"#,
        br#"{"n":1,"at":null}"#,
        br#"{"n":"1","at":"2026-01-01T00:00:00Z"}"#,
        b"\xc3\x28",
    ]
    .choose(rng)
    .unwrap()
    .to_vec()
}
