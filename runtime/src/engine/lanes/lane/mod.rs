//! A lane: one thread that reads some of a source's partitions, decodes the records, evaluates the steps without keys,
//! and keeps what keyed steps are to get from the open epoch. Lanes share only the counters of the open epoch and,
//! where skew is bounded, how far partitions have come. At the end of an epoch each lane hands over what it has and
//! waits for the next epoch to begin.
//!
//! ```text
//! driver: Begin(watermarks) ─▶ lane reads … ◀─ Close ─▶ LaneReport ─▶ (all lanes) ─▶ Begin(watermarks) …
//! ```

mod bad_records;
mod messages;
mod metadata;
mod origins;
mod partition;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::record_batch::RecordBatch;
use weir_plan::plan::OnLostOffsets;

use super::lost;
use super::open_epoch::OpenEpoch;
use super::skew::SkewOfSource;
use super::stateless::{Evaluated, Stateless, Times, Why};
use crate::checkpoint::manifest::OffsetRange;
use crate::decode::Decoder;
use crate::decode::schemas::Schemas;
use crate::engine::clock;
use crate::engine::sinks::task::SinkInput;
use crate::failure::{Failure, Result};
use crate::keyed::edge::EdgeSender;
use crate::source::kafka::{LaneEvent, LaneInput, Record, Taken};
pub use bad_records::BadRecords;
use bad_records::Reason;
pub use messages::{AwaitedSchema, Before, Command, LaneMessage, LaneReport, PartitionReport, Reports};
pub use metadata::Metadata;
use origins::Origins;
pub use partition::Assignment;
use partition::Partition;
use schemas::Read;

use crate::clock::{since, steady};

/// Rows per batch: large enough that the cost per batch does not matter, small enough to stay in the second-level
/// cache.
const BATCH_ROWS: usize = 8192;
/// How long a lane waits for records before it looks at its commands again. This bounds the time it takes to close an
/// epoch.
const POLL: Duration = Duration::from_millis(20);
/// How long a lane waits for a leader to say where its log ends.
const ASK_WITHIN: Duration = Duration::from_millis(800);
/// The pause between two looks of a lane that has nothing to read until the epoch is closed.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// Everything a lane is made of.
pub struct LaneParts {
    /// Index into the plan's sources.
    pub source: usize,
    pub input: LaneInput,
    pub decoder: Box<dyn Decoder>,
    /// The schemas that the decoder may ask for.
    pub schemas: Option<Arc<Schemas>>,
    pub metadata: Metadata,
    pub stateless: Stateless,
    /// One per edge to a keyed step.
    pub edges: Vec<EdgeSender>,
    pub sinks: Vec<SinkInput>,
    pub bad_records: BadRecords,
    /// Whether a record without a value is skipped rather than bad.
    pub skips_tombstones: bool,
    /// Whether records are copied, so that a row which turns out to be bad later becomes a whole dead letter.
    pub keeps_records: bool,
    /// µs. A row that is further ahead of the epoch's clock is bad. `None` if no row can be ahead.
    pub max_future_us: Option<i64>,
    /// Whether the event time of a row is Kafka's timestamp.
    pub is_timed_by_kafka: bool,
    /// Whether the time of a row is the clock's.
    pub is_timed_by_clock: bool,
    pub on_lost_offsets: OnLostOffsets,
    /// Whether the run has an end. Each partition then has a bound.
    pub run_ends: bool,
    pub assignments: Vec<Assignment>,
    /// How far all partitions have come with which the source's are compared, if skew is bounded.
    pub skew: Option<SkewOfSource>,
    pub epoch: Arc<OpenEpoch>,
}

pub struct Lane {
    parts: LaneParts,
    partitions: Vec<Partition>,
    /// Maps the source's partition index to ours.
    places: Vec<usize>,
    before: Before,
    report: LaneReport,
    /// The origin of each row in the decoder.
    origins: Origins,
    /// Rows that were too far ahead of the clock when they were read. The epoch's limits bound them.
    ahead: Vec<Ahead>,
    batch_bytes: usize,
    /// How many records of `report.read` the open epoch has counted already.
    counted: u64,
    /// The bytes that our edges hold, as last told to the open epoch.
    held_bytes: u64,
    at_bound: bool,
}

/// Copied rows of one batch, with their origins.
struct Ahead {
    rows: RecordBatch,
    origins: Origins,
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
                Partition::new(a)
            })
            .collect();
        Self {
            origins: Origins::new(parts.keeps_records),
            parts,
            partitions,
            places,
            before: Before::default(),
            report: LaneReport::default(),
            ahead: Vec::new(),
            batch_bytes: 0,
            counted: 0,
            held_bytes: 0,
            at_bound: false,
        }
    }

    /// Runs until it is told to stop or the driver goes away.
    ///
    /// # Errors
    /// A failure after which the lane cannot continue.
    pub fn run(mut self, commands: &Receiver<Command>, reports: &Reports) -> Result<()> {
        while let Some(Command::Begin(before)) = self.wait_for_command(commands) {
            self.before = before;
            let clock_us = loop {
                match commands.try_recv() {
                    Ok(Command::Close { clock_us }) => break clock_us,
                    Ok(Command::Begin(_)) => {
                        return Err(Failure::bug("a lane was told to begin an epoch within one"));
                    }
                    Err(TryRecvError::Disconnected) => return Ok(()),
                    Err(TryRecvError::Empty) => {}
                }
                if self.parts.epoch.is_stopped() {
                    return Ok(());
                }
                self.note_bound()?;
                self.hold_back_those_ahead()?;
                schemas::go_on(&mut self.partitions, &mut self.parts.input)?;
                if self.at_bound || self.parts.epoch.is_full() {
                    std::thread::sleep(FULL_PAUSE);
                    continue;
                }
                self.read_some()?;
            };
            let report = self.hand_over(clock_us)?;
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

    /// Reads up to a batch of records and takes them in.
    fn read_some(&mut self) -> Result<()> {
        let room = self.parts.epoch.reserve(BATCH_ROWS);
        if room == 0 {
            std::thread::sleep(FULL_PAUSE);
            return Ok(());
        }
        let Self { parts, partitions, places, report, origins, batch_bytes, .. } = self;
        let read_before = report.read;
        let (mut failed, mut began) = (None, None);
        let take = |event: LaneEvent<'_>| {
            match event {
                LaneEvent::Record(record) => {
                    if failed.is_some() {
                        return Taken::Yes;
                    }
                    began.get_or_insert_with(steady);
                    let place = places[record.partition];
                    let partition = &mut partitions[place];
                    // A record follows, so this is not the partition's end, whether or not the record can be taken yet.
                    partition.at_end_since = None;
                    let record = Record { partition: place, ..record };
                    if record.value.is_none() && parts.skips_tombstones {
                        report.tombstones += 1;
                    } else {
                        let read = match parts.metadata.check(&record) {
                            Err(reason) => Ok(Read::Bad(reason)),
                            Ok(()) => {
                                schemas::decode(parts.decoder.as_mut(), parts.schemas.as_deref(), partition, &record)
                            }
                        };
                        match read {
                            Ok(Read::Row) => {
                                origins.push(&record);
                                parts.metadata.push(&partition.id, &record);
                            }
                            Ok(Read::Bad(reason)) => {
                                failed = parts.bad_records.take(&partition.id, &record, &reason).err()
                            }
                            Ok(Read::NotYet) => return Taken::NotYet,
                            Err(failure) => failed = Some(failure),
                        }
                        *batch_bytes += record.value.map_or(0, <[u8]>::len);
                    }
                    partition.next = record.offset + 1;
                    partition.newest = record.timestamp;
                    report.read += 1;
                }
                LaneEvent::EndOfPartition { partition, offset } => {
                    let partition = &mut partitions[places[partition]];
                    // Markers of transactions take up offsets but are not records, so the end may be beyond the last
                    // record.
                    partition.next = partition.next.max(offset);
                    partition.at_end_since.get_or_insert_with(steady);
                }
                LaneEvent::OffsetsLost { partition, wanted, next } => {
                    let lost = partitions[places[partition]].lose(wanted, next);
                    failed = failed.take().or(lost.err());
                    parts.epoch.close_early();
                }
                LaneEvent::Unreadable { partition, from, next, reason } => {
                    let partition = &mut partitions[places[partition]];
                    // The offsets from `from` up to the partition's next one are known to hold no record.
                    let range = OffsetRange { start: from.max(partition.next), end: next };
                    let passed_over = parts.bad_records.take_range(&partition.id, range, reason);
                    failed = failed.take().or(passed_over.err());
                    partition.pass_over(range);
                    parts.epoch.close_early();
                }
                LaneEvent::TopicGone { partition } => {
                    partitions[places[partition]].give_up(steady());
                    parts.epoch.lane_lost_topic();
                }
                LaneEvent::Problem(problem) => tracing::warn!("{problem}"),
            }
            Taken::Yes
        };
        parts.input.poll(POLL, room, take)?;
        parts.epoch.give_back(room as u64 - (report.read - read_before));
        if let Some(failure) = failed {
            return Err(failure);
        }
        self.take_in()?;
        self.report.busy += began.map_or(Duration::ZERO, since);
        Ok(())
    }

    /// Takes in the rows that have been decoded.
    fn take_in(&mut self) -> Result<()> {
        self.report.bytes += self.batch_bytes as u64;
        let decoded = self.parts.decoder.finish().map_err(|e| Failure::bug(format!("decoded columns: {e}")))?;
        let decoded = self.parts.metadata.join(decoded)?;
        let mut origins = std::mem::take(&mut self.origins);
        if decoded.num_rows() > 0 {
            let ahead = self.evaluate(&decoded, &origins, self.parts.epoch.clock_us())?;
            if !ahead.is_empty() {
                let rows: UInt32Array = ahead.iter().map(|(row, _)| u32::try_from(*row).ok()).collect();
                let rows = take_record_batch(&decoded, &rows)
                    .map_err(|e| Failure::bug(format!("rows ahead of the clock: {e}")))?;
                self.ahead.push(Ahead { rows, origins: origins.select(ahead.iter().map(|(row, _)| *row)) });
            }
        }
        origins.clear();
        self.origins = origins;
        self.parts.bad_records.hand_on()?;
        let records = self.report.read - std::mem::replace(&mut self.counted, self.report.read);
        if records > 0 {
            self.parts.epoch.add(records, self.batch_bytes as u64);
        }
        self.batch_bytes = 0;
        self.tell_held();
        Ok(())
    }

    fn tell_held(&mut self) {
        let now = self.parts.edges.iter().map(|edge| edge.bytes() as u64).sum();
        self.parts.epoch.hold(std::mem::replace(&mut self.held_bytes, now), now);
    }

    /// Evaluates rows and adds them to edges and sinks. Returns the rows whose event time is too far ahead of the
    /// clock, with that time (µs).
    fn evaluate(&mut self, decoded: &RecordBatch, origins: &Origins, clock_us: i64) -> Result<Vec<(usize, i64)>> {
        let latest_us = self.parts.max_future_us.map(|future| clock_us.saturating_add(future));
        let now_us = self.time_by_clock().unwrap_or(clock_us);
        let (mut ahead, mut failed) = (Vec::new(), None);
        let Self { parts, partitions, report, before, .. } = self;
        let LaneParts { stateless, edges, sinks, bad_records, is_timed_by_clock, .. } = parts;
        let times = Times { before_us: &before.edges_us, latest_us, now_us };
        stateless.evaluate(decoded, times, &mut |row, part| {
            if failed.is_some() {
                return;
            }
            let taken = match part {
                Ok(evaluated) => {
                    report.decoded += evaluated.rows as u64;
                    report.filtered += evaluated.filtered;
                    // The clock says nothing of how far a partition has come.
                    if let Some(times) = evaluated.event_times.as_ref().filter(|_| !*is_timed_by_clock) {
                        origins.places(row).zip(times.values()).for_each(|(place, us)| partitions[place].observe(*us));
                    }
                    hand_on(evaluated, edges, sinks)
                }
                Err(Why::Ahead { time_us }) => {
                    ahead.push((row, time_us));
                    Ok(())
                }
                Err(Why::Unfit(text)) => {
                    let from = &partitions[origins.place(row)].id;
                    bad_records.take(from, &origins.record(row), &Reason { path: None, text })
                }
            };
            failed = taken.err();
        });
        failed.map_or(Ok(ahead), Err)
    }

    /// The time (µs) of the open epoch's rows, if the source takes it from the clock. It is the same for all of them.
    fn time_by_clock(&mut self) -> Option<i64> {
        if self.parts.is_timed_by_clock {
            let clock_us = self.parts.epoch.rows_clock_us();
            self.report.processing_time_us = Some(clock_us).max(self.before.source_us);
        }
        self.report.processing_time_us
    }

    fn refuse(&mut self, origins: &Origins, row: usize, reason: &Reason) -> Result<()> {
        let from = &self.partitions[origins.place(row)].id;
        self.parts.bad_records.take(from, &origins.record(row), reason)
    }

    /// Judges the rows that were ahead of the clock by the epoch's own reading of the clock. This reading decides, and
    /// not the moment at which a lane came to a record.
    ///
    /// # Errors
    /// `Retry`, if the newest record of the partition was stamped as far ahead. Then the clock is wrong, and no row is
    /// bad.
    fn judge_ahead(&mut self, clock_us: i64) -> Result<()> {
        for Ahead { rows, origins } in std::mem::take(&mut self.ahead) {
            for (row, time_us) in self.evaluate(&rows, &origins, clock_us)? {
                let max_future_us = self.parts.max_future_us.unwrap_or_default();
                let Partition { id, newest, .. } = &self.partitions[origins.place(row)];
                let is_event_time = self.parts.is_timed_by_kafka;
                let is_doubtful = |newest: &_| clock::is_doubtful(*newest, is_event_time, clock_us, max_future_us);
                if let Some(newest) = newest.filter(is_doubtful) {
                    return Err(clock::doubtful(id, time_us, newest, clock_us, max_future_us));
                }
                self.refuse(&origins, row, &Reason { path: None, text: clock::too_far_ahead(time_us, max_future_us) })?;
            }
        }
        Ok(())
    }

    /// Pauses partitions that are too far ahead of the slowest one, and resumes them when they no longer are.
    fn hold_back_those_ahead(&mut self) -> Result<()> {
        self.tell_where_we_are();
        let Some(skew) = &self.parts.skew else { return Ok(()) };
        for partition in &mut self.partitions {
            let must_wait = skew.must_wait(partition.index, partition.waits);
            // A partition at its bound has stopped for good, and one that waits for a schema is not fetched.
            if must_wait != partition.waits && !partition.is_at_bound() && !partition.is_held() {
                let index = partition.index;
                if must_wait { self.parts.input.pause(index) } else { self.parts.input.resume(index) }?;
                tracing::debug!(partition = %partition.id, must_wait, "ahead of the slowest partition");
                partition.waits = must_wait;
            }
        }
        Ok(())
    }

    fn tell_where_we_are(&self) {
        if let Some(skew) = &self.parts.skew {
            self.partitions.iter().for_each(|partition| partition.tell(skew));
        }
    }

    fn note_bound(&mut self) -> Result<()> {
        if !self.parts.run_ends {
            return Ok(());
        }
        for partition in &mut self.partitions {
            if let Some(bound) = partition.bound_in_doubt(steady())
                && lost::is_cut(self.parts.input.log_end(partition.index, ASK_WITHIN), bound)
            {
                partition.bound = Some(lost::end_of_run(
                    &partition.id.to_string(),
                    partition.next,
                    bound,
                    self.parts.on_lost_offsets,
                )?);
            }
        }
        if !self.at_bound && self.partitions.iter().all(Partition::is_at_bound) {
            self.at_bound = true;
            self.parts.epoch.lane_is_at_bound();
        }
        Ok(())
    }

    fn hand_over(&mut self, clock_us: i64) -> Result<LaneReport> {
        self.judge_ahead(clock_us)?;
        for sink in &self.parts.sinks {
            sink.end_epoch()?;
        }
        let mut report = LaneReport { source: self.parts.source, ..std::mem::take(&mut self.report) };
        report.bad = self.parts.bad_records.end_epoch()?;
        self.counted = 0;
        // This tells what the last batch brought, before the reports below clear it for the next epoch.
        self.tell_where_we_are();
        let (input, now) = (&self.parts.input, steady());
        let of_partition = |p: &mut Partition| p.report(input.leader_epoch(p.index, p.next), clock_us, now);
        report.partitions.extend(self.partitions.iter_mut().map(of_partition));
        for edge in &mut self.parts.edges {
            report.edges.push(edge.end_epoch()?);
        }
        self.tell_held();
        Ok(report)
    }
}

/// Brings what came of rows to edges and sinks, which are those of the lane's stage.
fn hand_on(evaluated: Evaluated, edges: &mut [EdgeSender], sinks: &[SinkInput]) -> Result<()> {
    edges.iter_mut().zip(&evaluated.prepared).try_for_each(|(edge, prepared)| edge.take_in(prepared))?;
    sinks.iter().zip(evaluated.sink_rows).try_for_each(|(sink, rows)| sink.send(rows))
}
