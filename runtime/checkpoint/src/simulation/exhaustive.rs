//! Explores every schedule of a small world and visits each state once: two writers, a few epochs, a crash, a fault (a
//! lost answer, a lost or delayed request), collections that keep one manifest, a compaction, a loss of the newest
//! manifests, a sink that is put back, a state action that goes back. It explores a state that two schedules reach only
//! once, and also only once what follows if all writers crash there.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::model::{Action, Fate, SINKS, Violation, World};
use super::seeded::come_to_an_end;
use crate::protocol::Rule;

const WRITERS: usize = 2;

/// How often each event may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    starts: u8,
    crashes: u8,
    faults: u8,
    decisions: u8,
    collections: u8,
    compactions: u8,
    losses: u8,
    put_backs: u8,
    restores: u8,
}

const NOTHING: Budget = Budget {
    starts: 2,
    crashes: 0,
    faults: 0,
    decisions: 2,
    collections: 0,
    compactions: 0,
    losses: 0,
    put_backs: 0,
    restores: 0,
};
const FAULT_AND_CRASH: Budget = Budget { starts: 3, crashes: 1, faults: 1, ..NOTHING };
const FAULT_AND_COLLECTION: Budget = Budget { faults: 1, collections: 1, ..NOTHING };
const CRASH_AND_COLLECTION: Budget = Budget { starts: 3, crashes: 1, collections: 1, ..NOTHING };
/// Has one writer: the second epoch after the compaction began refers to the compaction's file.
const COLLECTION_AND_COMPACTION: Budget = Budget { starts: 1, decisions: 3, collections: 1, compactions: 1, ..NOTHING };
const FAULT_AND_LOSS: Budget = Budget { starts: 3, faults: 1, losses: 1, ..NOTHING };
const FAULT_AND_PUT_BACK: Budget = Budget { starts: 3, faults: 1, put_backs: 1, ..NOTHING };
const COLLECTION_AND_RESTORE: Budget = Budget { starts: 3, collections: 1, restores: 1, ..NOTHING };
const RESTORE_AND_PUT_BACK: Budget = Budget { starts: 3, restores: 1, put_backs: 1, ..NOTHING };
const SMALL_WORLDS: [Budget; 8] = [
    COLLECTION_AND_COMPACTION,
    RESTORE_AND_PUT_BACK,
    FAULT_AND_LOSS,
    FAULT_AND_PUT_BACK,
    FAULT_AND_CRASH,
    COLLECTION_AND_RESTORE,
    FAULT_AND_COLLECTION,
    CRASH_AND_COLLECTION,
];
/// This takes too long for every run; `cargo test -- --ignored` explores it.
const ALL_OF_THEM: Budget = Budget { starts: 3, crashes: 1, faults: 1, collections: 1, ..NOTHING };

fn actions(world: &World, budget: &Budget) -> Vec<(Action, Budget)> {
    let mut possible = vec![];
    let b = *budget;
    for (i, writer) in world.writers.iter().enumerate() {
        let Some(process) = writer else {
            // Writers that never started are alike, so only the first of them may start.
            let is_first = world.writers.iter().position(Option::is_none) == Some(i);
            if b.starts > 0 && is_first {
                possible.push((Action::Start(i), Budget { starts: b.starts - 1, ..b }));
                if b.restores > 0 && !world.manifests.is_empty() {
                    possible.push((
                        Action::StartRestoring(i, 1),
                        Budget { starts: b.starts - 1, restores: b.restores - 1, ..b },
                    ));
                }
            }
            continue;
        };
        if b.crashes > 0 {
            possible.push((Action::Crash(i), Budget { crashes: b.crashes - 1, ..b }));
        }
        if process.is_collecting() {
            possible.push((Action::Sweep(i), b));
        }
        if process.is_at_rest() {
            if b.collections > 0 && !process.is_collecting() {
                possible.push((Action::Collect(i), Budget { collections: b.collections - 1, ..b }));
            }
            if (b.collections > 0 || process.is_collecting()) && b.decisions > 0 && !process.has_uploaded() {
                possible.push((Action::Upload(i), b));
            }
            if b.compactions > 0 && b.decisions > 0 && !process.has_compacted() {
                possible.push((Action::Compact(i), Budget { compactions: b.compactions - 1, ..b }));
            }
            if b.decisions > 0 {
                let output = [!b.decisions.is_multiple_of(2), true];
                let decide = Action::Decide { writer: i, output, merge: b.decisions.is_multiple_of(2) };
                possible.push((decide, Budget { decisions: b.decisions - 1, ..b }));
            }
            continue;
        }
        possible.push((Action::Step(i, Fate::Answered), b));
        if b.faults > 0 {
            possible
                .extend(process.faults().iter().map(|f| (Action::Step(i, *f), Budget { faults: b.faults - 1, ..b })));
        }
    }
    if b.losses > 0 {
        let left = Budget { losses: b.losses - 1, ..b };
        possible.extend(
            (1..=2)
                .filter(|count| world.manifests.len() >= *count)
                .map(|count| (Action::LoseNewest(count as u64), left)),
        );
    }
    if b.put_backs > 0 {
        let (left, sink) = (Budget { put_backs: b.put_backs - 1, ..b }, SINKS - 1);
        let some = (1..=2).filter(|epochs| world.sinks[sink].rows.len() >= *epochs);
        possible.extend(some.map(|epochs| (Action::PutBack { sink, epochs }, left)));
    }
    // A request that never lands just stays under way.
    if !world.under_way.is_empty() {
        possible.push((Action::Land, b));
    }
    possible
}

/// The number of states, or the schedule that leads to a violation.
fn explore(budget: Budget, broken: Option<Rule>) -> Result<usize, (Violation, Vec<Action>)> {
    let mut seen = HashSet::new();
    let mut seen_ruins = HashSet::new();
    let mut open = vec![(World::new(WRITERS, 1, broken), budget, None)];
    // The way to each state, as a linked list in a vector. A schedule is built only for a violation.
    let mut ways: Vec<(Option<usize>, Action)> = vec![];
    while let Some((world, budget, way)) = open.pop() {
        for (action, left) in actions(&world, &budget) {
            let mut next = world.clone();
            ways.push((way, action));
            let here = Some(ways.len() - 1);
            let explain = |violation| (violation, schedule(&ways, here));
            next.apply(action).map_err(explain)?;
            next.bury();
            if !seen.insert(fingerprint(&(&next, &left))) {
                ways.pop();
                continue;
            }
            let ruins = next.ruins();
            if seen_ruins.insert(fingerprint(&ruins)) {
                come_to_an_end(ruins, &mut SmallRng::seed_from_u64(0)).map_err(explain)?;
            }
            open.push((next, left, here));
        }
    }
    Ok(seen.len())
}

fn schedule(ways: &[(Option<usize>, Action)], end: Option<usize>) -> Vec<Action> {
    let mut actions: Vec<_> = std::iter::successors(end, |i| ways[*i].0).map(|i| ways[i].1).collect();
    actions.reverse();
    actions
}

/// A 64-bit hash that stands for a state: among a million states, two share a hash with a probability below 1 in 10
/// million. It mixes as FxHash does (in Firefox and rustc), and spreads the result as SplitMix64 does.
#[derive(Default)]
struct Fingerprint(u64);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut hasher = Fingerprint::default();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Explores, and checks that there was something to explore.
fn check(budget: Budget, states_min: usize) {
    let states = explore(budget, None);
    println!("{budget:?}: {states:?} states");
    assert!(states.as_ref().is_ok_and(|n| *n >= states_min), "{states:?}");
}

#[test]
fn a_crash_and_a_fault_lose_and_double_nothing() {
    check(FAULT_AND_CRASH, 300_000);
}

#[test]
fn a_fault_during_a_collection_loses_and_doubles_nothing() {
    check(FAULT_AND_COLLECTION, 60_000);
}

#[test]
fn a_crash_during_a_collection_loses_and_doubles_nothing() {
    check(CRASH_AND_COLLECTION, 150_000);
}

#[test]
fn a_collection_beside_a_compaction_takes_nothing_that_is_still_to_be_referred_to() {
    check(COLLECTION_AND_COMPACTION, 100);
}

#[test]
fn a_fault_before_or_after_a_loss_of_the_newest_manifests_loses_and_doubles_nothing() {
    check(FAULT_AND_LOSS, 20_000);
}

#[test]
fn a_sink_that_is_put_back_beside_a_fault_is_noticed_and_nobody_else_is_accused() {
    check(FAULT_AND_PUT_BACK, 20_000);
}

#[test]
fn a_sink_that_is_put_back_beside_a_restore_is_noticed() {
    check(RESTORE_AND_PUT_BACK, 1_000);
}

#[test]
fn a_collection_beside_a_restore_takes_nothing_that_is_gone_back_to() {
    check(COLLECTION_AND_RESTORE, 20_000);
}

#[test]
#[ignore = "explores 3.7 million states: half a minute on an idle core"]
fn crash_fault_and_collection_together_lose_and_double_nothing() {
    check(ALL_OF_THEM, 1_000_000);
}

#[test]
fn every_broken_rule_is_noticed_in_a_small_world() {
    // A missing copy matters only if an epoch that was restored is collected two claims later; the seeded schedules
    // reach that.
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::CopyWhatIsRestored) {
        let found = SMALL_WORLDS.into_iter().find_map(|b| explore(b, Some(rule)).err());
        println!("{rule:?}: {found:?}");
        assert!(found.is_some(), "{rule:?} was broken and nothing was noticed");
    }
}
