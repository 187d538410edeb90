//! Sinks that exist, that are missing, and that are created while a process starts.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use weir_plan::ids::Epoch;
use weir_plan::plan::{Offsets, StateActionKind};
use weir_testing::lake::{Lake, QUICK, rides};

use super::*;
use crate::Remedy;
use crate::checkpoint::manifest::ActedUpon;
use crate::fixtures;
use crate::sink::Means;
use crate::sink::decided::Decided;
use crate::sink::writing::Slot;
use crate::storage::{Secrets, Standing};

const LINEAGE: &str = "6f1f0d0c9e5b4a6f8f7c0a51d3e2b491";

/// A process whose document has the tables of these lakes, named `silver` and `late`, and a state action with this
/// token.
fn environment([silver, late]: [&Lake; 2], token: &str) -> Environment {
    let late = plan::Sink { name: "late".into(), ..late.sink.clone() };
    let mut plan = fixtures::plan(vec![], vec![], vec![silver.sink.clone(), late]);
    plan.state_action =
        Some(StateAction { token: token.into(), kind: StateActionKind::Discard { offsets: Offsets::Keep } });
    Environment {
        plan: Arc::new(plan),
        secrets: Secrets::default(),
        means: Means::of_system(QUICK),
        standing: Standing::default(),
    }
}

/// Appends an epoch of one row to an existing sink, after a state action with this token.
async fn append(sink: &mut dyn Sink, epoch: u64, token: &str) {
    let mut writer = sink.writers().begin(&Slot::new("l", 1 << 20)).unwrap();
    writer.write(&rides(&[(1, None, None)])).await.unwrap();
    let sealed = sink.seal(vec![writer.finish().await.unwrap()]).await.unwrap().unwrap();
    let (pipeline, lineage, name) = ("test".into(), LINEAGE.into(), sink.pin().sink);
    let (mark, token, provenance) = (7, Some(token.to_owned()), serde_json::Map::new());
    let decided = Decided { pipeline, lineage, sink: name, epoch: Epoch(epoch), mark, token, provenance };
    sink.commit(&decided, &sealed.payload).await.unwrap();
}

/// The name and the place of each sink.
fn named(pinned: &[PinnedSink]) -> Vec<(String, String)> {
    pinned.iter().map(|p| (p.name.clone(), p.place.clone())).collect()
}

#[tokio::test]
async fn nothing_is_made_before_it_is_asked_for_and_what_others_made_meanwhile_is_opened() {
    let (silver, late) = (Lake::new(&[]), Lake::new(&[]));
    let of = environment([&silver, &late], "a");
    let mut opening = Opening::begin(of.clone()).await.unwrap();
    let [of_silver, of_late] =
        [("silver", &silver), ("late", &late)].map(|(name, lake)| (name.to_owned(), lake.sink.place().to_owned()));
    assert_eq!(opening.missing(), [of_silver.clone(), of_late.clone()]);
    assert_eq!((opening.pinned(), silver.versions(), late.versions()), (vec![], 0, 0));

    let mut another = Opening::begin(environment([&silver, &Lake::new(&[])], "a")).await.unwrap();
    another.make_missing().await.unwrap();
    opening.look_again().await.unwrap();
    assert_eq!((opening.missing(), named(&opening.pinned())), (vec![of_late.clone()], vec![of_silver.clone()]));
    assert_eq!(opening.pinned()[0], another.pinned()[0]);
    assert_eq!(late.versions(), 0);

    let never_made = Opening::begin(of.clone()).await.unwrap().into_sinks().err().unwrap();
    assert_eq!(never_made.remedy, Remedy::Bug);
    opening.make_missing().await.unwrap();
    assert_eq!((opening.missing(), named(&opening.pinned())), (vec![], vec![of_silver, of_late]));
    assert_eq!(
        opening.into_sinks().unwrap().iter().map(|sink| sink.pin().sink).collect::<Vec<_>>(),
        ["silver", "late"]
    );
    assert_eq!((silver.versions(), late.versions()), (1, 1));
}

#[tokio::test]
async fn what_a_sink_held_when_it_was_opened_is_remembered_until_it_is_asked_anew() {
    let (silver, late) = (Lake::new(&[]), Lake::new(&[]));
    let of = environment([&silver, &late], "a");
    let mut opening = Opening::begin(of.clone()).await.unwrap();
    opening.make_missing().await.unwrap();
    let mut sinks = opening.into_sinks().unwrap();
    append(&mut *sinks[0], 3, "a").await;

    let remembered = Opening::begin(of).await.unwrap().remembered();
    append(&mut *sinks[0], 4, "a").await;
    let holds = |epoch| SinkHolds { lineage: LINEAGE.into(), epoch: Epoch(epoch), mark: Some(Mark(7)), is_named: true };
    let memory = |n: usize, held| {
        let Pin { sink, place, id, .. } = sinks[n].pin();
        SinkMemory { sink, id, place: format!("the table at {place}"), held }
    };
    assert_eq!(remembered.held(false).await.unwrap(), [memory(0, vec![holds(3)]), memory(1, vec![])]);
    assert_eq!(remembered.held(true).await.unwrap(), [memory(0, vec![holds(4)]), memory(1, vec![])]);
}

#[tokio::test]
async fn a_state_action_excuses_what_sinks_hold_unless_it_was_done_or_a_sink_has_seen_it() {
    let (silver, late) = (Lake::new(&[]), Lake::new(&[]));
    let mut opening = Opening::begin(environment([&silver, &late], "a")).await.unwrap();
    opening.make_missing().await.unwrap();
    append(&mut *opening.into_sinks().unwrap()[1], 3, "seen").await;
    let fixture = include_bytes!("../../../../fixtures/manifest-v1-data.json");
    let mut newest = Manifest::decode(Epoch(43), LINEAGE, fixture).unwrap();
    newest.state_action = Some(ActedUpon { token: "done".into(), restored: None });
    for (token, excuses) in [("new", true), ("done", false), ("seen", false)] {
        let remembered = Opening::begin(environment([&silver, &late], token)).await.unwrap().remembered();
        assert_eq!(remembered.excuses(Some(&newest)), excuses, "{token}");
    }
}
