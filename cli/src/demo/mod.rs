//! `weir demo`: a whole pipeline in this process. It has its own Kafka (librdkafka's mock cluster), produces rides to
//! it, runs the pipeline of `examples/rides.yaml` into a local Delta table, and prints the rows of the last windows.

mod table;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio::sync::watch;
use weir_crds::Finding;
use weir_plan::plan::KafkaConnection;
use weir_runtime::Failure;
use weir_runtime::engine::{self, Options, Signal, Summary};
use weir_runtime::observe::Reporting;
use weir_runtime::observe::progress::Progress;
use weir_runtime::source::kafka::access::Access;
use weir_runtime::storage::Secrets;

use crate::produce::delivery::Target;
use crate::produce::rides::{EventPace, Rides, RidesSpec};
use crate::produce::send::{Pace, Sent, send};
use crate::produce::{Rate, pace_at};
use crate::say::{err, out};

const PIPELINE: &str = include_str!("../../../examples/rides.yaml");
const TOPIC: &str = "rides";
const PARTITIONS: i32 = 6;
/// Rides of a whole day, so that about three hundred windows close.
const RIDES: u64 = 120_000;
const SPAN: Duration = Duration::from_secs(24 * 60 * 60);
const RIDES_PER_SECOND: u64 = 20_000;
/// The most rides that are sent but not yet read. The mock broker keeps at most 100,000 records or 5 MiB per partition
/// and silently drops the oldest, so this is far below.
const UNREAD_MAX: u64 = 60_000;
/// A demo that takes longer than this has hung.
const DEADLINE: Duration = Duration::from_secs(600);
const WINDOWS_SHOWN: usize = 3;

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The folder for the table and the checkpoint; by default a new temporary folder.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub fn run(args: &DemoArgs) -> ExitCode {
    crate::run::init_logs_at("warn", false);
    match demo(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            err!("error: {failure}");
            ExitCode::from(failure.remedy.exit_code())
        }
    }
}

fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let started_at = crate::produce::now();
    let dir = folder(args.dir.as_deref(), started_at)?;
    let cluster = MockCluster::<DefaultProducerContext>::new(1)
        .map_err(|e| Failure::retry(format!("start a Kafka in the process: {e}")))?;
    cluster.create_topic(TOPIC, PARTITIONS, 1).map_err(|e| Failure::retry(format!("create the topic {TOPIC}: {e}")))?;
    let bootstrap = cluster.bootstrap_servers();
    let plan =
        weir_crds::load(PIPELINE, Some(&overrides(&bootstrap, &dir))).map_err(|findings| refused(&findings, &dir))?;

    occupy(&dir)?;

    out!(
        "Kafka   {bootstrap}, in this process: topic {TOPIC} with {PARTITIONS} partitions, {RIDES} rides of the last \
         24 hours"
    );
    out!("table   {}", dir.join("table").display());
    out!("query   revenue per city and 5 minutes, watermark 10 minutes (examples/rides.yaml)\n");

    let read = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let producer = {
        let (read, over) = (Arc::clone(&read), Arc::clone(&over));
        let access = Access::new(&KafkaConnection::plaintext(bootstrap), &Secrets { dir: None });
        let target = Target { access, topic: TOPIC.into() };
        let pace = move |sent: &Sent| {
            if over.load(Ordering::Relaxed) { Pace::Stop } else { pace(sent, read.load(Ordering::Relaxed)) }
        };
        std::thread::spawn(move || send(&target, Rides::new(spec(started_at)), pace))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::retry(format!("start threads: {e}")))?;
    let ended = runtime.block_on(async {
        let (on_epoch, epochs) = watch::channel(None);
        let (tell, told) = watch::channel(Signal::Run);
        tokio::spawn(show(epochs, read, tell));
        let options = Options {
            secrets: Secrets { dir: None },
            lanes: std::thread::available_parallelism().map_or(1, Into::into),
            workers: std::thread::available_parallelism().map_or(1, Into::into),
            memory_bytes: None,
            give_up_after: Duration::from_secs(30),
            run: None,
            discover_every: Duration::from_secs(30),
            home: weir_runtime::checkpoint::home::Home::default(),
            maintenance_clock: engine::MaintenanceClock::default(),
            garbage_grace: engine::GARBAGE_GRACE,
            discards_results: false,
            reporting: Reporting { on_epoch: Some(on_epoch), ..Reporting::default() },
        };
        tokio::time::timeout(DEADLINE, engine::run(Arc::new(plan), &options, told))
            .await
            .unwrap_or_else(|_| Err(Failure::bug(format!("the demo did not end within {DEADLINE:?}"))))
    });
    over.store(true, Ordering::Relaxed);
    let summary = ended?;
    producer.join().map_err(|_| Failure::bug("the producer panicked"))??;
    let shown = runtime.block_on(table::last_windows(&dir.join("table"), WINDOWS_SHOWN))?;
    finish(&summary, &shown, &dir);
    runtime.shutdown_background();
    Ok(())
}

fn folder(given: Option<&Path>, now: DateTime<Utc>) -> Result<PathBuf, Failure> {
    // The process id makes the folder unique: two demos may start in the same millisecond.
    let own =
        || std::env::temp_dir().join(format!("weir-demo-{}-{}", now.format("%Y%m%d-%H%M%S%.3f"), std::process::id()));
    let dir = given.map_or_else(own, Path::to_owned);
    std::path::absolute(&dir).map_err(|e| failed(&dir, &e))
}

fn failed(dir: &Path, error: &io::Error) -> Failure {
    Failure::config(format!("{}: {error}; give another --dir", dir.display()))
}

/// Takes the folder for this demo. If two demos start in one folder, only one gets it.
fn occupy(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|e| failed(dir, &e))?;
    std::fs::create_dir(dir.join("checkpoint")).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            Failure::config(format!("{} has another demo: write another --dir, or leave it out", dir.display()))
        }
        _ => failed(dir, &e),
    })
}

/// The document is part of the program, but the user chose the folder: if the folder can't be written as a URI, the
/// user has to choose another one.
fn refused(findings: &[Finding], dir: &Path) -> Failure {
    let said = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Failure::config(format!("the demo can't run in {}: {said}; give another --dir", dir.display()))
}

/// The override with which `examples/rides.yaml` runs here.
fn overrides(bootstrap: &str, dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "spec:
  trigger: {{type: Interval, interval: 1s}}
  checkpoint: {{uri: \"file://{dir}/checkpoint\"}}
  storage: null
  connections: [{{name: events, kafka: {{bootstrapServers: \"{bootstrap}\"}}}}]
  sources: [{{name: rides, kafka: {{startFrom: {{position: Earliest}}}}}}]
  sinks: [{{name: silver, delta: {{uri: \"file://{dir}/table\"}}}}]
"
    )
}

fn spec(now: DateTime<Utc>) -> RidesSpec {
    let span_us = u64::try_from(SPAN.as_micros()).unwrap_or(u64::MAX);
    RidesSpec {
        seed: 1,
        count: Some(RIDES),
        start_us: now.timestamp_micros().saturating_sub_unsigned(span_us),
        pace: EventPace::Span { span_us, rides: RIDES },
        disorder_us: 120_000_000,
        late_per_million: 1_000,
    }
}

fn pace(sent: &Sent, read: u64) -> Pace {
    if sent.records.saturating_sub(read) > UNREAD_MAX {
        return Pace::Wait(Duration::from_millis(5));
    }
    pace_at(Rate::PerSecond(RIDES_PER_SECOND), sent.records, sent.elapsed)
}

/// Prints a line per epoch, and ends the run when every ride has been read.
async fn show(mut epochs: watch::Receiver<Option<Progress>>, read: Arc<AtomicU64>, tell: watch::Sender<Signal>) {
    out!("{:>6} {:>9} {:>11} {:>7} {:>6}  watermark", "epoch", "rides", "rides/s", "rows", "late");
    while epochs.changed().await.is_ok() {
        let Some(p) = epochs.borrow_and_update().clone() else { continue };
        let rows: u64 = p.sinks.iter().map(|s| s.num_output_rows).sum();
        let late: u64 = p.state_operators.iter().map(|s| s.num_rows_dropped_by_watermark).sum();
        let watermark = p.event_time.watermark.as_deref().unwrap_or("none yet");
        out!(
            "{:>6} {:>9} {:>11.0} {rows:>7} {late:>6}  {watermark}",
            p.batch_id,
            p.num_input_rows,
            p.input_rows_per_second
        );
        if read.fetch_add(p.num_input_rows, Ordering::Relaxed) + p.num_input_rows >= RIDES {
            let _ = tell.send(Signal::Finish);
        }
    }
}

fn finish(summary: &Summary, shown: &str, dir: &Path) {
    let rows: u64 = summary.rows_written.values().sum();
    out!("\nThe last {WINDOWS_SHOWN} windows that closed:\n{shown}");
    out!(
        "{} rides read, {} late, {rows} rows in {} epochs, each written exactly once.",
        summary.records_read,
        summary.records_late,
        summary.epochs
    );
    out!("The Delta table is in {}", dir.join("table").display());
}
