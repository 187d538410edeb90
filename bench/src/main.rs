//! What the benchmarks need in addition to `weir`: two measurements with which a pipeline's cost is compared (a bare
//! librdkafka consume, and our decoder alone), and a producer of records of any shape. Each prints one JSON object.
//! `bench/run` starts them.

mod consume;
mod keyed;
mod produce;
mod records;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use weir_plan::plan::{JsonFormat, TimestampNumbers};
use weir_plan::types::{Column, DataType};
use weir_runtime::decode::Decoder as _;
use weir_runtime::decode::json::JsonDecoder;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[arg(long, global = true, default_value = "127.0.0.1:9092")]
    bootstrap: String,
    #[arg(long, global = true, default_value = "rides")]
    topic: String,
    /// Number of records to consume or to produce.
    #[arg(long, global = true, default_value_t = 1_000_000)]
    count: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads the topic without looking at the records.
    Consume,
    /// Reads records into memory first, then decodes them into Arrow batches; only the decoding is measured.
    Decode,
    Produce(produce::ProduceArgs),
    Keyed(keyed::KeyedArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Consume => consume(&cli),
        Command::Decode => decode(&cli),
        Command::Produce(ref args) => produce(&cli, args),
        Command::Keyed(ref args) => keyed::keyed(cli.count, args),
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn consume(cli: &Cli) -> Result<String, String> {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut bytes = 0;
    let records = consume::each(&cli.bootstrap, &cli.topic, cli.count, |value| bytes += value.len() as u64)?;
    Ok(figures("consume", records, bytes, began, cpu))
}

fn decode(cli: &Cli) -> Result<String, String> {
    let mut values = Vec::new();
    let mut ends = Vec::new();
    consume::each(&cli.bootstrap, &cli.topic, cli.count, |value| {
        values.extend_from_slice(value);
        ends.push(values.len());
    })?;
    let mut decoder = JsonDecoder::new(&rides(), JsonFormat { timestamp_numbers: TimestampNumbers::Refuse });
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut start = 0;
    for (i, end) in ends.iter().enumerate() {
        decoder.decode(Some(&values[start..*end])).map_err(|e| e.to_string())?;
        start = *end;
        if (i + 1) % 8192 == 0 {
            std::hint::black_box(decoder.finish().map_err(|e| e.to_string())?);
        }
    }
    std::hint::black_box(decoder.finish().map_err(|e| e.to_string())?);
    Ok(figures("decode", ends.len() as u64, values.len() as u64, began, cpu))
}

fn produce(cli: &Cli, args: &produce::ProduceArgs) -> Result<String, String> {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let sent = produce::produce(&cli.bootstrap, &cli.topic, cli.count, args)?;
    Ok(figures("produce", sent.records, sent.bytes, began, cpu))
}

fn figures(what: &str, records: u64, bytes: u64, began: Instant, cpu_before: f64) -> String {
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let per_million = cpu / (records as f64 / 1e6);
    serde_json::json!({
        "what": what, "records": records, "bytes_per_record": bytes / records.max(1), "wall_seconds": wall, "cpu_seconds": cpu,
        "cpu_seconds_per_million": per_million,
    })
    .to_string()
}

fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// The columns of `examples/rides.yaml`.
fn rides() -> Vec<Column> {
    let column = |name: &str, data_type| Column { name: name.to_owned(), data_type, nullable: false };
    vec![
        column("rideId", DataType::Bigint),
        column("userId", DataType::Bigint),
        column("city", DataType::String),
        column("distanceKm", DataType::Double),
        column("price", DataType::Double),
        column("ts", DataType::Timestamp),
    ]
}
