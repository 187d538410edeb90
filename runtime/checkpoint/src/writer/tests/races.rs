//! Writers that meet, stall and lose answers. Nothing is lost or doubled, and a writer that was overtaken touches
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

#[tokio::test]
async fn a_writer_that_was_overtaken_touches_no_sink() {
    let store = in_memory();
    let tables = Tables::default();
    let mut old = started(&store, "old", &tables).await;
    let mut new = claimed(&store, "new").await;
    let fenced = commit_one(&mut old, &tables).await.unwrap_err();
    assert_eq!(fenced.remedy, Remedy::Fenced, "{fenced}");
    assert_eq!(tables.rows("silver"), []);
    assert_eq!(commit_one(&mut old, &tables).await.unwrap_err(), fenced, "and it stays so");
    new.recover(&tables).await.unwrap();
    commit_one(&mut new, &tables).await.unwrap();
    assert_eq!(tables.rows("silver"), [(100, 110)]);
}

#[tokio::test]
async fn a_sleeper_that_creates_a_collected_number_again_touches_no_sink() {
    let store = in_memory();
    let tables = Tables::default();
    let mut sleeper = started(&store, "sleeper", &tables).await;
    // The next claim takes epoch 2, which the sleeper is about to create, and a collection deletes it.
    let mut next = started(&store, "next", &tables).await;
    commit_one(&mut next, &tables).await.unwrap();
    let report = next.collection(1).run(i64::MAX, Duration::ZERO).await.unwrap();
    assert_eq!(report.manifests_deleted, 2);
    let fenced = commit_one(&mut sleeper, &tables).await.unwrap_err();
    assert_eq!(fenced.remedy, Remedy::Fenced, "{fenced}");
    assert_eq!(tables.rows("silver"), [(100, 110)]);
    assert_eq!(opened(&store, "c").await.unwrap().newest(), Some(next.newest()));
}

#[tokio::test]
async fn a_claim_is_made_anew_upon_a_writer_that_got_in_between() {
    let store = in_memory();
    let tables = Tables::default();
    let slow = opened(&store, "slow").await.unwrap();
    let mut quick = started(&store, "quick", &tables).await;
    commit_one(&mut quick, &tables).await.unwrap();
    let mut seen = vec![];
    let writer = slow
        .claim(&tables, async |newest: Option<&Manifest>, generation| {
            seen.push(newest.map(|m| m.epoch.0));
            carry(newest, generation).await
        })
        .await
        .unwrap();
    assert_eq!(
        (writer.newest().epoch, writer.generation(), writer.newest().in_doubt),
        (Epoch(3), Generation(2), Some(Epoch(2)))
    );
    assert_eq!(writer.lineage(), "lineage-of-quick", "who claimed first, named it");
    assert_eq!(seen, [Some(2)]);
}

#[tokio::test]
async fn lost_answers_and_failing_tables_lose_and_double_nothing() {
    for seed in 0..60 {
        let inner = in_memory();
        let tables = Tables { fails_every: 3 + u32::try_from(seed % 5).unwrap(), ..Tables::default() };
        for run in 0..4_u64 {
            let store = Unreliable::on(inner.clone(), seed * 10 + run, 250);
            let opened = opened(&store, &format!("{seed}-{run}")).await.unwrap();
            let mut writer = opened.claim(&tables, carry).await.unwrap();
            writer.recover(&tables).await.unwrap();
            for _ in 0..5 {
                commit_one(&mut writer, &tables).await.unwrap();
            }
        }
        let expected: Vec<_> = (0..20).map(|i| (100 + i * 10, 110 + i * 10)).collect();
        for sink in ["silver", "late"] {
            assert_eq!(tables.rows(sink), expected, "seed {seed}");
        }
    }
}

#[tokio::test]
async fn writers_that_fight_for_a_checkpoint_lose_and_double_nothing() {
    for seed in 0..30_u64 {
        let inner = in_memory();
        let tables = Arc::new(Tables { fails_every: 7, ..Tables::default() });
        let done = Arc::new(AtomicU64::new(0));
        let fighters = (0..3_u64).map(|i| {
            let store = Unreliable::on(inner.clone(), seed * 100 + i, 150);
            let (tables, done) = (tables.clone(), done.clone());
            async move {
                for life in 0..6 {
                    let ended = fight(&store, &format!("{seed}-{i}-{life}"), &tables, &done).await;
                    assert!(ended.as_ref().is_err_and(|f| f.remedy == Remedy::Fenced) || ended.is_ok(), "{ended:?}");
                    tokio::task::yield_now().await;
                }
            }
        });
        futures::future::join_all(fighters).await;
        let last = started(&inner, "last", &tables).await;
        let taken = end(last.newest());
        let expected: Vec<_> = (100..taken).step_by(10).map(|start| (start, start + 10)).collect();
        assert_eq!(tables.rows("silver"), expected, "seed {seed}");
        assert_eq!(tables.rows("late"), expected, "seed {seed}");
        assert!(done.load(Ordering::SeqCst) > 0, "seed {seed}: nobody ever got through");
    }
}

async fn fight(store: &Arc<dyn ObjectStore>, nonce: &str, tables: &Tables, done: &AtomicU64) -> Result<()> {
    let mut writer = opened(store, nonce).await?.claim(tables, carry).await?;
    writer.recover(tables).await?;
    for _ in 0..8 {
        commit_one(&mut writer, tables).await?;
        done.fetch_add(1, Ordering::SeqCst);
        // The clock is the store's own, so every file is old enough, and the probes of the other fighters are not.
        let now_us = chrono::Utc::now().timestamp_micros();
        match writer.collection(2).run(now_us, Duration::ZERO).await {
            Err(failure) if failure.remedy == Remedy::Retry => {}
            other => other.map(|_| ())?,
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}
