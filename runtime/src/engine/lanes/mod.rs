//! The lanes of all sources as the coordinator sees them: threads that it tells to begin and to close, and that answer
//! within a deadline.

mod lane;
mod lost;
mod open_epoch;
mod skew;
pub mod stateless;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use tokio::sync::mpsc;
use weir_plan::panics;

pub use self::lane::{Assignment, AwaitedSchema, BadRecords, Before, LaneParts, LaneReport, Metadata, PartitionReport};
use self::lane::{Command, Lane, LaneMessage, Reports};
pub use self::open_epoch::OpenEpoch;
pub use self::skew::{Skew, SkewOfSource};
use crate::failure::{Failure, Result};

/// How long a lane may take to close an epoch. A lane answers within a poll and a batch. It takes longer only while an
/// unreachable sink holds it up, and the sink gives up before this.
const CLOSE_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// How long lanes may take to end. A lane that waits for an epoch to begin checks much more often whether it is to end.
const END_DEADLINE: Duration = Duration::from_secs(60);

pub struct Lanes {
    lanes: Vec<LaneHandle>,
    reports: mpsc::Receiver<LaneMessage>,
    pub epoch: Arc<OpenEpoch>,
}

struct LaneHandle {
    /// Index into the plan's sources.
    source: usize,
    commands: SyncSender<Command>,
}

impl Lanes {
    /// Starts one thread per lane. The threads wait for the first [`Self::begin`].
    pub fn start(lanes: Vec<LaneParts>, epoch: Arc<OpenEpoch>) -> Result<Self> {
        let work = |parts: LaneParts| {
            let source = parts.source;
            (source, move |commands: &Receiver<Command>, reports: &Reports| Lane::new(parts).run(commands, reports))
        };
        Self::spawn(lanes.into_iter().map(work).collect(), epoch)
    }

    /// Starts one thread per entry of `works`, which has the source that the lane reads.
    fn spawn<W>(works: Vec<(usize, W)>, epoch: Arc<OpenEpoch>) -> Result<Self>
    where
        W: FnOnce(&Receiver<Command>, &Reports) -> Result<()> + Send + 'static,
    {
        let (report, reports) = mpsc::channel(works.len().max(1));
        let mut lanes = Vec::with_capacity(works.len());
        for (i, (source, work)) in works.into_iter().enumerate() {
            // The channel holds a Close and the Begin after it. The driver never has more than these two under way.
            let (commands, commands_of_lane) = std::sync::mpsc::sync_channel(2);
            let report = report.clone();
            std::thread::Builder::new()
                .name(format!("lane-{i}"))
                .spawn(move || {
                    // Without this, the driver would wait for a lane that is gone, as long as there are others.
                    let ended = catch_unwind(AssertUnwindSafe(|| work(&commands_of_lane, &report)));
                    if let Err(failure) = ended.unwrap_or_else(|panic| {
                        Err(Failure::bug(format!("lane {i} panicked: {}", panics::said(&*panic))))
                    }) {
                        // The driver may be gone already; then nobody needs the failure.
                        let _ = report.blocking_send(Err(failure));
                    }
                })
                .map_err(|e| Failure::retry(format!("start lane {i}: {e}")))?;
            lanes.push(LaneHandle { source, commands });
        }
        Ok(Self { lanes, reports, epoch })
    }

    pub fn count(&self) -> u64 {
        self.lanes.len() as u64
    }

    /// Opens an epoch. `before` has what the lanes of each source are to know.
    pub fn begin(&self, before: &[Before]) {
        self.epoch.reset();
        for lane in &self.lanes {
            // A lane that has ended has left its reason with the reports.
            let _ = lane.commands.try_send(Command::Begin(before[lane.source].clone()));
        }
    }

    /// Closes the open epoch at this reading of the clock (µs) and gathers every lane's report.
    pub async fn close(&mut self, clock_us: i64) -> Result<Vec<LaneReport>> {
        for lane in &self.lanes {
            let _ = lane.commands.try_send(Command::Close { clock_us });
        }
        let mut reports = Vec::with_capacity(self.lanes.len());
        while reports.len() < self.lanes.len() {
            let message = tokio::time::timeout(CLOSE_DEADLINE, self.reports.recv());
            let message = message
                .await
                .map_err(|_| Failure::bug(format!("a lane did not close its epoch within {CLOSE_DEADLINE:?}")))?;
            reports.push(message.unwrap_or_else(|| Err(Failure::bug("a lane ended without reporting a result")))?);
        }
        Ok(reports)
    }

    /// Ends all lanes, which have closed their epoch, and waits until they have released their partitions.
    pub async fn end(&mut self) -> Result<()> {
        self.epoch.stop();
        // A lane's sender is dropped with its thread, after everything else that the lane had.
        let ended = async { while self.reports.recv().await.is_some() {} };
        tokio::time::timeout(END_DEADLINE, ended)
            .await
            .map_err(|_| Failure::bug(format!("a lane did not end within {END_DEADLINE:?}")))
    }

    /// Resolves when a lane fails while an epoch is open.
    pub async fn failed(&mut self) -> Failure {
        match self.reports.recv().await {
            Some(Err(failure)) => failure,
            Some(Ok(_)) => Failure::bug("a lane closed an epoch that was open"),
            None => Failure::bug("all lanes ended without reporting a result"),
        }
    }
}

/// Lanes end at their next look. Nobody waits for them: an unreachable sink may hold one up, and nothing that it has
/// read since the last epoch counts.
impl Drop for Lanes {
    fn drop(&mut self) {
        self.epoch.stop();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use weir_plan::plan::Limits;

    use super::*;
    use crate::Remedy;
    use crate::memory::Memory;

    type Work = fn(&Receiver<Command>, &Reports) -> Result<()>;

    /// A lane that works. It reports empty epochs.
    fn sound(commands: &Receiver<Command>, reports: &Reports) -> Result<()> {
        while let Ok(command) = commands.recv() {
            if matches!(command, Command::Close { .. }) && reports.blocking_send(Ok(LaneReport::default())).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn panicking(commands: &Receiver<Command>, _: &Reports) -> Result<()> {
        commands.recv().unwrap();
        panic!("row {} is missing", 7)
    }

    fn failing(commands: &Receiver<Command>, _: &Reports) -> Result<()> {
        commands.recv().unwrap();
        Err(Failure::data("a bad record"))
    }

    fn begun(work: [Work; 2]) -> Lanes {
        let limits = Limits { records_per_epoch: 1, bytes_per_epoch: 1 };
        let lanes = Lanes::spawn(
            work.map(|work| (0, work)).to_vec(),
            Arc::new(OpenEpoch::new(limits, u64::MAX, Arc::new(Memory::new(None).unwrap()), Arc::new(|| 0))),
        )
        .unwrap();
        lanes.begin(&[Before::default()]);
        lanes
    }

    async fn soon<T>(told: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), told).await.expect("the driver was told")
    }

    #[tokio::test]
    async fn a_lane_that_fails_or_panics_beside_an_idle_one_is_told_at_once() {
        assert_eq!(soon(begun([sound, failing]).failed()).await, Failure::data("a bad record"));
        assert_eq!(soon(begun([panicking, sound]).failed()).await, Failure::bug("lane 0 panicked: row 7 is missing"));
    }

    #[tokio::test]
    async fn lanes_that_have_ended_hold_nothing_any_more() {
        let held = Arc::new(());
        let limits = Limits { records_per_epoch: 1, bytes_per_epoch: 1 };
        let epoch = Arc::new(OpenEpoch::new(limits, u64::MAX, Arc::new(Memory::new(None).unwrap()), Arc::new(|| 0)));
        let work = |held: Arc<()>, epoch: Arc<OpenEpoch>| {
            move |_: &Receiver<Command>, _: &Reports| {
                while !epoch.is_stopped() {
                    std::thread::yield_now();
                }
                drop(held);
                Ok(())
            }
        };
        let works = (0..3).map(|_| (0, work(Arc::clone(&held), Arc::clone(&epoch)))).collect();
        let mut lanes = Lanes::spawn(works, epoch).unwrap();
        soon(lanes.end()).await.unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn an_epoch_is_closed_by_all_lanes_or_by_none() {
        assert_eq!(soon(begun([sound, sound]).close(0)).await.unwrap().len(), 2);
        assert_eq!(soon(begun([sound, panicking]).close(0)).await.unwrap_err().remedy, Remedy::Bug);
    }
}
