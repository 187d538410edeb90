//! The examples of single steps: what each is for happens in its input, and what comes out is computed here once more.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::engine;
use weir_tests::oracle::{Pipeline, time};
use weir_tests::rides::START_US;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

use super::{example, here};

const SECOND_US: i64 = 1_000_000;

/// Runs an example over records that lie in three partitions. The first run is killed once some epochs are committed.
/// Returns the rows of the sink `silver`.
fn run(kafka: &Kafka, name: &str, [connection, source]: [&str; 2], sinks: &Json, records: &[(i32, Json)]) -> Vec<Json> {
    let record =
        |(partition, value): &(i32, Json)| Record { partition: *partition, key: None, value: value.to_string().into() };
    let records: Vec<_> = records.iter().map(record).collect();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 3, &records);
    let mut overrides = here(&rig, connection, source);
    overrides["spec"]["trigger"]["onEnd"] = json!("EmitAll");
    overrides["spec"]["limits"]["recordsPerEpoch"] = json!(150);
    let there: BTreeMap<_, _> = sinks.as_object().unwrap().iter().collect();
    let uri = |name: &str| if name == "silver" { rig.site.table_uri.clone() } else { rig.site.side_uri(name) };
    let sinks = there.iter().map(|(name, role)| json!({"name": name, "delta": {"uri": uri(role.as_str().unwrap())}}));
    overrides["spec"]["sinks"] = sinks.collect();
    let example = example(&rig, name, &overrides.to_string());
    let exit = example.clone().fail_at("manifest.create.after", 3).run(RUN_LIMIT);
    assert!(exit.aborted(), "{exit:?}");
    example.run(RUN_LIMIT).expect(engine::OK);
    table::read(&rig.site.table_uri, None)
}

fn at(us: i64) -> String {
    time::format_micros(START_US + us)
}

#[test]
fn an_order_that_is_sent_again_is_kept_once() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut records = Vec::new();
    for order in 0..600_i64 {
        let amount = f64::from(rng.random_range(100..9_999)) / 100.0;
        // An order that is sent again has the time of its first sending, or a little later.
        for copy in 0..rng.random_range(1..4) {
            let behind = rng.random_range(0..300) * SECOND_US + copy;
            let value = json!({"orderId": order, "customer": format!("c{}", order % 50), "amount": amount,
                "at": at(order * 20 * SECOND_US + behind)});
            records.push((rng.random_range(0..3), value));
        }
    }
    let copies = records.len();
    assert!(copies > 900, "{copies}");
    let sinks = json!({"silver": "silver", "late": "late", "rejected": "rejected"});
    let rows = run(kafka, "once.yaml", ["events", "orders"], &sinks, &records);
    let ids: BTreeSet<i64> = rows.iter().map(|row| row["orderId"].as_i64().unwrap()).collect();
    assert_eq!((rows.len(), ids.len()), (600, 600), "each order once");
}

#[test]
fn an_order_becomes_a_row_per_item() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut records, mut expected) = (Vec::new(), Vec::new());
    for order in 0..500_i64 {
        let items: Vec<Json> = (0..rng.random_range(0..4))
            .map(|_| {
                let (pieces, cents) = (rng.random_range(1..5_i64), rng.random_range(1..100_i64));
                json!({"sku": format!("s{}", rng.random_range(0..9)), "pieces": pieces, "price": format!("0.{cents:02}")})
            })
            .collect();
        for (line, item) in (1i64..).zip(&items) {
            let cents: i64 = item["price"].as_str().unwrap()[2..].parse().unwrap();
            let cost = cents * item["pieces"].as_i64().unwrap();
            expected.push((order, Some(line), item["sku"].as_str().map(str::to_owned), Some(cost)));
        }
        if items.is_empty() {
            expected.push((order, None, None, None));
        }
        let items = if items.is_empty() && rng.random() { Json::Null } else { Json::from(items) };
        records.push((rng.random_range(0..3), json!({"orderId": order, "items": items})));
    }
    let sinks = json!({"silver": "silver", "rejected": "rejected"});
    let rows = run(kafka, "order-items.yaml", ["events", "orders"], &sinks, &records);
    let cents = |cost: &Json| cost.as_str().map(|text| text.replace('.', "").parse::<i64>().unwrap());
    let row = |row: &Json| {
        let (order, line) = (row["orderId"].as_i64().unwrap(), row["line"].as_i64());
        (order, line, row["sku"].as_str().map(str::to_owned), cents(&row["cost"]))
    };
    let mut found: Vec<_> = rows.iter().map(row).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// Devices with up to four metrics, some of them without a value.
#[test]
fn devices_send_the_metrics_that_they_have() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let names = ["temperature", "humidity", "battery", "noise.level"];
    let (mut records, mut expected) = (Vec::new(), BTreeMap::new());
    for n in 0..800_i64 {
        let device = format!("d{}", n % 3);
        let mut metrics: Vec<(&str, Option<i64>)> = Vec::new();
        for name in names {
            if rng.random_bool(0.6) {
                metrics.push((name, rng.random_bool(0.9).then(|| rng.random_range(0..60))));
            }
        }
        let time = at(n * 4 * SECOND_US);
        let of = metrics.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        records.push((rng.random_range(0..3), json!({"device": &device, "metrics": Json::Object(of), "at": time})));
        let (sum, count, hot, last): &mut (i64, i64, i64, Json) =
            expected.entry((n * 4 / 600, device)).or_insert((0, 0, 0, Json::Null));
        // The producer writes names in the order of the alphabet.
        let mut sorted: Vec<_> = metrics.iter().map(|(name, value)| (*name, value.map(|v| v as f64))).collect();
        sorted.sort_by_key(|(name, _)| *name);
        *last = json!(sorted);
        if let Some((_, Some(celsius))) = metrics.iter().find(|(name, _)| *name == "temperature") {
            (*sum, *count, *hot) = (*sum + celsius, *count + 1, *hot + i64::from(*celsius > 30));
        }
    }
    let sinks = json!({"silver": "silver", "metrics": "metrics", "late": "late", "rejected": "rejected"});
    let rows = run(kafka, "device-metrics.yaml", ["plant", "readings"], &sinks, &records);
    let row = |row: &Json| {
        let start = time::parse_timestamp(row["window_start"].as_str().unwrap()).unwrap();
        let place = ((start - START_US) / (600 * SECOND_US), row["device"].as_str().unwrap().to_owned());
        (place, (row["temperature"].as_f64().map(rounded), row["hot"].as_i64().unwrap(), row["lastMetrics"].clone()))
    };
    let found: BTreeMap<_, _> = rows.iter().map(row).collect();
    let of_group = |(sum, count, hot, last): (i64, i64, i64, Json)| {
        ((count > 0).then(|| rounded(sum as f64 / count as f64)), hot, last)
    };
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(place, group)| (place, of_group(group))).collect();
    assert_eq!((rows.len(), found), (expected.len(), expected));
}

#[test]
fn each_reading_has_the_mean_of_the_ten_minutes_before_it() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut readings: Vec<(String, i64, Option<i64>)> = (0..900)
        .map(|i| {
            let celsius = rng.random_bool(0.9).then(|| rng.random_range(-20..40));
            (format!("d{}", rng.random_range(0..5)), i * 5 * SECOND_US, celsius)
        })
        .collect();
    let expected: Vec<_> = readings
        .iter()
        .map(|(device, us, celsius)| {
            let counts = |other: &&(String, i64, Option<i64>)| {
                other.0 == *device && (us - 600 * SECOND_US..=*us).contains(&other.1)
            };
            let values: Vec<i64> = readings.iter().filter(counts).filter_map(|reading| reading.2).collect();
            let (sum, count) = (values.iter().sum::<i64>() as f64, values.len() as i64);
            let mean = (count > 0).then(|| sum / count as f64);
            let deviation = celsius.zip(mean).map(|(celsius, mean)| celsius as f64 - mean);
            (device.clone(), at(*us), mean.map(rounded), count, deviation.map(rounded))
        })
        .collect();
    // Disorder of half a minute, which the watermark allows.
    readings.chunks_mut(6).for_each(|chunk| chunk.shuffle(&mut rng));
    let value = |(device, us, celsius): &(String, i64, Option<i64>)| json!({"device": device, "celsius": celsius, "at": at(*us)});
    let records: Vec<_> = readings.iter().map(|reading| (rng.random_range(0..3), value(reading))).collect();
    let sinks = json!({"silver": "silver", "late": "late", "rejected": "rejected"});
    let rows = run(kafka, "moving-average.yaml", ["plant", "readings"], &sinks, &records);
    let number = |value: &Json| value.as_f64().map(rounded);
    let row = |row: &Json| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("device"), text("at"), number(&row["mean"]), row["readings"].as_i64().unwrap(), number(&row["deviation"]))
    };
    let mut found: Vec<_> = rows.iter().map(row).collect();
    let mut expected = expected;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// A number without its last digits, which differ after a way through texts.
fn rounded(value: f64) -> i64 {
    (value * 1e9).round() as i64
}

#[test]
fn each_day_in_paris_has_its_three_cities_and_those_that_tie() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    const DAY_US: i64 = 86_400 * SECOND_US;
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut revenue: BTreeMap<(i64, String), (i64, i64)> = BTreeMap::new();
    let mut records = Vec::new();
    for i in 0..800_i64 {
        // Few prices and cities, so that some tie.
        let (city, euros) = (format!("city{}", rng.random_range(0..7)), rng.random_range(1..3_i64));
        let us = i * 300 * SECOND_US + rng.random_range(0..500) * SECOND_US;
        // In winter, a day in Paris begins at eleven in the evening.
        let day = (us + 3_600 * SECOND_US).div_euclid(DAY_US);
        let (sum, rides) = revenue.entry((day, city.clone())).or_default();
        (*sum, *rides) = (*sum + euros, *rides + 1);
        records.push((rng.random_range(0..3), json!({"city": city, "price": euros, "ts": at(us)})));
    }
    let days: BTreeSet<i64> = revenue.keys().map(|(day, _)| *day).collect();
    let mut expected = Vec::new();
    for day in days {
        let cities: Vec<_> = revenue.iter().filter(|((of, _), _)| *of == day).collect();
        let mut sums: Vec<i64> = cities.iter().map(|(_, (sum, _))| *sum).collect();
        sums.sort_unstable_by(|a, b| b.cmp(a));
        let third = sums.get(2).copied().unwrap_or(i64::MIN);
        let best = cities.into_iter().filter(|(_, (sum, _))| *sum >= third);
        expected.extend(
            best.map(|((_, city), (sum, rides))| (at(day * DAY_US - 3_600 * SECOND_US), city.clone(), *sum, *rides)),
        );
    }
    let sinks = json!({"gold": "silver", "late": "late", "rejected": "rejected"});
    let rows = run(kafka, "top-cities.yaml", ["events", "rides"], &sinks, &records);
    let row = |row: &Json| {
        let euros = row["revenue"].as_str().unwrap().strip_suffix(".00").unwrap().parse::<i64>().unwrap();
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("window_start"), text("city"), euros, row["rides"].as_i64().unwrap())
    };
    let mut found: Vec<_> = rows.iter().map(row).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
