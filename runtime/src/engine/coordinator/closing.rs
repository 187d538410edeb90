//! Closes an epoch: from the lanes' reports to the new watermarks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use weir_plan::stages::Edge;

use super::{idle_sources, last_windows};
use crate::checkpoint::manifest::{MovedBy, SourceProgress};
use crate::clock::steady;
use crate::engine::start::Running;
use crate::failure::Result;
use crate::keyed::edge::EdgeReport;

/// An epoch as the lanes have reported it, not decided yet.
pub(super) struct Closed {
    pub clock_us: i64,
    pub at: Instant,
    /// In the order of the plan's sources.
    pub sources: Vec<SourceProgress>,
    /// Whether there is something to decide.
    pub is_due: bool,
    pub read_took: Duration,
    pub busy: Duration,
}

impl Closed {
    pub fn took_in_something(&self) -> bool {
        took_in_something(&self.sources)
    }
}

fn took_in_something(sources: &[SourceProgress]) -> bool {
    sources.iter().any(|source| {
        let moved = source.partitions.iter().any(|p| p.end > p.start);
        moved || !source.topics_gone.is_empty() || source.watermark_before_us != source.watermark_after_us
    })
}

impl Running {
    /// Gathers the lanes' reports and moves the watermarks. The lanes wait meanwhile, so this asks nobody outside but
    /// the brokers, and only where a partition may be idle or the last look for new ones is too old.
    pub(super) async fn close_epoch(&mut self, opened: Instant, ends_the_run: bool) -> Result<Closed> {
        let (clock_us, at) = (self.lanes.epoch.closing_clock_us(), steady());
        let reports = self.lanes.close(clock_us).await;
        let mut reports = reports.map_err(|failure| self.lane_sinks.reason(failure))?;
        let mut edges: BTreeMap<Edge, EdgeReport> = BTreeMap::new();
        for report in &mut reports {
            let of_lane = self.graph.stages.lanes[report.source].edges.iter().zip(std::mem::take(&mut report.edges));
            of_lane.for_each(|(edge, of_lane)| edges.entry(*edge).or_default().add(of_lane));
        }
        let busy = reports.iter().map(|report| report.busy).max().unwrap_or_default();
        reports.sort_by_key(|report| report.source);
        let of_sources = reports.chunk_by_mut(|a, b| a.source == b.source);
        let taken_in =
            self.sources.iter_mut().zip(of_sources).map(|(source, reports)| source.take_in(reports, at, ends_the_run));
        let taken_in = try_join_all(taken_in).await?;
        self.workers.open(self.writer.newest().epoch.next(), &self.watermarks_us());
        let mut further = Vec::with_capacity(self.sources.len());
        let quiet_for: Vec<_> = self.sources.iter().map(|source| source.reading.quiet_for()).collect();
        for i in 0..quiet_for.len() {
            further.push(last_windows::by_clock(&mut self.workers, i, clock_us, &quiet_for).await?);
        }
        self.workers.take_in(edges);
        if ends_the_run {
            for (i, further) in further.iter_mut().enumerate() {
                *further = last_windows::at_end(&mut self.workers, i).await?.or(further.take());
            }
        }
        let plan = Arc::clone(&self.plan);
        let by_clock = plan.sources.iter().zip(&mut further).filter(|(source, _)| source.is_timed_by_clock());
        for (_, further) in by_clock {
            // The clock alone moves the watermark as far.
            further.take_if(|(to_us, _)| *to_us <= clock_us);
        }
        let mut sources = Vec::with_capacity(taken_in.len());
        for ((source, read), further) in self.sources.iter_mut().zip(taken_in).zip(further) {
            self.observer.partitions_waiting(source.name(), read.partitions_waiting());
            let closed = source.close(read, at, further).await?;
            if let Some(first) = closed.first_bad {
                self.observer.bad_records(closed.bad, &first);
            }
            sources.push(closed.progress);
        }
        let idle: Vec<_> = self.sources.iter().map(|source| source.reading.is_idle()).collect();
        let after_us: Vec<_> = sources.iter().map(|source| source.watermark_after_us).collect();
        let raised = idle_sources::raised(&self.graph.stages.met, &idle, &after_us);
        for ((source, closed), to_us) in self.sources.iter_mut().zip(&mut sources).zip(raised) {
            if let Some(to_us) = to_us {
                source.raise(closed, at, to_us, MovedBy::OtherSources).await?;
            }
        }
        // The last epoch of a run says that its end was reached.
        let is_due = took_in_something(&sources)
            || (ends_the_run && !self.until_reached())
            || self.something_leaves_by_clock(clock_us).await?;
        if is_due {
            let of_sources = plan.sources.iter().zip(&mut self.sources).zip(&mut sources);
            for ((_, run), closed) in of_sources.filter(|((source, _), _)| source.is_timed_by_clock()) {
                run.reading.follow_clock(closed, clock_us);
            }
        }
        Ok(Closed { clock_us, at, sources, is_due, read_took: at - opened, busy })
    }

    /// Whether the clock releases something that a step holds. The watermarks of sources whose rows take their time
    /// from the clock could move at each look, and make an epoch only for this.
    async fn something_leaves_by_clock(&mut self, clock_us: i64) -> Result<bool> {
        let plan = Arc::clone(&self.plan);
        for (i, _) in plan.sources.iter().enumerate().filter(|(_, source)| source.is_timed_by_clock()) {
            let is_later = self.sources[i].reading.watermark_us() < Some(clock_us);
            if is_later && self.workers.something_leaves_by(i, clock_us).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
