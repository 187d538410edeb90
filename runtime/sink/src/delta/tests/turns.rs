//! When tables get their maintenance, and what it reports.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use super::compaction::{surroundings, table_of};
use super::*;
use crate::upkeep::{Done, Duties, Surroundings, Upkeep};

const MINUTE_MS: i64 = 60_000;

/// Maintenance that goes by a clock of the test, and its reports.
struct Watched {
    clock_ms: Arc<AtomicI64>,
    told: Arc<Mutex<Vec<Done>>>,
    upkeep: Upkeep,
}

impl Watched {
    fn start(table: &DeltaTable) -> Self {
        let clock_ms = Arc::new(AtomicI64::new(chrono::Utc::now().timestamp_millis()));
        let told = Arc::new(Mutex::new(Vec::new()));
        let (clock, steady, tells) = (Arc::clone(&clock_ms), Arc::clone(&clock_ms), Arc::clone(&told));
        let surroundings = Surroundings {
            now_ms: Arc::new(move || clock.load(Ordering::SeqCst)),
            steady_ms: Arc::new(move || steady.load(Ordering::SeqCst)),
            tell: Arc::new(move |sink, done| {
                assert_eq!(sink, "silver");
                tells.lock().unwrap().push(done);
            }),
            ..surroundings(0)
        };
        let duties = Duties { sink: "silver".to_owned(), duties: table.duties(&surroundings) };
        Self { clock_ms, told, upkeep: Upkeep::start(vec![duties], &surroundings) }
    }

    async fn until_told(&self, turns: usize) -> Vec<Done> {
        let since = Instant::now();
        while self.told.lock().unwrap().len() < turns {
            assert!(since.elapsed() < Duration::from_secs(20), "not within 20 s: {turns} turns");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.told.lock().unwrap().clone()
    }
}

fn compacted(files_before: u64) -> Done {
    Done::Compacted {
        commits: u64::from(files_before > 0),
        files_before,
        files_after: u64::from(files_before > 0),
        conflicts: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_turn_comes_at_once_and_the_next_ones_in_their_time_until_it_is_dropped() {
    let mut lake = Lake::new(&[]);
    lake.delta().maintenance.compact_every = Some(Duration::from_secs(60));
    let mut table = table_of(&lake, 1..=3).await;
    let watched = Watched::start(&table);
    assert_eq!(watched.until_told(1).await, [compacted(3)]);
    for epoch in 4..=6 {
        append(&mut table, epoch, &[epoch.cast_signed()]).await.unwrap();
    }
    watched.clock_ms.fetch_add(MINUTE_MS, Ordering::SeqCst);
    let told = watched.until_told(2).await;
    assert!(matches!(told[..], [_, Done::Compacted { commits: 1, .. }]), "{told:?}");
    assert_eq!(lake.live_numbers(), (1..=6).collect::<Vec<_>>());

    let Watched { clock_ms, told, upkeep } = watched;
    drop(upkeep);
    clock_ms.fetch_add(MINUTE_MS, Ordering::SeqCst);
    // The task holds a clone of the clock until it has ended.
    let since = Instant::now();
    while Arc::strong_count(&clock_ms) > 1 {
        assert!(since.elapsed() < Duration::from_secs(20), "not within 20 s: the task has ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(told.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_duty_that_fails_is_told_and_does_not_keep_the_other_from_its_turn() {
    let mut lake = Lake::new(&[]);
    lake.delta().maintenance.compact_every = Some(Duration::from_secs(60));
    // This is longer than the log remembers.
    lake.delta().maintenance.vacuum_after = Some(Duration::from_secs(1_000 * 3600));
    let table = table_of(&lake, 1..=3).await;
    let watched = Watched::start(&table);
    assert_eq!(watched.until_told(2).await, [compacted(3), Done::Failed]);
}
