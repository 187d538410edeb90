//! All faults at once, for `WEIR_SOAK_SECONDS` (`make soak`: half an hour; shorter by default). The input has disorder,
//! poison, late rows and a quiet partition, and there is a second topic beside the first. The faults are SIGKILL,
//! SIGSTOP, a second writer, a broker that is killed, and a store that fails or is slow; garbage is collected at once.
//! At the end the oracle judges the result.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use weir_tests::engine::{Document, Engine, FENCED, OK, Start};
use weir_tests::oracle::pipeline::BadRecords;
use weir_tests::oracle::{Pipeline, Window};
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{Beside, RUN_LIMIT, Rig, SetOnDrop, Store};
use weir_tests::services::kafka::Kafka;
use weir_tests::services::s3::S3;
use weir_tests::{or_skip, table, topic};

const SHORT: Duration = Duration::from_secs(20);
const SECOND_US: i64 = 1_000_000;
const PARTITIONS: i32 = 6;
/// Rides that are produced at once, and the pause after them. Together this makes some hundreds of rides a second.
const BATCH: usize = 100;
/// At least this many batches are produced, however slow the machine is. They make a dozen windows, some of which
/// close.
const LEAST_BATCHES: usize = 40;
const PAUSE: Duration = Duration::from_millis(200);
const POISON_EVERY: usize = 71;
/// The last partition is quiet during every second run of this many batches.
const QUIET_BATCHES: usize = 50;

#[test]
fn whatever_goes_wrong_together_nothing_is_lost_and_nothing_doubled() {
    let kafka = or_skip!(Kafka::start());
    let s3 = or_skip!(S3::start());
    or_skip!(table::readers());
    let lasts = std::env::var("WEIR_SOAK_SECONDS").map_or(SHORT, |s| Duration::from_secs(s.parse().unwrap()));
    let seed = std::env::var("WEIR_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("seed {seed}");
    let proxy = Arc::new(Proxy::start(&s3.address()));
    let pipeline = Pipeline {
        idle_after_us: Some(2 * SECOND_US),
        close_idle_windows_after_us: Some(5 * SECOND_US),
        max_skew_us: Some(1_800 * SECOND_US),
        ..Pipeline::rides_with_side_outputs()
    };
    let mut rig = Rig::new(pipeline, &kafka, Store::S3(&s3, Some(&proxy.endpoint())), PARTITIONS, &[]);
    let topic = format!("{}-second", rig.site.topic);
    topic::create(&rig.site.bootstrap, &topic, 2);
    let second = Pipeline {
        bad_records: BadRecords::Drop,
        window: Window::tumbling(60 * SECOND_US),
        keeps_late: true,
        ..Pipeline::rides()
    };
    rig.beside = Some(Beside { pipeline: second, bootstrap: rig.site.bootstrap.clone(), topic });
    rig.site.records_per_epoch = 2_000;
    // Garbage is deleted at once, so the test would notice if something that is still needed were deleted. The proxy
    // keeps the manifests for the oracle.
    rig.site.keep = 2;
    rig.keep_manifests(&proxy);

    let (stop, produced) = (AtomicBool::new(false), AtomicI64::new(0));
    let mut trouble = Trouble {
        kafka: &kafka,
        s3: &s3,
        proxy: &proxy,
        rig: &rig,
        rng: ChaCha8Rng::seed_from_u64(seed),
        count: BTreeMap::new(),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| produce(&rig, &stop, &produced));
        let _stop = SetOnDrop(&stop);
        trouble.make(Instant::now() + lasts);
    });
    let count = trouble.count;
    proxy.heal();
    // Many records may be left at the end, so they are read in large epochs.
    rig.site.records_per_epoch = 100_000;
    collecting(rig.start()).run(10 * RUN_LIMIT).expect(OK);
    // These rides lie in the first minutes, so they are late even if the machine was too slow for epochs in between.
    let late = Rides { partitions: PARTITIONS, seed: u64::MAX, ..Rides::new(BATCH) }.records();
    produced.fetch_add(i64::try_from(late.len()).unwrap(), Ordering::Relaxed);
    // Garbage is collected after every other epoch, and a collection that is due at the end of a run is done there.
    rig.site.records_per_epoch = BATCH as u64 / 2;
    rig.finish_in_parts(&[&late]);
    assert!(files(&rig, "epochs") < 20, "garbage collection should have been at work");
    let (outcome, second) = (rig.assert_right(), rig.assert_beside_right());
    let report = format!(
        "soak of {} s: {} records, {} rows, {} dead letters, {} late, {} epochs; of the second topic {} records, {} \
         rows; {count:?}\n",
        lasts.as_secs(),
        outcome.read,
        outcome.rows.len(),
        outcome.rejected.len(),
        outcome.late,
        outcome.data_epochs,
        second.read,
        second.rows.len()
    );
    std::io::stderr().write_all(report.as_bytes()).unwrap();
    assert_eq!(outcome.read, produced.load(Ordering::Relaxed).unsigned_abs());
    assert!(
        !outcome.rejected.is_empty() && outcome.late > 0 && !outcome.rows.is_empty(),
        "the input should try something"
    );
}

/// A run that compacts state often, and deletes files at once that no manifest names.
fn collecting(start: Start) -> Start {
    let Document::Json(mut document) = start.document else { unreachable!("the rig's documents are JSON") };
    document["spec"]["checkpoint"]["snapshotEvery"] = json!(4);
    Start { document: document.into(), ..start }.arg("--garbage-grace").arg("0")
}

fn files(rig: &Rig, folder: &str) -> usize {
    std::fs::read_dir(rig.checkpoint_folder().join(folder)).unwrap().count()
}

fn produce(rig: &Rig, stop: &AtomicBool, produced: &AtomicI64) {
    for batch in 0.. {
        if stop.load(Ordering::Acquire) && batch >= LEAST_BATCHES {
            return;
        }
        let at_us = i64::try_from(batch * BATCH).unwrap() * SECOND_US;
        let rides = Rides { seed: batch as u64, partitions: PARTITIONS, late_per_million: 5_000, ..Rides::new(BATCH) }
            .starting(at_us);
        let mut records = poisoned(rides.records(), POISON_EVERY);
        if (batch / QUIET_BATCHES) % 2 == 1 {
            records.iter_mut().filter(|r| r.partition == PARTITIONS - 1).for_each(|r| r.partition = 0);
        }
        rig.produce(&records);
        let beside = rig.beside.as_ref().unwrap();
        let rides = Rides { seed: batch as u64 + 1_000_000, partitions: 2, ..Rides::new(BATCH / 4) }.starting(at_us);
        topic::produce(&beside.bootstrap, &beside.topic, &poisoned(rides.records(), POISON_EVERY));
        produced.fetch_add(i64::try_from(records.len()).unwrap(), Ordering::Relaxed);
        std::thread::sleep(PAUSE);
    }
}

struct Trouble<'a> {
    kafka: &'a Kafka,
    s3: &'a S3,
    proxy: &'a Proxy,
    rig: &'a Rig,
    rng: ChaCha8Rng,
    count: BTreeMap<&'static str, u32>,
}

impl Trouble<'_> {
    fn make(&mut self, until: Instant) {
        let mut engine = self.start();
        while Instant::now() < until {
            self.wait(500..4_000);
            if let Some(exit) = engine.ended() {
                // One of two writers was fenced; nothing else may end it.
                exit.expect(FENCED);
                engine = self.start();
                continue;
            }
            let kind =
                *["kill", "stop", "second writer", "broker", "store away", "slow line", "store faults", "store faults"]
                    .choose(&mut self.rng)
                    .unwrap();
            *self.count.entry(kind).or_default() += 1;
            match kind {
                "kill" => {
                    let _ = engine.kill();
                    engine = self.start();
                }
                "stop" => {
                    engine.stop();
                    // Often longer than `idleAfter`, and sometimes longer than `closeIdleWindowsAfter`.
                    self.wait(200..7_000);
                    engine.cont();
                }
                "second writer" => {
                    engine.stop();
                    let second = self.start();
                    self.wait(200..3_000);
                    engine.cont();
                    engine = second;
                }
                "broker" => {
                    self.kafka.kill();
                    self.wait(0..2_000);
                    self.kafka.restart();
                }
                "store away" => {
                    self.s3.stop();
                    self.wait(200..3_000);
                    self.s3.cont();
                }
                "slow line" => {
                    self.proxy.limit(Some(100_000));
                    self.wait(500..4_000);
                    self.proxy.limit(None);
                }
                _ => self.fault(),
            }
        }
        self.proxy.heal();
        let _ = engine.kill();
    }

    fn start(&self) -> Engine {
        collecting(self.rig.start_with(json!({"type": "Interval", "interval": "300ms"}))).spawn()
    }

    /// Injects a fault into some of the next requests.
    fn fault(&mut self) {
        let fault = *[
            Fault::Answer(503),
            Fault::CutAfter,
            Fault::CutBefore,
            Fault::AnswerAfter(503),
            Fault::Delay(Duration::from_millis(700)),
        ]
        .choose(&mut self.rng)
        .unwrap();
        let method = *["PUT", "GET"].choose(&mut self.rng).unwrap();
        let times = self.rng.random_range(1..6);
        self.proxy.inject(Rule::when(fault, move |r| r.method == method).times(times));
    }

    /// Sleeps for a random time, since a soak is about durations. It does not wait for a state.
    fn wait(&mut self, ms: std::ops::Range<u64>) {
        std::thread::sleep(Duration::from_millis(self.rng.random_range(ms)));
    }
}
