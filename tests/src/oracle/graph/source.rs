//! A source: a topic, the columns of its records, and how they get their event time.

use super::tuple::Tuple;
use crate::oracle::expr::Row;
use crate::oracle::pipeline::{BadRecords, Column, MAX_FUTURE_US, fields};
use crate::oracle::value::Value;
use crate::topic::Stored;

#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub name: String,
    /// What distinguishes the topic from the site's other topics.
    pub topic: String,
    pub columns: Vec<Column>,
    /// Rows of a source without one have no time, and can go through steps without keys only.
    pub event_time: Option<EventTime>,
    /// `Fail` or `Drop`.
    pub bad_records: BadRecords,
}

#[derive(Debug, Clone, PartialEq)]
pub struct EventTime {
    pub of: TimeOf,
    pub delay_us: i64,
    /// The engine's default if absent; so for all below.
    pub idle_after_us: Option<i64>,
    pub max_skew_us: Option<i64>,
    pub close_idle_windows_after_us: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeOf {
    /// The name of a column of type timestamp.
    Column(String),
    /// The record's own timestamp.
    KafkaTimestamp,
    /// The clock when the record is read. Then the delay is 0, and all below is absent.
    ProcessingTime,
}

impl EventTime {
    #[must_use]
    pub fn by_clock() -> Self {
        Self { of: TimeOf::ProcessingTime, ..Self::of_column("", 0) }
    }

    #[must_use]
    pub fn of_column(name: &str, delay_us: i64) -> Self {
        Self {
            of: TimeOf::Column(name.to_owned()),
            delay_us,
            idle_after_us: None,
            max_skew_us: None,
            close_idle_windows_after_us: None,
        }
    }
}

impl Source {
    #[must_use]
    pub fn is_timed_by_clock(&self) -> bool {
        self.event_time.as_ref().is_some_and(|event_time| event_time.of == TimeOf::ProcessingTime)
    }

    /// A record as a row; `None` if it does not fit the columns, has no event time where it needs one, or is too far
    /// ahead of `clock_us`. `now_us` is the time of all rows, if the clock gives it.
    #[must_use]
    pub fn decode(&self, record: &Stored, clock_us: i64, now_us: i64) -> Option<Tuple> {
        let row = fields(&self.columns, record)?;
        let time = match &self.event_time {
            None => None,
            Some(_) if self.is_timed_by_clock() => Some(now_us),
            Some(event_time) => {
                let time = time_of(&event_time.of, record, &row)?;
                (time <= clock_us.saturating_add(MAX_FUTURE_US)).then_some(Some(time))?
            }
        };
        Some(Tuple { time, row, origin: None, window: None })
    }
}

fn time_of(of: &TimeOf, record: &Stored, row: &Row) -> Option<i64> {
    match of {
        TimeOf::KafkaTimestamp => record.timestamp_ms.map(|ms| ms * 1_000),
        TimeOf::ProcessingTime => None,
        TimeOf::Column(name) => match row[name] {
            Value::Time(time) => Some(time),
            _ => None,
        },
    }
}
