//! Only `produce`, until the whole command line is wired.

mod produce;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "weir")]
enum Command {
    #[command(subcommand)]
    Produce(Produce),
}

#[derive(clap::Subcommand)]
enum Produce {
    Rides(produce::RidesArgs),
}

fn main() -> ExitCode {
    let Command::Produce(Produce::Rides(args)) = Command::parse();
    match produce::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.remedy.exit_code())
        }
    }
}
