//! `weir`: run, validate and try streaming pipelines from the command line.

mod checkpoint;
mod demo;
mod document;
mod produce;
mod replay_rejected;
mod run;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Streaming pipelines from Kafka to Delta Lake, exactly once.
#[derive(Debug, Parser)]
#[command(name = "weir", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a StreamPipeline here and now.
    Run(run::RunArgs),
    /// Checks a StreamPipeline and says everything that is wrong with it.
    Validate(document::DocumentArgs),
    /// Prints the JSON Schema of a StreamPipeline, for editors.
    Schema,
    /// Looks after checkpoints.
    #[command(subcommand)]
    Checkpoint(checkpoint::Checkpoint),
    /// Produces sample records to a Kafka topic.
    #[command(subcommand)]
    Produce(Produce),
    /// Produces dead letters to their topic again, once the document takes them in.
    ReplayRejected(replay_rejected::ReplayArgs),
    /// Shows a whole pipeline at work, with a Kafka of its own in this process.
    Demo(demo::DemoArgs),
    /// Prints the names of the fail points, for tests that crash at each of them.
    #[command(hide = true)]
    FailPoints,
}

#[derive(Debug, Subcommand)]
enum Produce {
    Rides(produce::RidesArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Validate(args) => document::validate(&args),
        Command::Schema => document::schema(),
        Command::Checkpoint(command) => checkpoint::run(&command),
        Command::Produce(Produce::Rides(args)) => match produce::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                eprintln!("error: {failure}");
                ExitCode::from(failure.remedy.exit_code())
            }
        },
        Command::ReplayRejected(args) => replay_rejected::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::FailPoints => {
            for name in weir_runtime::failpoint::ALL {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
    }
}
