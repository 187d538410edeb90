//! `weir replay-rejected`: produces the rows of a table of dead letters to their topic again, so that the pipeline can
//! take them in. This module has the flags; `walk` selects rows, `letter` reads a row, `send` produces it to Kafka, and
//! `count` is the output of `--dry-run`. `docs/reference/outputs.md` is the page for users.

mod count;
mod letter;
mod send;
mod walk;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use weir_plan::Plan;
use weir_plan::outputs::{Output, rejected_schema};
use weir_plan::plan::{Input, Sink};
use weir_plan::quote::quoted;
use weir_runtime::Failure;
use weir_runtime::failure::Result;
use weir_runtime::retry::RetryPolicy;
use weir_runtime::sink::reading_back::{Expected, Versions};
use weir_runtime::sink::{self, Environment, Means};
use weir_runtime::source::kafka::access::Access;
use weir_runtime::storage::Standing;

use self::count::Counts;
use self::send::{Destination, Sender};
use self::walk::{Selection, Walk};
use crate::document::{self, DocumentArgs};
use crate::flags;
use crate::run;
use crate::say::{err, out};
use crate::secrets::SecretsArgs;

/// The arguments of `weir replay-rejected`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    document: DocumentArgs,
    #[command(flatten)]
    secrets: SecretsArgs,
    /// The sink whose table is read. Required if several sinks read an output `Rejected`.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Another topic to produce to, which must exist; by default each record's own topic.
    ///
    /// There, a record's key decides its partition, as in Kafka's Java producer.
    #[arg(long)]
    topic: Option<String>,
    /// The first version of the table to read; by default 0.
    ///
    /// An earlier replay printed it behind `next:`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    from_version: Option<i64>,
    /// How many rows of that version to skip.
    ///
    /// A replay that ended within a version printed it behind `next:`.
    #[arg(long, value_name = "N", requires = "from_version", default_value_t = 0)]
    skip: u64,
    /// The last version of the table to read; by default the newest one at the start.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    to_version: Option<i64>,
    /// Replay only dead letters whose reason contains this text.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Replay at most this many dead letters.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Count the dead letters by reason and path, and produce nothing.
    #[arg(long)]
    dry_run: bool,
    /// How long the table's store or Kafka may be unavailable before the command ends with the reason; at least 1s.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_patience)]
    give_up_after: Duration,
    /// Write the log as JSON lines.
    ///
    /// The variable WEIR_LOG sets what is logged, for example `debug`.
    #[arg(long)]
    log_json: bool,
}

pub fn run(args: &ReplayArgs) -> ExitCode {
    run::init_logs(args.log_json);
    let plan = match document::load(&args.document) {
        Ok(plan) => Arc::new(plan),
        Err(errors) => return document::refuse(&args.document, &errors),
    };
    match replay(&plan, args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            err!("error: {failure}");
            ExitCode::from(failure.remedy.exit_code())
        }
    }
}

fn parse_patience(text: &str) -> std::result::Result<Duration, String> {
    let patience = flags::seconds(text)?;
    if patience < Duration::from_secs(1) { Err("write at least 1s".to_owned()) } else { Ok(patience) }
}

fn replay(plan: &Arc<Plan>, args: &ReplayArgs) -> Result<()> {
    let sink = sink_of(plan, args.sink.as_deref())?;
    let patience = args.give_up_after;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::retry(format!("start threads: {e}")))?;
    let uri = sink.place();
    let expected = Expected { rows: "dead letters", schema: rejected_schema() };
    let versions = Versions { from: args.from_version, to: args.to_version };
    let environment = Environment {
        plan: Arc::clone(plan),
        secrets: args.secrets.open(),
        means: Means::of_system(RetryPolicy::giving_up_after(patience)),
        standing: Standing::default(),
    };
    let table = runtime.block_on(sink::read_back(sink, &expected, versions, &environment))?;
    let selection = Selection { reason: args.reason.clone(), skip: args.skip, limit: args.limit };
    let mut walk = Walk::new(table, args.from_version.unwrap_or(0), selection);

    if args.dry_run {
        let mut counts = Counts::default();
        walk.run(runtime.handle(), &mut counts)?;
        crate::say::print(&counts.to_string());
        out!("{uri}: {} dead letters; nothing was produced", walk.taken());
        return Ok(());
    }
    let source = plan.sources_of(sink.input).into_iter().next().map(|source| &plan.sources[source].kafka);
    let source = source.ok_or_else(|| Failure::bug(format!("sink {} has no source", quoted(&sink.name))))?;
    let access = Access::new(&source.connection, &environment.secrets);
    let destination = Destination { access, topic: args.topic.clone(), patience };
    let mut sender = Sender::connect(destination)?;
    let ended = walk.run(runtime.handle(), &mut sender);
    if ended.is_ok() {
        out!("{uri}: {} dead letters replayed to {}", walk.taken(), sender.topics());
    }
    // This is also printed after a failure. Letters behind that position may have arrived already, but none before it
    // is missing.
    if ended.is_ok() || walk.taken() > 0 {
        out!("next: {}", walk.next());
    }
    ended
}

/// The sink whose table is read.
fn sink_of<'a>(plan: &'a Plan, wanted: Option<&str>) -> Result<&'a Sink> {
    // A step's rejected rows are not records, so they can't be replayed.
    let is_of_source = |s: &&Sink| s.output == Output::Rejected && matches!(s.input, Input::Source(_));
    let rejected: Vec<&Sink> = plan.sinks.iter().filter(is_of_source).collect();
    let names = || rejected.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, rejected.as_slice()) {
        (_, []) => Err(Failure::config(
            "spec.sinks: none reads a source's output `Rejected`, so there is no table of dead letters: write \
             `badRecords: {policy: Output}` in the source, and a sink with `from: <source>.Rejected`",
        )),
        (None, [sink]) => Ok(sink),
        (None, _) => Err(Failure::config(format!(
            "spec.sinks: several read the output `Rejected` of a source; choose one with --sink: {}",
            names()
        ))),
        (Some(wanted), sinks) => sinks.iter().find(|s| s.name == wanted).copied().ok_or_else(|| {
            let says = match plan.sinks.iter().any(|s| s.name == wanted) {
                true => "the sink does not read the output `Rejected` of a source",
                false => "there is no such sink",
            };
            Failure::config(format!("--sink {}: {says}: write one of these: {}", quoted(wanted), names()))
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A pipeline with a sink `rows`, and these sinks for the output `Rejected`.
    fn plan(rejected: &[&str]) -> Plan {
        let policy = if rejected.is_empty() { "Drop" } else { "Output" };
        let sinks = rejected.iter().map(|name| {
            format!("  - {{name: {name}, from: rides.Rejected, delta: {{uri: \"file:///lake/{name}\"}}}}\n")
        });
        let text = format!(
            "apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {{name: rides}}
spec:
  checkpoint: {{uri: \"file:///lake/checkpoint\"}}
  connections: [{{name: events, kafka: {{bootstrapServers: \"b:1\"}}}}]
  sources:
  - name: rides
    kafka: {{connection: events, topics: [rides]}}
    format: {{json: {{}}}}
    columns: [{{name: city, type: string}}]
    badRecords: {{policy: {policy}}}
  sinks:
  - {{name: rows, from: rides, delta: {{uri: \"file:///lake/rows\"}}}}
{}",
            sinks.collect::<String>()
        );
        weir_crds::load(&text, None).unwrap()
    }

    fn chosen(rejected: &[&str], wanted: Option<&str>) -> Result<String, String> {
        sink_of(&plan(rejected), wanted).map(|s| s.name.clone()).map_err(|f| f.message)
    }

    #[test]
    fn the_only_sink_of_the_output_is_meant_or_the_one_that_is_named() {
        assert_eq!(chosen(&["bad"], None).unwrap(), "bad");
        assert_eq!(chosen(&["bad", "worse"], Some("worse")).unwrap(), "worse");
    }

    #[test]
    fn a_sink_that_can_not_be_meant_is_refused_with_those_that_can() {
        for (rejected, wanted, says) in [
            (&[][..], None, "spec.sinks: none reads a source's output `Rejected`"),
            (&["bad", "worse"], None, "choose one with --sink: bad, worse"),
            (
                &["bad"],
                Some("rows"),
                "--sink `rows`: the sink does not read the output `Rejected` of a source: write one of these: bad",
            ),
            (&["bad"], Some("bda"), "--sink `bda`: there is no such sink: write one of these: bad"),
        ] {
            let said = chosen(rejected, wanted).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
