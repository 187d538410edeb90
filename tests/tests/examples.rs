//! The documents in `examples/`, run as the README says: with an override for this machine, and with rides from the
//! program's own producer.

mod counts;
mod steps;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::engine::{self, Document, Start, repository_file};
use weir_tests::oracle::expr::{Expr, Op, column};
use weir_tests::oracle::manifest::Manifest;
use weir_tests::oracle::pipeline::{Aggregate, BadRecords, Column, Map};
use weir_tests::oracle::replay::replay;
use weir_tests::oracle::value::Type;
use weir_tests::oracle::{Pipeline, Window, assert_same_rows, time};
use weir_tests::rides::{Rides, START_US};
use weir_tests::rig::{RUN_LIMIT, Rig, SetOnDrop, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Contents, Record};
use weir_tests::{or_skip, table};

/// An example, with an override in the rig's folder.
fn example(rig: &Rig, name: &str, overrides: &str) -> Start {
    let file = rig.folder().join("override.yaml");
    std::fs::write(&file, overrides).unwrap();
    let start = Start { document: Document::File(repository_file("examples").join(name)), ..rig.start() };
    start.arg("--override").arg(&file.to_string_lossy())
}

#[test]
fn rides_that_weir_produces_become_the_table_that_the_readme_promises() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 6, &Rides::new(500).records());
    let before = topic::read(&rig.site.bootstrap, &rig.site.topic);
    let local = std::fs::read_to_string(repository_file("examples/rides-local.yaml")).unwrap();
    let mut here = format!("{local}  sources: [{{name: rides, kafka: {{topics: [{}]}}}}]\n", rig.site.topic);
    for (there, value) in [
        ("127.0.0.1:9092", &rig.site.bootstrap),
        ("file:///tmp/weir/checkpoints/rides-revenue", &rig.site.checkpoint_uri),
        ("file:///tmp/weir/silver/rides_agg", &rig.site.table_uri),
    ] {
        assert!(here.contains(there), "{there} should be in examples/rides-local.yaml");
        here = here.replace(there, value);
    }
    let mut run = example(&rig, "rides.yaml", &here).spawn();
    // The pipeline starts at the end of the topic, which the claim fixes, so it reads only what comes later.
    weir_tests::deadline::until("the checkpoint is claimed", RUN_LIMIT, || rig.manifests().first().map(drop));
    let flags = "--rate max --count 20000 --span 3h --start 2026-01-01T00:00:00Z --disorder 2m --late 0.001";
    let mut args = vec!["produce", "rides", "--bootstrap", &rig.site.bootstrap, "--topic", &rig.site.topic];
    args.extend(flags.split(' '));
    let produced = engine::call(&args);
    assert!(produced.status.success(), "{}", String::from_utf8_lossy(&produced.stderr));
    run.wait_for_records(20_000, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(engine::OK);

    let contents = without(topic::read(&rig.site.bootstrap, &rig.site.topic), &before);
    let outcome = rig.assert_right_of(&contents);
    assert_eq!(outcome.read, 20_000);
    assert!(
        outcome.rows.len() > 5 * 20,
        "{} rows of three hours in windows of five minutes, by five cities",
        outcome.rows.len()
    );
}

fn without(mut contents: Contents, before: &Contents) -> Contents {
    for (partition, records) in &mut contents {
        records.retain(|offset, _| !before[partition].contains_key(offset));
    }
    contents
}

/// The override with which an example of one source runs here. Its sinks are `silver`, `late` and `rejected`.
fn here(rig: &Rig, connection: &str, source: &str) -> Json {
    json!({"spec": {
        "trigger": {"type": "AvailableNow"},
        "limits": {"recordsPerEpoch": rig.site.records_per_epoch},
        "checkpoint": {"uri": rig.site.checkpoint_uri, "keep": rig.site.keep},
        "connections": [{"name": connection, "kafka": {"bootstrapServers": rig.site.bootstrap}}],
        "sources": [{"name": source, "kafka": {"topics": [rig.site.topic]}}],
        "sinks": [
            {"name": "silver", "delta": {"uri": rig.site.table_uri}},
            {"name": "late", "delta": {"uri": rig.site.side_uri("late")}},
            {"name": "rejected", "delta": {"uri": rig.site.side_uri("rejected")}},
        ],
    }})
}

/// Readings of ten devices with disorder, late ones, and some without a value.
#[test]
fn temperatures_are_averaged_over_each_of_their_windows() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let of = |name: &str, r#type, required| Column { name: name.into(), r#type, required };
    let pipeline = Pipeline {
        name: "temperatures".into(),
        columns: vec![
            of("device", Type::String, true),
            of("temperature", Type::Double, false),
            of("at", Type::Timestamp, true),
        ],
        event_time: "at".into(),
        close_idle_windows_after_us: Some(900_000_000),
        bad_records: BadRecords::Output,
        keeps_late: true,
        before: None,
        window: Window::Sliding { size_us: 300_000_000, slide_us: 60_000_000, offset_us: 0 },
        group_by: vec!["device".into()],
        aggregates: vec![
            ("temperature".into(), Aggregate::Avg(*column("temperature"))),
            ("readings".into(), Aggregate::CountAll),
        ],
        after: None,
        partition_by: vec![],
        ..Pipeline::rides()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let records = (0..3_000).map(|i| {
        let behind_us = if rng.random_bool(0.02) { 4_000_000_000 } else { 60_000_000 };
        let at = time::format_micros(START_US + i * 2_000_000 - rng.random_range(0..behind_us));
        let reading = json!({
            "device": format!("d{}", rng.random_range(0..10)), "at": at,
            "temperature": rng.random_bool(0.95).then(|| f64::from(rng.random_range(-80..400)) / 4.0),
        });
        Record { partition: rng.random_range(0..3), key: None, value: reading.to_string().into_bytes() }
    });
    let mut rig = Rig::new(pipeline, kafka, Store::Local, 3, &records.collect::<Vec<_>>());
    rig.produce(&[Record { partition: 0, key: None, value: b"{\"device\": 5}".to_vec() }]);
    rig.site.records_per_epoch = 400;
    let overrides = here(&rig, "plant", "readings");
    let example = example(&rig, "temperatures.yaml", &overrides.to_string());
    let exit = example.clone().fail_at("manifest.create.after", 3).run(RUN_LIMIT);
    assert!(exit.aborted(), "{exit:?}");
    example.run(RUN_LIMIT).expect(engine::OK);
    let outcome = rig.assert_right();
    assert!(outcome.late_rows.len() as u64 > outcome.late, "some reading missed one of its windows and not all");
    assert!(outcome.late > 0 && outcome.rows.len() > 3_000 / 60, "{} rows", outcome.rows.len());
}

/// Views of fifty users in three partitions: their sessions merge across lanes, epochs and restarts.
#[test]
fn views_become_visits_wherever_they_were_read() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let required = |name: &str, r#type| Column { name: name.into(), r#type, required: true };
    let pipeline = Pipeline {
        name: "sessions".into(),
        columns: vec![
            required("userId", Type::Bigint),
            required("page", Type::String),
            required("at", Type::Timestamp),
        ],
        event_time: "at".into(),
        delay_us: 300_000_000,
        bad_records: BadRecords::Output,
        keeps_late: true,
        before: None,
        window: Window::Session { gap_us: 1_800_000_000 },
        group_by: vec!["userId".into()],
        aggregates: vec![("views".into(), Aggregate::CountAll)],
        after: None,
        partition_by: vec![],
        ..Pipeline::rides()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let records = (0..3_000).map(|i| {
        let behind_us = if rng.random_bool(0.02) { 20_000_000_000 } else { 300_000_000 };
        let at = time::format_micros(START_US + i * 30_000_000 - rng.random_range(0..behind_us));
        let view = json!({"userId": rng.random_range(0..50), "page": "/", "at": at});
        Record { partition: rng.random_range(0..3), key: None, value: view.to_string().into_bytes() }
    });
    let mut rig = Rig::new(pipeline, kafka, Store::Local, 3, &records.collect::<Vec<_>>());
    rig.site.records_per_epoch = 400;
    let overrides = here(&rig, "web", "views");
    let example = example(&rig, "sessions.yaml", &overrides.to_string());
    for (point, nth) in [("manifest.create.after", 2), ("manifest.create.before", 2)] {
        let exit = example.clone().fail_at(point, nth).run(RUN_LIMIT);
        assert!(exit.aborted(), "{exit:?}");
    }
    example.run(RUN_LIMIT).expect(engine::OK);
    let outcome = rig.assert_right();
    assert!(outcome.late > 0 && outcome.rows.len() > 200, "{} late, {} rows", outcome.late, outcome.rows.len());
}

/// Requests to three services, some of which fail.
#[test]
fn response_times_have_their_percentiles_slowest_paths_and_users_across_a_restart() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let required = |name: &str, r#type| Column { name: name.into(), r#type, required: true };
    let is = |op: Op| Expr::Compare(column("status"), op, Box::new(Expr::Int(500)));
    let millis = || *column("millis");
    let p95 = Aggregate::ApproxPercentile(millis(), 0.95);
    let pipeline = Pipeline {
        name: "response-times".into(),
        columns: vec![
            required("service", Type::String),
            required("path", Type::String),
            Column { name: "userId".into(), r#type: Type::Bigint, required: false },
            required("status", Type::Bigint),
            required("millis", Type::Bigint),
            required("at", Type::Timestamp),
        ],
        event_time: "at".into(),
        delay_us: 30_000_000,
        bad_records: BadRecords::Output,
        keeps_late: true,
        before: None,
        window: Window::tumbling(60_000_000),
        group_by: vec!["service".into()],
        aggregates: vec![
            ("requests".into(), Aggregate::CountAll),
            ("failed".into(), Aggregate::Filtered(Box::new(Aggregate::CountAll), is(Op::GreaterOrEqual))),
            ("users".into(), Aggregate::CountDistinct(*column("userId"))),
            ("median_millis".into(), Aggregate::Median(millis())),
            ("p95_millis".into(), Aggregate::Filtered(Box::new(p95), is(Op::Less))),
            ("slowest".into(), Aggregate::MaxBy(*column("path"), millis())),
            ("by_millis".into(), Aggregate::Histogram(millis(), vec![10.0, 50.0, 100.0])),
        ],
        after: None,
        partition_by: vec![],
        ..Pipeline::rides()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let records = (0..3_000).map(|i| {
        let behind_us = if rng.random_bool(0.02) { 300_000_000 } else { 30_000_000 };
        let at = time::format_micros(START_US + i * 500_000 - rng.random_range(0..behind_us));
        let request = json!({
            "service": format!("s{}", rng.random_range(0..3)), "path": format!("/{}", rng.random_range(0..9)), "at": at,
            "userId": rng.random_bool(0.9).then(|| rng.random_range(0..40)),
            "status": if rng.random_bool(0.1) { 503 } else { 200 }, "millis": rng.random_range(0..128),
        });
        Record { partition: rng.random_range(0..3), key: None, value: request.to_string().into_bytes() }
    });
    let mut rig = Rig::new(pipeline, kafka, Store::Local, 3, &records.collect::<Vec<_>>());
    rig.site.records_per_epoch = 400;
    let overrides = here(&rig, "gateway", "requests");
    let example = example(&rig, "response-times.yaml", &overrides.to_string());
    let exit = example.clone().fail_at("manifest.create.after", 3).run(RUN_LIMIT);
    assert!(exit.aborted(), "{exit:?}");
    example.run(RUN_LIMIT).expect(engine::OK);
    let outcome = rig.assert_right();
    assert!(outcome.late > 0 && outcome.rows.len() > 60, "{} late, {} rows", outcome.late, outcome.rows.len());
}

const KILLS: u32 = 6;
const PAUSE_MS_MAX: u64 = 400;

/// The lanes write bronze and silver while they read, before the epoch is decided. On this path a crash leaves the most
/// files behind.
#[test]
fn the_three_medallion_tables_have_each_ride_once_whatever_was_killed() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut refunds = Rides { seed: 99, ..Rides::new(200) }.records();
    for (i, record) in refunds.iter_mut().enumerate() {
        let mut ride: Json = serde_json::from_slice(&record.value).unwrap();
        ride[if i % 2 == 0 { "price" } else { "distanceKm" }] = json!(-1.5);
        record.value = ride.to_string().into_bytes();
    }
    let rig = Rig::new(gold(), kafka, Store::Local, 6, &refunds);
    let seed = std::env::var("WEIR_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("seed {seed} (WEIR_SEED repeats the moments, not the machine)");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| rig.produce_until(&done));
        let finally = SetOnDrop(&done);
        for kill in 0..KILLS {
            let mut engine = medallion(&rig, "AsSoonAsPossible").spawn();
            engine.wait_for_epochs(1, RUN_LIMIT);
            std::thread::sleep(Duration::from_millis(rng.random_range(0..PAUSE_MS_MAX)));
            assert!(engine.ended().is_none(), "kill {kill}: the engine ended by itself:\n{}", engine.stderr());
            let _ = engine.kill();
        }
        drop(finally);
    });
    // One crash comes when lanes have written files that no manifest names yet, and one when an epoch is decided but in
    // no table.
    for (hours, point) in [(10, "data.upload.before"), (20, "manifest.create.after")] {
        // Late enough that all earlier windows close.
        rig.produce(&Rides::new(1_500).starting(hours * 3_600_000_000).records());
        let exit = medallion(&rig, "AvailableNow").fail_at(point, 1).run(RUN_LIMIT);
        assert!(exit.aborted() && exit.phase == point, "{exit:?}");
    }
    // The first of these runs ends where the crashed run would have ended.
    for _ in 0..2 {
        medallion(&rig, "AvailableNow").run(RUN_LIMIT).expect(engine::OK);
    }
    assert_tables(&rig);
}

fn medallion(rig: &Rig, trigger: &str) -> Start {
    let overrides = json!({"spec": {
        "trigger": {"type": trigger},
        "limits": {"recordsPerEpoch": 400},
        "checkpoint": {"uri": rig.site.checkpoint_uri, "keep": rig.site.keep},
        "connections": [{"name": "events", "kafka": {"bootstrapServers": rig.site.bootstrap}}],
        "sources": [{"name": "rides", "kafka": {"topics": [rig.site.topic]}}],
        "sinks": TABLES.map(|sink| json!({"name": sink, "delta": {"uri": format!("file://{}", folder(rig, sink).display())}})),
    }});
    example(rig, "medallion.yaml", &overrides.to_string())
}

const TABLES: [&str; 3] = ["bronze", "silver", "gold"];

fn folder(rig: &Rig, sink: &str) -> PathBuf {
    rig.folder().join("lake").join(sink)
}

/// The oracle's description of the steps up to the gold table.
fn gold() -> Pipeline {
    let mut pipeline = Pipeline::rides();
    let positive = Expr::Compare(column("distanceKm"), Op::Greater, Box::new(Expr::Int(0)));
    let before = pipeline.before.as_mut().unwrap();
    before.filter = before.filter.take().map(|f| Expr::And(Box::new(f), Box::new(positive)));
    pipeline
}

fn assert_tables(rig: &Rig) {
    let contents = topic::read(&rig.site.bootstrap, &rig.site.topic);
    let manifests = rig.manifests();
    let committed = |m: &Manifest, sink| m.committed.get(sink).copied().unwrap_or_default();
    let of_gold: Vec<_> =
        manifests.iter().map(|m| Manifest { committed_rows: committed(m, "gold"), ..m.clone() }).collect();
    let outcome = replay(&rig.pipeline, &contents, &of_gold);
    assert_eq!(outcome.contradictions, Vec::<String>::new(), "the manifests and the oracle");
    let produced: usize = contents.values().map(BTreeMap::len).sum();
    assert_eq!(outcome.read, produced as u64, "all of the topic was read, and once");
    for m in manifests.iter().filter(|m| !m.is_claim) {
        assert_eq!((committed(m, "bronze"), committed(m, "silver")), (m.decoded, m.rows_in), "epoch {}", m.epoch);
    }

    let same = |name: &str| (name.to_owned(), *column(name));
    let mut columns: Vec<_> = ["rideId", "userId", "city", "distanceKm", "price", "ts"].map(same).into();
    columns.push(("date".into(), Expr::DateOf(column("ts"))));
    let bronze = Map { filter: None, columns: columns.clone() };
    columns[2].1 = Expr::Upper(column("city"));
    let silver = Map { filter: rig.pipeline.before.as_ref().unwrap().filter.clone(), columns };
    let rows_of = |map: &Map| -> Vec<Json> {
        let rows = contents
            .values()
            .flat_map(BTreeMap::values)
            .filter_map(|r| map.apply(&rig.pipeline.decode(r, i64::MAX)?.1).unwrap());
        rows.map(|row| {
            row.iter().map(|(name, value)| (name.clone(), value.to_json())).collect::<serde_json::Map<_, _>>().into()
        })
        .collect()
    };
    let expected = [rows_of(&bronze), rows_of(&silver), outcome.rows];
    assert_eq!(expected[0].len(), produced);
    assert!(expected[1].len() < produced && !expected[2].is_empty(), "the input should try something");
    for (sink, rows) in TABLES.into_iter().zip(&expected) {
        assert_same_rows(rows, &table::read_log(&folder(rig, sink)));
        let due: Vec<u64> = manifests.iter().filter(|m| committed(m, sink) > 0).map(|m| m.epoch).collect();
        assert_eq!(table::epochs(&folder(rig, sink)), due, "epochs in the transactions of {sink}");
    }
}
