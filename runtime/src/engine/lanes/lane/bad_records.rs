//! Handles records that a lane cannot take in: the pipeline stops, the records are dropped, or they leave as dead
//! letters through the source's output `Rejected`, in the epoch that read them.

use std::sync::Arc;

use arrow::array::{BinaryBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use weir_plan::ids::TopicPartition;
use weir_plan::outputs::{REJECTED_RANGE, rejected_schema};
use weir_plan::plan::BadRecordsPolicy;

use crate::checkpoint::manifest::OffsetRange;
use crate::decode::RecordError;
use crate::engine::sinks::task::SinkInput;
use crate::failure::{Failure, Result};
use crate::sink::years::is_in_years;
use crate::source::kafka::Record;

/// Bytes. Dead letters go to their sinks when they are this large, or with the batch that they were in.
const LETTERS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a record is bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The path within the record, if the reason concerns a place in it.
    pub path: Option<String>,
    pub text: String,
}

/// The bad records of an epoch.
#[derive(Debug, Default)]
pub struct BadOfEpoch {
    pub dropped: u64,
    pub rejected: u64,
    /// The coordinates and the reason of the first one.
    pub first: Option<String>,
}

pub struct BadRecords {
    policy: BadRecordsPolicy,
    sinks: Vec<SinkInput>,
    letters: DeadLetters,
    of_epoch: BadOfEpoch,
}

impl BadRecords {
    /// `sinks` are the sinks of the output `Rejected`.
    #[must_use]
    pub fn new(policy: BadRecordsPolicy, sinks: Vec<SinkInput>) -> Self {
        Self { policy, sinks, letters: DeadLetters::new(), of_epoch: BadOfEpoch::default() }
    }

    /// Takes a bad record.
    ///
    /// # Errors
    /// `Data` if the policy is to stop; otherwise the failure of a sink that takes no more rows.
    pub fn take(&mut self, from: &TopicPartition, record: &Record<'_>, reason: &Reason) -> Result<()> {
        if self.policy == BadRecordsPolicy::Fail {
            return Err(Failure::data(format!(
                "the record at {from} offset {} can't be processed: {reason}; correct the producer or the schema, or \
                 let such records pass \
                 with badRecords: {{policy: Output}} or {{policy: Drop}}",
                record.offset
            )));
        }
        self.of_epoch.first.get_or_insert_with(|| format!("{from} offset {}: {reason}", record.offset));
        if self.policy == BadRecordsPolicy::Drop {
            self.of_epoch.dropped += 1;
            return Ok(());
        }
        self.of_epoch.rejected += 1;
        self.letters.push(from, record, reason);
        if self.letters.bytes >= LETTERS_BYTES_MAX { self.hand_on() } else { Ok(()) }
    }

    /// Takes a range of offsets that cannot be read. How many records it has is unknown, but there are at most as many
    /// as offsets, so the offsets are counted. One letter for the whole range leaves through the output `Rejected`.
    ///
    /// # Errors
    /// The errors of [`Self::take`].
    pub fn take_range(&mut self, from: &TopicPartition, range: OffsetRange, reason: &str) -> Result<()> {
        let OffsetRange { start, end } = range;
        if self.policy == BadRecordsPolicy::Fail {
            return Err(Failure::data(format!(
                "{from}: offsets [{start}, {end}) can't be read from Kafka's log, again and again ({reason}); let \
                 another replica lead the \
                 partition, restore its log, or go on without these records with badRecords: {{policy: Output}} or \
                 {{policy: Drop}}"
            )));
        }
        let text = format!("{REJECTED_RANGE}{start}, {end}): {reason}");
        tracing::warn!(partition = %from, start, end, reason, "offsets that can't be read are left out, as \
            badRecords.policy says");
        self.of_epoch.first.get_or_insert_with(|| format!("{from}: {text}"));
        if self.policy == BadRecordsPolicy::Output {
            self.letters.push(from, &Record { offset: start, ..Record::default() }, &Reason { path: None, text });
        }
        Ok(())
    }

    /// Gives the dead letters to their sinks.
    pub fn hand_on(&mut self) -> Result<()> {
        if self.letters.bytes == 0 {
            return Ok(());
        }
        let letters = self.letters.finish()?;
        self.sinks.iter().try_for_each(|sink| sink.send(letters.clone()))
    }

    pub fn end_epoch(&mut self) -> Result<BadOfEpoch> {
        self.hand_on()?;
        self.sinks.iter().try_for_each(SinkInput::end_epoch)?;
        Ok(std::mem::take(&mut self.of_epoch))
    }
}

impl From<RecordError> for Reason {
    fn from(error: RecordError) -> Self {
        Self { path: Some(error.path), text: error.reason }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            Some(path) => write!(f, "at {path}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Rows of the output `Rejected`.
struct DeadLetters {
    schema: SchemaRef,
    topic: StringBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
    timestamp: TimestampMicrosecondBuilder,
    key: BinaryBuilder,
    value: BinaryBuilder,
    reason: StringBuilder,
    path: StringBuilder,
    /// Bytes of the letters; 0 if there are none.
    bytes: usize,
}

impl DeadLetters {
    fn new() -> Self {
        Self {
            schema: rejected_schema(),
            topic: StringBuilder::new(),
            partition: Int32Builder::new(),
            offset: Int64Builder::new(),
            timestamp: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            key: BinaryBuilder::new(),
            value: BinaryBuilder::new(),
            reason: StringBuilder::new(),
            path: StringBuilder::new(),
            bytes: 0,
        }
    }

    fn push(&mut self, from: &TopicPartition, record: &Record<'_>, reason: &Reason) {
        self.topic.append_value(&from.topic);
        self.partition.append_value(from.partition);
        self.offset.append_value(record.offset);
        // Kafka accepts any number as a timestamp from a producer.
        self.timestamp
            .append_option(record.timestamp.map(|t| t.at_ms.saturating_mul(1000)).filter(|us| is_in_years(*us)));
        self.key.append_option(record.key);
        self.value.append_option(record.value);
        self.reason.append_value(&reason.text);
        self.path.append_option(reason.path.as_deref());
        let parts = [record.key, record.value].into_iter().flatten().map(<[u8]>::len).sum::<usize>();
        self.bytes += from.topic.len() + reason.text.len() + parts + 32;
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        self.bytes = 0;
        RecordBatch::try_new(
            Arc::clone(&self.schema),
            vec![
                Arc::new(self.topic.finish()),
                Arc::new(self.partition.finish()),
                Arc::new(self.offset.finish()),
                Arc::new(self.timestamp.finish()),
                Arc::new(self.key.finish()),
                Arc::new(self.value.finish()),
                Arc::new(self.reason.finish()),
                Arc::new(self.path.finish()),
            ],
        )
        .map_err(|e| Failure::bug(format!("dead letters: {e}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};

    use super::*;
    use crate::Remedy;
    use crate::source::kafka::{TimeSetBy, Timestamp};

    fn from() -> TopicPartition {
        TopicPartition { topic: "rides".into(), partition: 3 }
    }

    fn reason() -> Reason {
        Reason { path: Some("$.price".into()), text: "found a string, want a double".into() }
    }

    #[test]
    fn a_dead_letter_is_the_record_with_its_coordinates_and_the_reason() {
        let mut letters = DeadLetters::new();
        let timestamp = Some(Timestamp { at_ms: 1_500, set_by: TimeSetBy::Broker });
        let record = Record { offset: 7, timestamp, value: Some(b"{\xff"), ..Record::default() };
        letters.push(&from(), &record, &reason());
        letters.push(
            &from(),
            &Record { key: Some(b"k"), value: None, timestamp: None, ..record },
            &Reason { path: None, ..reason() },
        );
        let rows = letters.finish().unwrap();
        assert_eq!(rows.schema(), rejected_schema());
        assert_eq!(rows.column(0).as_string::<i32>().value(1), "rides");
        assert_eq!(rows.column(1).as_primitive::<Int32Type>().values(), &[3, 3]);
        assert_eq!(rows.column(2).as_primitive::<Int64Type>().values(), &[7, 7]);
        assert_eq!(
            rows.column(3).as_primitive::<TimestampMicrosecondType>().iter().collect::<Vec<_>>(),
            [Some(1_500_000), None]
        );
        assert_eq!(rows.column(4).as_binary::<i32>().iter().collect::<Vec<_>>(), [None, Some(b"k".as_slice())]);
        assert_eq!(rows.column(5).as_binary::<i32>().iter().collect::<Vec<_>>(), [Some(b"{\xff".as_slice()), None]);
        assert_eq!(rows.column(6).as_string::<i32>().value(0), "found a string, want a double");
        assert_eq!((rows.column(7).as_string::<i32>().value(0), rows.column(7).is_null(1)), ("$.price", true));
        assert_eq!(letters.finish().unwrap().num_rows(), 0);
    }

    #[test]
    fn the_policy_says_whether_the_pipeline_stops() {
        let record = Record { offset: 7, ..Record::default() };
        let failure =
            BadRecords::new(BadRecordsPolicy::Fail, Vec::new()).take(&from(), &record, &reason()).unwrap_err();
        assert_eq!(failure.remedy, Remedy::Data);
        assert!(
            failure.message.starts_with(
                "the record at rides-3 offset 7 can't be processed: at $.price: found a string, want a double; "
            ),
            "{failure}"
        );
        let mut dropping = BadRecords::new(BadRecordsPolicy::Drop, Vec::new());
        dropping.take(&from(), &record, &reason()).unwrap();
        dropping.take(&from(), &Record { offset: 8, ..record }, &reason()).unwrap();
        let of_epoch = dropping.end_epoch().unwrap();
        assert_eq!((of_epoch.dropped, of_epoch.rejected), (2, 0));
        assert_eq!(of_epoch.first.as_deref(), Some("rides-3 offset 7: at $.price: found a string, want a double"));
        assert_eq!(dropping.end_epoch().unwrap().dropped, 0, "of the next epoch");
    }

    #[test]
    fn a_range_that_cannot_be_read_stops_the_pipeline_or_leaves_as_one_letter_that_names_it() {
        let range = OffsetRange { start: 10, end: 25 };
        let taken = |policy| {
            let mut bad = BadRecords::new(policy, Vec::new());
            bad.take_range(&from(), range, "failed CRC32C check").map(|()| bad)
        };
        let failure = taken(BadRecordsPolicy::Fail).err().unwrap();
        assert_eq!(failure.remedy, Remedy::Data);
        assert!(failure.message.starts_with("rides-3: offsets [10, 25) can't be read from Kafka's log"), "{failure}");
        let mut kept = taken(BadRecordsPolicy::Output).unwrap();
        let rows = kept.letters.finish().unwrap();
        assert_eq!((rows.num_rows(), rows.column(2).as_primitive::<Int64Type>().value(0)), (1, 10));
        assert_eq!((rows.column(4).null_count(), rows.column(5).null_count()), (1, 1), "no key, no value");
        assert_eq!(rows.column(6).as_string::<i32>().value(0), "unreadable offsets [10, 25): failed CRC32C check");
        let mut dropped = taken(BadRecordsPolicy::Drop).unwrap();
        assert_eq!(dropped.letters.bytes, 0);
        let of_epoch = dropped.end_epoch().unwrap();
        assert_eq!((of_epoch.dropped, of_epoch.rejected), (0, 0), "records are what was read");
        assert!(of_epoch.first.is_some_and(|first| first.starts_with("rides-3: unreadable offsets [10, 25)")));
    }
}
