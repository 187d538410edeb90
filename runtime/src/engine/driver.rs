//! The driver: decides when an epoch is closed, and carries it from the lanes' reports to the commit while the lanes read the next one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::FutureExt;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use weir_plan::Plan;
use weir_plan::plan::Trigger;
use weir_plan::quote::quoted;

use super::keyed_stage::{LaneTotals, Watermarks};
use super::lane_sinks::Files;
use super::last_windows::{self, Closing};
use super::start::{Running, start};
use super::{Options, Signal, state_log};
use crate::checkpoint::manifest::{BadShare, Committable, Manifest, PartitionProgress, Payload, SourceCounts, SourceProgress, Task};
use crate::checkpoint::writer::DataEpoch;
use crate::failure::{Failure, Result};
use crate::memory::Memory;
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
    /// Offsets that Kafka no longer had when they came next.
    pub records_lost: u64,
    pub records_filtered: u64,
    /// Epochs with data that this run decided.
    pub epochs: u64,
    pub last_epoch: u64,
    /// By sink.
    pub rows_written: BTreeMap<String, u64>,
    /// From the start of the run to the first record; `None` if there was none.
    pub first_record_seconds: Option<f64>,
    /// The most memory that no file stands behind, where there is a limit on it.
    pub memory_bytes_max: Option<u64>,
    /// The run had an end that it did not reach: it was told to stop before.
    pub cut_short: bool,
}

/// Why an epoch is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Trigger,
    /// Partitions came or went: other lanes read on.
    Assignment,
    /// Nothing more is to be read.
    AllRead,
    Shutdown,
}

/// What the lanes' reports come to: one epoch, not decided yet.
struct Closed {
    clock_us: i64,
    at: Instant,
    source: SourceProgress,
    lanes: Vec<LaneTotals>,
    read_took: Duration,
    busy: Duration,
}

impl Closed {
    fn took_in_something(&self) -> bool {
        let moved = self.source.partitions.iter().any(|p| p.end > p.start);
        moved || !self.source.topics_gone.is_empty() || self.source.watermark_before_us != self.source.watermark_after_us
    }
}

/// Runs the plan until it has ended, was told to, or can't go on.
///
/// # Errors
/// The failure that stopped it. What was committed stays committed; the next run goes on from there.
pub async fn run(plan: Arc<Plan>, options: &Options, signal: watch::Receiver<Signal>) -> Result<Summary> {
    let memory = Arc::new(Memory::new(options.memory_bytes)?);
    // On a thread of its own: what it allocates is watched while it computes.
    let (handle, options, watched) = (Handle::current(), options.clone(), Arc::clone(&memory));
    let (tell, ended) = oneshot::channel();
    let work = move || {
        // Nobody waits any more if the memory is used up.
        let _ = tell.send(handle.block_on(run_within(plan, options, signal, watched)));
    };
    let exhausted = memory.watch().map_err(|e| Failure::retry(format!("watch the memory: {e}")))?;
    std::thread::Builder::new().name("driver".into()).spawn(work).map_err(|e| Failure::retry(format!("start the driver: {e}")))?;
    let ended = tokio::select! {
        ended = ended => ended.unwrap_or_else(|_| Err(Failure::bug("the driver panicked; the log says where"))),
        Ok(failure) = exhausted => Err(failure),
    };
    ended.map(|summary| Summary { memory_bytes_max: memory.used_bytes_max(), ..summary })
}

async fn run_within(plan: Arc<Plan>, options: Options, mut signal: watch::Receiver<Signal>, memory: Arc<Memory>) -> Result<Summary> {
    let began = Instant::now();
    let mut running = tokio::select! {
        started = start(plan, &options, memory) => started?,
        // Nothing is in hand yet: a start that waits for something that is away need not end first.
        Ok(_) = signal.wait_for(|told| *told == Signal::Finish) => return Ok(Summary { cut_short: true, ..Summary::default() }),
    };
    let mut summary = Summary::default();
    let result = running.work(&mut signal, &mut summary).await;
    if result.is_ok() {
        running.publish_finally().await;
    }
    running.observer.ended(&result);
    summary.cut_short = !running.until_reached();
    summary.first_record_seconds = running.lanes.epoch.first_record().map(|at| (at - began).as_secs_f64());
    result.map(|()| summary)
}

impl Running {
    async fn work(&mut self, signal: &mut watch::Receiver<Signal>, summary: &mut Summary) -> Result<()> {
        summary.last_epoch = self.writer.newest().epoch.0;
        let mut opened = Instant::now();
        self.begin_epoch();
        self.observer.ready();
        self.standing.has_begun();
        // The process before may have ended between its last commit and telling Kafka's tools of it; a quiet topic brings no epoch that would.
        self.input.publish(&self.reading.next_offsets());
        loop {
            let due = self.wait_until_due(opened, signal).await?;
            crate::failpoint::reach("epoch.read");
            if due != Due::Shutdown {
                self.committer.checkpoint_long_logs().await;
            }
            let closed = self.close_epoch(opened, due == Due::AllRead).await?;
            self.observer.watermark_held_by(&closed.source.name, self.reading.held_by(&closed.source));
            crate::failpoint::reach("epoch.closed");
            if due == Due::Trigger {
                // From here on the lanes read the next epoch, while this one is decided and committed.
                self.begin_epoch();
                opened = Instant::now();
            }
            if closed.took_in_something() {
                self.observer.closed(&closed.source, closed.clock_us, &self.latest_offsets());
            }
            let files = self.lane_sinks.files().await?;
            if closed.took_in_something() || (due == Due::AllRead && !self.until_reached()) {
                let reached = due == Due::AllRead;
                self.decide_and_commit(closed, files, reached, summary).await?;
            }
            match due {
                Due::Trigger => {}
                Due::Assignment => {
                    let changes = self.discovery.take().unwrap_or_default();
                    self.assign_anew(changes).await?;
                    self.begin_epoch();
                    opened = Instant::now();
                }
                Due::AllRead | Due::Shutdown => return Ok(()),
            }
        }
    }

    /// The watermarks of the lane aggregates at the start of the next epoch go out, and the lanes read.
    fn begin_epoch(&self) {
        self.lanes.begin(&vec![self.reading.watermark_us(); self.stages.lane_aggregates.len()]);
    }

    async fn wait_until_due(&mut self, opened: Instant, signal: &mut watch::Receiver<Signal>) -> Result<Due> {
        let epoch = Arc::clone(&self.lanes.epoch);
        loop {
            if epoch.has_lost_topic() {
                self.discovery.doubt();
            }
            // A pipeline that always has something to read never waits below.
            if let Some(found) = self.discovery.changed(&self.reading, self.topics.pinned()).now_or_never() {
                return found.map(|()| Due::Assignment);
            }
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
                found = self.discovery.changed(&self.reading, self.topics.pinned()) => return found.map(|()| Due::Assignment),
                failure = self.lanes.failed() => return Err(self.lane_sinks.reason(failure)),
                failure = self.lane_sinks.failed() => return Err(failure),
            }
        }
    }

    /// Gathers the lanes' reports and moves the watermarks. The lanes wait meanwhile: nothing here does I/O.
    async fn close_epoch(&mut self, opened: Instant, ends_the_run: bool) -> Result<Closed> {
        let (clock_us, at) = (self.lanes.epoch.clock_us(), Instant::now());
        let reports = self.lanes.close(clock_us).await;
        let reports = reports.map_err(|failure| self.lane_sinks.reason(failure))?;
        let mut lanes: Vec<LaneTotals> = self.stages.lane_aggregates.iter().map(|_| LaneTotals::default()).collect();
        let mut counts = SourceCounts::default();
        let (mut first_bad, mut busy) = (None, Duration::ZERO);
        let mut partitions = Vec::new();
        for report in reports {
            counts.read += report.read;
            counts.decoded += report.decoded;
            counts.dropped += report.bad.dropped;
            counts.rejected += report.bad.rejected;
            counts.filtered += report.filtered;
            counts.bytes += report.bytes;
            first_bad = first_bad.or(report.bad.first);
            busy = busy.max(report.busy);
            partitions.extend(report.partitions);
            for (totals, report) in lanes.iter_mut().zip(report.aggregates) {
                totals.partials.extend(report.partials);
                totals.rows_in += report.rows_in;
                totals.rows_late += report.rows_late;
            }
        }
        self.observer.partitions_waiting(&self.reading.name, partitions.iter().filter(|p| p.waits).count());
        let input = &self.input;
        let source = self.reading.close(partitions, counts, self.topics.pinned(), |p| input.cached_high_watermark(p));
        let mut source = source.map_err(|share| too_many_bad(&self.reading.name, share, first_bad.as_deref()))?;
        if let Some(first) = first_bad {
            self.observer.bad_records(counts.bad(), &first);
        }
        let closing = Closing { clock_us, ends_the_run, quiet_for: self.reading.quiet_for(), lanes: &lanes };
        if let Some((to_us, by)) = last_windows::close(&self.plan, &self.keyed, &closing) {
            self.reading.raise(&mut source, to_us, by);
        }
        Ok(Closed { clock_us, at, source, lanes, read_took: at - opened, busy })
    }

    async fn decide_and_commit(&mut self, closed: Closed, mut files: Files, until_reached: bool, summary: &mut Summary) -> Result<()> {
        let began = Instant::now();
        let lanes_uploaded = began - closed.at;
        // After the epoch was read: what it took in came from the topic that this look sees.
        let look = self.topics.look();
        let watermark_us = closed.source.watermark_after_us;
        let watermarks = [Watermarks { before_us: closed.source.watermark_before_us, after_us: watermark_us }];
        let keyed = self.keyed.advance(closed.lanes, &watermarks)?;
        let computed = began.elapsed();

        crate::failpoint::reach("data.upload.before");
        for (sink, rows) in keyed.sink_rows {
            let mut writer = self.assembly.files[sink].writer(&self.assembly.label)?;
            writer.write(&rows).await?;
            files.insert(sink, writer.finish().await?);
        }
        crate::failpoint::reach("data.upload.after");
        let epoch = self.writer.newest().epoch.next();
        let name = self.state_store.name(epoch, 0, 0);
        let change = state_log::write(&self.plan, &self.state_store, &name, keyed.changes).await?;
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
        let (clock_us, sources) = (closed.clock_us, vec![closed.source]);
        let decision = DataEpoch { clock_us, sources, tasks: vec![task], committables, until: self.until.clone() };
        let manifest = self.writer.commit(decision, &self.committer).await?.clone();
        let committed = began.elapsed();
        // The files of the next epoch were begun when this one was closed. By the machine's clock, not the epochs': it is compared with files.
        let since_close_us = i64::try_from(closed.at.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.settled_ms.store(super::now_us().saturating_sub(since_close_us) / 1000, Ordering::Relaxed);
        self.input.publish(&self.reading.next_offsets());
        crate::failpoint::reach("offsets.published");

        self.collect_garbage_now_and_then(&manifest).await;
        self.state_log.compact_if_long(
            self.plan.checkpoint.snapshot_every as usize,
            self.state_store.name(epoch.next(), 0, 1),
            watermark_us,
        );
        add_up(summary, &manifest);
        let durations = Durations {
            read: closed.read_took,
            busy: closed.busy,
            compute: computed,
            upload: lanes_uploaded + (uploaded - computed),
            commit: committed - uploaded,
        };
        let latest = self.latest_offsets();
        let versions = self.committer.versions().await;
        self.memory.note_state(self.keyed.bytes());
        self.observer.epoch(Progress::of(&manifest, &self.plan, &durations, self.keyed.bytes(), &latest, &versions))
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

    /// The last publication of a run that ended well. A broker that is away must not hold the process up.
    async fn publish_finally(&self) {
        let (input, offsets) = (Arc::clone(&self.input), self.reading.next_offsets());
        let published = tokio::task::spawn_blocking(move || input.publish_and_wait(&offsets));
        if tokio::time::timeout(PUBLISH_DEADLINE, published).await.is_err() {
            tracing::warn!("the consumer group's offsets could not be published within {PUBLISH_DEADLINE:?}; the checkpoint has them");
        }
    }
}

fn too_many_bad(source: &str, share: BadShare, first: Option<&str>) -> Failure {
    Failure::data(format!(
        "source {}: {} of the last {} records are bad, more than badRecords.maxPerMillion allows; nothing of this epoch is committed; the \
         first bad record of it is {}; correct the schema or the producer, or raise maxPerMillion",
        quoted(source),
        share.bad,
        share.read,
        first.unwrap_or("unknown")
    ))
}

fn add_up(summary: &mut Summary, manifest: &Manifest) {
    summary.epochs += 1;
    summary.last_epoch = manifest.epoch.0;
    for source in &manifest.sources {
        summary.records_read += source.counts.read;
        summary.records_decoded += source.counts.decoded;
        summary.records_dropped += source.counts.dropped;
        summary.records_dead_letter += source.counts.rejected;
        summary.records_filtered += source.counts.filtered;
        summary.records_lost += source.partitions.iter().map(PartitionProgress::lost_count).sum::<u64>();
    }
    for step in manifest.tasks.iter().flat_map(|t| &t.steps) {
        summary.records_late += step.rows_late;
    }
    for committable in &manifest.committables {
        *summary.rows_written.entry(committable.sink.clone()).or_default() += committable.rows;
    }
}
