//! Records for a generated graph: disorder, ties, duplicates, nulls, bad and late records, quiet partitions.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::oracle::graph::{EventTime, Graph};
use weir_tests::oracle::time;
use weir_tests::topic::Record;

/// Records with the timestamps that their producer gives them, in milliseconds since 1970.
pub type Stamped = Vec<(i64, Record)>;

/// The number of partitions of each topic.
pub fn partitions(rng: &mut ChaCha8Rng, graph: &Graph) -> BTreeMap<String, i32> {
    let topics: BTreeMap<&String, ()> = graph.sources.iter().map(|source| (&source.topic, ())).collect();
    topics.into_keys().map(|topic| (topic.clone(), rng.random_range(1..4))).collect()
}

/// The records of each topic. If there may be late ones, a few come later than the least delay of the topic's sources.
pub fn records(
    rng: &mut ChaCha8Rng,
    graph: &Graph,
    partitions: &BTreeMap<String, i32>,
    begin_us: i64,
    size_us: i64,
    late: bool,
) -> BTreeMap<String, Stamped> {
    let of_topic = |(topic, partitions): (&String, &i32)| {
        let sources = graph.sources.iter().filter(|source| source.topic == *topic);
        let delay = |event_time: &EventTime| event_time.delay_us;
        let delay_us = sources.filter_map(|source| source.event_time.as_ref()).map(delay).min().unwrap_or_default();
        let count = if rng.random_bool(0.1) { 0 } else { rng.random_range(100..600) };
        let step_us = rng.random_range(1..=size_us / 10);
        // Sometimes a partition has no records.
        let used = if rng.random_bool(0.2) { (partitions - 1).max(1) } else { *partitions };
        let mut records: Stamped = Vec::new();
        for i in 0..count {
            let mut t = begin_us + i * step_us - rng.random_range(0..=delay_us);
            if rng.random_bool(0.1) {
                // A tie with others, at the edge of a window.
                t = (t + size_us / 2 - (t + size_us / 2).rem_euclid(size_us)).clamp(t, begin_us + i * step_us);
            }
            if late && rng.random_bool(0.02) {
                t -= rng.random_range(0..=10 * size_us);
            }
            // Kafka has milliseconds.
            t = t.div_euclid(1_000) * 1_000;
            let partition = rng.random_range(0..used);
            let record = match records.last() {
                // The time of a duplicate is that of the record before it, so it must not be late for another reason.
                Some((stamp, last)) if rng.random_bool(0.1) && (late || delay_us >= 2 * step_us) => {
                    (*stamp, Record { partition: last.partition, ..last.clone() })
                }
                _ => {
                    let value =
                        if rng.random_bool(0.01) { b"{".to_vec() } else { value(rng, t).to_string().into_bytes() };
                    (t / 1_000, Record { partition, key: None, value })
                }
            };
            records.push(record);
        }
        (topic.clone(), records)
    };
    partitions.iter().map(of_topic).collect()
}

fn value(rng: &mut ChaCha8Rng, time_us: i64) -> Json {
    // A multiple of a quarter, so that sums are exact.
    let quarter = f64::from(rng.random_range(-400..400)) / 4.0;
    let list: Vec<i64> = (0..rng.random_range(0..4)).map(|_| rng.random_range(0..9)).collect();
    let text = *["a", "b", "B", "é", ""].choose(rng).unwrap();
    let mut record = json!({
        "k": text, "n": rng.random_range(-50..50), "x": quarter, "list": list,
        "at": time::format_micros(time_us),
    });
    for name in ["k", "n", "x", "list"] {
        if rng.random_bool(0.1) {
            record[name] = Json::Null;
        }
    }
    record
}
