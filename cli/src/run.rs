//! `weir run`: runs a pipeline in this process, exactly as a pod does.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use weir_plan::Plan;
use weir_runtime::Failure;
use weir_runtime::checkpoint::home::Home;
use weir_runtime::clock::{since, steady};
use weir_runtime::engine::{self, MaintenanceClock, Options, Signal, Summary};
use weir_runtime::observe::Reporting;

use crate::document::{self, DocumentArgs};
use crate::flags;
use crate::outfile;
use crate::say::{self, Log, err};
use crate::secrets::SecretsArgs;
use crate::usage;

/// The exit code of a run that was stopped early: by a second signal, or by the first one if the run has a name. It is
/// 128 + SIGINT, as in shells.
const CUT_SHORT: u8 = 130;

const SUMMARY: &str = "--summary";

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    document: DocumentArgs,
    #[command(flatten)]
    secrets: SecretsArgs,
    /// Write a summary to FILE at the end, as one JSON object.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Append one JSON object per epoch to FILE.
    ///
    /// FILE may be a pipe: epochs that its reader does not take are left out.
    #[arg(long, value_name = "FILE")]
    progress: Option<PathBuf>,
    /// Serve /metrics, /progress, /healthz and /readyz on this address, for example 127.0.0.1:9464.
    ///
    /// The document's `http` says whether with TLS and a token.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    http: Option<SocketAddr>,
    /// How many threads read and aggregate; by default the number of cores.
    ///
    /// There are never more such threads than partitions.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    lanes: Option<u16>,
    /// How many threads keep windows, each for some of the keys; by default the number of cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=128))]
    workers: Option<u16>,
    /// How long a sink or the checkpoint store may be unavailable before the run ends with the reason.
    ///
    /// A run of an AvailableNow pipeline waits as long for a partition without a leader.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = flags::seconds)]
    give_up_after: Duration,
    /// How often to look for new partitions, and for new topics of a pattern: 1s to 1h.
    ///
    /// The run looks more often if the document has a short `watermarkDelay`.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_discover_every)]
    discover_every: Duration,
    /// How much memory the process may use, for example 512Mi; by default the container's limit.
    ///
    /// The process ends with the reason and exit code 6 before it would use more.
    #[arg(long, value_name = "SIZE", value_parser = weir_crds::bytes)]
    memory: Option<u64>,
    /// The name of this run of an AvailableNow pipeline; by default the value of the variable WEIR_RUN.
    ///
    /// A run whose name is already done ends at once and does nothing.
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// If the run fails, write the reason to FILE.
    ///
    /// Kubernetes shows this file as the message of a container that has ended.
    #[arg(long, value_name = "FILE")]
    termination_message: Option<PathBuf>,
    /// For tests: a file with the number of seconds by which the clock of compaction and vacuum is ahead.
    #[arg(long, value_name = "FILE", hide = true)]
    maintenance_clock: Option<PathBuf>,
    /// For tests: how long objects of the checkpoint that no manifest names are kept.
    #[arg(long, value_name = "DURATION", hide = true, value_parser = flags::seconds)]
    garbage_grace: Option<Duration>,
    /// For measurements: compute the results and write none of them.
    ///
    /// The checkpoint goes on as if they had been written, so another run does not write them either.
    #[arg(long, hide = true)]
    discard_results: bool,
    /// Write the log as JSON lines.
    ///
    /// The variable WEIR_LOG sets what is logged, for example `debug`.
    #[arg(long)]
    log_json: bool,
}

fn parse_discover_every(text: &str) -> Result<Duration, String> {
    let bounds = Duration::from_secs(1)..=Duration::from_secs(3600);
    flags::seconds(text)
        .and_then(|every| if bounds.contains(&every) { Ok(every) } else { Err("write 1s to 1h".to_owned()) })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write an IP address and a port, such as 127.0.0.1:9464, or 0.0.0.0:9464 for all".to_owned())
}

/// The JSON object that `--summary` writes.
#[derive(Debug, Serialize)]
struct RunSummary<'a> {
    #[serde(flatten)]
    counts: &'a Summary,
    wall_seconds: f64,
    cpu_seconds: f64,
    rss_bytes_max: Option<u64>,
}

pub fn run(args: &RunArgs) -> ExitCode {
    let began = steady();
    init_logs(args.log_json);
    let (plan, notices) = match document::load_with_notices(&args.document) {
        Ok((plan, notices)) => (Arc::new(plan), notices),
        Err(errors) => {
            write_termination_message(args.termination_message.as_deref(), &errors);
            return document::refuse(&args.document, &errors);
        }
    };
    for notice in notices {
        tracing::warn!("{notice}");
    }
    let options = Options {
        secrets: args.secrets.open(),
        lanes: args.lanes.map_or_else(cores, Into::into),
        workers: args.workers.map_or_else(cores, Into::into),
        memory_bytes: args.memory.or_else(weir_runtime::memory::cgroup_limit_bytes),
        give_up_after: args.give_up_after,
        run: args.run.clone().or_else(|| std::env::var("WEIR_RUN").ok()).filter(|run| !run.is_empty()),
        discover_every: args.discover_every,
        home: home(),
        maintenance_clock: MaintenanceClock { ahead: args.maintenance_clock.clone() },
        garbage_grace: args.garbage_grace.unwrap_or(engine::GARBAGE_GRACE),
        discards_results: args.discard_results,
        reporting: Reporting { progress: args.progress.clone(), http: args.http, on_epoch: None },
    };
    let result = args.summary.as_deref().map_or(Ok(()), |path| outfile::check(SUMMARY, path)).and_then(|()| {
        let summary = run_plan(plan, &options)?;
        write_summary(args.summary.as_deref(), &summary, began)?;
        Ok(summary)
    });
    match result {
        Ok(summary) => {
            tracing::info!(
                epochs = summary.epochs,
                last_epoch = summary.last_epoch,
                records = summary.records_read,
                "ended"
            );
            if !summary.cut_short || options.run.is_none() {
                return ExitCode::SUCCESS;
            }
            // A Job, or anyone else who waits for a named run, must not take an early stop for its end.
            let said = "told to stop before everything was read; the next run goes on from the last committed epoch";
            err!("{said}");
            write_termination_message(args.termination_message.as_deref(), said);
            ExitCode::from(CUT_SHORT)
        }
        Err(failure) => {
            err!("error: {failure}");
            write_termination_message(args.termination_message.as_deref(), &failure.to_string());
            ExitCode::from(failure.remedy.exit_code())
        }
    }
}

/// Where this process runs. The operator tells its pods their namespace, and Kubernetes tells every pod where its API
/// server is.
pub fn home() -> Home {
    Home::of(std::env::var("WEIR_NAMESPACE").ok(), std::env::var_os("KUBERNETES_SERVICE_HOST").is_some())
}

/// Runs a plan and handles signals: the first one finishes the current epoch, the second one stops at once.
fn run_plan(plan: Arc<Plan>, options: &Options) -> Result<Summary, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::retry(format!("start threads: {e}")))?;
    let result = runtime.block_on(async {
        let (tell, told) = watch::channel(Signal::Run);
        let listen = |kind| signal(kind).map_err(|e| Failure::retry(format!("listen for signals: {e}")));
        let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        tokio::spawn(async move {
            let mut asked = false;
            loop {
                tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                if asked {
                    err!("stopped at once; the next run goes on from the last committed epoch");
                    say::last_words();
                    std::process::exit(CUT_SHORT.into());
                }
                asked = true;
                err!("finishing the epoch in hand; a second signal stops at once");
                let _ = tell.send(Signal::Finish);
            }
        });
        engine::run(plan, options, told).await
    });
    // Blocking calls to the Kafka client may still run; their results no longer matter.
    runtime.shutdown_background();
    result
}

/// Writes the message for Kubernetes. An error is ignored: the exit code gives the same information in short.
pub fn write_termination_message(path: Option<&Path>, message: &str) {
    if let Some(path) = path {
        let _ = outfile::write("--termination-message", path, message);
    }
}

fn write_summary(path: Option<&Path>, counts: &Summary, began: Instant) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let summary = RunSummary {
        counts,
        wall_seconds: since(began).as_secs_f64(),
        cpu_seconds: usage::cpu_seconds(),
        rss_bytes_max: usage::rss_bytes_max(),
    };
    let json = serde_json::to_string_pretty(&summary).map_err(|e| Failure::bug(format!("summary: {e}")))?;
    outfile::write(SUMMARY, path, &(json + "\n"))
}

pub fn init_logs(json: bool) {
    init_logs_at("warn,weir=info,weir_runtime=info", json);
}

/// Writes logs to stderr. The variable `WEIR_LOG` overrides `default`.
pub fn init_logs_at(default: &str, json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| default.into());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Log::new(json)).with_target(false);
    let logs = logs.with_ansi(std::io::stderr().is_terminal());
    if json { logs.json().init() } else { logs.compact().init() }
}
