//! The hot path without Kafka, in one thread and always with the same input: rides as bytes, through decoder,
//! expressions, windows and encoder. The program measures nothing itself: `bench/instructions` runs it under callgrind,
//! which counts the instructions of each function in `stages`, and divides by the units that this program prints, one
//! stage per line.

mod jobs;
mod rides;
mod stages;

use std::process::ExitCode;

use weir_plan::key_group::KeyRanges;
use weir_runtime::decode;
use weir_runtime::keyed::edge::EdgeSender;

use jobs::{BY_CITY, BY_USER, Job};

/// The number of rides: enough that one-time work (tables that grow, a file's footer) is a small part, and few enough
/// for callgrind, which is fifty times slower.
const RIDES: u64 = 50_000;

fn main() -> ExitCode {
    match run() {
        Ok(stages) => {
            stages.iter().for_each(|(stage, units)| println!("{stage} {units}"));
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all stages, and returns each with the number of records, groups or rows that went through it.
fn run() -> Result<[(&'static str, u64); 7], String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("start a runtime: {e}"))?;
    let records = rides::records(RIDES);

    let by_city = Job::load(BY_CITY)?;
    let mut decoder = decode::of(&by_city.graph.plan.sources[0]);
    let batches = stages::decode(decoder.as_mut(), &records)?;
    let stateless = by_city.stateless();
    let evaluated = stages::evaluate(&stateless, &batches)?;
    let mut lane = EdgeSender::new(by_city.keyed_step()?, 0, KeyRanges::of(1)).map_err(|e| e.to_string())?;
    stages::update(&mut lane, &evaluated)?;
    let in_windows = lane.end_epoch().map_err(|e| e.to_string())?.counts.rows_in;

    let by_user = Job::load(BY_USER)?;
    let evaluated = stages::evaluate_unmeasured(&by_user.stateless(), &batches)?;
    let lanes = stages::update_many_keys(by_user.keyed_step()?, &evaluated)?;
    let groups = lanes.iter().map(|lane| lane.rows() as u64).sum();
    let mut operator = by_user.keyed_step()?.operator().map_err(|e| e.to_string())?;
    stages::merge(lanes, operator.as_mut())?;
    let emitted = stages::emit(operator.as_mut(), &by_user.map_of_results()?)?;

    let files = runtime.block_on(by_user.table_of_rides())?;
    let written = stages::encode(&runtime, &files, &evaluated)?;

    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    if [rows, in_windows, written] != [RIDES; 3] {
        return Err(format!("{RIDES} rides became {rows} rows, {} in windows and {written} in files", in_windows));
    }
    Ok([
        ("decode", rows),
        ("evaluate", rows),
        ("update", rows),
        ("update_many_keys", rows),
        ("merge", groups),
        ("emit", emitted),
        ("encode", written),
    ])
}
