//! The driver: decides when an epoch is closed, and carries it from the lanes' reports to the commit while the lanes read the next one.

mod closing;
mod summary;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use weir_plan::Plan;
use weir_plan::plan::Trigger;
use weir_plan::quote::quoted;
use weir_plan::stages::Edge;

use self::closing::Closed;
pub use self::summary::Summary;
use super::keyed_stage::Watermarks;
use super::lane_sinks::Files;
use super::start::{Running, start};
use super::{Options, Signal, state_log};
use crate::checkpoint::content::DataEpoch;
use crate::checkpoint::layout::COMPACTED_FROM;
use crate::checkpoint::manifest::{Committable, Payload, Task};
use crate::failure::{Failure, Result};
use crate::memory::Memory;
use crate::observe::progress::{Durations, Progress};
use crate::sink::delta::payload;

/// How long a quiet pipeline waits before it looks whether a partition has become idle.
const LOOK: Duration = Duration::from_secs(1);
/// For the brokers to take the consumer group's offsets at the end of a run.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(5);

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

/// Since when a run that has an end came no closer to it.
struct Standstill {
    since: Instant,
    seen: (u64, u64),
}

impl Standstill {
    fn new(now: Instant) -> Self {
        Self { since: now, seen: (0, 0) }
    }

    /// For how long this has been so.
    fn of(&mut self, seen: (u64, u64), now: Instant) -> Duration {
        if self.seen != seen {
            *self = Self { since: now, seen };
        }
        now.saturating_duration_since(self.since)
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
        running.garbage.finish(|keep| running.writer.collection(keep)).await;
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

    /// The watermarks of the keyed steps at the start of the next epoch go out, and the lanes read.
    fn begin_epoch(&self) {
        let of_inputs = |edge: &Edge| vec![self.reading.watermark_us(); self.plan.steps[edge.step].inputs().len()];
        self.lanes.begin(&self.graph.stages.lane_edges.iter().map(of_inputs).collect::<Vec<_>>());
    }

    async fn wait_until_due(&mut self, opened: Instant, signal: &mut watch::Receiver<Signal>) -> Result<Due> {
        let epoch = Arc::clone(&self.lanes.epoch);
        let mut standstill = Standstill::new(Instant::now());
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
            if self.until.is_some() {
                let stands_for = standstill.of((epoch.records(), epoch.lanes_at_bound()), Instant::now());
                if epoch.records() > 0 && stands_for >= self.give_up_after / 2 {
                    return Ok(Due::Trigger);
                }
                if stands_for >= self.give_up_after {
                    self.check_that_the_run_can_end().await?;
                    standstill = Standstill::new(Instant::now());
                }
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

    /// A run that has an end and comes no closer to it waits for a store, or for leaders. Stores have their own deadlines.
    ///
    /// # Errors
    /// `Retry`, with the partitions whose leaders do not answer.
    async fn check_that_the_run_can_end(&mut self) -> Result<()> {
        let without = self.evidence.without_leader(&self.reading.unread()).await?;
        if without.is_empty() {
            return Ok(());
        }
        let partitions: Vec<_> = without.iter().map(ToString::to_string).collect();
        Err(Failure::retry(format!(
            "source {}: this run can't come to its end: nothing was read for {:?} (--give-up-after), and no leader answers for {}; what was read \
             before is committed, and the next start goes on from there: see what became of the brokers that hold these partitions",
            quoted(&self.reading.name),
            self.give_up_after,
            partitions.join(", ")
        )))
    }

    async fn decide_and_commit(&mut self, closed: Closed, mut files: Files, until_reached: bool, summary: &mut Summary) -> Result<()> {
        let began = Instant::now();
        let lanes_uploaded = began - closed.at;
        // After the epoch was read: what it took in came from the topic that this look sees.
        let look = self.topics.look();
        let watermark_us = closed.source.watermark_after_us;
        let watermarks = [Watermarks { before_us: closed.source.watermark_before_us, after_us: watermark_us }];
        crate::failpoint::reach("data.upload.before");
        let mut rows = self.keyed.advance(&watermarks)?;
        let mut computed = began.elapsed();
        let mut writers = BTreeMap::new();
        loop {
            let computing = Instant::now();
            let next = rows.next()?;
            computed += computing.elapsed();
            let Some((sink, rows)) = next else { break };
            let writer = match writers.entry(sink) {
                Entry::Occupied(open) => open.into_mut(),
                Entry::Vacant(none) => none.insert(self.assembly.files[sink].writer(&self.assembly.label)?),
            };
            writer.write(&rows).await?;
        }
        let keyed = rows.finish();
        if let Some(first) = &keyed.bad.first {
            self.observer.bad_rows(&keyed.bad.counts, first);
        }
        for (sink, writer) in writers {
            files.insert(sink, writer.finish().await?);
        }
        crate::failpoint::reach("data.upload.after");
        let epoch = self.writer.newest().epoch.next();
        let name = self.state_store.name(epoch, 0, 0);
        let change = state_log::write(&self.graph, &self.state_store, name, keyed.changes).await?;
        let saved = self.state_log.advance(change, watermark_us).await?;
        self.topics.check(look).await?;
        let uploaded = began.elapsed();

        let committables: Vec<_> = files
            .into_iter()
            .filter(|(_, (adds, _))| !adds.is_empty())
            .map(|(sink, (adds, rows))| Committable {
                sink: self.plan.sinks[sink].name.clone(),
                rows,
                payload: Payload { kind: payload::APPEND.to_owned(), body: payload::append(adds) },
            })
            .collect();
        if let Some(until) = &mut self.until {
            until.reached = until_reached;
        }
        let key_groups = (0, weir_plan::key_group::KEY_GROUPS);
        let task =
            Task { id: 0, key_groups, state: saved.files, compacting: saved.compacting, steps: keyed.steps, rows_bad: keyed.bad.counts };
        let (clock_us, sources) = (closed.clock_us, vec![closed.source]);
        let decision = DataEpoch { clock_us, sources, tasks: vec![task], committables, until: self.until.clone() };
        let manifest = self.writer.commit(decision, &self.committer).await?.clone();
        let committed = began.elapsed();
        self.input.publish(&self.reading.next_offsets());
        crate::failpoint::reach("offsets.published");

        self.garbage.after(epoch, |keep| self.writer.collection(keep));
        self.state_log.compact_if_long(
            self.plan.checkpoint.snapshot_every as usize,
            self.state_store.name(epoch.next(), 0, COMPACTED_FROM),
            watermark_us,
        );
        summary.add(&manifest);
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

    /// The last publication of a run that ended well. A broker that is away must not hold the process up.
    async fn publish_finally(&self) {
        let (input, offsets) = (Arc::clone(&self.input), self.reading.next_offsets());
        let published = tokio::task::spawn_blocking(move || input.publish_and_wait(&offsets));
        if tokio::time::timeout(PUBLISH_DEADLINE, published).await.is_err() {
            tracing::warn!("the consumer group's offsets could not be published within {PUBLISH_DEADLINE:?}; the checkpoint has them");
        }
    }
}
