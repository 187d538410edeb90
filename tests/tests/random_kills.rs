//! SIGKILL at random moments of a run that never pauses, sometimes after SIGSTOP. `WEIR_KILLS` sets the number of kills
//! (`make soak`: 200).

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{Backlog, RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::{or_skip, table};

const KILLS: u32 = 20;
/// More records than an engine reads before it is killed, in epochs of 25. So it never waits for records, and no kill
/// is wasted on a waiting engine.
const AHEAD: usize = 12_000;
/// One record in this many is poison, so that about every fourth epoch has dead letters.
const POISON_EVERY: usize = 101;
/// Longer than a whole epoch with its commit, so that a kill can hit each phase.
const PAUSE_MS_MAX: u64 = 400;
/// One kill in this many comes after the process was frozen for longer than `idleAfter`.
const FREEZE_EVERY: u32 = 7;
const FROZEN: Duration = Duration::from_millis(1_500);
const SOAK_KILLS: u32 = 200;
/// The steps of an epoch that take time, by the prefixes of their fail points. Some points are microseconds apart;
/// `crash_at_each_step` tests them all.
const STEPS: [&str; 5] = ["epoch.", "data.", "state.", "manifest.", "commit."];
/// Event time from one ride to the next. Each epoch closes windows, so each has files to upload and something to commit
/// to the table.
const STEP_US: i64 = 60_000_000;

#[test]
fn random_kills_lose_and_double_nothing() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let kills = std::env::var("WEIR_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let seed = std::env::var("WEIR_SEED").map_or_else(|_| rand::random(), |s| s.parse().unwrap());
    println!("seed {seed} (WEIR_SEED repeats the moments, not the machine)");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);

    let from = |ride: usize| {
        let rides = Rides { step_us: STEP_US, seed: ride as u64, ..Rides::new(AHEAD) }
            .starting(i64::try_from(ride).unwrap() * STEP_US);
        poisoned(rides.records(), POISON_EVERY)
    };
    let pipeline = Pipeline { idle_after_us: Some(1_000_000), ..Pipeline::rides_with_side_outputs() };
    let mut rig = Rig::new(pipeline, kafka, Store::Local, 6, &[]);
    rig.site.records_per_epoch = 25;
    let mut backlog = Backlog::new(AHEAD, from);
    let mut phases: BTreeMap<String, u32> = BTreeMap::new();
    for kill in 0..kills {
        backlog.fill(&rig);
        rig.workers = Some(rng.random_range(1..5));
        let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
        engine.wait_for_epochs(1, RUN_LIMIT);
        std::thread::sleep(Duration::from_millis(rng.random_range(0..PAUSE_MS_MAX)));
        if kill % FREEZE_EVERY == 0 {
            engine.stop();
            std::thread::sleep(FROZEN);
            engine.cont();
        }
        if kill % 2 == 1 {
            // A commit takes a hundredth of an epoch. So every other kill waits until a step is running, each step in
            // its turn.
            let step = STEPS[(kill / 2) as usize % STEPS.len()];
            let given_up = Instant::now() + RUN_LIMIT;
            while !engine.phase().starts_with(step) && engine.ended().is_none() {
                assert!(Instant::now() < given_up, "kill {kill}: no step `{step}` within {RUN_LIMIT:?}");
            }
        }
        assert!(engine.ended().is_none(), "kill {kill}: the engine ended by itself:\n{}", engine.stderr());
        let exit = engine.kill();
        backlog.was_read(&exit, &rig);
        *phases.entry(exit.phase).or_default() += 1;
    }
    // Reads the rest of the backlog in a few epochs.
    rig.site.records_per_epoch = 20_000;
    rig.finish();
    let outcome = rig.assert_right();
    let phase_list: Vec<_> = phases.iter().map(|(phase, hits)| format!("{hits} {phase}")).collect();
    let (epochs, rows) = (outcome.data_epochs, outcome.rows.len());
    // Written directly to stderr, since the test runner captures the output of a test that passes: every log of CI
    // should say what the kills hit.
    let report = format!(
        "{kills} kills, {epochs} epochs, {rows} rows; last point passed before a kill: {}\n",
        phase_list.join(", ")
    );
    std::io::stderr().write_all(report.as_bytes()).unwrap();
    assert!(outcome.data_epochs >= u64::from(kills), "an epoch between any two kills");
    if kills >= SOAK_KILLS {
        let missed: Vec<_> = STEPS.iter().filter(|step| !phases.keys().any(|p| p.starts_with(**step))).collect();
        assert_eq!(missed, Vec::<&&str>::new(), "steps of an epoch that no kill hit");
    }
}
