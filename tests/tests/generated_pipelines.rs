//! Pipelines and data made up from a seed: what nobody thought of. `WEIR_SEEDS` sets how many, `WEIR_SEED` runs one.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::oracle::expr::{Expr, Op, column};
use weir_tests::oracle::pipeline::{Aggregate, BadRecords, Column, Map};
use weir_tests::oracle::value::Type;
use weir_tests::oracle::{Pipeline, time};
use weir_tests::rides::START_US;
use weir_tests::rig::{Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const SEEDS: u64 = 12;
const PARTITIONS: i32 = 3;

#[test]
fn any_pipeline_writes_what_the_oracle_expects() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let seeds = match std::env::var("WEIR_SEED") {
        Ok(one) => vec![one.parse().unwrap()],
        Err(_) => (1..=std::env::var("WEIR_SEEDS").map_or(SEEDS, |n| n.parse().unwrap())).collect::<Vec<u64>>(),
    };
    let mut rows_in_all = 0;
    for seed in seeds {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let pipeline = pipeline(&mut rng);
        let records = records(&mut rng, &pipeline);
        println!("seed {seed}: {} records", records.len());
        let mut rig = Rig::new(pipeline, kafka, Store::Local, PARTITIONS, &records);
        rig.site.records_per_epoch = rng.random_range(100..600);
        println!("{}", rig.pipeline.document(&rig.site));
        rig.finish();
        rows_in_all += rig.assert_right().rows.len();
    }
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
        of("at", Type::Timestamp, true),
    ];
    let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
    let before = rng.random_bool(0.7).then(|| Map {
        filter: rng.random_bool(0.7).then(|| condition(rng, 2)),
        columns: names.iter().map(|n| (n.clone(), before_column(rng, n))).collect(),
    });
    let keys: Vec<String> = ["k", "g", "flag", "day"].into_iter().filter(|_| rng.random_bool(0.4)).map(str::to_owned).collect();
    let aggregates: Vec<(String, Aggregate)> = (0..rng.random_range(1..=5)).map(|i| (format!("a{i}"), aggregate(rng))).collect();
    let after = rng.random_bool(0.6).then(|| {
        let start = || column("window_start");
        let mut columns = vec![
            ("date".to_owned(), Expr::DateOf(start())),
            ("win_start".to_owned(), Expr::Formatted(start())),
            ("win_end".to_owned(), *column("window_end")),
        ];
        columns.extend(keys.iter().chain(aggregates.iter().map(|(n, _)| n)).map(|n| (n.clone(), *column(n))));
        Map { filter: None, columns }
    });
    Pipeline {
        name: "generated".into(),
        columns,
        event_time: "at".into(),
        idle_after_us: None,
        delay_us: *[0, 1_000_000, 90_000_000].choose(rng).unwrap(),
        bad_records: if rng.random() { BadRecords::Drop } else { BadRecords::Output },
        keeps_late: rng.random(),
        max_future_us: None,
        max_skew_us: None,
        close_idle_windows_after_us: None,
        before,
        window_us: *[1_000_000, 7_000_000, 60_000_000, 3_600_000_000].choose(rng).unwrap(),
        group_by: keys,
        aggregates,
        partition_by: if after.is_some() && rng.random() { vec!["date".into()] } else { vec![] },
        after,
    }
}

fn before_column(rng: &mut ChaCha8Rng, name: &str) -> Expr {
    let same = column(name);
    match name {
        "k" if rng.random() => Expr::Upper(same),
        "k" if rng.random() => Expr::Coalesce(same, Box::new(Expr::Text("it's null".into()))),
        "n" if rng.random() => Expr::Add(same, column("g")),
        "x" if rng.random() => Expr::Multiply(same, Box::new(Expr::Double(0.5))),
        "x" if rng.random() => Expr::Add(same, column("n")),
        _ => *same,
    }
}

fn condition(rng: &mut ChaCha8Rng, depth: u32) -> Expr {
    let sub = |rng: &mut ChaCha8Rng| Box::new(condition(rng, depth - 1));
    let op = *[Op::Less, Op::LessOrEqual, Op::Equal, Op::NotEqual, Op::GreaterOrEqual, Op::Greater].choose(rng).unwrap();
    match rng.random_range(0..if depth == 0 { 4 } else { 7 }) {
        0 => Expr::Compare(column("n"), op, Box::new(Expr::Int(rng.random_range(-20..20)))),
        1 => Expr::Compare(column("x"), op, Box::new(Expr::Double(f64::from(rng.random_range(-40..40)) / 4.0))),
        2 => Expr::Compare(column("k"), op, Box::new(Expr::Text("b".into()))),
        3 => Expr::IsNull(column(["k", "g", "x", "flag", "day", "amount"].choose(rng).unwrap())),
        4 => Expr::And(sub(rng), sub(rng)),
        5 => Expr::Or(sub(rng), sub(rng)),
        _ => Expr::Not(sub(rng)),
    }
}

fn aggregate(rng: &mut ChaCha8Rng) -> Aggregate {
    let any = *column(["k", "g", "n", "x", "day", "amount"].choose(rng).unwrap());
    let number = *column(["g", "n", "x"].choose(rng).unwrap());
    match rng.random_range(0..7) {
        0 => Aggregate::CountAll,
        1 => Aggregate::Count(any),
        2 => Aggregate::Sum(number),
        3 => Aggregate::Avg(number),
        4 => Aggregate::Min(any),
        5 => Aggregate::Max(any),
        _ => Aggregate::Sum(*column("amount")),
    }
}

/// Disorder, ties, nulls, late and bad records; sometimes a partition without any.
fn records(rng: &mut ChaCha8Rng, pipeline: &Pipeline) -> Vec<Record> {
    let count = rng.random_range(200..2_000);
    let step_us = rng.random_range(1..=pipeline.window_us / 20);
    let used = if rng.random_bool(0.15) { PARTITIONS - 1 } else { PARTITIONS };
    (0..count)
        .map(|i| {
            let mut t = START_US + i * step_us;
            t -= rng.random_range(0..=pipeline.delay_us.max(1));
            if rng.random_bool(0.05) {
                t -= t.rem_euclid(pipeline.window_us);
            }
            if rng.random_bool(0.01) {
                t -= rng.random_range(0..=20 * pipeline.window_us);
            }
            let value = if rng.random_bool(0.005) { bad(rng) } else { good(rng, t).to_string().into_bytes() };
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
    let day = time::format_date(rng.random_range(20_000..20_003));
    // A quarter, so that sums have no rounding to hide behind.
    let quarter = f64::from(rng.random_range(-400..400)) / 4.0;
    let text = *["a", "b", "B", "", "é", "a\"b\\c\n"].choose(rng).unwrap();
    let mut record = json!({
        "k": text, "g": rng.random_range(0..4), "n": rng.random_range(-50..50), "x": quarter, "flag": rng.random::<bool>(), "day": day,
        "amount": quarter, "at": at, "unknown": {"to": ["the", "document"]},
    });
    for name in ["k", "g", "x", "flag", "day", "amount"] {
        match rng.random_range(0..10) {
            0 => record[name] = Json::Null,
            1 => drop(record.as_object_mut().unwrap().remove(name)),
            _ => {}
        }
    }
    record
}

fn bad(rng: &mut ChaCha8Rng) -> Vec<u8> {
    [&b""[..], b"{", b"null", b"[1]", br#"{"n":1}"#, br#"{"n":1,"at":null}"#, br#"{"n":"1","at":"2026-01-01T00:00:00Z"}"#, b"\xc3\x28"]
        .choose(rng)
        .unwrap()
        .to_vec()
}
