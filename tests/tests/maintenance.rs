//! Compaction, vacuum and log checkpoints beside a pipeline that commits all the time and is killed again and again.
//! Their clock runs some thousand times as fast as the machine's, so every file is old at once, and a vacuum deletes
//! everything that it may delete.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::engine::Start;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{Backlog, RUN_LIMIT, Rig, SetOnDrop, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::services::s3::{self, S3};
use weir_tests::{deadline, or_skip, table};

/// More records than a run reads before it is killed, in epochs of 25.
const AHEAD: usize = 20_000;
const POISON_EVERY: usize = 101;
/// Event time from one ride to the next, so that each epoch closes windows and a table has many partitions.
const STEP_US: i64 = 60_000_000;
const KILLS: u32 = 6;
const PAUSE_MS_MAX: u64 = 600;
/// The fast clock: in each tick it advances by this many seconds.
const TICK: Duration = Duration::from_millis(100);
const TICK_S: u64 = 1_200;

#[test]
fn compaction_and_vacuum_of_a_local_table_lose_and_double_nothing_wherever_they_are_killed() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    look_after_and_kill(kafka, None);
}

#[test]
fn compaction_and_vacuum_of_a_table_on_s3_lose_and_double_nothing_wherever_they_are_killed() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    look_after_and_kill(kafka, Some(s3));
}

fn look_after_and_kill(kafka: &Kafka, s3: Option<&S3>) {
    let seed = std::env::var("WEIR_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // One partition, because several partitions of a backlog are read one after the other, and no window closes before
    // the last one is begun.
    let from = |ride: usize| {
        let rides = Rides { partitions: 1, step_us: STEP_US, seed: ride as u64, ..Rides::new(AHEAD) };
        poisoned(rides.starting(i64::try_from(ride).unwrap() * STEP_US).records(), POISON_EVERY)
    };
    let mut rig =
        Rig::new(Pipeline::rides_with_side_outputs(), kafka, s3.map_or(Store::Local, |s3| Store::S3(s3, None)), 1, &[]);
    rig.site.records_per_epoch = 25;
    let mut backlog = Backlog::new(AHEAD, from);
    let clock = rig.folder().join("ahead");
    std::fs::write(&clock, "0").unwrap();

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| run_fast(&clock, &stop));
        let _stop = SetOnDrop(&stop);
        for (point, nth) in [
            ("maintenance.compaction.written", 1),
            ("maintenance.compaction.committed", 2),
            ("manifest.create.after", 4),
            ("maintenance.vacuum.batch", 1),
            ("maintenance.compaction.written", 5),
            ("commit.sink.before", 3),
        ] {
            backlog.fill(&rig);
            let exit = looked_after(&rig, &clock).fail_at(point, nth).run(RUN_LIMIT);
            assert!(exit.aborted(), "{point} was not reached: {exit:?}");
            backlog.was_read(&exit, &rig);
        }
        for kill in 0..KILLS {
            backlog.fill(&rig);
            let mut engine = looked_after(&rig, &clock).spawn();
            engine.wait_for_epochs(12, RUN_LIMIT);
            std::thread::sleep(Duration::from_millis(rng.random_range(0..PAUSE_MS_MAX)));
            assert!(engine.ended().is_none(), "kill {kill}: the engine ended by itself:\n{}", engine.stderr());
            backlog.was_read(&engine.kill(), &rig);
        }
        rig.site.records_per_epoch = 20_000;
        rig.finish();
        let gone: Vec<_> = live(&rig.table_folder()).difference(&stored(&rig.table_folder())).cloned().collect();
        assert_eq!(gone, Vec::<PathBuf>::new(), "files that the table has and that are gone");
        // Now there is nothing to commit, so in the end the folder holds only the table's files.
        let engine = looked_after(&rig, &clock).spawn();
        deadline::until("the folder holds the table's files and no others", RUN_LIMIT, || {
            (stored(&rig.table_folder()) == live(&rig.table_folder())).then_some(())
        });
        let _ = engine.kill();
    });

    let outcome = rig.assert_right();
    rig.assert_delta_rs_agrees(&outcome, s3);
    let history = table::history(&rig.table_folder());
    let compactions = history.iter().filter(|version| version.commit_info["operation"] == "OPTIMIZE").count();
    let added: u64 = history.iter().map(|version| version.adds).sum();
    let left = live(&rig.table_folder()).len() as u64;
    println!("{compactions} compactions; of {added} files {left} are left");
    assert!(compactions > 2 && left * 2 < added, "{compactions} compactions; of {added} files {left} are left");
    assert!(rig.table_folder().join("_delta_log/_last_checkpoint").exists());
}

/// A run that commits as fast as it can, with maintenance of its tables all the time.
fn looked_after(rig: &Rig, clock: &Path) -> Start {
    let start = rig.start_with(json!({"type": "AsSoonAsPossible"}));
    let mut document = rig.pipeline.document(&rig.site);
    document["spec"]["trigger"] = json!({"type": "AsSoonAsPossible"});
    for sink in document["spec"]["sinks"].as_array_mut().unwrap() {
        sink["delta"]["maintenance"] = json!({"checkpointEvery": 5, "compactEvery": "1m", "vacuumAfter": "1h"});
    }
    Start { document: document.into(), ..start }.arg("--maintenance-clock").arg(&clock.to_string_lossy())
}

fn run_fast(clock: &Path, stop: &AtomicBool) {
    let next = clock.with_extension("next");
    for tick in 1.. {
        // Replaced atomically, since the engine may read it at any time.
        std::fs::write(&next, (tick * TICK_S).to_string()).unwrap();
        std::fs::rename(&next, clock).unwrap();
        if stop.load(Ordering::Acquire) {
            return;
        }
        std::thread::sleep(TICK);
    }
}

/// The data files in a table's folder.
pub(crate) fn stored(table: &Path) -> BTreeSet<PathBuf> {
    let mut folders = vec![table.to_owned()];
    let mut found = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.extend((path.file_name().unwrap() != "_delta_log").then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.insert(path.strip_prefix(table).unwrap().to_owned());
            }
        }
    }
    found
}

/// The data files that a table's log names.
pub(crate) fn live(table: &Path) -> BTreeSet<PathBuf> {
    let mut commits: Vec<_> =
        std::fs::read_dir(table.join("_delta_log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    commits.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    commits.sort();
    let mut live = BTreeSet::new();
    for commit in commits {
        for line in std::fs::read_to_string(commit).unwrap().lines() {
            let action: Json = serde_json::from_str(line).unwrap();
            if let Some(path) = action["remove"]["path"].as_str() {
                live.remove(Path::new(path));
            }
            // The partitions are dates, so nothing in these names is escaped.
            live.extend(action["add"]["path"].as_str().map(PathBuf::from));
        }
    }
    live
}
