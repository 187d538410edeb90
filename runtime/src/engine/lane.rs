//! A lane: one thread that reads some of a source's partitions, decodes, evaluates the stateless steps and keeps partial aggregates of the
//! epoch in hand. Lanes share nothing but two counters; at the end of an epoch each hands over what it has and waits for the next to begin.
//!
//! ```text
//! driver: Begin(watermarks) ─▶ lane reads … ◀─ Close ─▶ LaneReport ─▶ (all lanes) ─▶ Begin(watermarks) …
//! ```

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use weir_plan::plan::{BadRecords, OnLostOffsets};

use super::lost;
use super::open_epoch::OpenEpoch;
use super::sink_task::SinkInput;
use crate::checkpoint::manifest::OffsetRange;
use crate::decode::JsonDecoder;
use crate::failure::{Failure, Result};
use crate::source::kafka::{LaneEvent, LaneInput};
use crate::transform::Stateless;
use crate::window::{LanePartials, Partials};

/// Rows per batch: large enough that the cost per batch vanishes, small enough to stay in the second-level cache.
const BATCH_ROWS: usize = 8192;
/// How long a lane waits for records before it looks at its commands again: a bound on the time it takes to close an epoch.
const POLL: Duration = Duration::from_millis(20);
/// Between two looks of a lane that has nothing to read until the epoch is closed.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// What the driver tells a lane.
#[derive(Debug)]
pub enum Command {
    /// Read on. Rows are late by these watermarks, one per lane aggregate.
    Begin { watermarks_us: Vec<Option<i64>> },
    /// Hand over the epoch in hand.
    Close,
}

/// What a lane hands over at the end of an epoch, or why it stopped.
pub type LaneMessage = Result<LaneReport>;
pub type Reports = mpsc::Sender<LaneMessage>;

#[derive(Debug, Default)]
pub struct LaneReport {
    pub partitions: Vec<PartitionReport>,
    /// Per lane aggregate.
    pub aggregates: Vec<AggregateReport>,
    pub read: u64,
    pub decoded: u64,
    pub dropped: u64,
    pub filtered: u64,
    pub bytes: u64,
    /// Spent on records, the wait for them not counted.
    pub busy: Duration,
}

#[derive(Debug, Default)]
pub struct AggregateReport {
    pub partials: Option<Partials>,
    pub rows_in: u64,
    pub rows_late: u64,
}

#[derive(Debug, Clone)]
pub struct PartitionReport {
    /// Index into the source's partitions.
    pub partition: usize,
    /// The next offset to read.
    pub next: i64,
    /// Gaps below it.
    pub lost: Vec<OffsetRange>,
    pub max_event_time_us: Option<i64>,
    /// Since when the partition's end has been reached without a record after it.
    pub at_end_since: Option<Instant>,
}

/// One partition, as its lane sees it.
struct Partition {
    /// Index into the source's partitions.
    index: usize,
    label: String,
    next: i64,
    /// Gaps in the epoch in hand, of which there is at most one: it ends the reading.
    lost: Vec<OffsetRange>,
    /// Exclusive end of an AvailableNow run.
    bound: Option<i64>,
    max_event_time_us: Option<i64>,
    at_end_since: Option<Instant>,
}

impl Partition {
    fn is_at_bound(&self) -> bool {
        self.bound.is_some_and(|bound| self.next >= bound)
    }

    /// The end of the run that the log does not have any more.
    fn bound_cut_off(&self) -> Option<i64> {
        let at_end = self.at_end_since.is_some_and(|since| since.elapsed() >= lost::CUT_AFTER);
        self.bound.filter(|bound| at_end && self.next < *bound)
    }
}

/// Where a lane starts on one of its partitions.
pub struct Assignment {
    pub index: usize,
    /// For messages: `topic-partition`.
    pub label: String,
    pub start: i64,
    pub bound: Option<i64>,
    /// As lanes before this one saw it.
    pub at_end_since: Option<Instant>,
}

/// Everything a lane is made of.
pub struct LaneParts {
    pub input: LaneInput,
    pub decoder: JsonDecoder,
    pub stateless: Stateless,
    pub partials: Vec<LanePartials>,
    pub sinks: Vec<SinkInput>,
    pub bad_records: BadRecords,
    pub on_lost_offsets: OnLostOffsets,
    /// Each partition has a bound, if there are any partitions.
    pub run_ends: bool,
    pub assignments: Vec<Assignment>,
    pub epoch: Arc<OpenEpoch>,
}

pub struct Lane {
    parts: LaneParts,
    partitions: Vec<Partition>,
    /// From the source's partition index to ours.
    places: Vec<usize>,
    watermarks_us: Vec<Option<i64>>,
    report: LaneReport,
    /// Of each row in the decoder: our partition and its offset.
    origins: Vec<(u32, i64)>,
    batch_bytes: usize,
    /// How much of `report.read` the open epoch knows of.
    counted: u64,
    at_bound: bool,
}

impl Lane {
    pub fn new(mut parts: LaneParts) -> Self {
        let assignments = std::mem::take(&mut parts.assignments);
        let mut places = vec![usize::MAX; assignments.iter().map(|a| a.index + 1).max().unwrap_or(0)];
        let partitions: Vec<_> = assignments
            .into_iter()
            .enumerate()
            .map(|(place, a)| {
                places[a.index] = place;
                Partition {
                    index: a.index,
                    label: a.label,
                    next: a.start,
                    lost: Vec::new(),
                    bound: a.bound,
                    max_event_time_us: None,
                    at_end_since: a.at_end_since,
                }
            })
            .collect();
        Self {
            parts,
            partitions,
            places,
            watermarks_us: Vec::new(),
            report: LaneReport::default(),
            origins: Vec::with_capacity(BATCH_ROWS),
            batch_bytes: 0,
            counted: 0,
            at_bound: false,
        }
    }

    /// Runs until it is told to stop or the driver goes away.
    ///
    /// # Errors
    /// What the lane can't go on from.
    pub fn run(mut self, commands: &Receiver<Command>, reports: &Reports) -> Result<()> {
        while let Some(Command::Begin { watermarks_us }) = self.wait_for_command(commands) {
            self.watermarks_us = watermarks_us;
            loop {
                match commands.try_recv() {
                    Ok(Command::Close) => break,
                    Ok(Command::Begin { .. }) => return Err(Failure::bug("a lane was told to begin an epoch within one")),
                    Err(TryRecvError::Disconnected) => return Ok(()),
                    Err(TryRecvError::Empty) => {}
                }
                if self.parts.epoch.is_stopped() {
                    return Ok(());
                }
                self.note_bound()?;
                if self.at_bound || self.parts.epoch.is_full() {
                    std::thread::sleep(FULL_PAUSE);
                    continue;
                }
                self.read_some()?;
            }
            let report = self.hand_over()?;
            if reports.blocking_send(Ok(report)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn wait_for_command(&self, commands: &Receiver<Command>) -> Option<Command> {
        loop {
            match commands.recv_timeout(POLL) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if self.parts.epoch.is_stopped() => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Reads up to a batch and takes it in.
    fn read_some(&mut self) -> Result<()> {
        let room = self.parts.epoch.reserve(BATCH_ROWS);
        if room == 0 {
            std::thread::sleep(FULL_PAUSE);
            return Ok(());
        }
        let Self { parts, partitions, places, report, origins, batch_bytes, .. } = self;
        let read_before = report.read;
        let (mut failed, mut began) = (None, None);
        parts.input.poll(POLL, room, |event| match event {
            LaneEvent::Record(record) => {
                if failed.is_some() {
                    return;
                }
                began.get_or_insert_with(Instant::now);
                let place = places[record.partition];
                let partition = &mut partitions[place];
                partition.next = record.offset + 1;
                partition.at_end_since = None;
                report.read += 1;
                *batch_bytes += record.value.map_or(0, <[u8]>::len);
                match (parts.decoder.decode(record.value), parts.bad_records) {
                    (Ok(()), _) => origins.push((u32::try_from(place).unwrap_or(u32::MAX), record.offset)),
                    (Err(_), BadRecords::Drop) => report.dropped += 1,
                    (Err(e), BadRecords::Fail) => failed = Some(bad_record(&partition.label, record.offset, &e.to_string())),
                }
            }
            LaneEvent::EndOfPartition { partition, offset } => {
                let partition = &mut partitions[places[partition]];
                // Offsets that a transaction's markers take up are no records: the end may lie behind the last one.
                partition.next = partition.next.max(offset);
                partition.at_end_since.get_or_insert_with(Instant::now);
            }
            LaneEvent::OffsetsLost { partition, wanted, next } => {
                let partition = &mut partitions[places[partition]];
                match lost::gap(&partition.label, partition.next, wanted, next) {
                    Ok(gap) => {
                        let lost = gap.map_or(0, |gap| gap.end - gap.start);
                        tracing::warn!(
                            partition = partition.label,
                            wanted,
                            next,
                            lost,
                            "offsets lost: Kafka no longer had what comes next"
                        );
                        partition.next = next;
                        partition.lost.extend(gap);
                        parts.epoch.close_early();
                    }
                    Err(failure) => failed = Some(failure),
                }
            }
            LaneEvent::TopicGone { partition } => {
                let partition = &mut partitions[places[partition]];
                tracing::warn!(
                    partition = partition.label,
                    next = partition.next,
                    "the topic does not exist any more: what was not read is lost"
                );
                partition.bound = partition.bound.map(|bound| bound.min(partition.next));
                partition.at_end_since.get_or_insert_with(Instant::now);
                parts.epoch.lane_lost_topic();
            }
            LaneEvent::Problem(problem) => tracing::warn!("{problem}"),
        })?;
        parts.epoch.give_back(room as u64 - (report.read - read_before));
        if let Some(failure) = failed {
            return Err(failure);
        }
        self.take_in()?;
        self.report.busy += began.map_or(Duration::ZERO, |began| began.elapsed());
        Ok(())
    }

    /// Evaluates what has been decoded and adds it to partials and sinks.
    fn take_in(&mut self) -> Result<()> {
        self.report.bytes += self.batch_bytes as u64;
        let decoded = self.parts.decoder.finish().map_err(|e| Failure::bug(format!("decoded columns: {e}")))?;
        if decoded.num_rows() > 0 {
            let (good, bad) = self.parts.stateless.evaluate(&decoded, &self.watermarks_us);
            let bad_rows: Vec<usize> = bad.iter().map(|b| b.row).collect();
            if let (Some(first), BadRecords::Fail) = (bad.first(), self.parts.bad_records) {
                let (place, offset) = self.origins[first.row];
                return Err(bad_record(&self.partitions[place as usize].label, offset, &first.reason));
            }
            self.report.dropped += bad.len() as u64;
            // The good parts come in the order of rows, with the bad rows between them.
            let mut row = 0;
            let mut bad_rows = bad_rows.into_iter().peekable();
            for evaluated in good {
                while bad_rows.next_if_eq(&row).is_some() {
                    row += 1;
                }
                self.report.decoded += evaluated.rows as u64;
                self.report.filtered += evaluated.filtered;
                if let Some(times) = &evaluated.event_times {
                    self.observe(row, times.values());
                }
                for (partials, prepared) in self.parts.partials.iter_mut().zip(&evaluated.prepared) {
                    partials.take_in(prepared)?;
                }
                for (sink, rows) in self.parts.sinks.iter().zip(evaluated.sink_rows) {
                    sink.send(rows)?;
                }
                row += evaluated.rows;
            }
        }
        let records = self.report.read - std::mem::replace(&mut self.counted, self.report.read);
        if records > 0 {
            self.parts.epoch.add(records, self.batch_bytes as u64);
        }
        self.origins.clear();
        self.batch_bytes = 0;
        Ok(())
    }

    /// Notes the greatest event time per partition. `first` is the batch's row that `times` begin with.
    fn observe(&mut self, first: usize, times: &[i64]) {
        for ((place, _), time) in self.origins[first..].iter().zip(times) {
            let slot = &mut self.partitions[*place as usize].max_event_time_us;
            if slot.is_none_or(|max| max < *time) {
                *slot = Some(*time);
            }
        }
    }

    fn note_bound(&mut self) -> Result<()> {
        for partition in &mut self.partitions {
            if let Some(bound) = partition.bound_cut_off() {
                partition.bound = Some(lost::end_of_run(&partition.label, partition.next, bound, self.parts.on_lost_offsets)?);
            }
        }
        if self.parts.run_ends && !self.at_bound && self.partitions.iter().all(Partition::is_at_bound) {
            self.at_bound = true;
            self.parts.epoch.lane_is_at_bound();
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<LaneReport> {
        for sink in &self.parts.sinks {
            sink.end_epoch()?;
        }
        let mut report = std::mem::take(&mut self.report);
        self.counted = 0;
        for partition in &mut self.partitions {
            report.partitions.push(PartitionReport {
                partition: partition.index,
                next: partition.next,
                lost: std::mem::take(&mut partition.lost),
                max_event_time_us: partition.max_event_time_us.take(),
                at_end_since: partition.at_end_since,
            });
        }
        for partials in &mut self.parts.partials {
            let (rows_in, rows_late) = (partials.rows_in, partials.rows_late);
            report.aggregates.push(AggregateReport { partials: partials.drain()?, rows_in, rows_late });
        }
        Ok(report)
    }
}

fn bad_record(partition: &str, offset: i64, reason: &str) -> Failure {
    Failure::data(format!(
        "the record at {partition} offset {offset} can't be processed: {reason}; \
         correct the producer or the schema, or drop such records with badRecords: {{policy: Drop}}"
    ))
}
