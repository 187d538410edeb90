//! Data files while the store is away: requests are repeated by the policy, and then given up with the reason.

use std::sync::atomic::{AtomicU32, Ordering};

use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use weir_testing::faulty::{Faulty, LossyParts};

use super::*;
use crate::Means;

const ALWAYS: u32 = u32::MAX;

#[tokio::test]
async fn a_file_is_written_once_the_store_is_back() {
    let lake = Lake::new(&["city"]);
    let (store, location) = Faulty::before(&lake.location(), []);
    let mut table = DeltaTable::open_or_create(location, &lake.sink, "p", &Means::of_system(QUICK)).await.unwrap();
    store.away.store(5, Ordering::Relaxed);
    assert_eq!(append(&mut table, 1, &[1, 2]).await, Ok(CommitOutcome::Committed { version: 1 }));
    assert_eq!((store.away.load(Ordering::Relaxed), lake.numbers()), (0, vec![1, 2]));
}

#[tokio::test]
async fn a_store_that_stays_away_ends_the_epoch_with_its_reason() {
    let lake = Lake::new(&[]);
    let (store, location) = Faulty::before(&lake.location(), []);
    let table = DeltaTable::open_or_create(location, &lake.sink, "p", &Means::of_system(SOON_GIVEN_UP)).await.unwrap();
    store.away.store(ALWAYS, Ordering::Relaxed);
    let mut writer = table.files().writer("l").unwrap();
    writer.write(&rides(&[(1, None, None)])).await.unwrap();
    let failure = writer.finish().await.unwrap_err();
    assert_eq!(failure.remedy, weir_base::failure::Remedy::Retry);
    assert!(failure.message.ends_with("connection reset; given up after 50ms of trying"), "{failure}");
}

/// A location that takes numbered parts and whose requests fail as `parts` says.
fn in_parts(parts: &Arc<LossyParts>) -> Location {
    Location { store: parts.inner.clone(), parts: Some(parts.clone()), ..Lake::new(&[]).location() }
}

/// Uploads 20 MiB in three chunks. Returns these bytes, and what the store holds afterwards.
async fn upload(location: Location, retry: RetryPolicy) -> (Vec<u8>, Result<Vec<u8>>) {
    let path = Path::from("file.parquet");
    let store = location.store.clone();
    let chunks: Vec<Vec<u8>> =
        (0..3_u8).map(|i| (0..7_000_000_u32).map(|k| k.to_le_bytes()[(k % 3) as usize] ^ i).collect()).collect();
    let mut upload = location.upload(path.clone(), "a data file", retry);
    let sent = async {
        for chunk in &chunks {
            if let Err(failure) = upload.push(chunk.clone()).await {
                upload.abort().await;
                return Err(failure);
            }
        }
        assert_eq!(upload.finish().await?, 21_000_000);
        Ok(store.get(&path).await.unwrap().bytes().await.unwrap().to_vec())
    };
    let sent = sent.await;
    (chunks.concat(), sent)
}

#[tokio::test]
async fn parts_that_failed_are_sent_again_under_their_number() {
    for (begin, part, complete, completed) in [(2, 0, 0, 0), (0, 3, 0, 0), (0, 0, 2, 0), (1, 1, 1, 1)] {
        let [begin, part, complete, completed] = [begin, part, complete, completed].map(AtomicU32::new);
        let parts = Arc::new(LossyParts { begin, part, complete, completed, ..LossyParts::default() });
        let (expected, found) = upload(in_parts(&parts), QUICK).await;
        assert!(found.unwrap() == expected, "{parts:?}");
    }
}

#[tokio::test]
async fn an_upload_that_was_completed_is_done_though_the_answer_was_lost_and_the_upload_is_unknown_now() {
    let parts = Arc::new(LossyParts { completed: AtomicU32::new(1), ..LossyParts::default() });
    let (expected, found) = upload(in_parts(&parts), QUICK).await;
    assert!(found.unwrap() == expected);
}

#[tokio::test]
async fn a_part_that_stays_away_is_given_up_and_the_upload_aborted() {
    let parts = Arc::new(LossyParts { part: AtomicU32::new(ALWAYS), ..LossyParts::default() });
    let failure = upload(in_parts(&parts), SOON_GIVEN_UP).await.1.unwrap_err();
    assert_eq!((failure.remedy, parts.aborted.load(Ordering::Relaxed)), (weir_base::failure::Remedy::Retry, 1));
    assert!(failure.message.contains("given up after 50ms"), "{failure}");
}
