//! One source while the pipeline runs: its input, its topics and partitions, how far each was read, and where its
//! watermark stands. The driver has one per source of the plan, and asks all of them at each step of an epoch.

mod bad_share;
mod discovery;
mod evidence;
mod reading;
mod renewal;
mod schema_wait;
pub mod shared_groups;
pub mod start_from;
pub mod topic_watch;
mod watermark;

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_plan::ids::TopicPartition;
use weir_plan::plan::Source;
use weir_plan::quote::quoted;

use self::discovery::{Changes, Discovery};
use self::evidence::Evidence;
pub use self::reading::Reading;
use self::renewal::Renewal;
use self::topic_watch::{Look, TopicWatch};
use crate::checkpoint::manifest::{BadShare, HeldBy, MovedBy, SourceCounts, SourceProgress, Until};
use crate::clock::steady;
use crate::engine::lanes::LaneReport;
use crate::failure::{Failure, Result};
use crate::observe::progress::Waits;
use crate::source::kafka::KafkaInput;

/// How long the brokers may take to store the consumer group's offsets at the end of a run.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(5);

pub struct SourceRun {
    input: Arc<KafkaInput>,
    pub reading: Reading,
    topics: TopicWatch,
    discovery: Discovery,
    renewal: Renewal,
    evidence: Evidence,
}

/// What the lanes of one source report of an epoch.
#[derive(Default)]
pub struct Read {
    counts: SourceCounts,
    /// The time (µs) of the rows, if it is the clock's.
    processing_time_us: Option<i64>,
    first_bad: Option<String>,
    waiting: usize,
}

/// A closed epoch of one source.
pub struct ClosedSource {
    pub progress: SourceProgress,
    /// Bad records, and offsets that could not be read.
    pub bad: u64,
    /// The first of them, with the reason.
    pub first_bad: Option<String>,
}

impl SourceRun {
    /// Continues where `progress` ended. A run with `until` ends there. New partitions are looked for once per `every`;
    /// the last look was at `looked_at`.
    #[must_use]
    pub fn resume(
        source: &Source,
        input: Arc<KafkaInput>,
        progress: &SourceProgress,
        until: Option<&Until>,
        every: Duration,
        looked_at: Instant,
    ) -> Self {
        let now = steady();
        let reading = Reading::resume(source, progress, until, now);
        if reading.ids().len() == 0 {
            let more =
                if until.is_some() { "this run has nothing to read" } else { "the pipeline waits for one to appear" };
            tracing::warn!("source {}: no topic matches `topicPattern`; {more}", quoted(&source.name));
        }
        let delay = match &source.event_time {
            // No record of a partition that is found later is late, so nothing makes the looks more urgent.
            Some(_) if source.is_timed_by_clock() => every * 2,
            Some(event_time) => Duration::from_micros(event_time.watermark_delay_us.unsigned_abs()),
            None => Duration::ZERO,
        };
        // What a run with an end would find later belongs to the next run.
        let every = until.is_none().then_some(every);
        Self {
            topics: TopicWatch::new(Arc::clone(&input), progress.topic_ids.clone(), now),
            discovery: Discovery::new(Arc::clone(&input), every, delay, looked_at, now),
            renewal: Renewal::new(Arc::clone(&input), now),
            evidence: Evidence::new(Arc::clone(&input), now),
            reading,
            input,
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.reading.name
    }

    #[must_use]
    pub fn input(&self) -> &KafkaInput {
        &self.input
    }

    /// The end offset of each partition, as the client last learned it.
    #[must_use]
    pub fn latest_offsets(&self) -> Vec<Option<i64>> {
        self.reading.ids().map(|p| self.input.cached_high_watermark(p)).collect()
    }

    /// Publishes the consumer group's offsets, which tell Kafka's tools how far the source was read.
    pub fn publish(&self) {
        self.input.publish(&self.reading.next_offsets());
    }

    /// Publishes for the last time, after a run that ended well. An unreachable broker must not hold the process up.
    pub async fn publish_finally(&self) {
        let (input, offsets) = (Arc::clone(&self.input), self.reading.next_offsets());
        let published = tokio::task::spawn_blocking(move || input.publish_and_wait(&offsets));
        if tokio::time::timeout(PUBLISH_DEADLINE, published).await.is_err() {
            tracing::warn!(
                "source {}: the consumer group's offsets could not be published within {PUBLISH_DEADLINE:?}; the \
                 checkpoint has them",
                quoted(self.name())
            );
        }
    }

    /// Resolves when partitions or topics came or went, or there are new certificates or passwords. The future may be
    /// dropped: nothing is lost.
    ///
    /// # Errors
    /// `Config`, if a topic is not the one that was read so far.
    pub async fn changed(&mut self) -> Result<()> {
        tokio::select! {
            changed = self.discovery.changed(&self.reading, self.topics.pinned()) => changed,
            found = self.renewal.found() => found,
        }
    }

    /// Says that a lane has lost a topic, so that the next look comes soon.
    pub fn doubt(&mut self) {
        self.discovery.doubt();
    }

    /// Applies what [`Self::changed`] has found. It is called between two epochs, while no lane reads.
    pub fn change(&mut self) {
        if let Some(renewed) = self.renewal.take() {
            tracing::info!("source {}: goes on with new certificates or passwords", quoted(self.name()));
            self.input.renew(renewed);
        }
        let Some(Changes { new, ids, gone }) = &self.discovery.take() else { return };
        for (partition, bounds) in new {
            tracing::info!(%partition, from = bounds.low, "a partition was found and is read from its earliest offset");
        }
        for topic in gone {
            tracing::warn!(topic, "the topic does not exist any more: the pipeline goes on without it");
        }
        self.topics.change(ids, gone);
        self.reading.change(new, gone, steady());
    }

    /// Partitions that a run with an end has not read up to it, and whose leaders do not answer.
    ///
    /// # Errors
    /// A bug, if asking panics.
    pub async fn without_leader(&mut self) -> Result<Vec<TopicPartition>> {
        self.evidence.without_leader(&self.reading.unread()).await
    }

    /// What the source waits for since the epoch that was closed last.
    #[must_use]
    pub fn waits(&self, closed: &SourceProgress) -> Waits {
        Waits {
            watermark_held_by: self.reading.held_by(closed),
            for_schema: schema_wait::longest(self.reading.awaited()),
        }
    }

    /// Begins to look whether the topics are still those that were read. [`Self::check`] takes the answer.
    pub fn look(&mut self) -> Look {
        self.topics.look(steady())
    }

    /// Takes the answer of a look.
    ///
    /// # Errors
    /// `Config`, for a topic that is gone or was created again.
    pub async fn check(&self, look: Look) -> Result<()> {
        self.topics.check(look).await
    }

    /// Takes in what the lanes of this source report of the open epoch, and finds out which partitions are idle at
    /// `at`, when the epoch's clock was read. It asks the brokers about partitions that may be idle.
    ///
    /// # Errors
    /// A bug, if asking panics.
    pub async fn take_in(&mut self, reports: &mut [LaneReport], at: Instant, ends_the_run: bool) -> Result<Read> {
        let mut read = Read::default();
        for report in reports {
            let counts = &mut read.counts;
            counts.read += report.read;
            counts.decoded += report.decoded;
            counts.tombstones += report.tombstones;
            counts.dropped += report.bad.dropped;
            counts.rejected += report.bad.rejected;
            counts.filtered += report.filtered;
            counts.bytes += report.bytes;
            // All lanes say the same.
            read.processing_time_us = read.processing_time_us.or(report.processing_time_us);
            read.first_bad = read.first_bad.or(report.bad.first.take());
            read.waiting += report.partitions.iter().filter(|p| p.waits).count();
            self.reading.take_in(std::mem::take(&mut report.partitions), at);
        }
        let ends = self.evidence.ends(self.reading.quiet(at), ends_the_run).await?;
        self.reading.judge(at, &ends);
        Ok(read)
    }

    /// Closes the open epoch. The watermark moves to where the records put it, and on to `further`, unless there may be
    /// partitions that are not read yet. The brokers are asked if the last look for partitions is too old.
    ///
    /// # Errors
    /// `Data`, if more records are bad than `maxPerMillion` allows.
    pub async fn close(&mut self, read: Read, at: Instant, further: Option<(i64, MovedBy)>) -> Result<ClosedSource> {
        let would_move = self.reading.would_move() || further.is_some();
        let known = || self.reading.ids().cloned().collect();
        let held_by =
            if would_move && !self.discovery.is_complete(at, known).await? { Some(HeldBy::Discovery) } else { None };
        let bad = read.counts.bad() + self.reading.unreadable();
        let closed = self.reading.close(read.counts, self.topics.pinned(), held_by);
        let mut progress = closed.map_err(|share| too_many_bad(self.name(), share, read.first_bad.as_deref()))?;
        progress.processing_time_us = read.processing_time_us;
        if let Some((to_us, by)) = further.filter(|_| held_by.is_none()) {
            self.reading.raise(&mut progress, to_us, by);
        }
        Ok(ClosedSource { progress, bad, first_bad: read.first_bad })
    }

    /// Moves the watermark of an epoch that was just closed further than the source's own records do, unless there may
    /// be partitions that are not read yet. It never goes back.
    ///
    /// # Errors
    /// A bug, if asking the brokers panics.
    pub async fn raise(&mut self, closed: &mut SourceProgress, at: Instant, to_us: i64, by: MovedBy) -> Result<()> {
        if closed.watermark_after_us >= Some(to_us) || closed.held_by.is_some() {
            return Ok(());
        }
        if self.discovery.is_complete(at, || self.reading.ids().cloned().collect()).await? {
            self.reading.raise(closed, to_us, by);
        } else {
            closed.held_by = Some(HeldBy::Discovery);
        }
        Ok(())
    }
}

impl Read {
    /// How many partitions wait for the slowest one.
    #[must_use]
    pub fn partitions_waiting(&self) -> usize {
        self.waiting
    }
}

fn too_many_bad(source: &str, share: BadShare, first: Option<&str>) -> Failure {
    Failure::data(format!(
        "source {}: {} of the last {} records are bad, more than badRecords.maxPerMillion allows; nothing of this \
         epoch is committed; the \
         first bad record of it is {}; correct the schema or the producer, or raise maxPerMillion",
        quoted(source),
        share.bad,
        share.read,
        first.unwrap_or("unknown")
    ))
}
