//! `weir checkpoint delete`: removes what a deleted pipeline leaves behind.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use weir_plan::Plan;
use weir_runtime::Failure;
use weir_runtime::checkpoint::removal::{Removed, remove};
use weir_runtime::checkpoint::store::Store;
use weir_runtime::random::Random;
use weir_runtime::retry::RetryPolicy;
use weir_runtime::storage;

use crate::document::{self, DocumentArgs};
use crate::flags;
use crate::run;
use crate::say::{err, out};
use crate::secrets::SecretsArgs;

/// The deadline of each request.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Subcommand)]
pub enum Checkpoint {
    /// Delete the checkpoint of a pipeline that no longer runs. Its tables stay.
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    document: DocumentArgs,
    #[command(flatten)]
    secrets: SecretsArgs,
    /// How long the checkpoint store may be unavailable before the command ends with the reason.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = flags::seconds)]
    give_up_after: Duration,
    /// If the command fails, write the reason to FILE.
    ///
    /// Kubernetes shows this file as the message of a container that has ended.
    #[arg(long, value_name = "FILE")]
    termination_message: Option<PathBuf>,
    /// Write the log as JSON lines.
    ///
    /// The variable WEIR_LOG sets what is logged, for example `debug`.
    #[arg(long)]
    log_json: bool,
}

pub fn run(command: &Checkpoint) -> ExitCode {
    let Checkpoint::Delete(args) = command;
    run::init_logs(args.log_json);
    let plan = match document::load(&args.document) {
        Ok(plan) => plan,
        Err(errors) => {
            run::write_termination_message(args.termination_message.as_deref(), &errors);
            return document::refuse(&args.document, &errors);
        }
    };
    match delete(&plan, args) {
        Ok(Removed { identity: false, .. }) => {
            out!("{}: there is no checkpoint", plan.checkpoint.uri);
            ExitCode::SUCCESS
        }
        Ok(removed) => {
            let Removed { manifests, state_files, foreign, claimed, .. } = removed;
            let rest =
                if foreign == 0 { String::new() } else { format!("; {foreign} objects that are not Weir's stay") };
            let claimed = match claimed {
                Some(epoch) => format!(
                    "; it was claimed first, as epoch {epoch}: a run that has not ended stops at its next epoch"
                ),
                None => String::new(),
            };
            out!(
                "{}: deleted, with {manifests} manifests and {state_files} state files{rest}{claimed}",
                plan.checkpoint.uri
            );
            ExitCode::SUCCESS
        }
        Err(failure) => {
            err!("error: {failure}");
            run::write_termination_message(args.termination_message.as_deref(), &failure.to_string());
            ExitCode::from(failure.remedy.exit_code())
        }
    }
}

fn delete(plan: &Plan, args: &DeleteArgs) -> Result<Removed, Failure> {
    let uri = &plan.checkpoint.uri;
    let location = storage::open(uri, plan.storage_for(uri), &args.secrets.open())?;
    let store = Store::new(location.store, location.path, uri, CALL_DEADLINE).reached_by(location.access);
    let retry = RetryPolicy::giving_up_after(args.give_up_after);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::retry(format!("start threads: {e}")))?;
    runtime.block_on(remove(&store, &plan.pipeline, &run::home(), retry, &Random::of_system()))
}
