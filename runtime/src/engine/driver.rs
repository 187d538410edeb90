//! The driver: decides when an epoch is closed, and carries it from the lanes' reports to the commit while the lanes read the next one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use weir_plan::Plan;
use weir_plan::plan::Trigger;

use super::keyed_stage::{LaneTotals, Watermarks};
use super::lane::LaneReport;
use super::start::{Running, start};
use super::{Options, Signal, state_log};
use crate::checkpoint::manifest::{Committable, Manifest, PartitionProgress, Payload, SourceCounts, SourceProgress, Task};
use crate::checkpoint::writer::DataEpoch;
use crate::failure::{Failure, Result};
use crate::observe::progress::{Durations, Progress};

/// How long a quiet pipeline waits before it looks whether a partition has become idle.
const LOOK: Duration = Duration::from_secs(1);
/// For the brokers to take the consumer group's offsets at the end of a run.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(5);
/// Objects that no manifest names are left alone for this long: a slow writer may be about to name them.
const GARBAGE_GRACE: Duration = Duration::from_secs(60 * 60);

/// What a run came to, over all its epochs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    pub records_read: u64,
    pub records_decoded: u64,
    pub records_late: u64,
    pub records_dead_letter: u64,
    pub records_dropped: u64,
    pub records_filtered: u64,
    /// Epochs with data that this run decided.
    pub epochs: u64,
    pub last_epoch: u64,
    /// By sink.
    pub rows_written: BTreeMap<String, u64>,
    /// From the start of the run to the first record; `None` if there was none.
    pub first_record_seconds: Option<f64>,
}

/// Why an epoch is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Trigger,
    /// Nothing more is to be read.
    AllRead,
    Shutdown,
}

/// What the lanes' reports come to: one epoch, not decided yet.
struct Closed {
    clock_us: i64,
    sources: Vec<SourceProgress>,
    watermarks: Vec<Watermarks>,
    lanes: Vec<LaneTotals>,
    filtered: u64,
    read_took: Duration,
}

/// Per sink, by index into the plan's: `add` actions of uploaded files, and their rows.
type Files = BTreeMap<usize, (Vec<serde_json::Value>, u64)>;

impl Closed {
    fn took_in_something(&self) -> bool {
        let moved = self.sources.iter().flat_map(|s| &s.partitions).any(|p| p.end > p.start);
        moved || self.watermarks.iter().any(|w| w.before_us != w.after_us)
    }
}

/// Runs the plan until it has ended, was told to, or can't go on.
///
/// # Errors
/// The failure that stopped it. What was committed stays committed; the next run goes on from there.
pub async fn run(plan: Arc<Plan>, options: &Options, mut signal: watch::Receiver<Signal>) -> Result<Summary> {
    let began = Instant::now();
    let mut running = start(Arc::clone(&plan), options).await?;
    let mut summary = Summary::default();
    let result = running.work(&mut signal, &mut summary).await;
    if result.is_ok() {
        running.publish_finally().await;
    }
    running.observer.ended(&result);
    summary.first_record_seconds = running.lanes.epoch.first_record().map(|at| (at - began).as_secs_f64());
    result.map(|()| summary)
}

impl Running {
    async fn work(&mut self, signal: &mut watch::Receiver<Signal>, summary: &mut Summary) -> Result<()> {
        summary.last_epoch = self.writer.newest().epoch.0;
        let mut opened = Instant::now();
        self.begin_epoch();
        self.observer.ready();
        loop {
            let due = self.wait_until_due(opened, signal).await?;
            crate::failpoint::reach("epoch.read");
            if due != Due::Shutdown {
                self.committer.checkpoint_long_logs().await;
            }
            let closed = self.close_epoch(opened).await?;
            crate::failpoint::reach("epoch.closed");
            let ends = due != Due::Trigger;
            if !ends {
                // From here on the lanes read the next epoch, while this one is decided and committed.
                self.begin_epoch();
                opened = Instant::now();
            }
            let files = self.lane_files().await?;
            if closed.took_in_something() || (due == Due::AllRead && !self.until_reached()) {
                let reached = due == Due::AllRead;
                self.decide_and_commit(closed, files, reached, summary).await?;
            }
            if ends {
                return Ok(());
            }
        }
    }

    /// The watermarks of the lane aggregates at the start of the next epoch go out, and the lanes read.
    fn begin_epoch(&self) {
        let lane_aggregates = self.stages.lane_aggregates.iter();
        let watermarks: Vec<_> =
            lane_aggregates.map(|i| self.watermarks[self.plan.source_of(self.plan.steps[*i].input())].current()).collect();
        self.lanes.begin(&watermarks);
    }

    async fn wait_until_due(&mut self, opened: Instant, signal: &mut watch::Receiver<Signal>) -> Result<Due> {
        let epoch = Arc::clone(&self.lanes.epoch);
        loop {
            if *signal.borrow() == Signal::Finish {
                return Ok(Due::Shutdown);
            }
            if self.until.is_some() && epoch.lanes_at_bound() == self.lanes.count() {
                return Ok(Due::AllRead);
            }
            if epoch.is_full() {
                return Ok(Due::Trigger);
            }
            let look_at = match self.plan.trigger {
                Trigger::AsSoonAsPossible if epoch.records() > 0 => return Ok(Due::Trigger),
                Trigger::AsSoonAsPossible => opened + LOOK,
                Trigger::Interval(interval) => opened + interval,
                Trigger::AvailableNow => Instant::now() + LOOK,
            };
            if self.plan.trigger != Trigger::AvailableNow && Instant::now() >= look_at {
                return Ok(Due::Trigger);
            }
            tokio::select! {
                () = epoch.changed.notified() => {}
                () = tokio::time::sleep_until(look_at.into()) => {}
                changed = signal.changed() => {
                    if changed.is_err() {
                        return Ok(Due::Shutdown);
                    }
                }
                failure = self.lanes.failed() => return Err(self.reason(failure)),
            }
        }
    }

    /// Gathers the lanes' reports and moves the watermarks. The lanes wait meanwhile: nothing here does I/O.
    async fn close_epoch(&mut self, opened: Instant) -> Result<Closed> {
        let reports = self.lanes.close().await;
        let reports = reports.map_err(|failure| self.reason(failure))?;
        let clock_us = super::clock::now_us();
        let mut lanes: Vec<LaneTotals> = self.stages.lane_aggregates.iter().map(|_| LaneTotals::default()).collect();
        let mut counts = SourceCounts::default();
        let mut filtered = 0;
        let mut positions = self.positions.clone();
        let mut idle = vec![false; positions.len()];
        let idle_after = self.idle_after();
        for report in reports {
            let LaneReport { partitions, aggregates, read, decoded, dropped, filtered: left_out, bytes } = report;
            counts.read += read;
            counts.decoded += decoded;
            counts.dropped += dropped;
            counts.bytes += bytes;
            filtered += left_out;
            for p in partitions {
                positions[p.partition] = p.next;
                if let Some(max) = p.max_event_time_us {
                    self.watermarks[0].observe(p.partition, max);
                }
                let at_end = p.at_end_since.is_some_and(|since| since.elapsed() >= idle_after);
                // The run ends at this offset, and nothing was ever read: there is no time that this partition could hold back.
                let nothing_to_come = self.is_at_bound(p.partition, p.next) && self.watermarks[0].of_partition(p.partition).is_none();
                idle[p.partition] = at_end || nothing_to_come;
            }
            for (totals, report) in lanes.iter_mut().zip(aggregates) {
                totals.partials.extend(report.partials);
                totals.rows_in += report.rows_in;
                totals.rows_late += report.rows_late;
            }
        }
        let before_us = self.watermarks[0].current();
        let after_us = self.watermarks[0].advance(&idle);
        let starts = std::mem::replace(&mut self.positions, positions);
        let partitions = self.partitions.iter().enumerate().map(|(i, p)| PartitionProgress {
            topic: p.topic.clone(),
            partition: p.partition,
            start: starts[i],
            end: self.positions[i],
            watermark_us: self.watermarks[0].of_partition(i),
            idle: idle[i],
        });
        let source = SourceProgress {
            name: self.plan.sources[0].name.clone(),
            topic_ids: self.topics.pinned().clone(),
            watermark_before_us: before_us,
            watermark_after_us: after_us,
            partitions: partitions.collect(),
            counts,
        };
        let watermarks = vec![Watermarks { before_us, after_us }];
        Ok(Closed { clock_us, sources: vec![source], watermarks, lanes, filtered, read_took: opened.elapsed() })
    }

    /// A lane that could not write to its sink does not know why; the sink does.
    fn reason(&mut self, failure: Failure) -> Failure {
        let of_sink = self.lane_sinks.iter_mut().find_map(|(sink, output)| Some((*sink, output.failure()?)));
        of_sink.map_or(failure, |(sink, reason)| reason.context(format_args!("sink {:?}", self.plan.sinks[sink].name)))
    }

    /// The data files that lanes have written for the epoch just closed.
    async fn lane_files(&mut self) -> Result<Files> {
        let mut files = Files::new();
        for (sink, output) in &mut self.lane_sinks {
            let of_epoch = output.next().await.map_err(|f| f.context(format_args!("sink {:?}", self.plan.sinks[*sink].name)))?;
            files.insert(*sink, (of_epoch.adds, of_epoch.rows));
        }
        Ok(files)
    }

    async fn decide_and_commit(&mut self, closed: Closed, mut files: Files, until_reached: bool, summary: &mut Summary) -> Result<()> {
        let began = Instant::now();
        // After the epoch was read: what it took in came from the topic that this look sees.
        let look = self.topics.look();
        let watermark_us = closed.watermarks[0].after_us;
        let keyed = self.keyed.advance(closed.lanes, &closed.watermarks)?;
        let computed = began.elapsed();

        crate::failpoint::reach("data.upload.before");
        for (sink, rows) in keyed.sink_rows {
            let mut writer = self.files[sink].writer(&self.file_label())?;
            writer.write(&rows).await?;
            files.insert(sink, writer.finish().await?);
        }
        crate::failpoint::reach("data.upload.after");
        let epoch = self.writer.newest().epoch.next();
        let name = self.state_store.name(epoch, 0, 0);
        let change = state_log::write(&self.plan, &self.state_store, &name, &keyed.changes).await?;
        let state = self.state_log.advance(change, watermark_us).await?;
        self.topics.check(look).await?;
        let uploaded = began.elapsed();

        let committables: Vec<_> = files
            .into_iter()
            .filter(|(_, (adds, _))| !adds.is_empty())
            .map(|(sink, (adds, rows))| Committable {
                sink: self.plan.sinks[sink].name.clone(),
                rows,
                payload: Payload::DeltaAppend { adds },
            })
            .collect();
        if let Some(until) = &mut self.until {
            until.reached = until_reached;
        }
        let task = Task { id: 0, key_groups: (0, weir_plan::key_group::KEY_GROUPS), state, steps: keyed.steps };
        let decision =
            DataEpoch { clock_us: closed.clock_us, sources: closed.sources, tasks: vec![task], committables, until: self.until.clone() };
        let manifest = self.writer.commit(decision, &self.committer).await?.clone();
        let committed = began.elapsed();
        self.input.publish(&self.next_offsets());
        crate::failpoint::reach("offsets.published");

        self.collect_garbage_now_and_then(&manifest).await;
        self.state_log.compact_if_long(
            self.plan.checkpoint.snapshot_every as usize,
            self.state_store.name(epoch.next(), 0, 1),
            watermark_us,
        );
        add_up(summary, &manifest, closed.filtered);
        let durations = Durations { read: closed.read_took, compute: computed, upload: uploaded - computed, commit: committed - uploaded };
        let latest = self.latest_offsets();
        self.observer.epoch(Progress::of(&manifest, &self.plan, &durations, self.keyed.bytes(), closed.filtered, &latest))
    }

    async fn collect_garbage_now_and_then(&mut self, manifest: &Manifest) {
        self.garbage_is_due |= manifest.epoch.0.is_multiple_of(u64::from(self.plan.checkpoint.keep.max(1)));
        if !self.garbage_is_due || self.state_log.is_compacting() {
            return;
        }
        self.garbage_is_due = false;
        // Garbage costs money, not correctness: a failure is logged and the next round tries again.
        if let Err(failure) = self.writer.collect_garbage(self.plan.checkpoint.keep, super::now_us(), GARBAGE_GRACE).await {
            tracing::warn!("garbage collection: {failure}");
        }
    }
}

fn add_up(summary: &mut Summary, manifest: &Manifest, filtered: u64) {
    summary.epochs += 1;
    summary.last_epoch = manifest.epoch.0;
    summary.records_filtered += filtered;
    for source in &manifest.sources {
        summary.records_read += source.counts.read;
        summary.records_decoded += source.counts.decoded;
        summary.records_dropped += source.counts.dropped;
    }
    for step in manifest.tasks.iter().flat_map(|t| &t.steps) {
        summary.records_late += step.rows_late;
    }
    for committable in &manifest.committables {
        *summary.rows_written.entry(committable.sink.clone()).or_default() += committable.rows;
    }
}

/// Topic, partition and offset where the next epoch goes on: what the consumer group's committed offsets mean.
impl Running {
    /// The last publication of a run that ended well. A broker that is away must not hold the process up.
    async fn publish_finally(&self) {
        let (input, offsets) = (Arc::clone(&self.input), self.next_offsets());
        let published = tokio::task::spawn_blocking(move || input.publish_and_wait(&offsets));
        if tokio::time::timeout(PUBLISH_DEADLINE, published).await.is_err() {
            tracing::warn!("the consumer group's offsets could not be published within {PUBLISH_DEADLINE:?}; the checkpoint has them");
        }
    }

    fn next_offsets(&self) -> Vec<(weir_plan::ids::TopicPartition, i64)> {
        self.partitions.iter().cloned().zip(self.positions.iter().copied()).collect()
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::retry(e.to_string())
    }
}
