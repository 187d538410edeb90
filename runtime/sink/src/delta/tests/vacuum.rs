//! Vacuum: what it deletes, what stays, and what may come between its look at the log and its deletions.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use object_store::ObjectStore;
use weir_testing::meddled::{Meddled, Meddler};

use super::super::maintenance::compact::compact;
use super::super::maintenance::table::{Maintained, Table};
use super::super::maintenance::vacuum::{Vacuumed, vacuum};
use super::compaction::{LABEL, surroundings, table_of};
use super::*;
use crate::upkeep::Surroundings;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The table as maintenance sees it, this many milliseconds later.
fn later(table: &DeltaTable, ms: i64) -> Table {
    looked_after(table, ms).0
}

/// The clocks of a test: the wall clock, which may be set, and the steady clock.
struct Clocks {
    wall_ms: Arc<AtomicI64>,
    steady_ms: Arc<AtomicI64>,
}

impl Clocks {
    fn pass(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
        self.steady_ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn step(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

fn looked_after(table: &DeltaTable, ms: i64) -> (Table, Clocks) {
    let now_ms = chrono::Utc::now().timestamp_millis() + ms;
    let clocks = Clocks { wall_ms: Arc::new(AtomicI64::new(now_ms)), steady_ms: Arc::new(AtomicI64::new(0)) };
    let (wall, steady) = (Arc::clone(&clocks.wall_ms), Arc::clone(&clocks.steady_ms));
    let surroundings = Surroundings {
        now_ms: Arc::new(move || wall.load(Ordering::SeqCst)),
        steady_ms: Arc::new(move || steady.load(Ordering::SeqCst)),
        ..surroundings(0)
    };
    (Table::new(table.maintained(), &surroundings), clocks)
}

async fn files_vacuumed(table: &Table) -> u64 {
    vacuum(table, HOUR).await.unwrap().files
}

fn store_file(lake: &Lake, path: &str) {
    std::fs::create_dir_all(lake.path(path).parent().unwrap()).unwrap();
    std::fs::write(lake.path(path), "x").unwrap();
}

#[tokio::test]
async fn files_that_were_compacted_go_when_they_are_old_enough_and_no_row_is_lost() {
    let lake = Lake::new(&["city"]);
    let table = table_of(&lake, 1..=4).await;
    compact(&later(&table, 0), HOUR_MS).await.unwrap();
    let bytes: u64 = lake.adds()[..4].iter().map(|add| add["size"].as_u64().unwrap()).sum();
    assert_eq!(vacuum(&later(&table, 59 * MINUTE_MS), HOUR).await, Ok(Vacuumed { files: 0, bytes: 0 }));
    assert_eq!(lake.stored().len(), 5);
    assert_eq!(vacuum(&later(&table, 61 * MINUTE_MS), HOUR).await, Ok(Vacuumed { files: 4, bytes }));
    assert_eq!((lake.stored().len(), lake.live_numbers()), (1, vec![1, 2, 3, 4]));
    assert_eq!(vacuum(&later(&table, 62 * MINUTE_MS), HOUR).await, Ok(Vacuumed { files: 0, bytes: 0 }));
}

#[tokio::test]
async fn a_log_checkpoint_keeps_the_tombstones_that_keep_the_files() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=4).await;
    compact(&later(&table, 0), HOUR_MS).await.unwrap();
    table.log.checkpoint().await.unwrap();
    for version in 0..5 {
        std::fs::remove_file(lake.commit_file(version)).unwrap();
    }
    // The files are much older than their removal, so only the tombstone says how long ago the table had them.
    for path in lake.stored() {
        let file = std::fs::File::options().write(true).open(lake.path(&path)).unwrap();
        file.set_modified(std::time::SystemTime::now() - 48 * HOUR).unwrap();
    }
    assert_eq!(files_vacuumed(&later(&table, 59 * MINUTE_MS)).await, 0);
    assert_eq!(files_vacuumed(&later(&table, 61 * MINUTE_MS)).await, 4);
}

/// The name of a file that a process of this pipeline has left behind.
fn left_behind(generation: u32) -> String {
    format!("part-00000-lineage-{generation:010}-{}.zstd.parquet", uuid::Uuid::new_v4())
}

#[tokio::test]
async fn files_that_nobody_ever_committed_go_and_what_is_not_data_stays() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=1).await;
    let stays = ["_weir_probe", "_other/a.parquet", ".hidden.parquet", "notes.txt", "x/_tmp/a.parquet"];
    let goes = [left_behind(0), format!("x/y=1/{}", left_behind(1))];
    for path in stays.into_iter().chain(goes.iter().map(String::as_str)) {
        store_file(&lake, path);
    }
    assert_eq!(files_vacuumed(&later(&table, 59 * MINUTE_MS)).await, 0);
    assert_eq!(files_vacuumed(&later(&table, 61 * MINUTE_MS)).await, 2);
    assert!(stays.iter().all(|path| lake.path(path).exists()) && !goes.iter().any(|path| lake.path(path).exists()));
    assert_eq!(lake.live_numbers(), [1]);
}

#[tokio::test]
async fn files_of_an_epoch_that_is_not_committed_yet_stay_however_old_they_are() {
    let lake = Lake::new(&[]);
    let mut table = table_of(&lake, 1..=1).await;
    let mut writer = table.files().writer(LABEL).unwrap();
    writer.write(&rides(&[(2, None, None)])).await.unwrap();
    let (adds, _) = writer.finish().await.unwrap();
    assert_eq!(files_vacuumed(&later(&table, 100 * HOUR_MS)).await, 0);
    commit(&mut table, 2, &adds).await.unwrap();
    assert_eq!(lake.live_numbers(), [1, 2]);
    // Another process has taken over, and ours does not know it: the files of that process stay.
    store_file(&lake, &left_behind(2));
    assert_eq!(files_vacuumed(&later(&table, 100 * HOUR_MS)).await, 0);
}

#[tokio::test]
async fn a_step_of_the_clock_takes_no_file_that_anybody_may_yet_commit() {
    let lake = Lake::new(&[]);
    let mut table = table_of(&lake, 1..=1).await;
    let mut other = opened(&lake).await;
    let (maintained, clocks) = looked_after(&table, 0);
    let ours = write(&table, 2, &[2]).await;
    // These files belong to another pipeline that writes to the table, so only their age tells.
    let mut writer = other.files().writer("stranger-0000000001").unwrap();
    writer.write(&rides(&[(3, None, None)])).await.unwrap();
    let (theirs, _) = writer.finish().await.unwrap();
    store_file(&lake, "orphan.parquet");
    clocks.step(100 * HOUR_MS);
    assert_eq!(files_vacuumed(&maintained).await, 0);
    clocks.pass(59 * MINUTE_MS);
    assert_eq!(files_vacuumed(&maintained).await, 0);
    commit(&mut table, 2, &ours).await.unwrap();
    other.append(&Decided { lineage: "stranger".into(), ..decided(1) }, &theirs).await.unwrap();
    assert_eq!(lake.live_numbers(), [1, 2, 3]);
    clocks.pass(MINUTE_MS);
    assert_eq!(files_vacuumed(&maintained).await, 1, "nothing has named the orphan for an hour");
    assert_eq!(lake.live_numbers(), [1, 2, 3]);
}

#[tokio::test]
async fn another_table_in_the_folder_is_left_alone_wherever_it_lies() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=1).await;
    let (of_another, ours) = (left_behind(0), left_behind(0));
    for folder in ["0", "sub", "sub/deeper", "z=1"] {
        // The listing has some of them before the log of their table, and some after it.
        for file in
            ["0.parquet", "z.parquet", "x=1/0.parquet", of_another.as_str(), "_delta_log/00000000000000000000.json"]
        {
            store_file(&lake, &format!("{folder}/{file}"));
        }
    }
    store_file(&lake, &format!("subs/{ours}"));
    let before = lake.stored().len();
    assert_eq!(files_vacuumed(&later(&table, 100 * HOUR_MS)).await, 1);
    assert_eq!(lake.stored().len(), before - 1);
    assert!(!lake.path(&format!("subs/{ours}")).exists());
}

/// A store in which something happens when a folder is listed for the nth time.
#[derive(Debug)]
struct AtListing {
    inner: Arc<dyn ObjectStore>,
    listings: AtomicU32,
    nth: u32,
    happens: Mutex<Option<(std::path::PathBuf, String)>>,
}

impl Meddler for AtListing {
    fn inner(&self) -> &Arc<dyn ObjectStore> {
        &self.inner
    }

    fn before_list(&self) -> object_store::Result<()> {
        if self.listings.fetch_add(1, Ordering::SeqCst) + 1 == self.nth
            && let Some((file, text)) = self.happens.lock().unwrap().take()
        {
            std::fs::write(file, text).unwrap();
        }
        Ok(())
    }
}

/// A file of a process from which a newer one has taken over, but which is still about to commit it.
const LATE: &str = "part-00000-lineage-0000000000-late.zstd.parquet";

/// Vacuums a table with one orphan, with a commit between the look at the log (the first listing) and the look at the
/// folder.
async fn vacuum_with_commit_between(commit: &dyn Fn(&Lake) -> Value) -> (Lake, Result<Vacuumed>) {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=2).await;
    store_file(&lake, LATE);
    let happens = Mutex::new(Some((lake.commit_file(3), commit(&lake).to_string())));
    let inner = lake.location().store;
    let meddler = Arc::new(AtListing { inner, listings: AtomicU32::new(0), nth: 2, happens });
    let location = Location { store: Arc::new(Meddled(Arc::clone(&meddler))), ..lake.location() };
    let plain = later(&table, 100 * HOUR_MS);
    let meddled = Table::new(
        Maintained { location, ..table.maintained() },
        &Surroundings { now_ms: Arc::clone(&plain.means.now_ms), ..surroundings(0) },
    );
    let done = vacuum(&meddled, HOUR).await;
    assert!(meddler.happens.lock().unwrap().is_none(), "the commit came");
    (lake, done)
}

#[tokio::test]
async fn a_file_that_is_committed_while_the_folder_is_listed_stays() {
    let add =
        json!({"add": {"path": LATE, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": true}});
    let (lake, done) = vacuum_with_commit_between(&|_: &Lake| add.clone()).await;
    assert_eq!(done, Ok(Vacuumed::default()));
    assert!(lake.path(LATE).exists());
    // Without that commit, the file is deleted.
    let (lake, done) = vacuum_with_commit_between(&|_: &Lake| json!({"txn": {"appId": "other", "version": 1}})).await;
    assert_eq!(done, Ok(Vacuumed { files: 1, bytes: 1 }));
    assert!(!lake.path(LATE).exists());
}

#[tokio::test]
async fn a_table_that_changes_while_the_folder_is_listed_is_looked_at_again_another_time() {
    let changed = |lake: &Lake| lake.actions(0).into_iter().find(|a| a.get("metaData").is_some()).unwrap();
    let (lake, done) = vacuum_with_commit_between(&changed).await;
    assert!(message(done).contains("was changed or made anew"));
    assert!(lake.path(LATE).exists());
}

#[tokio::test]
async fn a_table_that_forgets_its_tombstones_earlier_is_refused_with_what_to_set() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=1).await;
    assert_eq!(
        message(vacuum(&later(&table, 0), 200 * HOUR).await),
        format!(
            "the log of {} remembers for 168 h which files the table had, and vacuumAfter is 200 h; set \
             delta.deletedFileRetentionDuration \
             to `interval 200 hours` at least, or vacuumAfter to 168h at most",
            lake.sink.place()
        )
    );
    lake.edit_creation(|action| {
        if action.get("metaData").is_some() {
            action["metaData"]["configuration"] = json!({"delta.deletedFileRetentionDuration": "interval 200 hours"});
        }
    });
    assert_eq!(vacuum(&later(&opened(&lake).await, 0), 200 * HOUR).await, Ok(Vacuumed::default()));
}

#[tokio::test]
async fn a_table_whose_files_may_lie_anywhere_is_left_alone() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=1).await;
    store_file(&lake, &left_behind(0));
    let mut clone = foreign_add();
    clone["add"]["path"] = json!("s3a://lake/source/a.parquet");
    lake.foreign(&[clone]);
    let before = lake.stored();
    assert!(message(vacuum(&later(&table, 100 * HOUR_MS), HOUR).await).ends_with("such tables are not vacuumed"));
    assert_eq!(lake.stored(), before);
}

#[tokio::test]
async fn another_table_at_the_same_place_is_left_alone() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=1).await;
    lake.edit_creation(|action| {
        if action.get("metaData").is_some() {
            action["metaData"]["id"] = json!("another");
        }
    });
    store_file(&lake, &left_behind(0));
    let before = lake.stored();
    assert!(message(vacuum(&later(&table, 100 * HOUR_MS), HOUR).await).contains("was made anew: its id is another"));
    assert_eq!(lake.stored(), before);
}
