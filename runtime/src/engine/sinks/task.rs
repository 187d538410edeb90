//! A sink that threads write to: all lanes that lead to it, or all workers. A task hands the batches of an epoch to the
//! epoch's writers (`epoch.rs`), as many at most as threads write to the sink. The queue before the task is bounded in
//! bytes. A full queue stops the threads, and lanes that are stopped do not fetch.
//!
//! The task ends in one of two ways. Either it fails: then it reports the reason before any thread can notice that it
//! takes no more rows. Or all threads have dropped their inputs: then it ends without a reason, because the threads
//! have the reason and nothing here may report one before they do.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use weir_plan::panics;

use super::epoch::{EpochWriters, Queued};
use crate::failure::{Failure, Result};
use crate::sink::writing::{Part, Slot, Writers};

/// A thread's end of the queue.
#[derive(Clone)]
pub struct SinkInput {
    queue: mpsc::UnboundedSender<Message>,
    room: Arc<Semaphore>,
    /// The columns that the sink writes, of those that it is given: [`weir_plan::plan::Sink::keeps`].
    keeps: Option<Arc<[usize]>>,
    /// The bound of the queue. One permit is a KiB, since a semaphore counts in u32.
    room_kib: u32,
    handle: Handle,
}

enum Message {
    Rows(Queued),
    EndOfEpoch,
}

/// The driver's end of the queue.
pub struct SinkOutput {
    epochs: mpsc::Receiver<Result<Vec<Part>>>,
}

impl SinkOutput {
    /// What each writer wrote in the epoch that all threads have ended; nothing if they had no rows.
    pub async fn next(&mut self) -> Result<Vec<Part>> {
        self.epochs
            .recv()
            .await
            .unwrap_or_else(|| Err(Failure::bug("the sink task exited before it reported what it wrote of an epoch")))
    }

    /// Why the sink has stopped, if it failed. Threads only see that it takes no more.
    pub fn failure(&mut self) -> Option<Failure> {
        self.epochs.try_recv().ok().and_then(Result::err)
    }

    /// Resolves when the sink fails while an epoch is open. It never resolves if the task ended because its threads
    /// did.
    pub async fn failed(&mut self) -> Failure {
        match self.epochs.recv().await {
            Some(Err(failure)) => failure,
            Some(Ok(_)) => Failure::bug("a sink reported what it wrote of an epoch that was still open"),
            None => std::future::pending().await,
        }
    }
}

impl SinkInput {
    /// Queues rows, and waits for room. It must be called from a thread outside the async runtime.
    pub fn send(&self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let rows = match &self.keeps {
            Some(keeps) => rows.project(keeps).map_err(|e| Failure::bug(format!("columns of a sink: {e}")))?,
            None => rows,
        };
        let kib = u32::try_from(rows.get_array_memory_size() / 1024 + 1).unwrap_or(u32::MAX).min(self.room_kib);
        let room = self.handle.block_on(Arc::clone(&self.room).acquire_many_owned(kib)).map_err(|_| gone())?;
        self.queue.send(Message::Rows(Queued { rows, room })).map_err(|_| gone())
    }

    /// Says that this thread has nothing more for the open epoch.
    pub fn end_epoch(&self) -> Result<()> {
        self.queue.send(Message::EndOfEpoch).map_err(|_| gone())
    }
}

/// The failure of a thread whose sink takes no more rows. The driver has the reason: [`SinkOutput::failure`].
fn gone() -> Failure {
    Failure::retry("a sink has stopped taking rows")
}

/// Whether a thread failed only because a sink takes no more rows.
pub fn is_gone(of_thread: &Failure) -> bool {
    *of_thread == gone()
}

/// Starts the task of one sink. `threads` threads write to it, it writes the columns that it `keeps`, and its writers
/// get `slot`. At most `queue_bytes` of rows may wait.
pub fn spawn(
    writers: Arc<dyn Writers>,
    keeps: Option<Arc<[usize]>>,
    slot: Slot,
    threads: usize,
    queue_bytes: u64,
) -> (SinkInput, SinkOutput) {
    let (queue, mut messages) = mpsc::unbounded_channel();
    let (results, epochs) = mpsc::channel(1);
    let room_kib = u32::try_from(queue_bytes / 1024).unwrap_or(u32::MAX).max(1);
    let room = Arc::new(Semaphore::new(room_kib as usize));
    let input = SinkInput { queue, room: Arc::clone(&room), keeps, room_kib, handle: Handle::current() };
    tokio::spawn(async move {
        let worked = AssertUnwindSafe(work(&*writers, &slot, threads, &mut messages, &results)).catch_unwind().await;
        let worked = worked
            .unwrap_or_else(|panic| Err(Failure::bug(format!("the sink task panicked: {}", panics::said(&*panic)))));
        if let Err(failure) = worked {
            // The reason is sent first, since the driver looks for it when a thread says that the sink is gone.
            let _ = results.send(Err(failure)).await;
            room.close();
        }
    });
    (input, SinkOutput { epochs })
}

async fn work(
    writers: &dyn Writers,
    slot: &Slot,
    threads: usize,
    messages: &mut mpsc::UnboundedReceiver<Message>,
    results: &mpsc::Sender<Result<Vec<Part>>>,
) -> Result<()> {
    let mut epoch = EpochWriters::default();
    let mut ended = 0;
    loop {
        let message = tokio::select! {
            biased;
            failure = epoch.failed() => return Err(failure),
            message = messages.recv() => message,
        };
        match message {
            None => return Ok(()),
            Some(Message::Rows(queued)) => epoch.write(queued, writers, slot, threads)?,
            Some(Message::EndOfEpoch) => {
                ended += 1;
                if ended == threads {
                    ended = 0;
                    let parts = std::mem::take(&mut epoch).finish().await?;
                    if results.send(Ok(parts)).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use weir_testing::faulty::Faulty;
    use weir_testing::lake::{Lake, QUICK, SOON_GIVEN_UP, rides};

    use super::*;
    use crate::Remedy;
    use crate::engine::sinks::kept::Kept;
    use crate::engine::sinks::outputs::SinkOutputs;
    use crate::retry::RetryPolicy;
    use crate::sink::Means;
    use crate::sink::delta::DeltaTable;

    /// A sink's task. The next `away` calls to its store fail.
    async fn task(lake: &Lake, away: u32, retry: RetryPolicy) -> (SinkInput, SinkOutput) {
        let (store, location) = Faulty::before(&lake.location(), []);
        let table = DeltaTable::open_or_create(location, &lake.sink, "p", &Means::of_system(retry)).await.unwrap();
        store.away.store(away, Ordering::Relaxed);
        spawn(Arc::new(table.files()), None, Slot::new("l", 1 << 20), 1, 1 << 20)
    }

    /// Writes an epoch as a lane's thread does.
    async fn write_epoch(input: &SinkInput) -> Result<()> {
        let input = input.clone();
        tokio::task::spawn_blocking(move || input.send(rides(&[(1, None, None)])).and_then(|()| input.end_epoch()))
            .await
            .unwrap()
    }

    /// A writer is given rows of the sink's own schema, whatever the sink's kind.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_writer_is_given_the_columns_that_its_sink_keeps() {
        let kept = Kept::default();
        let slot = Slot::new("l", 1 << 20);
        let (input, mut output) = spawn(Arc::new(kept.clone()), Some([1].into()), slot, 1, 1 << 20);
        write_epoch(&input).await.unwrap();
        output.next().await.unwrap();
        assert_eq!(kept.take(), [rides(&[(1, None, None)]).project(&[1]).unwrap()]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_epoch_is_written_once_the_store_is_back_and_the_next_one_after_it() {
        let lake = Lake::new(&[]);
        let (input, mut output) = task(&lake, 4, QUICK).await;
        for _ in 0..2 {
            write_epoch(&input).await.unwrap();
            let parts = output.next().await.unwrap();
            assert_eq!(parts.iter().map(|p| (p.body.as_array().unwrap().len(), p.rows)).collect::<Vec<_>>(), [(1, 1)]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lane_that_could_not_write_is_explained_by_its_sink_and_one_with_a_reason_of_its_own_is_not() {
        let lake = Lake::new(&[]);
        let (input, output) = task(&lake, u32::MAX, SOON_GIVEN_UP).await;
        let mut sinks = SinkOutputs::default();
        sinks.add(0, "silver".into(), output);
        // The failure that a lane gets once the store has been given up.
        let gone = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                if let Err(gone) = write_epoch(&input).await {
                    break gone;
                }
            }
        });
        let gone = gone.await.expect("the lane was told");
        let bad = Failure::data("the record at rides-0 offset 7 can't be processed");
        assert_eq!(sinks.reason(bad.clone()), bad);
        let explained = sinks.reason(gone);
        assert!(
            explained.message.starts_with("sink `silver`: ") && explained.message.contains("given up"),
            "{explained}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sink_that_fails_is_reported_by_name_while_the_lanes_have_nothing_to_write() {
        let lake = Lake::new(&[]);
        let (input, output) = task(&lake, 0, QUICK).await;
        let mut sinks = SinkOutputs::default();
        sinks.add(0, "silver".into(), output);
        // These rows lack the required column `n`.
        let unfit = rides(&[(1, None, None)]).project(&[1, 2]).unwrap();
        let lane = input.clone();
        tokio::task::spawn_blocking(move || lane.send(unfit)).await.unwrap().unwrap();
        let failure =
            tokio::time::timeout(Duration::from_secs(10), sinks.failed()).await.expect("the failure was reported");
        assert_eq!(failure.remedy, Remedy::Data);
        assert!(failure.message.starts_with("sink `silver`: rows do not fit the table"), "{failure}");
        drop(input);
    }

    /// A lane that stops at a bad record drops its sinks before the driver hears of it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_sink_whose_lanes_have_ended_is_not_why_they_did() {
        let lake = Lake::new(&[]);
        let (input, output) = task(&lake, 0, QUICK).await;
        drop(input);
        let ended = async {
            while !output.epochs.is_closed() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the task ended");
        let mut sinks = SinkOutputs::default();
        sinks.add(0, "silver".into(), output);
        assert_eq!(sinks.failed().now_or_never(), None);
        assert_eq!(sinks.reason(Failure::config("the topic is gone")), Failure::config("the topic is gone"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_store_that_stays_away_ends_the_task_and_the_lanes_that_wait_for_room() {
        let lake = Lake::new(&[]);
        let (input, mut output) = task(&lake, u32::MAX, SOON_GIVEN_UP).await;
        // All room is taken, so that the lane has to wait for it.
        let one = Arc::clone(&input.room).acquire_owned().await.unwrap();
        let _all_others = Arc::clone(&input.room).acquire_many_owned(input.room_kib - 1).await.unwrap();
        let _row = input.queue.send(Message::Rows(Queued { rows: rides(&[(1, None, None)]), room: one }));
        input.end_epoch().unwrap();
        let waiting =
            tokio::time::timeout(Duration::from_secs(10), write_epoch(&input)).await.expect("the lane was let go");
        assert_eq!(waiting.map_err(|f| f.remedy), Err(Remedy::Retry));
        let failure = output.next().await.err().unwrap();
        assert_eq!(failure.remedy, Remedy::Retry);
        assert!(failure.message.ends_with("connection reset; given up after 50ms of trying"), "{failure}");
    }
}
