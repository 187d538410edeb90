//! `weir`: run, validate and try streaming pipelines from the command line.

// `say` is the way: these would end the process, or hold it up, where nobody takes what it says.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod checkpoint;
mod columns;
mod demo;
mod document;
mod explain;
mod outfile;
mod produce;
mod replay_rejected;
mod run;
mod say;
mod threads;
mod usage;

use std::process::ExitCode;

use clap::error::ContextKind;
use clap::{Parser, Subcommand};

use crate::document::BAD_INPUT;
use crate::say::{err, out};

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
    Validate(document::ValidateArgs),
    /// Prints a StreamPipeline with every default filled in.
    Explain(document::DocumentArgs),
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
    say::tell_panics();
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    say::exit_code(command(cli.command))
}

/// As clap does, and with what a person often means who names a document without `-f`.
fn refuse(error: &clap::Error) -> ! {
    let unknown = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    if let Some(file) = unknown.filter(|arg| !arg.starts_with('-') && std::path::Path::new(arg).is_file()) {
        let _ = error.print();
        err!("\ntip: a document follows `-f`: write `-f {file}`");
        say::last_words();
        std::process::exit(BAD_INPUT.into());
    }
    error.exit()
}

fn command(command: Command) -> ExitCode {
    let speaks_to_kafka =
        matches!(command, Command::Run(_) | Command::Produce(_) | Command::ReplayRejected(_) | Command::Demo(_));
    if let Some(failure) = speaks_to_kafka.then(threads::check).and_then(Result::err) {
        err!("error: {failure}");
        return ExitCode::from(failure.remedy.exit_code());
    }
    match command {
        Command::Run(args) => run::run(&args),
        Command::Validate(args) => document::validate(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Schema => document::schema(),
        Command::Checkpoint(command) => checkpoint::run(&command),
        Command::Produce(Produce::Rides(args)) => match produce::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                err!("error: {failure}");
                ExitCode::from(failure.remedy.exit_code())
            }
        },
        Command::ReplayRejected(args) => replay_rejected::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::FailPoints => {
            for name in weir_runtime::failpoint::ALL {
                out!("{name}");
            }
            ExitCode::SUCCESS
        }
    }
}
