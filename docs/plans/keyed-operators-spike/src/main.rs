//! A spike: the seam `runtime/src/keyed/` over plain rows. `operator.rs` is the trait, `state.rs` the two kinds of state and their files, one
//! file per operator, `engine.rs` the driver that knows none of them, `oracle.rs` the naive answers.
mod dedup;
mod engine;
mod join;
mod operator;
mod oracle;
mod over;
mod process;
mod rng;
mod running;
mod session;
mod state;
mod tumbling;

fn main() {
    let seeds: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(300);
    let first: u64 = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(0);
    engine::run_all(first..first + seeds);
}
