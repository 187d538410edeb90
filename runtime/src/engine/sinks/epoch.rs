//! The writers of one sink's open epoch. Encoding rows costs more than all else that happens to closed windows, so an
//! epoch with many rows gets further writers, each a task of its own. An epoch with few rows keeps a single one,
//! because each writer makes at least one data file.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::record_batch::RecordBatch;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::{JoinError, JoinSet};

use crate::failure::{Failure, Result};
use crate::sink::writing::{EpochWriter, Part, Slot, Writers};

/// Bytes of rows that each open writer must have on average before the epoch gets a further one. Encoded they are a
/// data file of some megabytes.
const BYTES_PER_WRITER: u64 = 16 << 20;

/// Rows, and the room in the sink's queue that they hold until they are written.
pub(super) struct Queued {
    pub(super) rows: RecordBatch,
    pub(super) room: OwnedSemaphorePermit,
}

/// The open writers. Dropping this gives them up.
#[derive(Default)]
pub(super) struct EpochWriters {
    open: Vec<Open>,
    tasks: JoinSet<Result<Part>>,
    /// Bytes of the rows that came in this epoch.
    bytes: u64,
}

struct Open {
    queue: mpsc::UnboundedSender<Queued>,
    /// Bytes of rows that wait in the queue or are being written.
    waiting: Arc<AtomicU64>,
}

impl EpochWriters {
    /// Gives rows to the writer with the least to do. If all are busy with many rows, a further one is begun, up to
    /// `writers_max`.
    ///
    /// # Errors
    /// `Bug`, if no writer can begin. A writer that fails is found by [`Self::failed`] and [`Self::finish`].
    pub(super) fn write(
        &mut self,
        queued: Queued,
        writers: &dyn Writers,
        slot: &Slot,
        writers_max: usize,
    ) -> Result<()> {
        let bytes = queued.rows.get_array_memory_size() as u64;
        self.bytes += bytes;
        let idlest = self.open.iter().min_by_key(|open| open.waiting.load(Ordering::Relaxed));
        let is_due = |idlest: &Open| {
            let is_busy = idlest.waiting.load(Ordering::Relaxed) > 0;
            is_busy && self.open.len() < writers_max && self.bytes > BYTES_PER_WRITER * self.open.len() as u64
        };
        let open = match idlest {
            Some(idlest) if !is_due(idlest) => idlest,
            _ => {
                slot.buffer.share_among(self.open.len() as u64 + 1);
                let begun = Open::begin(writers.begin(slot)?, &mut self.tasks);
                self.open.push(begun);
                &self.open[self.open.len() - 1]
            }
        };
        open.waiting.fetch_add(bytes, Ordering::Relaxed);
        // A writer that takes no more has failed, and `failed` has the reason.
        let _ = open.queue.send(queued);
        Ok(())
    }

    /// Resolves when a writer fails.
    pub(super) async fn failed(&mut self) -> Failure {
        match self.tasks.join_next().await {
            Some(ended) => match of_task(ended) {
                Err(failure) => failure,
                Ok(_) => Failure::bug("a sink's writer ended while its epoch was open"),
            },
            None => std::future::pending().await,
        }
    }

    /// Sends the rest, and returns what each writer gave.
    ///
    /// # Errors
    /// See [`EpochWriter::write`].
    pub(super) async fn finish(mut self) -> Result<Vec<Part>> {
        self.open.clear();
        let mut parts = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            parts.push(of_task(ended)?);
        }
        Ok(parts)
    }
}

impl Open {
    fn begin(mut writer: Box<dyn EpochWriter>, tasks: &mut JoinSet<Result<Part>>) -> Self {
        let (queue, mut queued) = mpsc::unbounded_channel::<Queued>();
        let waiting = Arc::new(AtomicU64::new(0));
        let left = Arc::clone(&waiting);
        tasks.spawn(async move {
            while let Some(Queued { rows, room }) = queued.recv().await {
                writer.write(&rows).await?;
                left.fetch_sub(rows.get_array_memory_size() as u64, Ordering::Relaxed);
                drop(room);
            }
            writer.finish().await
        });
        Self { queue, waiting }
    }
}

/// A panic goes on in the sink's task, which reports it.
fn of_task(ended: std::result::Result<Result<Part>, JoinError>) -> Result<Part> {
    ended.unwrap_or_else(|e| match e.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(e) => Err(Failure::bug(format!("a sink's writer was given up: {e}"))),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use arrow::array::{ArrayRef, Int64Array};
    use futures::FutureExt as _;
    use futures::future::BoxFuture;
    use serde_json::json;
    use tokio::sync::Semaphore;

    use super::*;

    /// Writers that write nothing before they are let, and count what they were given.
    #[derive(Clone)]
    struct Held {
        gate: Arc<Semaphore>,
        shares: Arc<Mutex<Vec<u64>>>,
    }

    struct HeldWriter {
        gate: Arc<Semaphore>,
        rows: u64,
    }

    impl Writers for Held {
        fn begin(&self, slot: &Slot) -> Result<Box<dyn EpochWriter>> {
            self.shares.lock().unwrap().push(slot.buffer.share());
            Ok(Box::new(HeldWriter { gate: Arc::clone(&self.gate), rows: 0 }))
        }
    }

    impl EpochWriter for HeldWriter {
        fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
            async {
                let _open = self.gate.acquire().await.unwrap();
                self.rows += rows.num_rows() as u64;
                Ok(())
            }
            .boxed()
        }

        fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Part>> {
            async move { Ok(Part { rows: self.rows, body: json!(null) }) }.boxed()
        }
    }

    /// Some 4 MiB.
    fn rows() -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0; 512 << 10]));
        RecordBatch::try_from_iter([("n", numbers)]).unwrap()
    }

    /// The rows of each writer of an epoch of so many batches, the most first, and the share that each began with.
    async fn written(batches: usize, writers_max: usize) -> (Vec<u64>, Vec<u64>) {
        let held = Held { gate: Arc::new(Semaphore::new(0)), shares: Arc::default() };
        let (slot, room) = (Slot::new("l", 1_000), Arc::new(Semaphore::new(batches)));
        let mut epoch = EpochWriters::default();
        for _ in 0..batches {
            let room = Arc::clone(&room).acquire_owned().await.unwrap();
            epoch.write(Queued { rows: rows(), room }, &held, &slot, writers_max).unwrap();
        }
        held.gate.add_permits(1);
        let mut parts: Vec<_> = epoch.finish().await.unwrap().iter().map(|part| part.rows / (512 << 10)).collect();
        parts.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(room.available_permits(), batches, "what is written holds no room");
        (parts, held.shares.lock().unwrap().clone())
    }

    #[tokio::test]
    async fn an_epoch_with_few_rows_has_one_writer_however_slow_it_is() {
        assert_eq!(written(3, 8).await, (vec![3], vec![1_000]));
    }

    #[tokio::test]
    async fn many_rows_that_wait_get_further_writers_which_share_the_memory() {
        let (parts, shares) = written(16, 3).await;
        assert_eq!(parts.iter().sum::<u64>(), 16);
        assert!(parts.len() == 3 && parts.iter().all(|batches| (4..=7).contains(batches)), "{parts:?}");
        assert_eq!(shares, [1_000, 500, 333]);
    }

    #[tokio::test]
    async fn a_sink_that_may_have_one_writer_has_one() {
        assert_eq!(written(16, 1).await.0, [16]);
    }
}
