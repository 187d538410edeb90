//! Vacuum: what goes, what stays, and what may come between its look at the log and its deletions.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, PutOptions, PutPayload, PutResult};

use super::super::maintenance::compact::compact;
use super::super::maintenance::vacuum::{Vacuumed, vacuum};
use super::super::maintenance::{Maintained, Surroundings, Table};
use super::compaction::{LABEL, surroundings, table_of};
use super::*;
use crate::storage::meddled::{Meddled, Meddler};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The table as its maintenance has it, so much later; everything that the writer wrote is settled.
fn later(table: &DeltaTable, ms: i64) -> Table {
    let settled = Arc::new(AtomicI64::new(i64::MAX));
    let now_ms = chrono::Utc::now().timestamp_millis() + ms;
    Table::new(table.maintained(), &Surroundings { settled_ms: settled, ..surroundings(now_ms) })
}

/// The same before anything is settled.
fn later_while_open(table: &DeltaTable, ms: i64) -> Table {
    Table { settled_ms: Arc::new(AtomicI64::new(i64::MIN)), ..later(table, ms) }
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
    // Made long before they were removed: only the tombstone tells how long ago the table had them.
    for path in lake.stored() {
        let file = std::fs::File::options().write(true).open(lake.path(&path)).unwrap();
        file.set_modified(std::time::SystemTime::now() - 48 * HOUR).unwrap();
    }
    assert_eq!(files_vacuumed(&later(&table, 59 * MINUTE_MS)).await, 0);
    assert_eq!(files_vacuumed(&later(&table, 61 * MINUTE_MS)).await, 4);
}

#[tokio::test]
async fn files_that_nobody_ever_committed_go_and_what_is_not_data_stays() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=1).await;
    let stays = ["_weir_probe", "_other/a.parquet", ".hidden.parquet", "notes.txt", "x/_tmp/a.parquet"];
    for path in stays.iter().chain(&["orphan.parquet", "x/y=1/orphan.parquet"]) {
        store_file(&lake, path);
    }
    assert_eq!(files_vacuumed(&later(&table, 59 * MINUTE_MS)).await, 0);
    assert_eq!(files_vacuumed(&later(&table, 61 * MINUTE_MS)).await, 2);
    assert!(stays.iter().all(|path| lake.path(path).exists()) && !lake.path("orphan.parquet").exists());
    assert_eq!(lake.live_numbers(), [1]);
}

#[tokio::test]
async fn files_of_an_epoch_that_is_not_committed_yet_stay_however_old_they_are() {
    let lake = Lake::new(&[]);
    let mut table = table_of(&lake, 1..=1).await;
    let mut writer = table.files().writer(LABEL).unwrap();
    writer.write(&rides(&[(2, None, None)])).await.unwrap();
    let (adds, _) = writer.finish().await.unwrap();
    assert_eq!(files_vacuumed(&later_while_open(&table, 100 * HOUR_MS)).await, 0);
    commit(&mut table, 2, &adds).await.unwrap();
    assert_eq!(lake.live_numbers(), [1, 2]);
    // Another process has taken over, and ours does not know: what that one writes stays.
    let newer = format!("part-00000-lineage-0000000002-{}.zstd.parquet", uuid::Uuid::new_v4());
    store_file(&lake, &newer);
    assert_eq!(files_vacuumed(&later(&table, 100 * HOUR_MS)).await, 0);
}

/// Lets something happen when a folder is listed for the nth time.
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

    fn put<'a>(&'a self, at: &'a Path, payload: PutPayload, options: PutOptions) -> BoxFuture<'a, object_store::Result<PutResult>> {
        Box::pin(self.inner.put_opts(at, payload, options))
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

/// A vacuum of a table with one orphan, with a commit between its look at the log (the first listing) and its look at the folder.
async fn vacuum_with_commit_between(commit: &dyn Fn(&Lake) -> Value) -> (Lake, Result<Vacuumed>) {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=2).await;
    store_file(&lake, "late.parquet");
    let happens = Mutex::new(Some((lake.commit_file(3), commit(&lake).to_string())));
    let inner = lake.location().store;
    let meddler = Arc::new(AtListing { inner, listings: AtomicU32::new(0), nth: 2, happens });
    let location = Location { store: Arc::new(Meddled(Arc::clone(&meddler))), ..lake.location() };
    let plain = later(&table, 100 * HOUR_MS);
    let meddled = Table::new(
        Maintained { location, ..table.maintained() },
        &Surroundings { settled_ms: Arc::clone(&plain.settled_ms), now_ms: Arc::clone(&plain.now_ms), ..surroundings(0) },
    );
    let done = vacuum(&meddled, HOUR).await;
    assert!(meddler.happens.lock().unwrap().is_none(), "the commit came");
    (lake, done)
}

#[tokio::test]
async fn a_file_that_is_committed_while_the_folder_is_listed_stays() {
    let add = json!({"add": {"path": "late.parquet", "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": true}});
    let (lake, done) = vacuum_with_commit_between(&|_: &Lake| add.clone()).await;
    assert_eq!(done, Ok(Vacuumed::default()));
    assert!(lake.path("late.parquet").exists());
    // Without the commit it would have gone.
    let (lake, done) = vacuum_with_commit_between(&|_: &Lake| json!({"txn": {"appId": "other", "version": 1}})).await;
    assert_eq!(done, Ok(Vacuumed { files: 1, bytes: 1 }));
    assert!(!lake.path("late.parquet").exists());
}

#[tokio::test]
async fn a_table_that_changes_while_the_folder_is_listed_is_looked_at_again_another_time() {
    let changed = |lake: &Lake| lake.actions(0).into_iter().find(|a| a.get("metaData").is_some()).unwrap();
    let (lake, done) = vacuum_with_commit_between(&changed).await;
    assert!(message(done).contains("was changed or made anew"));
    assert!(lake.path("late.parquet").exists());
}

#[tokio::test]
async fn a_table_that_forgets_its_tombstones_earlier_is_refused_with_what_to_set() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=1).await;
    assert_eq!(
        message(vacuum(&later(&table, 0), 200 * HOUR).await),
        format!(
            "the log of {} remembers for 168 h which files the table had, and vacuumAfter is 200 h; set delta.deletedFileRetentionDuration \
             to `interval 200 hours` at least, or vacuumAfter to 168h at most",
            lake.sink.delta.uri
        )
    );
    lake.edit_creation(|action| {
        if action.get("metaData").is_some() {
            action["metaData"]["configuration"] = json!({"delta.deletedFileRetentionDuration": "interval 200 hours"});
        }
    });
    assert_eq!(vacuum(&later(&lake.open().await, 0), 200 * HOUR).await, Ok(Vacuumed::default()));
}

#[tokio::test]
async fn a_table_whose_files_may_lie_anywhere_is_left_alone() {
    let lake = Lake::new(&[]);
    let table = table_of(&lake, 1..=1).await;
    store_file(&lake, "orphan.parquet");
    let mut clone = foreign_add();
    clone["add"]["path"] = json!("s3a://lake/source/a.parquet");
    lake.foreign(&[clone]);
    assert!(message(vacuum(&later(&table, 100 * HOUR_MS), HOUR).await).ends_with("such tables are not vacuumed"));
    assert!(lake.path("orphan.parquet").exists());
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
    store_file(&lake, "orphan.parquet");
    assert!(message(vacuum(&later(&table, 100 * HOUR_MS), HOUR).await).contains("was made anew: its id is another"));
    assert!(lake.path("orphan.parquet").exists());
}
