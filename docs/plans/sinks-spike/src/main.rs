//! Kills, sleepers, lost answers and parked sinks over a real broker and a model of a Delta table: what is in the sinks is what the manifests decided, once, in
//! order. `sinks-spike BOOTSTRAP SECONDS [SEED]`.

mod engine;
mod kafka;
mod merge;
mod sink;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;

use engine::{Action, Process, input};
use kafka::KafkaSink;
use merge::{MergeSink, Table};
use sink::{Failure, Sink};
use world::{Fate, What, World};

struct Rng(u64);

impl Rng {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

struct Lake {
    world: Arc<World>,
    bootstrap: String,
    name: String,
    table: Arc<Table>,
}

const TOPICS: [&str; 2] = ["first", "second"];

impl Lake {
    fn new(bootstrap: &str, name: &str) -> Self {
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
        let names: Vec<String> = TOPICS.iter().map(|topic| format!("{name}-{topic}")).collect();
        let control = format!("{name}-control");
        let mut topics: Vec<_> = names.iter().map(|topic| NewTopic::new(topic, 1, TopicReplication::Fixed(1))).collect();
        topics.push(NewTopic::new(&control, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact"));
        futures(admin.create_topics(&topics, &AdminOptions::new())).unwrap();
        Self { world: Arc::default(), bootstrap: bootstrap.into(), name: name.into(), table: Arc::default() }
    }

    fn process(&self, nonce: u32) -> Process {
        let mut sinks: BTreeMap<String, Box<dyn Sink>> = BTreeMap::new();
        for topic in TOPICS {
            let (of, control) = (format!("{}-{topic}", self.name), format!("{}-control", self.name));
            sinks.insert(topic.into(), Box::new(KafkaSink::new(&self.world, &self.bootstrap, topic, &of, &control)));
        }
        sinks.insert("merge".into(), Box::new(MergeSink { world: Arc::clone(&self.world), table: Arc::clone(&self.table) }));
        Process { world: Arc::clone(&self.world), nonce, sinks }
    }

    /// The rows of an epoch by the manifests alone.
    fn rows_of(&self, from: u64, to: u64) -> Vec<(String, String)> {
        let text = |row: sink::Row| (row.key.to_string(), row.value.map_or("-".to_owned(), |value| value.to_string()));
        (from..to).map(input).map(text).collect()
    }

    fn check(&self, parks: bool) {
        let manifests = self.world.manifests();
        let mut merged: BTreeMap<u32, i64> = BTreeMap::new();
        let mut expected: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
        let mut offset = 0;
        for manifest in &manifests {
            if manifest.payloads.is_some() {
                for topic in TOPICS.into_iter().filter(|topic| !manifest.parked.contains(*topic)) {
                    expected.entry(topic).or_default().extend(self.rows_of(offset, manifest.offset));
                }
                for row in (offset..manifest.offset).map(input) {
                    match row.value {
                        Some(value) => drop(merged.insert(row.key, value)),
                        None => drop(merged.remove(&row.key)),
                    }
                }
                offset = manifest.offset;
            }
        }
        assert_eq!(self.table.rows(), merged, "{}: the merged table", self.name);
        for topic in TOPICS {
            let found = kafka::read(&self.bootstrap, &format!("{}-{topic}", self.name), true).unwrap();
            let expected = expected.remove(topic).unwrap_or_default();
            if parks && topic == "first" {
                // Of an epoch that was in doubt when it was parked any beginning may be there.
                let (mut at, mut cut) = (0, 0);
                for record in &expected {
                    if found.get(at) == Some(record) { at += 1 } else { cut += 1 }
                }
                assert_eq!(at, found.len(), "{}: {topic} has what nobody decided, or not in order", self.name);
                assert!(cut <= 12 * manifests.iter().filter(|m| !m.parked.is_empty()).count(), "{}: {topic} lacks {cut}", self.name);
            } else {
                assert_eq!(found, expected, "{}: {topic}", self.name);
            }
        }
    }
}

fn futures<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[derive(Default, Debug)]
struct Seen {
    processes: u32,
    killed: u32,
    slept: u32,
    lost: u32,
    fenced: u32,
    parked: u32,
    decided: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (bootstrap, seconds) = (arguments[1].clone(), arguments[2].parse().unwrap());
    let first: u64 = arguments.get(3).map_or(1, |seed| seed.parse().unwrap());
    let began = Instant::now();
    let stamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let (next, seen) = (AtomicU64::new(first), Mutex::new(Seen::default()));
    // Most of it is waiting for answers.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while began.elapsed() < Duration::from_secs(seconds) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    one(&bootstrap, &format!("s{stamp}-{seed}"), seed, &seen);
                }
            });
        }
    });
    println!("seeds {first} to {}: {:?}", next.into_inner() - 1, seen.into_inner().unwrap());
}

fn one(bootstrap: &str, name: &str, seed: u64, seen: &Mutex<Seen>) {
    let mut rng = Rng(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let lake = Arc::new(Lake::new(bootstrap, name));
    let parks = seed % 3 == 0;
    let mut sleepers: Vec<(u32, JoinHandle<()>)> = Vec::new();
    let stop = Arc::new(AtomicBool::new(false));
    let compactor = std::thread::spawn({
        let (lake, stop) = (Arc::clone(&lake), Arc::clone(&stop));
        move || {
            while !stop.load(Ordering::Relaxed) {
                lake.table.compact();
                std::thread::sleep(Duration::from_millis(3));
            }
        }
    });
    let count = 12;
    for n in 0..count {
        let is_last = n + 1 == count;
        let what = match rng.next(8) {
            _ if is_last => What::Nothing,
            0..=3 => What::Dies,
            4..=5 => What::AnswerIsLost,
            6 => What::Sleeps(n),
            _ => What::Nothing,
        };
        let fate = Fate { steps: 1 + rng.next(60) as u32, what };
        let action = match (parks, n) {
            (true, 4) => Some(Action::Park("first")),
            (true, 8) => Some(Action::Unpark("first")),
            _ => None,
        };
        seen.lock().unwrap().parked += u32::from(matches!(action, Some(Action::Park(_))));
        let epochs: Vec<u64> = (0..3).map(|_| rng.next(12)).collect();
        let process = lake.clone();
        let nonce = n * 7 + 1;
        let result = Arc::new(std::sync::Mutex::new(None));
        let thread = std::thread::spawn({
            let result = Arc::clone(&result);
            move || {
                process.world.set_fate(fate);
                let ended = process.process(nonce).run(action, &epochs);
                *result.lock().unwrap() = Some(ended);
            }
        });
        seen.lock().unwrap().processes += 1;
        if what == What::Sleeps(n) && lake.world.is_asleep(n, || thread.is_finished()) {
            sleepers.push((n, thread));
            seen.lock().unwrap().slept += 1;
        } else {
            thread.join().unwrap_or_else(|_| panic!("seed {seed}"));
            let (ended, mut seen) = (result.lock().unwrap().take().unwrap(), seen.lock().unwrap());
            match ended {
                Ok(()) => seen.lost += u32::from(what == What::AnswerIsLost),
                Err(Failure::Died) => seen.killed += 1,
                Err(Failure::Fenced { .. }) => seen.fenced += 1,
                Err(other) => panic!("seed {seed}: {other:?}"),
            }
        }
        // One that sleeps wakes up beside another one, or after it.
        if rng.next(2) == 0 || is_last {
            for (number, thread) in sleepers.drain(..) {
                lake.world.wake(number);
                thread.join().unwrap_or_else(|_| panic!("seed {seed}: a sleeper"));
            }
        }
    }
    // Whoever woke last may have fenced nobody: one more start settles what is in doubt.
    lake.process(9_999).run(None, &[3]).unwrap_or_else(|e| panic!("seed {seed}: {e:?}"));
    stop.store(true, Ordering::Relaxed);
    compactor.join().unwrap();
    seen.lock().unwrap().decided += lake.world.manifests().iter().filter(|m| m.payloads.is_some()).map(|m| m.epoch).collect::<BTreeSet<_>>().len();
    lake.check(parks);
}
