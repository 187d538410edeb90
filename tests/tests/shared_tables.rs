//! Two pipelines that write to one table, or to a table within the other's folder. Both do maintenance all the time,
//! and both are killed again and again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use weir_tests::engine::{OK, Start};
use weir_tests::oracle::manifest::{self, Manifest};
use weir_tests::oracle::pipeline::Site;
use weir_tests::oracle::replay::replay_uncut;
use weir_tests::oracle::{Pipeline, Window, assert_same_rows};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, SetOnDrop, Store};
use weir_tests::services::kafka;
use weir_tests::{deadline, or_skip, table, topic};

use crate::maintenance::{live, stored};

/// Rides that are produced in each tick, and the most that an epoch has. So there is always something to commit, and
/// the table's log grows no faster than the ticks.
const BATCH: usize = 25;
/// An epoch's limit that is more than all records of the test.
const ALL: u64 = 1_000_000;
/// Event time from one ride to the next, so that each epoch closes windows and a table has many partitions.
const STEP_US: i64 = 60_000_000;
const TICK: Duration = Duration::from_millis(100);
/// In each tick, the monotonic clock advances by this many seconds, so that turns of maintenance are always due.
const TICK_S: i64 = 1_200;
/// The age at which files and tombstones are old. A vacuum judges files that the other pipeline is about to commit by
/// their age, so no file may wait longer for its commit, even over a kill and a start.
const OLD: Duration = Duration::from_secs(60);
const VACUUM_AFTER: Duration = Duration::from_secs(3_600);

/// The fail points at which one pipeline is killed while the other one commits, by turns.
const POINTS: [(&str, u32); 5] = [
    ("maintenance.compaction.written", 1),
    ("maintenance.compaction.committed", 1),
    ("maintenance.vacuum.batch", 1),
    ("manifest.create.after", 4),
    ("commit.sink.before", 3),
];
/// The number of commits of the other one before it is killed too.
const WRITES: usize = 4;

/// Everything in which two pipelines over one topic differ.
struct Tenant {
    pipeline: Pipeline,
    site: Site,
    checkpoint: PathBuf,
}

impl Tenant {
    /// A tenant with its own window length, so that no row could be another tenant's.
    fn new(rig: &Rig, name: &str, window_us: i64, table_uri: &str) -> Self {
        let checkpoint = rig.folder().join(format!("checkpoint-of-{name}"));
        let checkpoint_uri = format!("file://{}", checkpoint.display());
        let site = Site {
            checkpoint_uri,
            table_uri: table_uri.to_owned(),
            keep: 2,
            records_per_epoch: BATCH as u64,
            ..rig.site.clone()
        };
        Self {
            pipeline: Pipeline { name: name.into(), window: Window::tumbling(window_us), ..rig.pipeline.clone() },
            site,
            checkpoint,
        }
    }

    /// Runs to the end of the topic, without maintenance, in epochs of this many records.
    fn finish(&self, rig: &Rig, records_per_epoch: u64) {
        let site = Site { records_per_epoch, ..self.site.clone() };
        Start { document: self.pipeline.document(&site).into(), ..rig.start() }.run(RUN_LIMIT).expect(OK);
    }

    /// A run without an end, with maintenance of its table all the time, and garbage collection of its checkpoint
    /// without a grace period.
    fn looked_after(&self, rig: &Rig, clock: &Path) -> Start {
        let mut document =
            self.pipeline.document(&Site { trigger: json!({"type": "AsSoonAsPossible"}), ..self.site.clone() });
        document["spec"]["checkpoint"]["snapshotEvery"] = json!(4);
        document["spec"]["sinks"][0]["delta"]["maintenance"] =
            json!({"checkpointEvery": 5, "compactEvery": "1m", "vacuumAfter": "1h"});
        let start = Start { document: document.into(), ..rig.start() };
        start.arg("--maintenance-clock").arg(&clock.to_string_lossy()).arg("--garbage-grace").arg("0")
    }

    fn rows(&self, rig: &Rig) -> Vec<serde_json::Value> {
        replay_uncut(&self.pipeline, &topic::read(&rig.site.bootstrap, &rig.site.topic)).rows
    }

    fn manifests(&self) -> Vec<Manifest> {
        manifest::read_all(&self.checkpoint, &manifest::all_of_it)
    }

    /// Checks this pipeline's transactions in the table: each commit has both kinds, epochs only rise, and the last one
    /// is the last epoch that had rows.
    fn assert_transactions(&self, table: &Path) {
        let manifests = self.manifests();
        let lineage = &manifests.last().unwrap().lineage;
        let (epochs, marks) =
            (format!("weir/{lineage}/table"), format!("weir.manifest/{}/{lineage}/table", self.pipeline.name));
        let mut committed = Vec::new();
        for version in table::history(table) {
            let of = |app_id: &String| {
                version.txn.iter().filter(|(id, _)| id == app_id).map(|(_, version)| *version).collect::<Vec<_>>()
            };
            let (epoch, mark) = (of(&epochs), of(&marks));
            assert_eq!(epoch.len(), mark.len(), "both kinds, or none: {:?}", version.txn);
            let Some(epoch) = epoch.first() else { continue };
            assert_eq!(mark[0] & 0xffff_ffff, *epoch, "the mark is of the same epoch");
            assert_eq!(version.txn.len(), 2, "a commit is of one pipeline: {:?}", version.txn);
            committed.push(epoch.unsigned_abs());
        }
        assert!(committed.is_sorted_by(|a, b| a < b), "{committed:?}");
        // Every epoch that had rows and whose manifest is kept is in the table.
        let kept = manifests.iter().filter(|m| m.committed.contains_key("table")).map(|m| m.epoch).collect::<Vec<_>>();
        assert!(kept.iter().all(|epoch| committed.contains(epoch)), "{kept:?} should be in {committed:?}");
    }
}

/// Advances the clocks. The wall clock stays close to the machine's, ahead by an hour minus [`OLD`]; the monotonic
/// clock runs fast.
fn run_fast(clock: &Path, stop: &AtomicBool, each_tick: impl Fn(i64)) {
    let next = clock.with_extension("next");
    let ahead = i64::try_from((VACUUM_AFTER - OLD).as_secs()).unwrap();
    for tick in 1.. {
        // Replaced atomically, since the engines may read it at any time.
        std::fs::write(&next, format!("{} {}", tick * TICK_S, ahead - tick * TICK_S)).unwrap();
        std::fs::rename(&next, clock).unwrap();
        if stop.load(Ordering::Acquire) {
            return;
        }
        each_tick(tick);
        std::thread::sleep(TICK);
    }
}

/// Puts an old file that no log names into a table, if the table exists.
fn litter(table: &Path, tick: i64) {
    if tick % 5 == 0 && table.exists() {
        make_old(&table.join(format!("left-over-{tick}.parquet")));
    }
}

fn make_old(path: &Path) {
    File::create(path).unwrap().set_modified(SystemTime::now() - 2 * VACUUM_AFTER).unwrap();
}

#[test]
fn two_pipelines_on_one_table_lose_and_double_nothing_while_both_look_after_it_and_are_killed() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let seed = std::env::var("WEIR_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // One partition, with disorder within the delay, so that nothing is late, however epochs are cut.
    let rides = |n: i64| {
        let rides =
            Rides { partitions: 1, step_us: STEP_US, late_per_million: 0, seed: n.unsigned_abs(), ..Rides::new(BATCH) };
        rides.starting(n * i64::try_from(BATCH).unwrap() * STEP_US).records()
    };
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &rides(0));
    let (clock, table) = (rig.folder().join("ahead"), rig.table_folder());
    let tenants = [("five", 300_000_000), ("seven", 420_000_000)]
        .map(|(name, us)| Tenant::new(&rig, name, us, &rig.site.table_uri));

    let (stop, ticks) = (AtomicBool::new(false), AtomicI64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            run_fast(&clock, &stop, |tick| {
                rig.produce(&rides(tick));
                ticks.store(tick, Ordering::Release);
                litter(&table, tick);
            });
        });
        let _stop = SetOnDrop(&stop);
        for (point, nth) in POINTS {
            for (at_the_point, at_random) in [(0, 1), (1, 0)] {
                let aborting = tenants[at_the_point].looked_after(&rig, &clock).fail_at(point, nth).spawn();
                let mut other = tenants[at_random].looked_after(&rig, &clock).spawn();
                let exit = aborting.wait(RUN_LIMIT);
                assert!(exit.aborted(), "{point} was not reached: {exit:?}");
                let writes = || {
                    other
                        .progress()
                        .iter()
                        .filter(|epoch| epoch["sinks"][0]["numOutputRows"].as_u64() > Some(0))
                        .count()
                };
                deadline::until("the other one has written", RUN_LIMIT, || (writes() >= WRITES).then_some(()));
                std::thread::sleep(Duration::from_millis(rng.random_range(0..300)));
                assert!(other.ended().is_none(), "the engine ended by itself:\n{}", other.stderr());
                let _ = other.kill();
            }
        }
    });
    tenants.iter().for_each(|tenant| tenant.finish(&rig, ALL));
    // Garbage is collected after every other epoch, and a collection that is due at the end of a run is done there. So
    // each tenant gets two more epochs, or more.
    rig.produce(&rides(ticks.into_inner() + 1));
    tenants.iter().for_each(|tenant| tenant.finish(&rig, BATCH as u64 / 2));

    assert_same_rows(&[tenants[0].rows(&rig), tenants[1].rows(&rig)].concat(), &table::read_log(&table));
    let gone: Vec<_> = live(&table).difference(&stored(&table)).cloned().collect();
    assert_eq!(gone, Vec::<PathBuf>::new(), "files that the table has and that are gone");
    tenants.iter().for_each(|tenant| tenant.assert_transactions(&table));
    let history = table::history(&table);
    let of = |name: &str| history.iter().filter(|v| v.commit_info["operation"] == name).count();
    let (writes, compactions) = (of("WRITE"), of("OPTIMIZE"));
    println!("{writes} commits, {compactions} compactions");
    // Each of the two was killed right after a compaction, and while the other one committed at every point.
    assert!(compactions >= 2 && writes >= 2 * POINTS.len() * WRITES, "{compactions} compactions, {writes} commits");
    for tenant in &tenants {
        assert!(tenant.manifests().len() < 10, "garbage collection should have been at work");
    }
}

#[test]
fn a_table_in_a_folder_of_another_pipelines_table_is_left_alone_by_its_vacuum() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rides = Rides { partitions: 1, step_us: STEP_US, late_per_million: 0, ..Rides::new(1_000) };
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &rides.records());
    let (clock, outer) = (rig.folder().join("ahead"), rig.table_folder());
    let inner = outer.join("date=2026-01-01").join("inner");
    let outer_tenant = Tenant::new(&rig, "outer", 300_000_000, &rig.site.table_uri);
    let inner_tenant = Tenant::new(&rig, "inner", 420_000_000, &format!("file://{}", inner.display()));
    for tenant in [&outer_tenant, &inner_tenant] {
        tenant.finish(&rig, ALL);
    }
    // Files that the inner table has, files that it once had and a file that it never had: all of them are old.
    make_old(&inner.join("left-over.parquet"));
    let there = stored(&inner);
    for file in &there {
        File::options()
            .append(true)
            .open(inner.join(file))
            .unwrap()
            .set_modified(SystemTime::now() - 2 * VACUUM_AFTER)
            .unwrap();
    }
    let (litters, stop) = (AtomicBool::new(true), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            run_fast(&clock, &stop, |tick| {
                if litters.load(Ordering::Acquire) {
                    litter(&outer, tick);
                }
            });
        });
        let _stop = SetOnDrop(&stop);
        let engine = outer_tenant.looked_after(&rig, &clock).spawn();
        let littered =
            |folder: &Path| std::fs::read_dir(folder).unwrap().any(|entry| is_litter(&entry.unwrap().path()));
        deadline::until("the outer folder has been littered", RUN_LIMIT, || littered(&outer).then_some(()));
        litters.store(false, Ordering::Release);
        deadline::until("the outer table's vacuum has been at work", RUN_LIMIT, || (!littered(&outer)).then_some(()));
        let _ = engine.kill();
    });
    assert_eq!(stored(&inner), there);
    assert_same_rows(&inner_tenant.rows(&rig), &table::read_log(&inner));
    inner_tenant.finish(&rig, ALL);
    inner_tenant.assert_transactions(&inner);
}

fn is_litter(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("left-over"))
}
