//! Graphs and records generated from a seed: several sources, steps of all kinds and several tables, under kills.
//! `WEIR_SEEDS` sets how many, `WEIR_SEED` runs one.

mod aggregates;
mod graph;
mod records;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use graph::{BUILT, Kind};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use records::Stamped;
use serde_json::json;
use weir_tests::oracle::assert_same_rows;
use weir_tests::oracle::graph::{Graph, Outcome, TimeOf};
use weir_tests::rides::START_US;
use weir_tests::rig::{GraphRig, RUN_LIMIT};
use weir_tests::services::kafka;
use weir_tests::{engine, or_skip, table};

const SEEDS: u64 = 6;
const SEEDS_OF_CUTS: u64 = 3;
/// Longer than a whole epoch with its commit, so that a kill can hit each phase.
const PAUSE_MS_MAX: u64 = 300;
/// Longer than `idleAfter`, so that some runs see a source fall quiet.
const LONG_PAUSE_MS: u64 = 1_500;
const HOUR_US: i64 = 3_600_000_000;

fn seeds(default: u64) -> Vec<u64> {
    match std::env::var("WEIR_SEED") {
        Ok(one) => vec![one.parse().unwrap()],
        Err(_) => (1..=std::env::var("WEIR_SEEDS").map_or(default, |n| n.parse().unwrap())).collect(),
    }
}

fn size_us(rng: &mut ChaCha8Rng) -> i64 {
    *[1_000_000, 7_000_000, 60_000_000].choose(rng).unwrap()
}

/// Where event times begin. Records that have them as Kafka's timestamps must not be so old that Kafka deletes them.
fn begin_us(graph: &Graph) -> i64 {
    let mut event_times = graph.sources.iter().filter_map(|source| source.event_time.as_ref());
    if event_times.all(|event_time| event_time.of != TimeOf::KafkaTimestamp) {
        return START_US;
    }
    let now_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    now_us - now_us.rem_euclid(HOUR_US) - 6 * HOUR_US
}

#[test]
fn any_graph_writes_what_the_oracle_expects_whatever_is_killed() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let (mut rows, mut late) = (0, 0);
    for seed in seeds(SEEDS) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let size_us = size_us(&mut rng);
        let graph = graph::graph(&mut rng, &BUILT, size_us);
        let partitions = records::partitions(&mut rng, &graph);
        let records = records::records(&mut rng, &graph, &partitions, begin_us(&graph), size_us, true);
        let mut rig = GraphRig::new(graph, kafka, &partitions);
        let outcome = run(&mut rng, &mut rig, records, seed);
        rows += outcome.tables.values().map(Vec::len).sum::<usize>();
        late += outcome.late.values().sum::<u64>();
        println!("seed {seed}: {} epochs, late {:?}, moved {:?}", outcome.data_epochs, outcome.late, outcome.moved);
    }
    // A single seed may have none.
    assert!(rows > 0, "no seed wrote a row: the generator has become useless");
    assert!(late > 0 || std::env::var("WEIR_SEED").is_ok(), "no seed had a late row");
}

/// Produces the records in parts. Each part is read by a run that is killed at a random moment, or by one that ends by
/// itself; the last run reads the rest.
fn run(rng: &mut ChaCha8Rng, rig: &mut GraphRig, records: BTreeMap<String, Stamped>, seed: u64) -> Outcome {
    rig.site.records_per_epoch = rng.random_range(30..300);
    println!("seed {seed}: {}", rig.graph.document(&rig.site));
    let parts = rng.random_range(2..5);
    let mut rest = records;
    for part in 0..parts {
        rig.workers = Some(rng.random_range(1..5));
        let mut produced = 0;
        for (topic, records) in &mut rest {
            let quiet = rng.random_bool(0.2);
            let count = if quiet { 0 } else { records.len() / (parts - part) };
            produced += count;
            rig.produce(topic, &records.drain(..count).collect::<Vec<_>>());
        }
        if produced == 0 || rng.random_bool(0.3) {
            rig.finish();
            continue;
        }
        let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
        engine.wait_for_epochs(1, RUN_LIMIT);
        let pause_ms = if rng.random_bool(0.2) { LONG_PAUSE_MS } else { rng.random_range(0..PAUSE_MS_MAX) };
        std::thread::sleep(Duration::from_millis(pause_ms));
        assert!(engine.ended().is_none(), "part {part}: the engine ended by itself:\n{}", engine.stderr());
        let _ = engine.kill();
    }
    for (topic, records) in &rest {
        rig.produce(topic, records);
    }
    let emits_all = rng.random();
    if emits_all {
        rig.site.trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    }
    rig.finish();
    let outcome = rig.assert_right();
    assert!(!emits_all || outcome.waiting.values().sum::<u64>() == 0, "something waits: {:?}", outcome.waiting);
    outcome
}

/// The fail points that each epoch passes. `crash_at_each_step.rs` tries the others, at which no step has state in
/// hand.
fn points_of_an_epoch() -> Vec<String> {
    let of_epoch = ["epoch.", "data.", "state.", "manifest.", "commit.", "offsets."];
    engine::fail_points().into_iter().filter(|point| of_epoch.iter().any(|prefix| point.starts_with(prefix))).collect()
}

#[test]
fn a_graph_with_a_step_of_each_kind_goes_on_whatever_it_was_doing_when_it_was_killed() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for (seed, point) in (1..).zip(points_of_an_epoch()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed + 2_000_000);
        let size_us = size_us(&mut rng);
        let graph = graph::graph_of_each(&mut rng, size_us);
        let partitions = records::partitions(&mut rng, &graph);
        let records = records::records(&mut rng, &graph, &partitions, begin_us(&graph), size_us, true);
        let mut rig = GraphRig::new(graph, kafka, &partitions);
        rig.site.records_per_epoch = 100;
        rig.workers = Some(rng.random_range(1..5));
        println!("{point}: {}", rig.graph.document(&rig.site));
        for (topic, records) in &records {
            rig.produce(topic, records);
        }
        let exit = rig.start().fail_at(&point, 2).run(RUN_LIMIT);
        assert!(exit.aborted() && exit.phase == point, "{point} was not reached: {exit:?}");
        rig.finish();
        rig.assert_right();
    }
}

/// As long as nothing is late, what most steps give does not depend on how the input is cut into epochs.
#[test]
fn a_graph_writes_the_same_rows_however_its_input_is_cut_into_epochs() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let kinds: Vec<Kind> = BUILT.into_iter().filter(|kind| !kind.depends_on_cuts()).collect();
    for seed in seeds(SEEDS_OF_CUTS) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed + 1_000_000);
        let size_us = size_us(&mut rng);
        let graph = graph::graph(&mut rng, &kinds, size_us);
        let partitions = records::partitions(&mut rng, &graph);
        let records = records::records(&mut rng, &graph, &partitions, begin_us(&graph), size_us, false);
        let mut write = |records_per_epoch: u64| {
            let mut rig = GraphRig::new(graph.clone(), kafka, &partitions);
            rig.site.trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
            rig.site.records_per_epoch = records_per_epoch;
            rig.workers = Some(rng.random_range(1..5));
            println!("seed {seed}: {}", rig.graph.document(&rig.site));
            for (topic, records) in &records {
                rig.produce(topic, records);
            }
            rig.finish();
            let outcome = rig.assert_right();
            let late: u64 = outcome.late.values().sum();
            assert_eq!((late, outcome.waiting.values().sum::<u64>()), (0, 0), "nothing is late and nothing waits");
            outcome
        };
        let (fine, coarse) = (write(29), write(5_000));
        println!("seed {seed}: {} and {} epochs", fine.data_epochs, coarse.data_epochs);
        for (sink, rows) in &fine.tables {
            assert_same_rows(rows, &coarse.tables[sink]);
        }
    }
}
