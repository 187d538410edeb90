//! How an epoch is closed: from the lanes' reports to where the watermark stands.

use std::time::{Duration, Instant};

use weir_plan::quote::quoted;

use crate::checkpoint::manifest::{BadShare, HeldBy, SourceCounts, SourceProgress};
use crate::engine::last_windows;
use crate::engine::start::Running;
use crate::failure::{Failure, Result};
use crate::keyed::edge::EdgeReport;

/// What the lanes' reports come to: one epoch, not decided yet.
pub(super) struct Closed {
    pub clock_us: i64,
    pub at: Instant,
    pub source: SourceProgress,
    pub read_took: Duration,
    pub busy: Duration,
}

impl Closed {
    pub fn took_in_something(&self) -> bool {
        let moved = self.source.partitions.iter().any(|p| p.end > p.start);
        moved || !self.source.topics_gone.is_empty() || self.source.watermark_before_us != self.source.watermark_after_us
    }
}

impl Running {
    /// Gathers the lanes' reports and moves the watermarks. The lanes wait meanwhile: nothing is asked here but the brokers, where a partition
    /// may be idle or a look for new ones is too old.
    pub(super) async fn close_epoch(&mut self, opened: Instant, ends_the_run: bool) -> Result<Closed> {
        let (clock_us, at) = (self.lanes.epoch.clock_us(), Instant::now());
        let reports = self.lanes.close(clock_us).await;
        let reports = reports.map_err(|failure| self.lane_sinks.reason(failure))?;
        let mut lanes: Vec<EdgeReport> = self.graph.stages.lane_edges.iter().map(|_| EdgeReport::default()).collect();
        let mut counts = SourceCounts::default();
        let (mut first_bad, mut busy) = (None, Duration::ZERO);
        let mut partitions = Vec::new();
        for report in reports {
            counts.read += report.read;
            counts.decoded += report.decoded;
            counts.tombstones += report.tombstones;
            counts.dropped += report.bad.dropped;
            counts.rejected += report.bad.rejected;
            counts.filtered += report.filtered;
            counts.bytes += report.bytes;
            first_bad = first_bad.or(report.bad.first);
            busy = busy.max(report.busy);
            partitions.extend(report.partitions);
            lanes.iter_mut().zip(report.edges).for_each(|(all, of_lane)| all.add(of_lane));
        }
        self.observer.partitions_waiting(&self.reading.name, partitions.iter().filter(|p| p.waits).count());
        self.reading.take_in(partitions);
        let ends = self.evidence.ends(self.reading.quiet(at), ends_the_run).await?;
        self.reading.judge(at, &ends);
        let sources_us = [self.reading.watermark_us()];
        let by_clock = last_windows::by_clock(&self.plan, &self.keyed, &sources_us, clock_us, self.reading.quiet_for());
        self.keyed.take_in(lanes)?;
        let at_end = if ends_the_run { last_windows::at_end(&self.plan, &self.keyed, &sources_us) } else { None };
        let further = at_end.or(by_clock);
        let would_move = self.reading.would_move() || further.is_some();
        let held_by = if would_move && !self.discovery.is_complete(at, || self.reading.ids().cloned().collect()).await? {
            Some(HeldBy::Discovery)
        } else {
            None
        };
        let bad = counts.bad() + self.reading.unreadable();
        let source = self.reading.close(counts, self.topics.pinned(), held_by);
        let mut source = source.map_err(|share| too_many_bad(&self.reading.name, share, first_bad.as_deref()))?;
        if let Some(first) = first_bad {
            self.observer.bad_records(bad, &first);
        }
        if let Some((to_us, by)) = further.filter(|_| held_by.is_none()) {
            self.reading.raise(&mut source, to_us, by);
        }
        Ok(Closed { clock_us, at, source, read_took: at - opened, busy })
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
