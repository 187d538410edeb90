//! Every schedule of a small world, each state once: two writers, a few epochs, a crash, a fault (an answer lost, a request lost or
//! delayed), collections that keep one manifest. A state that two schedules reach is explored once; so is what follows when all crash
//! there.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::model::{Action, Fate, Violation, World};
use super::seeded::come_to_an_end;
use crate::checkpoint::protocol::Rule;

const WRITERS: usize = 2;

/// How often each thing may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Budget {
    starts: u8,
    crashes: u8,
    faults: u8,
    decisions: u8,
    collections: u8,
}

const FAULT_AND_CRASH: Budget = Budget { starts: 3, crashes: 1, faults: 1, decisions: 2, collections: 0 };
const FAULT_AND_COLLECTION: Budget = Budget { starts: 2, crashes: 0, faults: 1, decisions: 2, collections: 1 };
const CRASH_AND_COLLECTION: Budget = Budget { starts: 3, crashes: 1, faults: 0, decisions: 2, collections: 1 };
/// Too much for every run; `cargo test -- --ignored` explores it.
const ALL_OF_THEM: Budget = Budget { starts: 3, crashes: 1, faults: 1, decisions: 2, collections: 1 };

fn actions(world: &World, budget: &Budget) -> Vec<(Action, Budget)> {
    let mut possible = vec![];
    let b = *budget;
    for (i, writer) in world.writers.iter().enumerate() {
        let Some(process) = writer else {
            // Writers that never started are alike: the first of them goes first.
            let is_first = world.writers.iter().position(Option::is_none) == Some(i);
            if b.starts > 0 && is_first {
                possible.push((Action::Start(i), Budget { starts: b.starts - 1, ..b }));
            }
            continue;
        };
        if b.crashes > 0 {
            possible.push((Action::Crash(i), Budget { crashes: b.crashes - 1, ..b }));
        }
        if process.is_idle() {
            if b.collections > 0 {
                possible.push((Action::Collect(i), Budget { collections: b.collections - 1, ..b }));
                if b.decisions > 0 && !process.has_uploaded() {
                    possible.push((Action::Upload(i), b));
                }
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
            possible.extend(process.faults().iter().map(|f| (Action::Step(i, *f), Budget { faults: b.faults - 1, ..b })));
        }
    }
    // What never lands just stays under way.
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
    // The way to each state, as a linked list in a vector: a schedule is wanted only if it is a bad one.
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

/// A hash of 64 bits stands for a state: among a million, two are taken for one with a probability below 1 in 10 million. FxHash's
/// mixing, as in Firefox and rustc, with a finish that spreads it (SplitMix64's).
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

/// Explores, and sees that there was something to explore.
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
#[ignore = "explores 3.7 million states: half a minute on an idle core"]
fn crash_fault_and_collection_together_lose_and_double_nothing() {
    check(ALL_OF_THEM, 1_000_000);
}

#[test]
fn every_broken_rule_is_noticed_in_a_small_world() {
    for rule in Rule::ALL {
        let found = [FAULT_AND_CRASH, FAULT_AND_COLLECTION, CRASH_AND_COLLECTION].into_iter().find_map(|b| explore(b, Some(rule)).err());
        println!("{rule:?}: {found:?}");
        assert!(found.is_some(), "{rule:?} was broken and nothing was noticed");
    }
}
