//! `weir`: run, validate and try streaming pipelines from the command line.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]
// Use `say` for output: the standard macros end the process, or block it, if nobody reads the output.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod checkpoint;
mod columns;
mod demo;
mod document;
mod exit;
mod explain;
mod flags;
mod outfile;
mod produce;
mod replay_rejected;
mod run;
mod say;
mod secrets;
mod threads;
mod usage;

use std::process::ExitCode;

use clap::error::ContextKind;
use clap::{Parser, Subcommand};

use crate::exit::BAD_INPUT;
use crate::say::{err, out};

/// Run streaming pipelines from Kafka to Delta Lake, exactly once.
///
/// A StreamPipeline document in YAML describes a pipeline. `weir demo` shows one at work and needs no Kafka.
#[derive(Debug, Parser)]
#[command(name = "weir", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the pipeline of a document in this process.
    ///
    /// The first Ctrl-C (SIGINT) or SIGTERM finishes the current epoch, the second one stops at once. The next run
    /// continues from the last committed epoch.
    ///
    /// Exit codes: 0 done, 2 a person must change something, 3 an external system was unavailable for too long, 4 a
    /// record can't be processed, 5 another process runs this pipeline, 6 out of memory, 70 a bug, 130 stopped early by
    /// a signal.
    Run(run::RunArgs),
    /// Check a document and report all of its errors.
    ///
    /// For a valid document, the command prints the columns of each source, step and sink. The exit code is 2 if there
    /// are errors.
    Validate(document::ValidateArgs),
    /// Print a document with every default filled in.
    Explain(document::DocumentArgs),
    /// Print the JSON Schema of documents, for editors.
    Schema,
    /// Manage checkpoints.
    #[command(subcommand)]
    Checkpoint(checkpoint::Checkpoint),
    /// Produce sample records to a Kafka topic.
    #[command(subcommand)]
    Produce(Produce),
    /// Produce rejected records to their topic again, once the document accepts them.
    ///
    /// The command reads a table of dead letters: the table of the sink with `from: <source>.Rejected`. It produces
    /// each record to the Kafka of that source, with the record's own key, value, timestamp and partition. The line
    /// `next:` has the flags with which another call continues. The table does not change.
    ReplayRejected(replay_rejected::ReplayArgs),
    /// Run a demo pipeline, with a Kafka broker in this process.
    ///
    /// The demo produces a day of rides to the broker, runs the pipeline of examples/rides.yaml into a local Delta
    /// table, and prints the rows of the last windows.
    Demo(demo::DemoArgs),
    /// Print the names of the fail points, for tests that crash at each of them.
    #[command(hide = true)]
    FailPoints,
}

#[derive(Debug, Subcommand)]
enum Produce {
    Rides(produce::RidesArgs),
    Nexmark(produce::NexmarkArgs),
}

fn main() -> ExitCode {
    say::tell_panics();
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    say::exit_code(command(cli.command))
}

/// Refuses the arguments as clap does. If a person named a document without `-f`, a tip says so.
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
        Command::Produce(of) => {
            let sent = match of {
                Produce::Rides(args) => produce::rides(&args),
                Produce::Nexmark(args) => produce::nexmark(&args),
            };
            match sent {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => {
                    err!("error: {failure}");
                    ExitCode::from(failure.remedy.exit_code())
                }
            }
        }
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
