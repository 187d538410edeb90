//! The driver. It decides when an epoch is closed, and carries it from the lanes' reports to the commit while the lanes
//! read the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{join_all, select_all};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use weir_plan::Plan;
use weir_plan::plan::Trigger;
use weir_plan::quote::quoted;
use weir_plan::stages::LaneStage;

use super::closing::Closed;
use super::summary::Summary;
use crate::checkpoint::content::DataEpoch;
use crate::checkpoint::layout::COMPACTED_FROM;
use crate::checkpoint::manifest::Task;
use crate::clock::{since, steady};
use crate::engine::lanes::Before;
use crate::engine::sinks::outputs::Parts;
use crate::engine::source_run::SourceRun;
use crate::engine::start::{Running, start};
use crate::engine::{Options, Signal};
use crate::failure::{Failure, Result};
use crate::memory::Memory;
use crate::observe::progress::{Durations, LatestOffsets, Progress};

/// How long a quiet pipeline waits before it checks whether a partition has become idle.
const LOOK: Duration = Duration::from_secs(1);

/// Why an epoch is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Trigger,
    /// Partitions came or went, so other lanes take over.
    Assignment,
    /// The run has read everything up to its end.
    AllRead,
    Shutdown,
}

/// Measures for how long a run with an end has made no progress towards it.
struct Standstill {
    since: Instant,
    seen: (u64, u64),
}

impl Standstill {
    fn new(now: Instant) -> Self {
        Self { since: now, seen: (0, 0) }
    }

    /// For how long `seen` has not changed.
    fn of(&mut self, seen: (u64, u64), now: Instant) -> Duration {
        if self.seen != seen {
            *self = Self { since: now, seen };
        }
        now.saturating_duration_since(self.since)
    }
}

/// Runs the plan until it ends, is told to end, or cannot continue.
///
/// # Errors
/// The failure that stopped the run. What was committed stays committed, and the next run continues from there.
pub async fn run(plan: Arc<Plan>, options: &Options, signal: watch::Receiver<Signal>) -> Result<Summary> {
    let memory = Arc::new(Memory::new(options.memory_bytes)?);
    // The driver has a thread of its own, so that memory is watched while it computes.
    let (handle, options, watched) = (Handle::current(), options.clone(), Arc::clone(&memory));
    let (tell, ended) = oneshot::channel();
    let work = move || {
        // Nobody waits for this any more if the memory is used up.
        let _ = tell.send(handle.block_on(run_within(plan, options, signal, watched)));
    };
    let exhausted = memory.watch().map_err(|e| Failure::retry(format!("watch the memory: {e}")))?;
    std::thread::Builder::new()
        .name("driver".into())
        .spawn(work)
        .map_err(|e| Failure::retry(format!("start the driver: {e}")))?;
    let ended = tokio::select! {
        ended = ended => ended.unwrap_or_else(|_| Err(Failure::bug("the driver panicked; the log says where"))),
        Ok(failure) = exhausted => Err(failure),
    };
    ended.map(|summary| Summary { memory_bytes_max: memory.used_bytes_max(), ..summary })
}

async fn run_within(
    plan: Arc<Plan>,
    options: Options,
    mut signal: watch::Receiver<Signal>,
    memory: Arc<Memory>,
) -> Result<Summary> {
    let began = steady();
    let mut running = tokio::select! {
        started = start(plan, &options, memory) => started?,
        // No epoch is open yet, so a start that waits for an unreachable store or broker need not end first.
        Ok(_) = signal.wait_for(|told| *told == Signal::Finish) => {
            return Ok(Summary { cut_short: true, ..Summary::default() });
        }
    };
    let mut summary = Summary::default();
    let result = running.work(&mut signal, &mut summary).await;
    if result.is_ok() {
        join_all(running.sources.iter().map(SourceRun::publish_finally)).await;
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
        let mut opened = steady();
        self.begin_epoch();
        self.observer.ready();
        self.standing.has_begun();
        // The previous process may have ended between its last commit and the publication of its offsets. A quiet topic
        // brings no epoch that would publish them.
        self.sources.iter().for_each(SourceRun::publish);
        loop {
            let due = self.wait_until_due(opened, signal).await?;
            crate::failpoint::reach("epoch.read");
            if due != Due::Shutdown {
                self.sinks.between_epochs().await;
            }
            let closed = self.close_epoch(opened, due == Due::AllRead).await?;
            for (source, progress) in self.sources.iter().zip(&closed.sources) {
                self.observer.waits(source.name(), source.waits(progress));
            }
            crate::failpoint::reach("epoch.closed");
            if due == Due::Trigger {
                // From here on the lanes read the next epoch, while this one is decided and committed.
                self.begin_epoch();
                opened = steady();
            }
            if closed.took_in_something() {
                self.observer.closed(&closed.sources, closed.clock_us, &latest_offsets(&self.sources));
            }
            let parts = self.lane_sinks.parts().await?;
            if closed.is_due {
                let reached = due == Due::AllRead;
                self.decide_and_commit(closed, parts, reached, summary).await?;
            }
            match due {
                Due::Trigger => {}
                Due::Assignment => {
                    self.assign_anew().await?;
                    self.begin_epoch();
                    opened = steady();
                }
                Due::AllRead | Due::Shutdown => return Ok(()),
            }
        }
    }

    /// Sends the lanes the watermarks of the keyed steps at the start of the next epoch, and lets them read.
    fn begin_epoch(&self) {
        let sources_us = self.watermarks_us();
        let of_lanes = |(lane, source_us): (&LaneStage, &Option<i64>)| Before {
            source_us: *source_us,
            edges_us: lane.edges.iter().map(|edge| self.graph.flow().inputs_us(edge.step, &sources_us)).collect(),
        };
        self.lanes.begin(&self.graph.stages.lanes.iter().zip(&sources_us).map(of_lanes).collect::<Vec<_>>());
    }

    /// The watermark of each source, µs.
    pub(super) fn watermarks_us(&self) -> Vec<Option<i64>> {
        self.sources.iter().map(|source| source.reading.watermark_us()).collect()
    }

    async fn wait_until_due(&mut self, opened: Instant, signal: &mut watch::Receiver<Signal>) -> Result<Due> {
        let epoch = Arc::clone(&self.lanes.epoch);
        let mut standstill = Standstill::new(steady());
        loop {
            if epoch.has_lost_topic() {
                self.sources.iter_mut().for_each(SourceRun::doubt);
            }
            // This is checked first, since a pipeline that always has something to read never waits below.
            if let Some(found) = changed(&mut self.sources).now_or_never() {
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
                let stands_for = standstill.of((epoch.records(), epoch.lanes_at_bound()), steady());
                if epoch.records() > 0 && stands_for >= self.give_up_after / 2 {
                    return Ok(Due::Trigger);
                }
                if stands_for >= self.give_up_after {
                    self.check_that_the_run_can_end().await?;
                    standstill = Standstill::new(steady());
                }
            }
            let look_at = match self.plan.trigger {
                Trigger::AsSoonAsPossible if epoch.records() > 0 => return Ok(Due::Trigger),
                Trigger::AsSoonAsPossible => opened + LOOK,
                Trigger::Interval(interval) => opened + interval,
                Trigger::AvailableNow => steady() + LOOK,
            };
            if self.plan.trigger != Trigger::AvailableNow && steady() >= look_at {
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
                found = changed(&mut self.sources) => return found.map(|()| Due::Assignment),
                failure = self.lanes.failed() => return Err(self.lane_sinks.reason(failure)),
                failure = self.lane_sinks.failed() => return Err(failure),
            }
        }
    }

    /// Checks a run with an end that makes no progress. Such a run waits for a store or for partition leaders. Stores
    /// have their own deadlines, so this asks the leaders.
    ///
    /// # Errors
    /// `Retry`, with the partitions whose leaders do not answer.
    async fn check_that_the_run_can_end(&mut self) -> Result<()> {
        for source in &mut self.sources {
            let without = source.without_leader().await?;
            if !without.is_empty() {
                let partitions: Vec<_> = without.iter().map(ToString::to_string).collect();
                return Err(Failure::retry(format!(
                    "source {}: this run can't come to its end: nothing was read for {:?} (--give-up-after), and no \
                     leader answers for {}; what \
                     was read before is committed, and the next start goes on from there: see what became of the \
                     brokers that hold these \
                     partitions",
                    quoted(source.name()),
                    self.give_up_after,
                    partitions.join(", ")
                )));
            }
        }
        Ok(())
    }

    async fn decide_and_commit(
        &mut self,
        closed: Closed,
        mut parts: Parts,
        until_reached: bool,
        summary: &mut Summary,
    ) -> Result<()> {
        let began = steady();
        let lanes_uploaded = began - closed.at;
        // The look begins after the epoch was read, so a topic that it finds unchanged is the one that the epoch's
        // records came from.
        let looks: Vec<_> = self.sources.iter_mut().map(SourceRun::look).collect();
        let after_us: Vec<_> = closed.sources.iter().map(|source| source.watermark_after_us).collect();
        crate::failpoint::reach("data.upload.before");
        let keyed = self.workers.close(&after_us).await.map_err(|failure| self.keyed_sinks.reason(failure))?;
        if let Some(first) = &keyed.bad.first {
            self.observer.bad_rows(&keyed.bad.counts, first);
        }
        // A sink may have rows of both: lanes and workers write the inputs of a union.
        for (sink, of_workers) in self.keyed_sinks.parts().await? {
            parts.entry(sink).or_default().extend(of_workers);
        }
        crate::failpoint::reach("data.upload.after");
        let epoch = self.writer.newest().epoch.next();
        let name = self.state_store.name(epoch, 0, 0);
        let change = self.state_log.write(name, keyed.changes).await?;
        let horizons_us = self.workers.horizons_us().to_vec();
        let saved = self.state_log.advance(change, &horizons_us).await?;
        for (source, look) in self.sources.iter().zip(looks) {
            source.check(look).await?;
        }
        let uploaded = since(began);

        let committables = self.sinks.seal(parts).await?;
        if let Some(until) = &mut self.until {
            until.reached = until_reached;
        }
        let key_groups = (0, weir_plan::key_group::KEY_GROUPS);
        let task = Task {
            id: 0,
            key_groups,
            state: saved.files,
            compacting: saved.compacting,
            steps: keyed.steps,
            rows_bad: keyed.bad.counts,
        };
        let (clock_us, sources) = (closed.clock_us, closed.sources);
        let decision = DataEpoch { clock_us, sources, tasks: vec![task], committables, until: self.until.clone() };
        let manifest = self.writer.commit(decision, &self.sinks).await?.clone();
        let committed = since(began);
        self.sources.iter().for_each(SourceRun::publish);
        crate::failpoint::reach("offsets.published");

        self.garbage.after(epoch, |keep| self.writer.collection(keep));
        self.state_log.compact_if_long(
            self.plan.checkpoint.snapshot_every as usize,
            self.state_store.name(epoch.next(), 0, COMPACTED_FROM),
            horizons_us,
        );
        summary.add(&manifest);
        let durations = Durations {
            read: closed.read_took,
            busy: closed.busy,
            compute: keyed.computed,
            upload: lanes_uploaded + uploaded.saturating_sub(keyed.computed),
            commit: committed - uploaded,
        };
        let latest = latest_offsets(&self.sources);
        let sinks = self.sinks.status().await;
        self.memory.note_state(keyed.bytes);
        self.observer.epoch(Progress::of(&manifest, &self.plan, &durations, keyed.bytes, &latest, &sinks))
    }
}

/// Resolves when partitions or topics of any source came or went. The future may be dropped: nothing is lost.
async fn changed(sources: &mut [SourceRun]) -> Result<()> {
    select_all(sources.iter_mut().map(|source| Box::pin(source.changed()))).await.0
}

/// The end offsets of all partitions, as the clients last learned them.
pub(super) fn latest_offsets(sources: &[SourceRun]) -> LatestOffsets {
    sources.iter().map(|source| (source.name().to_owned(), source.latest_offsets())).collect()
}
