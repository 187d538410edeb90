//! Properties of any input. Proptest makes the inputs and, where a property fails, finds a smaller input that fails
//! too.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Tries a property, which panics where it does not hold, on this many inputs: the same ones in each run.
pub fn holds<S: Strategy>(cases: u32, inputs: S, property: impl Fn(S::Value)) {
    // A failure is found again by running the test again, so nothing is kept in files.
    let config = Config { cases, rng_seed: RngSeed::Fixed(0), failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&inputs, |input| {
        property(input);
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
}
