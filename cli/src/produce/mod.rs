//! `weir produce`: simulators of events, for experiments and measurements. This module has the flags; `rides` and
//! `nexmark` generate the records, `send` sends them to Kafka, and `delivery` checks that they arrived.

pub mod delivery;
pub mod nexmark;
pub mod partition;
pub mod rides;
pub mod send;

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use weir_plan::Plan;
use weir_plan::plan::{KafkaConnection, Source};
use weir_plan::quote::quoted;
use weir_plan::topics::Topics;
use weir_runtime::clock::{since, steady, wall_us};
use weir_runtime::failure::{Failure, Result};
use weir_runtime::source::kafka::access::Access;

use delivery::Target;
use nexmark::NexmarkSpec;
use rides::{EventPace, Rides, RidesSpec};
use send::{Pace, Record, Sent, send};

use crate::document::{self, DocumentArgs};
use crate::flags;
use crate::say::err;
use crate::secrets::SecretsArgs;

/// Produce simulated rides to a Kafka topic.
///
/// The same seed, start and settings give the same records in the same order and partitions, whatever the speed.
#[derive(Debug, clap::Args)]
#[command(override_usage = "weir produce rides [OPTIONS] --bootstrap <HOST:PORT,…> --topic <TOPIC>
       weir produce rides [OPTIONS] --file <FILE>")]
pub struct RidesArgs {
    #[command(flatten)]
    pub to: ToArgs,
    /// Rides per second, or `max`.
    #[arg(long, default_value = "10", value_parser = parse_rate)]
    pub rate: Rate,
    /// How many rides to send; by default there is no limit.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// The seed of the random numbers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The most by which event times are out of order, for example 2m.
    #[arg(long, default_value = "0s", value_parser = flags::duration, value_name = "DURATION")]
    pub disorder: Duration,
    /// The share of late rides, from 0 to 1.
    ///
    /// The event time of a late ride is 15 to 60 minutes earlier than the disorder allows.
    #[arg(long, default_value = "0", value_parser = parse_share, value_name = "SHARE")]
    pub late: Share,
    /// The event time of the first ride, for example 2024-01-01T00:00:00Z; by default now.
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    pub start: Option<DateTime<Utc>>,
    /// The event time that all rides together cover, for example 24h.
    ///
    /// Without it, event time advances with the rate, and with `--rate max` by one second per ten rides.
    #[arg(long, value_parser = flags::duration, value_name = "DURATION", requires = "count")]
    pub span: Option<Duration>,
}

/// Produce the events of the benchmark Nexmark to a Kafka topic: persons, auctions, and bids on them.
///
/// The events are those of the crate nexmark, with the settings of Nexmark for Apache Flink: of 50 events, one is a
/// person, three are auctions and 46 are bids. They go to the partitions in turn. The same start and settings give the
/// same records in the same order and partitions, whatever the speed.
#[derive(Debug, clap::Args)]
#[command(override_usage = "weir produce nexmark [OPTIONS] --bootstrap <HOST:PORT,…> --topic <TOPIC>
       weir produce nexmark [OPTIONS] --file <FILE>")]
pub struct NexmarkArgs {
    #[command(flatten)]
    pub to: ToArgs,
    /// Events per second, or `max`.
    #[arg(long, default_value = "10", value_parser = parse_rate)]
    pub rate: Rate,
    /// How many events to send; by default there is no limit.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// The event time of the first event, for example 2024-01-01T00:00:00Z; by default now.
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    pub start: Option<DateTime<Utc>>,
    /// How many events a second of event time has; by default the rate, and 10000 with `--rate max`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub event_rate: Option<u32>,
    /// How many events in a row are out of order among each other; by default all are in order.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub out_of_order: u32,
}

/// Where records go.
#[derive(Debug, clap::Args)]
pub struct ToArgs {
    /// Kafka's bootstrap servers, as host:port with commas between them, without TLS and user.
    #[arg(long, value_name = "HOST:PORT,…", required_unless_present = "file", conflicts_with = "file")]
    pub bootstrap: Option<String>,
    /// The StreamPipeline document whose source's Kafka gets the records, by the source's connection; `-` for standard
    /// input.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Another document to merge over FILE, for example with the settings of this machine.
    #[arg(long = "override", value_name = "FILE", requires = "file")]
    pub overrides: Option<PathBuf>,
    #[command(flatten)]
    pub secrets: SecretsArgs,
    /// The source of the document. Required if it has several.
    #[arg(long, value_name = "NAME", requires = "file")]
    pub source: Option<String>,
    /// The topic, which must exist; by default the only topic of the document's source.
    #[arg(long, required_unless_present = "file")]
    pub topic: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    PerSecond(u64),
    Max,
}

/// A share in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(pub u32);

/// The rides per second of event time if no flag sets it.
const EVENTS_PER_SECOND: u64 = 10;

/// Nexmark's events per second of event time if no flag sets them: its generator's own default.
const NEXMARK_EVENTS_PER_SECOND: u32 = 10_000;

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The shortest wait between records that are sent by the clock: several of them may be due at once, and the process
/// sleeps in between.
const BEAT: Duration = Duration::from_millis(10);

impl RidesArgs {
    /// The rides that the flags ask for. `now` is the default for the start.
    #[must_use]
    pub fn spec(&self, now: DateTime<Utc>) -> RidesSpec {
        let pace = match (self.span, self.count, self.rate) {
            (Some(span), Some(rides), _) => EventPace::Span { span_us: micros(span), rides },
            (_, _, Rate::PerSecond(rides)) => EventPace::PerSecond(rides),
            (_, _, Rate::Max) => EventPace::PerSecond(EVENTS_PER_SECOND),
        };
        RidesSpec {
            seed: self.seed,
            count: self.count,
            start_us: self.start.unwrap_or(now).timestamp_micros(),
            pace,
            disorder_us: micros(self.disorder),
            late_per_million: self.late.0,
        }
    }
}

impl NexmarkArgs {
    /// The events that the flags ask for. `now` is the default for the start.
    #[must_use]
    pub fn spec(&self, now: DateTime<Utc>) -> NexmarkSpec {
        let per_second = match (self.event_rate, self.rate) {
            (Some(events), _) => events,
            (None, Rate::PerSecond(events)) => u32::try_from(events).unwrap_or(u32::MAX),
            (None, Rate::Max) => NEXMARK_EVENTS_PER_SECOND,
        };
        NexmarkSpec {
            count: self.count,
            start_ms: u64::try_from(self.start.unwrap_or(now).timestamp_millis()).unwrap_or(0),
            per_second,
            out_of_order: self.out_of_order,
        }
    }
}

/// Sends rides, and prints a line to stderr each second.
///
/// # Errors
/// See [`send()`].
pub fn rides(args: &RidesArgs) -> Result<()> {
    run(&args.to, args.rate, "rides", Rides::new(args.spec(now())))
}

/// Sends the events of Nexmark, and prints a line to stderr each second.
///
/// # Errors
/// See [`send()`].
pub fn nexmark(args: &NexmarkArgs) -> Result<()> {
    run(&args.to, args.rate, "events", nexmark::events(args.spec(now())))
}

fn run<R: Record>(to: &ToArgs, rate: Rate, what: &str, records: impl Iterator<Item = R>) -> Result<()> {
    let target = target(to)?;
    let mut reported = (Duration::ZERO, 0);
    let first_at = steady();
    let done = send(&target, records, |sent| {
        if sent.elapsed >= reported.0 + REPORT_EVERY {
            report(what, sent, reported);
            reported = (sent.elapsed, sent.records);
        }
        pace_at(rate, sent.records, since(first_at))
    })?;
    report(what, &done, (Duration::ZERO, 0));
    Ok(())
}

/// Where the records go.
fn target(args: &ToArgs) -> Result<Target> {
    let secrets = args.secrets.open();
    let (connection, topic) = match (&args.file, &args.bootstrap) {
        (Some(file), _) => {
            let document = DocumentArgs { file: file.clone(), overrides: args.overrides.clone() };
            let plan = document::load(&document).map_err(Failure::config)?;
            let kafka = &source_of(&plan, args.source.as_deref())?.kafka;
            let topic = args.topic.clone().map_or_else(|| only_topic(&kafka.topics), Ok)?;
            (kafka.connection.clone(), topic)
        }
        // Clap asks for both without a document.
        (None, bootstrap) => {
            (KafkaConnection::plaintext(bootstrap.clone().unwrap_or_default()), args.topic.clone().unwrap_or_default())
        }
    };
    Ok(Target { access: Access::new(&connection, &secrets), topic })
}

fn source_of<'a>(plan: &'a Plan, wanted: Option<&str>) -> Result<&'a Source> {
    let names = || plan.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, plan.sources.as_slice()) {
        (None, [source]) => Ok(source),
        (None, _) => Err(Failure::config(format!("spec.sources: choose one with --source: {}", names()))),
        (Some(wanted), sources) => sources.iter().find(|source| source.name == wanted).ok_or_else(|| {
            let says = "there is no such source: write one of these";
            Failure::config(format!("--source {}: {says}: {}", quoted(wanted), names()))
        }),
    }
}

fn only_topic(topics: &Topics) -> Result<String> {
    let names: Vec<&String> = match topics {
        Topics::Named(names) => names.iter().collect(),
        Topics::Assigned(partitions) => partitions.keys().collect(),
        Topics::Matching(_) => Vec::new(),
    };
    match names.as_slice() {
        [name] => Ok((*name).clone()),
        [] => Err(Failure::config("the source reads topics by a pattern: choose one with --topic")),
        _ => Err(Failure::config("the source reads several topics: choose one with --topic")),
    }
}

/// The wall clock as a calendar has it.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(wall_us()).unwrap_or_default()
}

/// What to send after `elapsed`, given that `sent` records were sent. A delay is made up for, and fast rates are sent
/// in bursts.
#[must_use]
pub fn pace_at(rate: Rate, sent: u64, elapsed: Duration) -> Pace {
    let Rate::PerSecond(rate) = rate else { return Pace::Send(u64::MAX) };
    // The first record is due at once.
    let due = u64::try_from(elapsed.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(u64::MAX).saturating_add(1);
    if due > sent {
        return Pace::Send(due - sent);
    }
    let next_at_us = u128::from(sent) * 1_000_000 / u128::from(rate.max(1));
    let wait_us = next_at_us.saturating_sub(elapsed.as_micros()) + 1;
    Pace::Wait(Duration::from_micros(u64::try_from(wait_us).unwrap_or(u64::MAX)).max(BEAT))
}

fn report(what: &str, sent: &Sent, (before, records_before): (Duration, u64)) {
    let seconds = sent.elapsed.saturating_sub(before).as_secs_f64().max(1e-3);
    let rate = (sent.records - records_before) as f64 / seconds;
    err!("{} {what} sent, {rate:.0}/s, {} not acknowledged yet", sent.records, sent.waiting);
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    match text.parse() {
        _ if text == "max" => Ok(Rate::Max),
        Ok(rate @ 1..) => Ok(Rate::PerSecond(rate)),
        _ => Err("give records a second as a whole number of at least 1, or `max`".to_owned()),
    }
}

fn parse_share(text: &str) -> Result<Share, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(Share((share * 1e6).round() as u32)),
        _ => Err("give a share from 0 to 1, such as 0.001".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|t| t.to_utc());
    parsed.map_err(|_| "give a time with its zone, such as 2024-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        rides: RidesArgs,
    }

    fn parse(flags: &str) -> Result<RidesArgs, String> {
        whole(&format!("--bootstrap b:1 --topic t {flags}"))
    }

    fn whole(flags: &str) -> Result<RidesArgs, String> {
        let flags = format!("rides {flags}");
        Command::try_parse_from(flags.split_whitespace()).map(|c| c.rides).map_err(|e| e.to_string())
    }

    fn spec(flags: &str) -> RidesSpec {
        parse(flags).unwrap().spec(DateTime::from_timestamp_micros(9).unwrap())
    }

    #[test]
    fn flags_become_the_rides_they_mean() {
        let default = spec("");
        let pace = EventPace::PerSecond(10);
        assert_eq!(default, RidesSpec { seed: 1, count: None, start_us: 9, pace, disorder_us: 0, late_per_million: 0 });
        let bench = spec(
            "--rate max --count 100 --span 24h --seed 5 --disorder 2m --late 0.001 --start 1970-01-01T01:00:00+01:00",
        );
        let pace = EventPace::Span { span_us: 86_400_000_000, rides: 100 };
        assert_eq!(
            bench,
            RidesSpec {
                seed: 5,
                count: Some(100),
                start_us: 0,
                pace,
                disorder_us: 120_000_000,
                late_per_million: 1_000
            }
        );
        assert_eq!(spec("--rate max").pace, EventPace::PerSecond(10));
        assert_eq!(spec("--rate 500").pace, EventPace::PerSecond(500));
    }

    #[test]
    fn wrong_flags_are_refused_with_what_would_be_right() {
        for (flags, right) in [
            ("--rate fast", "whole number of at least 1, or `max`"),
            ("--rate 0", "whole number of at least 1, or `max`"),
            ("--count 0", "not in 1.."),
            ("--disorder 2", "such as 500ms, 90s, 2m or 1h30m"),
            ("--disorder 2d", "such as 500ms, 90s, 2m or 1h30m"),
            ("--late 1.5", "a share from 0 to 1"),
            ("--late NaN", "a share from 0 to 1"),
            ("--start 2024-01-01", "a time with its zone"),
            ("--span 1h", "--count"),
            ("-f doc.yaml", "cannot be used with"),
        ] {
            let message = parse(flags).unwrap_err();
            assert!(message.contains(right), "{flags}: {message}");
        }
        let message = whole("--topic t").unwrap_err();
        assert!(message.contains("--bootstrap"), "{message}");
        let message = whole("--bootstrap b:1").unwrap_err();
        assert!(message.contains("--topic"), "{message}");
        assert!(whole("-f doc.yaml").is_ok());
    }

    fn plan(topics: &[&str]) -> Plan {
        let sources: String = (topics.iter().enumerate())
            .map(|(i, topics)| {
                format!(
                    "
  - name: s{i}
    kafka: {{connection: events, {topics}}}
    format: {{json: {{}}}}
    columns: [{{name: id, type: bigint}}]"
                )
            })
            .collect();
        let text = format!(
            "
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {{name: rides}}
spec:
  trigger: {{type: AsSoonAsPossible}}
  checkpoint: {{uri: file:///checkpoint}}
  connections: [{{name: events, kafka: {{bootstrapServers: \"b:1\"}}}}]
  sources:{sources}
  sinks:
  - {{name: rows, from: s0, delta: {{uri: \"file:///lake/rows\"}}}}
"
        );
        weir_crds::load(&text, None).unwrap()
    }

    #[test]
    fn the_only_source_and_its_only_topic_are_meant_or_those_that_are_named() {
        let one = plan(&["topics: [rides]"]);
        assert_eq!(only_topic(&source_of(&one, None).unwrap().kafka.topics).unwrap(), "rides");
        let assigned = plan(&["assign: [{topic: rides, partitions: [1]}]"]);
        assert_eq!(only_topic(&source_of(&assigned, Some("s0")).unwrap().kafka.topics).unwrap(), "rides");
        for (topics, wanted, says) in [
            ("topics: [rides]", Some("s1"), "--source `s1`: there is no such source: write one of these: s0"),
            ("topics: [rides, more]", None, "the source reads several topics: choose one with --topic"),
            ("topicPattern: rides-.*", None, "the source reads topics by a pattern: choose one with --topic"),
        ] {
            let plan = plan(&[topics]);
            let said = source_of(&plan, wanted).and_then(|source| only_topic(&source.kafka.topics)).unwrap_err();
            assert_eq!(said.message, says);
        }
        let two = [&one.sources[0], &assigned.sources[0]].map(Clone::clone).to_vec();
        let said = source_of(&Plan { sources: two, ..one }, None).unwrap_err();
        assert_eq!(said.message, "spec.sources: choose one with --source: s0, s0");
    }

    #[test]
    fn rate_is_kept_and_caught_up_with() {
        let rate = Rate::PerSecond(10);
        assert_eq!(pace_at(rate, 0, Duration::ZERO), Pace::Send(1));
        assert_eq!(pace_at(rate, 1, Duration::from_millis(40)), Pace::Wait(Duration::from_micros(60_001)));
        assert_eq!(pace_at(rate, 1, Duration::from_secs(2)), Pace::Send(20));
        assert_eq!(pace_at(Rate::PerSecond(8_000), 80, Duration::from_millis(9)), Pace::Wait(BEAT));
        assert_eq!(pace_at(Rate::PerSecond(8_000), 80, Duration::from_millis(19)), Pace::Send(73));
        assert_eq!(pace_at(Rate::Max, 1, Duration::ZERO), Pace::Send(u64::MAX));
        assert_eq!(pace_at(Rate::PerSecond(u64::MAX), 1, Duration::from_secs(1)), Pace::Send(u64::MAX - 1));
    }
}
