//! The lanes of a source as the driver sees them: threads that are told to begin and to close, and that answer within a deadline.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::mpsc;

use super::lane::{Command, Lane, LaneMessage, LaneParts, LaneReport};
use super::open_epoch::OpenEpoch;
use crate::failure::{Failure, Result};

/// A lane answers within a poll and a batch; longer only while a sink that is away holds it up, and the sink gives up before this.
const CLOSE_DEADLINE: Duration = Duration::from_secs(15 * 60);

pub struct Lanes {
    commands: Vec<SyncSender<Command>>,
    reports: mpsc::Receiver<LaneMessage>,
    pub epoch: Arc<OpenEpoch>,
}

impl Lanes {
    /// Starts one thread per lane. They wait for the first [`Self::begin`].
    pub fn start(lanes: Vec<LaneParts>, epoch: Arc<OpenEpoch>) -> Result<Self> {
        let (report, reports) = mpsc::channel(lanes.len().max(1));
        let mut commands = Vec::new();
        for (i, parts) in lanes.into_iter().enumerate() {
            // Close and the Begin after it: the driver never has more than these two under way.
            let (command, commands_of_lane) = std::sync::mpsc::sync_channel(2);
            let report = report.clone();
            std::thread::Builder::new()
                .name(format!("lane-{i}"))
                .spawn(move || Lane::new(parts).run(&commands_of_lane, &report))
                .map_err(|e| Failure::retry(format!("start lane {i}: {e}")))?;
            commands.push(command);
        }
        Ok(Self { commands, reports, epoch })
    }

    pub fn count(&self) -> u64 {
        self.commands.len() as u64
    }

    /// Opens an epoch: `watermarks_us` per lane aggregate.
    pub fn begin(&self, watermarks_us: &[Option<i64>]) {
        self.epoch.reset();
        for lane in &self.commands {
            // A lane that has gone has left its reason with the reports.
            let _ = lane.try_send(Command::Begin { watermarks_us: watermarks_us.to_vec() });
        }
    }

    /// Closes the epoch in hand and gathers what every lane has of it.
    pub async fn close(&mut self) -> Result<Vec<LaneReport>> {
        for lane in &self.commands {
            let _ = lane.try_send(Command::Close);
        }
        let mut reports = Vec::with_capacity(self.commands.len());
        while reports.len() < self.commands.len() {
            let message = tokio::time::timeout(CLOSE_DEADLINE, self.reports.recv());
            let message = message.await.map_err(|_| Failure::bug(format!("a lane did not close its epoch within {CLOSE_DEADLINE:?}")))?;
            reports.push(message.unwrap_or_else(|| Err(Failure::bug("a lane ended without a word")))?);
        }
        Ok(reports)
    }

    /// Resolves when a lane fails while an epoch is open.
    pub async fn failed(&mut self) -> Failure {
        match self.reports.recv().await {
            Some(Err(failure)) => failure,
            Some(Ok(_)) => Failure::bug("a lane closed an epoch that was open"),
            None => Failure::bug("all lanes ended without a word"),
        }
    }
}

/// Lanes end at their next look. They are not waited for: one may be held up by a sink that is away, and nothing that it has read since the
/// last epoch counts.
impl Drop for Lanes {
    fn drop(&mut self) {
        self.epoch.stop();
    }
}
