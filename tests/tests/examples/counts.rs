//! The examples that count and add up: by the event time of two sources, by Kafka's timestamps, by the clock, in SQL,
//! and without windows.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::engine::{self, Exit};
use weir_tests::oracle::{Pipeline, time};
use weir_tests::rides::START_US;
use weir_tests::rig::{RUN_LIMIT, Rig, Store, shown};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::topic::{self, Record};
use weir_tests::{or_skip, table};

use super::{example, here};

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;
const PARTITIONS: i32 = 3;

fn rig(kafka: &Kafka) -> Rig {
    Rig::new(Pipeline::rides(), kafka, Store::Local, PARTITIONS, &[])
}

fn record(rng: &mut ChaCha8Rng, value: &Json) -> Record {
    Record { partition: rng.random_range(0..PARTITIONS), key: None, value: value.to_string().into_bytes() }
}

fn delta(rig: &Rig, sinks: &[&str]) -> Json {
    sinks.iter().map(|name| json!({"name": name, "delta": {"uri": uri(rig, name)}})).collect()
}

fn uri(rig: &Rig, sink: &str) -> String {
    rig.site.side_uri(sink)
}

/// Runs an example to its end. The first run is killed when its second epoch is decided.
fn run(rig: &Rig, name: &str, mut overrides: Json) -> [Exit; 2] {
    overrides["spec"]["trigger"]["onEnd"] = json!("EmitAll");
    overrides["spec"]["limits"]["recordsPerEpoch"] = json!(150);
    let example = example(rig, name, &overrides.to_string());
    let killed = example.clone().fail_at("manifest.create.after", 2).run(RUN_LIMIT);
    assert!(killed.aborted(), "{killed:?}");
    let ended = example.run(RUN_LIMIT);
    ended.expect(engine::OK);
    [killed, ended]
}

fn micros(value: &Json) -> i64 {
    time::parse_timestamp(value.as_str().unwrap()).unwrap()
}

fn whole(value: &Json) -> i64 {
    value.as_i64().unwrap()
}

#[test]
fn views_of_the_web_and_of_the_app_are_counted_together() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let (rig, mut rng) = (rig(kafka), ChaCha8Rng::seed_from_u64(1));
    let app = format!("{}-app", rig.site.topic);
    topic::create(&rig.site.bootstrap, &app, PARTITIONS);
    let mut expected: BTreeMap<(i64, String), [i64; 3]> = BTreeMap::new();
    let (mut of_web, mut of_app) = (Vec::new(), Vec::new());
    for i in 0..600 {
        let (hour, page) = (i / 120, ["home", "cart"][rng.random_range(0..2)]);
        let at = time::format_micros(START_US + i * 30 * SECOND_US);
        let user = rng.random_bool(0.8).then_some(i);
        let in_app = rng.random_bool(0.4);
        if in_app {
            // The app's users are texts, of which some are no numbers.
            let is_guest = rng.random_bool(0.1);
            let text = user.map(|user| if is_guest { "7".into() } else { user.to_string() });
            of_app.push(record(&mut rng, &json!({"screen": page.to_uppercase(), "user": text, "at": at})));
        } else {
            of_web.push(record(&mut rng, &json!({"url": format!("/{page}"), "userId": user, "at": at})));
        }
        let counts = expected.entry((START_US + hour * HOUR_US, format!("/{page}"))).or_default();
        for (count, counts_it) in counts.iter_mut().zip([true, in_app, user.is_some()]) {
            *count += i64::from(counts_it);
        }
    }
    rig.produce(&of_web);
    topic::produce(&rig.site.bootstrap, &app, &of_app);
    let mut overrides = here(&rig, "events", "web");
    let source = json!({"name": "app", "kafka": {"topics": [app]}});
    overrides["spec"]["sources"].as_array_mut().unwrap().push(source);
    overrides["spec"]["sinks"] = delta(&rig, &["silver", "late", "rejected-web", "rejected-app"]);
    run(&rig, "web-and-mobile.yaml", overrides);
    let row = |row: &Json| {
        let counts = ["views", "in_app", "with_user"].map(|name| whole(&row[name]));
        ((micros(&row["window_start"]), row["page"].as_str().unwrap().to_owned()), counts)
    };
    let rows = table::read(&uri(&rig, "silver"), None);
    let found: BTreeMap<_, _> = rows.iter().map(row).collect();
    assert_eq!((rows.len(), found), (expected.len(), expected));
}

#[test]
fn messages_are_counted_by_kafkas_timestamps_and_the_important_ones_kept() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let (rig, mut rng) = (rig(kafka), ChaCha8Rng::seed_from_u64(2));
    // Kafka deletes what is a week old.
    let now_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let begin_us = now_us - now_us.rem_euclid(HOUR_US) - 6 * HOUR_US;
    let (mut expected, mut important): (BTreeMap<i64, [i64; 2]>, Vec<String>) = Default::default();
    let mut records = Vec::new();
    for i in 0..600 {
        let text = ["Important: ", "unimportant ", "news "][rng.random_range(0..3)].to_owned() + &i.to_string();
        let matters = text.to_lowercase().contains("important");
        let counts = expected.entry(begin_us + i / 120 * 60 * SECOND_US).or_default();
        *counts = [counts[0] + 1, counts[1] + i64::from(matters)];
        records.push(((begin_us + i * SECOND_US / 2) / 1_000, record(&mut rng, &json!({"text": &text}))));
        important.extend(matters.then_some(text));
    }
    topic::produce_stamped(&rig.site.bootstrap, &rig.site.topic, &records);
    let mut overrides = here(&rig, "events", "messages");
    overrides["spec"]["sinks"] = delta(&rig, &["silver", "important-messages"]);
    run(&rig, "messages-per-minute.yaml", overrides);
    let row = |row: &Json| {
        assert_eq!(row["topic"], rig.site.topic);
        (micros(&row["window_start"]), ["messages", "important"].map(|name| whole(&row[name])))
    };
    let rows = table::read(&uri(&rig, "silver"), None);
    let found: BTreeMap<_, _> = rows.iter().map(row).collect();
    assert_eq!((rows.len(), found), (expected.len(), expected));
    let kept = table::read(&uri(&rig, "important-messages"), None);
    let mut kept: Vec<_> = kept.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect();
    kept.sort();
    important.sort();
    assert_eq!(kept, important);
}

#[test]
fn revenue_in_sql_is_that_of_each_window() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let (rig, mut rng) = (rig(kafka), ChaCha8Rng::seed_from_u64(3));
    let mut expected: BTreeMap<(i64, String), [i64; 2]> = BTreeMap::new();
    let mut records = Vec::new();
    for i in 0..600 {
        let (city, cents) = (["fr", "us", "de"][rng.random_range(0..3)].to_owned(), rng.random_range(-99..999));
        let at = time::format_micros(START_US + i * 5 * SECOND_US);
        records.push(record(&mut rng, &json!({"city": &city, "price": cents as f64 / 100.0, "ts": at})));
        if cents > 0 {
            let [revenue, rides] = expected.entry((START_US + i / 60 * 300 * SECOND_US, city)).or_default();
            (*revenue, *rides) = (*revenue + cents, *rides + 1);
        }
    }
    rig.produce(&records);
    let mut overrides = here(&rig, "events", "rides");
    overrides["spec"]["sinks"] = delta(&rig, &["gold", "late", "rejected"]);
    run(&rig, "revenue-sql.yaml", overrides);
    let row = |row: &Json| {
        let revenue = row["revenue"].as_str().unwrap().replace('.', "").parse().unwrap();
        let place = (micros(&row["window_start"]), row["city"].as_str().unwrap().to_owned());
        (place, [revenue, whole(&row["rides"])])
    };
    let rows = table::read(&uri(&rig, "gold"), None);
    let found: BTreeMap<_, _> = rows.iter().map(row).collect();
    assert_eq!((rows.len(), found), (expected.len(), expected));
}

/// When a request is read is not known here, so only the totals are.
#[test]
fn requests_are_counted_when_they_arrive() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let (rig, mut rng) = (rig(kafka), ChaCha8Rng::seed_from_u64(4));
    let mut expected: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    let mut records = Vec::new();
    for _ in 0..600 {
        let (service, status) = (["cart", "login"][rng.random_range(0..2)].to_owned(), rng.random_range(1..6) * 100);
        records.push(record(&mut rng, &json!({"service": &service, "status": status})));
        let [requests, failed] = expected.entry(service).or_default();
        (*requests, *failed) = (*requests + 1, *failed + i64::from(status >= 500));
    }
    rig.produce(&records);
    let mut overrides = here(&rig, "gateway", "requests");
    overrides["spec"]["sources"][0]["kafka"]["startFrom"] = json!({"position": "Earliest"});
    overrides["spec"]["sinks"] = delta(&rig, &["silver"]);
    run(&rig, "requests-per-ten-seconds.yaml", overrides);
    let mut found: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for row in table::read(&uri(&rig, "silver"), None) {
        assert_eq!(micros(&row["window_end"]) - micros(&row["window_start"]), 10 * SECOND_US);
        let [requests, failed] = found.entry(row["service"].as_str().unwrap().to_owned()).or_default();
        (*requests, *failed) = (*requests + whole(&row["requests"]), *failed + whole(&row["failed"]));
    }
    assert_eq!(found, expected);
}

#[test]
fn the_totals_that_are_shown_last_are_those_of_all_rides() {
    let kafka = or_skip!(kafka::shared());
    let (rig, mut rng) = (rig(kafka), ChaCha8Rng::seed_from_u64(5));
    let mut expected: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
    let mut records = Vec::new();
    for i in 0..600 {
        let (city, quarters) = (["fr", "us", "de"][rng.random_range(0..3)].to_owned(), rng.random_range(1..100));
        let us = START_US + i * 5 * SECOND_US;
        let value = json!({"city": &city, "price": f64::from(quarters) / 4.0, "ts": time::format_micros(us)});
        records.push(record(&mut rng, &value));
        let (rides, sum, newest) = expected.entry(city).or_default();
        (*rides, *sum, *newest) = (*rides + 1, *sum + i64::from(quarters), us);
    }
    rig.produce(&records);
    let mut overrides = here(&rig, "events", "rides");
    overrides["spec"]["sources"][0]["kafka"]["startFrom"] = json!({"position": "Earliest"});
    overrides["spec"].as_object_mut().unwrap().remove("sinks");
    let mut last = BTreeMap::new();
    for exit in run(&rig, "totals.yaml", overrides) {
        let epochs = shown(&exit.stdout);
        assert!(!epochs.is_empty(), "{}", exit.stdout);
        last.extend(epochs.into_values().flatten().map(|row| (row[0].clone(), row[1..].to_vec())));
    }
    let row = |(rides, quarters, newest): (i64, i64, i64)| {
        let revenue = format!("{:?}", quarters as f64 / 4.0);
        vec![rides.to_string(), revenue, time::format_spark(newest)]
    };
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(city, totals)| (city, row(totals))).collect();
    assert_eq!(last, expected);
}
