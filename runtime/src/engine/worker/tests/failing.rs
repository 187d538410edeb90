//! A worker that receives a message that cannot be right fails, and the others end with it.

use std::time::Duration;

use super::closing::{epoch, graph, rows_of};
use super::*;

const KEYS: i64 = 1_000;
const EDGE: Edge = Edge { step: 0, input: 0 };

async fn why(crew: &mut Crew) -> String {
    tokio::time::timeout(Duration::from_secs(10), crew.workers.close(&[Some(100)]))
        .await
        .expect("an answer came")
        .err()
        .unwrap()
        .message
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_another_workers_key_groups_is_refused_while_the_others_wait_for_that_worker() {
    let mut crew = Crew::new(&graph(), 3);
    let mut lane = rows_of(&crew, KEYS);
    lane.entries.swap(1, 2);
    let of_other = *lane.entries[1][0].key_groups.values().first().unwrap();
    crew.workers.take_in([(EDGE, lane)].into());
    let (two, three) = (crew.ranges.range(1), crew.ranges.range(2));
    assert!(three.contains(&of_other));
    let why = why(&mut crew).await;
    let says = |range: std::ops::Range<u16>| format!("the worker of the key groups {range:?} got an entry of ");
    assert!(why.starts_with(&says(two)) || why.starts_with(&says(three)), "{why}");

    let Crew { workers, outputs, kept, .. } = crew;
    drop((workers, outputs));
    let ended = async {
        while kept.iter().any(|kept| kept.is_written_to()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("all workers have let go of their sinks");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_another_epoch_is_refused() {
    let mut crew = Crew::new(&graph(), 2);
    let lane = rows_of(&crew, KEYS);
    epoch(&mut crew, lane, 100).await;
    let mut lane = rows_of(&crew, KEYS);
    let entries = lane.entries.remove(1);
    crew.workers.tell(1, Message::Edge { epoch: Epoch(1), edge: EDGE, entries });
    assert_eq!(why(&mut crew).await, "worker 1 was told of epoch 1 in epoch 2");
}
