//! Work for the sinks beside the commits: their [`Duty`]s. One task per process performs one duty at a time, so that
//! its memory is limited and the commits keep the machine. When the process ends, the task stops where it is, and a
//! later turn does the rest.
//!
//! No commit needs this work, and nothing relies on its being done first. A failure is a warning, and the next turn
//! tries again.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use weir_base::clock::Clock;
use weir_base::failure::Result;
use weir_base::memory::Memory;
use weir_base::random::Random;
use weir_base::retry::RetryPolicy;

/// How often the task looks at the clock.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Repeated work for a sink, such as a compaction of its table.
pub trait Duty: Send {
    /// The duty's name, for the log.
    fn name(&self) -> &'static str;

    /// The time from the end of one turn to the beginning of the next.
    fn every(&self) -> Duration;

    /// Performs one turn. `bytes_max` limits the rows in memory, for reading and for writing each.
    ///
    /// # Errors
    /// Whatever the sink reports. After an error the sink must still be intact, and the turn may be tried again.
    fn turn(&mut self, bytes_max: u64) -> BoxFuture<'_, Result<Done>>;
}

/// The duties of a sink.
pub struct Duties {
    pub sink: String,
    pub duties: Vec<Box<dyn Duty>>,
}

/// What was done for a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Files were compacted: the number of commits, the files before and after, and the rewrites that gave way to
    /// others' commits.
    Compacted {
        commits: u64,
        files_before: u64,
        files_after: u64,
        conflicts: u64,
    },
    /// Files were deleted: their number and their bytes.
    Vacuumed {
        files: u64,
        bytes: u64,
    },
    Failed,
}

/// Is told what was done for a sink.
pub type Tell = Arc<dyn Fn(&str, Done) + Send + Sync>;

/// The writer that writes to the sinks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    pub lineage: String,
    pub generation: u64,
}

/// What all duties of a process share.
#[derive(Clone)]
pub struct Surroundings {
    /// Time since 1970, as in the times of files. Somebody may set this clock, and then it steps.
    pub now_ms: Clock,
    /// A clock that nobody sets, to measure how long something has lasted.
    pub steady_ms: Clock,
    pub retry: RetryPolicy,
    pub random: Random,
    pub memory: Arc<Memory>,
    pub writer: Writer,
    /// The writer's label in the names of data files.
    pub label: String,
    pub tell: Tell,
}

/// The running task; it goes on until this is dropped.
pub struct Upkeep {
    task: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Starts the task, which gives each duty its first turn at once. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(of_sinks: Vec<Duties>, surroundings: &Surroundings) -> Self {
        let turns: Vec<_> = of_sinks.into_iter().flat_map(Duties::turns).collect();
        let task = (!turns.is_empty()).then(|| tokio::spawn(look_after(turns, surroundings.clone())));
        Self { task }
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The turns of one duty.
struct Turns {
    sink: String,
    duty: Box<dyn Duty>,
    due_ms: i64,
    /// The last failure. The same failure is logged once and not at every turn.
    told: Option<String>,
}

impl Duties {
    fn turns(self) -> impl Iterator<Item = Turns> {
        let Self { sink, duties } = self;
        duties.into_iter().map(move |duty| Turns { sink: sink.clone(), duty, due_ms: i64::MIN, told: None })
    }
}

async fn look_after(mut all: Vec<Turns>, surroundings: Surroundings) {
    loop {
        for turns in &mut all {
            // With little memory left, whatever frees memory comes first, and the sinks wait.
            let bytes_max = surroundings.memory.maintenance_bytes();
            if let Some(bytes_max) = bytes_max.filter(|_| (surroundings.steady_ms)() >= turns.due_ms) {
                turns.take(bytes_max, &surroundings.tell).await;
                turns.due_ms = (surroundings.steady_ms)().saturating_add(millis(turns.duty.every()));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Turns {
    async fn take(&mut self, bytes_max: u64, tell: &Tell) {
        match self.duty.turn(bytes_max).await {
            Ok(done) => {
                self.told = None;
                tracing::debug!(sink = self.sink, ?done, "maintenance");
                tell(&self.sink, done);
            }
            Err(failure) => {
                tell(&self.sink, Done::Failed);
                if self.told.as_ref() != Some(&failure.message) {
                    tracing::warn!(
                        sink = self.sink,
                        "{}: {failure}; the table is whole, and the next turn tries again",
                        self.duty.name()
                    );
                    self.told = Some(failure.message);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicI64, Ordering};

    use futures::FutureExt as _;
    use tokio::sync::mpsc;
    use weir_base::failure::Failure;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A duty that does nothing, with the clock that all duties share.
    struct Stub {
        every: Duration,
        /// Whether its first turn fails.
        fails: bool,
        /// How long a turn takes.
        takes: Duration,
        clock_ms: Arc<AtomicI64>,
    }

    impl Duty for Stub {
        fn name(&self) -> &'static str {
            "stub"
        }

        fn every(&self) -> Duration {
            self.every
        }

        fn turn(&mut self, bytes_max: u64) -> BoxFuture<'_, Result<Done>> {
            self.clock_ms.fetch_add(millis(self.takes), Ordering::SeqCst);
            let result = if std::mem::take(&mut self.fails) {
                Err(Failure::retry("the store is away"))
            } else {
                Ok(Done::Vacuumed { files: 0, bytes: bytes_max })
            };
            std::future::ready(result).boxed()
        }
    }

    #[tokio::test]
    async fn each_duty_has_its_turn_in_its_time_with_the_memory_that_there_is_whatever_became_of_the_others() {
        let clock_ms = Arc::new(AtomicI64::new(0));
        let (tells, mut told) = mpsc::unbounded_channel();
        let (now, steady) = (Arc::clone(&clock_ms), Arc::clone(&clock_ms));
        let surroundings = Surroundings {
            now_ms: Arc::new(move || now.load(Ordering::SeqCst)),
            steady_ms: Arc::new(move || steady.load(Ordering::SeqCst)),
            retry: RetryPolicy::giving_up_after(MINUTE),
            random: Random::of_system(),
            memory: Arc::new(Memory::new(None).unwrap()),
            writer: Writer { lineage: "lineage".into(), generation: 1 },
            label: "lineage-0000000001".into(),
            tell: Arc::new(move |sink, done| tells.send((sink.to_owned(), done)).unwrap()),
        };
        let sink = |sink: &str, every, fails, takes| {
            let duty: Box<dyn Duty> = Box::new(Stub { every, fails, takes, clock_ms: Arc::clone(&clock_ms) });
            Duties { sink: sink.into(), duties: vec![duty] }
        };
        // The duty of `clock` always has its turn, during which a minute passes.
        let of_sinks = vec![
            sink("slow", 2 * MINUTE, true, Duration::ZERO),
            sink("fast", MINUTE, false, Duration::ZERO),
            sink("clock", Duration::ZERO, false, MINUTE),
        ];
        let upkeep = Upkeep::start(of_sinks, &surroundings);
        let mut first = Vec::new();
        while first.len() < 8 {
            first.push(
                tokio::time::timeout(Duration::from_secs(20), told.recv()).await.expect("a turn within 20 s").unwrap(),
            );
        }
        drop(upkeep);
        let done = Done::Vacuumed { files: 0, bytes: 64 << 20 };
        let at_once = [("slow", Done::Failed), ("fast", done), ("clock", done)];
        let after_a_minute = [("fast", done), ("clock", done)];
        let after_two = [("slow", done), ("fast", done), ("clock", done)];
        let expected = at_once.into_iter().chain(after_a_minute).chain(after_two);
        assert_eq!(first, expected.map(|(sink, done)| (sink.to_owned(), done)).collect::<Vec<_>>());
    }
}
