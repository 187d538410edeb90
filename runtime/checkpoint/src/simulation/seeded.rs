//! Random schedules: three writers, many epochs, crashes, lost and delayed answers, stalls of any length, collections.
//! In some of them manifests are lost, in others sinks are put back or state actions go back. The report of a failing
//! one names its seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::model::{Action, Fate, SINKS, Violation, World};
use crate::protocol::{Rule, Stop};

const SCHEDULES: u64 = 20_000;
const WRITERS: usize = 3;
const STEPS_MAX: u32 = 220;

/// What happened, so that a test can check that enough did.
#[derive(Debug, Default)]
struct Tally {
    steps: u64,
    epochs: u64,
    fenced: u64,
    leftovers: u64,
    landed: u64,
    crashes: u64,
    losses: u64,
    put_back: u64,
    ruined: u64,
    restored: u64,
}

/// What people do in a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum People {
    Nothing,
    LoseManifests,
    PutBackSinks,
    Restore,
    RestoreAndPutBackSinks,
}

fn schedule(seed: u64, broken: Option<Rule>, tally: &mut Tally) -> Result<(), Violation> {
    use People::{LoseManifests, Nothing, PutBackSinks, Restore, RestoreAndPutBackSinks};
    let mut random = SmallRng::seed_from_u64(seed);
    let mut world = World::new(WRITERS, random.random_range(1..4), broken);
    let fault = random.random_range(0.0..0.25);
    let crash = random.random_range(0.0..0.03);
    let people = [Nothing, Nothing, Nothing, Nothing, LoseManifests, PutBackSinks, Restore, RestoreAndPutBackSinks]
        [random.random_range(0..8)];
    let mut asleep = [0_u32; WRITERS];
    for step in 0..random.random_range(40..STEPS_MAX) {
        let i = random.random_range(0..WRITERS);
        if !world.under_way.is_empty() && random.random_bool(0.05) {
            world.apply(if random.random_bool(0.8) { Action::Land } else { Action::Drop })?;
            tally.landed += 1;
        }
        if random.random_bool(0.01) {
            // This is long enough for others to start, decide and collect.
            asleep[i] = step + random.random_range(5..120);
        }
        if asleep[i] > step {
            continue;
        }
        // If a leftover became the newest manifest, it would belong to nobody's history.
        if people == LoseManifests && world.leftovers.is_empty() && random.random_bool(0.02) {
            world.apply(Action::LoseNewest(random.random_range(1..5)))?;
            tally.losses += 1;
            continue;
        }
        if matches!(people, PutBackSinks | RestoreAndPutBackSinks) && random.random_bool(0.02) {
            world.apply(Action::PutBack { sink: random.random_range(0..SINKS), epochs: random.random_range(1..5) })?;
            tally.put_back += 1;
            continue;
        }
        let action = choose(
            &world,
            i,
            &mut random,
            Chances {
                fault,
                crash,
                restore: if matches!(people, Restore | RestoreAndPutBackSinks) { 0.3 } else { 0.0 },
            },
        );
        tally.crashes += u64::from(matches!(action, Action::Crash(_)));
        tally.steps += 1;
        world.apply(action)?;
        tally.fenced += world.bury();
    }
    tally.leftovers += world.leftovers.len() as u64;
    tally.epochs += world.decided.len() as u64;
    tally.ruined += u64::from(world.ruined);
    tally.restored += u64::from(world.restored);
    come_to_an_end(world, &mut random)
}

struct Chances {
    fault: f64,
    crash: f64,
    restore: f64,
}

fn choose(world: &World, i: usize, random: &mut SmallRng, chances: Chances) -> Action {
    let Some(process) = &world.writers[i] else {
        let restores = random.random_bool(chances.restore);
        return if restores { Action::StartRestoring(i, random.random_range(0..4)) } else { Action::Start(i) };
    };
    if random.random_bool(chances.crash) {
        return Action::Crash(i);
    }
    if process.is_collecting() && random.random_bool(0.8) {
        return Action::Sweep(i);
    }
    if process.is_at_rest() {
        return match random.random_range(0..10) {
            0..2 if !process.is_collecting() => Action::Collect(i),
            2..4 if !process.has_uploaded() => Action::Upload(i),
            4 if !process.has_compacted() => Action::Compact(i),
            _ => Action::Decide {
                writer: i,
                output: [random.random_bool(0.6), random.random_bool(0.6)],
                merge: random.random_bool(0.3),
            },
        };
    }
    let faults = process.faults();
    if !faults.is_empty() && random.random_bool(chances.fault) {
        return Action::Step(i, faults[random.random_range(0..faults.len())]);
    }
    Action::Step(i, Fate::Answered)
}

/// All other writers crash, and each request under way takes effect or does not, also in between. One writer recovers,
/// decides once more and collects.
pub fn come_to_an_end(mut world: World, random: &mut SmallRng) -> Result<(), Violation> {
    for i in 0..world.writers.len() {
        world.apply(Action::Crash(i))?;
    }
    world.apply(Action::Start(0))?;
    let mut todo = vec![Action::Collect(0), Action::Decide { writer: 0, output: [true, true], merge: false }];
    for _ in 0..400 {
        if !world.under_way.is_empty() && random.random_bool(0.2) {
            world.apply(if random.random_bool(0.5) { Action::Land } else { Action::Drop })?;
        }
        let process = world.writers[0].as_ref().ok_or("the last writer is gone")?;
        if let Some(stop) = process.stopped() {
            if (world.ruined && matches!(stop, Stop::Disagrees(_))) || (world.torn && matches!(stop, Stop::Lost(_))) {
                return Ok(());
            }
            return Err(format!("the last writer, alone and without faults, ended with {stop:?}"));
        }
        let action = match (process.is_collecting(), process.is_at_rest()) {
            (true, _) => Some(Action::Sweep(0)),
            (_, true) => todo.pop(),
            (_, false) => Some(Action::Step(0, Fate::Answered)),
        };
        match action {
            Some(action) => world.apply(action)?,
            None => return world.check_complete(),
        }
    }
    Err("the last writer, alone and without faults, never got done".into())
}

fn first_violation(schedules: u64, broken: Option<Rule>, tally: &mut Tally) -> Option<(u64, Violation)> {
    (0..schedules).find_map(|seed| schedule(seed, broken, tally).err().map(|violation| (seed, violation)))
}

#[test]
fn no_schedule_loses_or_doubles_an_epoch() {
    let mut tally = Tally::default();
    let found = first_violation(SCHEDULES, None, &mut tally);
    println!("{tally:?}");
    assert_eq!(found, None);
    // The schedules must have been hard: each danger must have occurred often.
    assert!(tally.epochs > 6 * SCHEDULES, "{tally:?}");
    for met in [
        tally.fenced,
        tally.leftovers,
        tally.landed,
        tally.crashes,
        tally.losses,
        tally.put_back,
        tally.ruined,
        tally.restored,
    ] {
        assert!(met > SCHEDULES / 50, "{tally:?}");
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    for rule in Rule::ALL {
        let found = first_violation(SCHEDULES, Some(rule), &mut Tally::default());
        println!("{rule:?}: {found:?}");
        assert!(found.is_some(), "{rule:?} was broken and nothing was noticed");
    }
}
