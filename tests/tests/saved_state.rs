//! State over many epochs: it is compacted, its garbage is collected, and a changed document continues it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};
use weir_tests::engine::{CONFIG, Start};
use weir_tests::oracle::{Pipeline, Window};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::services::kafka::Kafka;
use weir_tests::{deadline, or_skip, table};

/// Event time from one ride to the next. With two rides in three minutes, windows of four hours stay open over tens of
/// epochs of 25 rides.
const STEP_US: i64 = 90_000_000;
const RIDES: usize = 1_500;
const SNAPSHOT_EVERY: usize = 3;
/// Older than the age below which garbage collection spares files.
const OLD: Duration = Duration::from_secs(2 * 3600);

fn rig(kafka: &Kafka) -> Rig {
    let rides = Rides { step_us: STEP_US, late_per_million: 0, disorder_us: 0, ..Rides::new(RIDES) };
    let mut rig = Rig::new(
        Pipeline { window: Window::tumbling(4 * 3_600_000_000), ..Pipeline::rides() },
        kafka,
        Store::Local,
        6,
        &rides.records(),
    );
    rig.site.records_per_epoch = 25;
    rig
}

fn more(rig: &Rig, n: i64) {
    let rides = Rides { step_us: STEP_US, late_per_million: 0, disorder_us: 0, ..Rides::new(RIDES) };
    rig.produce(&rides.starting(n * i64::try_from(RIDES).unwrap() * STEP_US).records());
}

/// A run that compacts its state as soon as it has more than three files.
fn compacting(rig: &Rig, trigger: &str) -> Start {
    let mut document = rig.pipeline.document(&rig.site);
    document["spec"]["trigger"] = json!({"type": trigger});
    document["spec"]["checkpoint"]["snapshotEvery"] = json!(SNAPSHOT_EVERY);
    Start { document: document.into(), ..rig.start() }
}

fn kill_after(epochs: usize, rig: &Rig) {
    let mut engine = compacting(rig, "AsSoonAsPossible").spawn();
    engine.wait_for_epochs(epochs, RUN_LIMIT);
    let _ = engine.kill();
}

/// The state files that each manifest refers to, in the order of the epochs.
fn state_lists(rig: &Rig) -> Vec<Vec<String>> {
    let mut manifests = files(&rig.checkpoint_folder().join("epochs"));
    // A kill may leave a partial manifest behind, under another name.
    manifests.retain(|path| path.extension().is_some_and(|e| e == "json"));
    manifests.sort();
    let list = |path: &PathBuf| {
        let manifest: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let tasks = manifest["tasks"].as_array().unwrap();
        let files = tasks.iter().flat_map(|t| t["state"].as_array().unwrap());
        files.map(|f| f["path"].as_str().unwrap().to_owned()).collect()
    };
    manifests.iter().map(list).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn compacted_state_means_the_same_as_the_changes_it_replaces() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    // The run is killed twice on the way, so that compacted state is loaded too.
    for epochs in [8, 9] {
        kill_after(epochs, &rig);
    }
    // The list of files grows while a compaction runs, however many epochs that takes. So there are more records to
    // read until two compactions have ended.
    let mut run = 0;
    deadline::until("lists have been shortened by compactions", RUN_LIMIT, || {
        compacting(&rig, "AvailableNow").run(RUN_LIMIT).expect(weir_tests::engine::OK);
        run += 1;
        more(&rig, run);
        (shortened(&state_lists(&rig)) >= 2).then_some(())
    });
    rig.finish();
    rig.assert_right();
}

#[test]
fn state_goes_on_with_any_number_of_workers() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(kafka);
    for (n, workers) in (1..).zip([3, 1, 2, 128]) {
        rig.workers = Some(workers);
        kill_after(4, &rig);
        compacting(&rig, "AvailableNow").run(RUN_LIMIT).expect(weir_tests::engine::OK);
        more(&rig, n);
    }
    rig.finish();
    rig.assert_right();
}

/// How often a compaction's files replaced others.
fn shortened(lists: &[Vec<String>]) -> usize {
    lists
        .windows(2)
        .filter(|pair| pair[1].len() + 1 < pair[0].len() && pair[1].iter().any(|file| !pair[0].contains(file)))
        .count()
}

#[test]
fn garbage_collection_takes_what_no_manifest_needs_and_nothing_else() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(kafka);
    rig.site.keep = 2;
    for n in 1..=3 {
        kill_after(6, &rig);
        more(&rig, n);
        for path in ["state", "epochs"].iter().flat_map(|f| files(&rig.checkpoint_folder().join(f))) {
            File::options().append(true).open(path).unwrap().set_modified(SystemTime::now() - OLD).unwrap();
        }
    }
    compacting(&rig, "AvailableNow").run(RUN_LIMIT).expect(weir_tests::engine::OK);
    // Garbage collection waits for a running compaction, and a run may end during one. In this run no compaction is
    // running.
    more(&rig, 4);
    rig.finish();
    rig.assert_table_whole();

    let lists = state_lists(&rig);
    assert!(lists.len() <= 4, "two are kept, and those since the last collection: {}", lists.len());
    let needed: BTreeSet<PathBuf> = lists.iter().flatten().map(|path| rig.checkpoint_folder().join(path)).collect();
    // Partial files that a kill left have other names, which the store does not list.
    let whole = |path: &PathBuf| path.extension().is_some_and(|e| e == "state");
    let there: BTreeSet<PathBuf> = files(&rig.checkpoint_folder().join("state")).into_iter().filter(whole).collect();
    assert!(needed.is_subset(&there), "{:?} are needed and gone", needed.difference(&there));
    let age = |path: &&PathBuf| fs::metadata(path).unwrap().modified().unwrap().elapsed().unwrap_or_default();
    let old_garbage: Vec<_> = there.difference(&needed).filter(|path| age(path) >= OLD).collect();
    assert_eq!(old_garbage, Vec::<&PathBuf>::new(), "old, and no manifest needs them");
}

#[test]
fn reordered_and_dropped_aggregates_go_on_with_the_saved_state() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    let with_aggregates = |columns: Json| {
        let mut document = rig.pipeline.document(&rig.site);
        let steps = document["spec"]["steps"].as_array_mut().unwrap();
        let step = steps.iter_mut().find(|s| s.get("aggregate").is_some()).unwrap();
        step["aggregate"]["columns"] = columns;
        Start { document: document.into(), ..rig.start() }
    };
    let named = |name: &str, expr: &str| json!({"name": name, "expr": expr});
    let [revenue, distance, count] =
        [named("revenue", "sum(price)"), named("avg_distance", "avg(distanceKm)"), named("cnt", "count(*)")];
    // No step or sink reads `most`.
    with_aggregates(json!([revenue, named("most", "max(price)"), distance, count]))
        .run(RUN_LIMIT)
        .expect(weir_tests::engine::OK);
    more(&rig, 1);
    with_aggregates(json!([count, named("avg_distance", "AVG( distanceKm )"), revenue]))
        .run(RUN_LIMIT)
        .expect(weir_tests::engine::OK);
    rig.assert_right();
    more(&rig, 2);
    let refused = with_aggregates(json!([count, distance, revenue, named("most", "max(price)")])).run(RUN_LIMIT);
    refused.expect(CONFIG);
    assert!(
        refused.stderr.contains("now needs max(price), which its open windows have not kept"),
        "{}",
        refused.stderr
    );
}
