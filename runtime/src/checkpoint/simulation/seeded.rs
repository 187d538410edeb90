//! Random schedules: three writers, many epochs, crashes, lost and delayed answers, stalls of any length, collections. A failing one is
//! told by its seed.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::model::{Action, Fate, Violation, World};
use crate::checkpoint::protocol::Rule;

const SCHEDULES: u64 = 20_000;
const WRITERS: usize = 3;
const STEPS_MAX: u32 = 220;

/// What happened, so that a test can see that something did.
#[derive(Debug, Default)]
struct Tally {
    steps: u64,
    epochs: u64,
    fenced: u64,
    leftovers: u64,
    landed: u64,
    crashes: u64,
}

fn schedule(seed: u64, broken: Option<Rule>, tally: &mut Tally) -> Result<(), Violation> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut world = World::new(WRITERS, random.random_range(1..4), broken);
    let fault = random.random_range(0.0..0.25);
    let crash = random.random_range(0.0..0.03);
    let mut asleep = [0_u32; WRITERS];
    for step in 0..random.random_range(40..STEPS_MAX) {
        let i = random.random_range(0..WRITERS);
        if !world.under_way.is_empty() && random.random_bool(0.05) {
            world.apply(if random.random_bool(0.8) { Action::Land } else { Action::Drop })?;
            tally.landed += 1;
        }
        if random.random_bool(0.01) {
            // Long enough for others to start, decide and collect.
            asleep[i] = step + random.random_range(5..120);
        }
        if asleep[i] > step {
            continue;
        }
        let action = choose(&world, i, &mut random, fault, crash);
        tally.crashes += u64::from(matches!(action, Action::Crash(_)));
        tally.steps += 1;
        world.apply(action)?;
        tally.fenced += world.bury();
    }
    tally.leftovers += world.leftovers.len() as u64;
    tally.epochs += world.decided.len() as u64;
    come_to_an_end(world, &mut random)
}

fn choose(world: &World, i: usize, random: &mut SmallRng, fault: f64, crash: f64) -> Action {
    let Some(process) = &world.writers[i] else { return Action::Start(i) };
    if random.random_bool(crash) {
        return Action::Crash(i);
    }
    if process.is_idle() {
        return match random.random_range(0..10) {
            0..2 => Action::Collect(i),
            2..5 if !process.has_uploaded() => Action::Upload(i),
            _ => Action::Decide { writer: i, output: [random.random_bool(0.6), random.random_bool(0.6)], merge: random.random_bool(0.3) },
        };
    }
    let faults = process.faults();
    if !faults.is_empty() && random.random_bool(fault) {
        return Action::Step(i, faults[random.random_range(0..faults.len())]);
    }
    Action::Step(i, Fate::Answered)
}

/// All others die; what is under way lands or doesn't, also in between; one writer recovers, decides once more and collects.
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
            return Err(format!("the last writer, alone and without faults, ended with {stop:?}"));
        }
        let action = if process.is_idle() { todo.pop() } else { Some(Action::Step(0, Fate::Answered)) };
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
    // The schedules must have been hard: every danger was met often.
    assert!(tally.epochs > 10 * SCHEDULES, "{tally:?}");
    for met in [tally.fenced, tally.leftovers, tally.landed, tally.crashes] {
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
