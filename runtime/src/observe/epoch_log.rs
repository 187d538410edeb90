//! The log of epochs: a line for each, or one line for many if they follow each other quickly. The progress file has
//! every epoch.

use std::time::{Duration, Instant};

use super::progress::Progress;

/// The least time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// The least time between two warnings about bad records.
const WARNING_EVERY: Duration = Duration::from_secs(10);

/// What was not logged yet.
#[derive(Default)]
pub struct EpochLog {
    told_at: Option<Instant>,
    epochs: u64,
    records: u64,
    rows_out: u64,
    warned_at: Option<Instant>,
    bad: u64,
    warned_of_rows_at: Option<Instant>,
    bad_rows: u64,
}

impl EpochLog {
    pub fn epoch(&mut self, progress: &Progress, now: Instant) {
        self.epochs += 1;
        self.records += progress.num_input_rows;
        self.rows_out += progress.sinks.iter().map(|s| s.num_output_rows).sum::<u64>();
        if !is_due(self.told_at, LINE_EVERY, now) {
            return;
        }
        self.told_at = Some(now);
        let [epochs, records, rows_out] = [&mut self.epochs, &mut self.records, &mut self.rows_out].map(std::mem::take);
        tracing::info!(
            epoch = progress.batch_id,
            epochs,
            records,
            records_per_second = progress.processed_rows_per_second.round(),
            rows_out,
            watermark = progress.event_time.watermark.as_deref().unwrap_or("none"),
            lag = progress.lag(),
            ms = progress.duration_ms.trigger_execution,
            "epoch committed"
        );
    }

    /// Some records of an epoch were bad; `first` is one of them.
    pub fn bad_records(&mut self, count: u64, first: &str, now: Instant) {
        self.bad += count;
        if is_due(self.warned_at, WARNING_EVERY, now) {
            self.warned_at = Some(now);
            let records = std::mem::take(&mut self.bad);
            tracing::warn!(records, first, "bad records were left out, as badRecords.policy says");
        }
    }

    /// Some rows of an epoch's windows could not be computed; `first` is one of them.
    pub fn bad_rows(&mut self, count: u64, first: &str, now: Instant) {
        self.bad_rows += count;
        if is_due(self.warned_of_rows_at, WARNING_EVERY, now) {
            self.warned_of_rows_at = Some(now);
            let rows = std::mem::take(&mut self.bad_rows);
            tracing::warn!(rows, first, "rows that could not be computed were left out, as badRecords.policy says");
        }
    }
}

fn is_due(last: Option<Instant>, every: Duration, now: Instant) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= every)
}
