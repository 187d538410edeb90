//! `weir produce rides`: a simulator of ride events, for experiments and measurements. This module has the flags;
//! `rides` generates the rides, `send` sends them to Kafka, and `delivery` checks that they arrived.

pub mod delivery;
pub mod partition;
pub mod rides;
pub mod send;

use std::time::Duration;

use chrono::{DateTime, Utc};
use weir_runtime::clock::{since, steady, wall_us};
use weir_runtime::failure::Result;

use delivery::Target;
use rides::{EventPace, Rides, RidesSpec};
use send::{Pace, Sent, send};

use crate::flags;
use crate::say::err;

/// Produce simulated rides to a Kafka topic.
///
/// The same seed, start and settings give the same records in the same order and partitions, whatever the speed.
#[derive(Debug, Clone, clap::Args)]
pub struct RidesArgs {
    /// Kafka's bootstrap servers, as host:port with commas between them.
    #[arg(long, value_name = "HOST:PORT,…")]
    pub bootstrap: String,
    /// The topic, which must exist.
    #[arg(long)]
    pub topic: String,
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

const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The shortest wait between rides that are sent by the clock: several rides may be due at once, and the process sleeps
/// in between.
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

/// Runs the command: sends the rides, and prints a line to stderr each second.
///
/// # Errors
/// See [`send()`].
pub fn run(args: &RidesArgs) -> Result<()> {
    let target = Target { bootstrap_servers: args.bootstrap.clone(), topic: args.topic.clone() };
    let mut reported = (Duration::ZERO, 0);
    let first_at = steady();
    let done = send(&target, Rides::new(args.spec(now())), |sent| {
        if sent.elapsed >= reported.0 + REPORT_EVERY {
            report(sent, reported);
            reported = (sent.elapsed, sent.records);
        }
        pace_at(args.rate, sent.records, since(first_at))
    })?;
    report(&done, (Duration::ZERO, 0));
    Ok(())
}

/// The wall clock as a calendar has it.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(wall_us()).unwrap_or_default()
}

/// What to send after `elapsed`, given that `sent` rides were sent. A delay is made up for, and fast rates are sent in
/// bursts.
#[must_use]
pub fn pace_at(rate: Rate, sent: u64, elapsed: Duration) -> Pace {
    let Rate::PerSecond(rate) = rate else { return Pace::Send(u64::MAX) };
    // The first ride is due at once.
    let due = u64::try_from(elapsed.as_micros() * u128::from(rate) / 1_000_000).unwrap_or(u64::MAX).saturating_add(1);
    if due > sent {
        return Pace::Send(due - sent);
    }
    let next_at_us = u128::from(sent) * 1_000_000 / u128::from(rate.max(1));
    let wait_us = next_at_us.saturating_sub(elapsed.as_micros()) + 1;
    Pace::Wait(Duration::from_micros(u64::try_from(wait_us).unwrap_or(u64::MAX)).max(BEAT))
}

fn report(sent: &Sent, (before, records_before): (Duration, u64)) {
    let seconds = sent.elapsed.saturating_sub(before).as_secs_f64().max(1e-3);
    let rate = (sent.records - records_before) as f64 / seconds;
    err!("{} rides sent, {rate:.0}/s, {} not acknowledged yet", sent.records, sent.waiting);
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    match text.parse() {
        _ if text == "max" => Ok(Rate::Max),
        Ok(rate @ 1..) => Ok(Rate::PerSecond(rate)),
        _ => Err("give rides a second as a whole number of at least 1, or `max`".to_owned()),
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
        let flags = format!("rides --bootstrap b:1 --topic t {flags}");
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
        ] {
            let message = parse(flags).unwrap_err();
            assert!(message.contains(right), "{flags}: {message}");
        }
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
