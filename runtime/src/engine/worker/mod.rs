//! What comes after the first change of key, as the coordinator sees it: workers, each of which is a thread with the
//! operators of all keyed steps for a range of key groups. The coordinator tells them what lanes have of an epoch and
//! what the watermarks are. Workers send each other what comes to steps behind others, write the rows of the epoch to
//! the sinks, and answer with the change of state.
//!
//! ```text
//! Open ─▶ (Leaves ─▶ answer)* ─▶ Edge* ─▶ (Leaves ─▶ answer)* ─▶ Close ─▶ per step: close ─▶ rows ─▶ sinks          ─▶ Closed
//!                                                                                             └─▶ Edge, Ended to all workers
//! ```

mod bad_rows;
mod keyed_stage;
mod keyed_state;
mod leaving;
mod messages;
mod step_rows;
#[cfg(test)]
mod tests;
mod thread;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use weir_plan::ids::Epoch;
use weir_plan::panics;
use weir_plan::stages::Edge;

use self::bad_rows::BadOfEpoch;
use self::keyed_stage::Held;
pub use self::keyed_stage::KeyedStage;
pub use self::keyed_state::{Horizons, KeyedState};
use self::keyed_state::{inputs, progress};
use self::messages::{Answer, Closed, Message};
use self::thread::Worker;
use super::sinks::task::SinkInput;
use crate::build::Graph;
use crate::checkpoint::manifest::{InputProgress, StepProgress};
use crate::failure::{Failure, Result};
use crate::keyed::edge::{EdgeCounts, EdgeReport};
use crate::keyed::{Leaving, Marks};
use crate::state::Change;

pub struct Workers {
    graph: Arc<Graph>,
    inboxes: Vec<Sender<Message>>,
    answers: UnboundedReceiver<(usize, Result<Answer>)>,
    /// The open epoch, and the sources' watermarks (µs) at its start.
    epoch: Epoch,
    before_us: Vec<Option<i64>>,
    horizons: Horizons,
    /// What lanes have brought in the open epoch.
    of_lanes: BTreeMap<Edge, EdgeCounts>,
}

/// The result of an epoch, without the rows for the sinks.
#[derive(Default)]
pub struct KeyedEpoch {
    /// Per worker, in the order of key groups: the change of each table that changed, by the table's number in
    /// [`Graph::tables`].
    pub changes: Vec<Vec<(usize, Change)>>,
    pub steps: Vec<StepProgress>,
    pub bad: BadOfEpoch,
    /// Heap memory of all state, in bytes.
    pub bytes: usize,
    /// The time of the worker that computed for longest, without its wait for sinks and other workers.
    pub computed: Duration,
}

impl Workers {
    /// Starts one thread per part of the state, in the order of key groups. `sinks` has all sinks that rows of keyed
    /// steps go to, by their index in the plan.
    pub fn start(
        KeyedState { graph, stages, horizons, .. }: KeyedState,
        sinks: &BTreeMap<usize, SinkInput>,
    ) -> Result<Self> {
        let (answer, answers) = mpsc::unbounded_channel();
        let (inboxes, of_threads): (Vec<_>, Vec<_>) = stages.iter().map(|_| channel()).unzip();
        for (number, (stage, inbox)) in stages.into_iter().zip(of_threads).enumerate() {
            let (answer, inboxes, sinks) = (answer.clone(), inboxes.clone(), sinks.clone());
            let work = move || {
                let worked = || Worker::new(number, stage, sinks, inbox, inboxes)?.run(&answer);
                let ended = catch_unwind(AssertUnwindSafe(worked));
                let panicked = |said: &str| Failure::bug(format!("worker {number} panicked: {said}"));
                if let Err(failure) = ended.unwrap_or_else(|panic| Err(panicked(panics::said(&*panic)))) {
                    // The coordinator may be gone already; then nobody needs the failure.
                    let _ = answer.send((number, Err(failure)));
                }
            };
            let spawned = std::thread::Builder::new().name(format!("worker-{number}")).spawn(work);
            spawned.map_err(|e| Failure::retry(format!("start worker {number}: {e}")))?;
        }
        Ok(Self {
            graph,
            inboxes,
            answers,
            epoch: Epoch(0),
            before_us: Vec::new(),
            horizons,
            of_lanes: BTreeMap::new(),
        })
    }

    /// Opens an epoch, at whose start the sources have these watermarks. The epoch before has been closed, or has
    /// brought nothing.
    pub fn open(&mut self, epoch: Epoch, before_us: &[Option<i64>]) {
        (self.epoch, self.before_us) = (epoch, before_us.to_vec());
        self.of_lanes.clear();
        self.tell_all(|| Message::Open { epoch, before_us: before_us.to_vec() });
    }

    /// Takes in what lanes have brought. This waits for nothing.
    pub fn take_in(&mut self, of_lanes: BTreeMap<Edge, EdgeReport>) {
        for (edge, report) in of_lanes {
            self.of_lanes.insert(edge, report.counts);
            for (worker, entries) in report.entries.into_iter().enumerate().filter(|(_, entries)| !entries.is_empty()) {
                self.tell(worker, Message::Edge { epoch: self.epoch, edge, entries });
            }
        }
    }

    /// Closes the epoch, after which the sources have these watermarks. When this returns, the sinks have all rows and
    /// have been told that the epoch ends.
    ///
    /// # Errors
    /// `Data`, for a row that cannot be computed if such rows must stop the pipeline. For any other failure, a sink's
    /// task may have the reason.
    pub async fn close(&mut self, after_us: &[Option<i64>]) -> Result<KeyedEpoch> {
        let epoch = self.epoch;
        self.horizons.raise(&self.graph.horizons_us(after_us));
        let horizons_us = self.horizons.us();
        self.tell_all(|| Message::Close { epoch, after_us: after_us.to_vec(), horizons_us: horizons_us.to_vec() });
        let mut edges = std::mem::take(&mut self.of_lanes);
        let mut steps: BTreeMap<usize, (u64, Held)> = BTreeMap::new();
        let mut keyed = KeyedEpoch::default();
        for answer in self.answers().await? {
            let Answer::Closed(closed) = answer else {
                return Err(Failure::bug("a worker was to close an epoch, and answered something else"));
            };
            let Closed { edges: sent, steps: closed, bad, changes, bytes, computed } = *closed;
            sent.into_iter().for_each(|(edge, counts)| edges.entry(edge).or_default().add(counts));
            for (step, (rows, held)) in closed {
                let of_step = steps.entry(step).or_default();
                of_step.0 += rows;
                of_step.1.add(held);
            }
            keyed.bad.add(bad);
            keyed.changes.push(changes);
            keyed.bytes += bytes;
            keyed.computed = keyed.computed.max(computed);
        }
        let progress = |step: &usize| {
            let [before_us, after_us] =
                [&self.before_us[..], after_us].map(|sources_us| self.graph.flow().inputs_us(*step, sources_us));
            let counts = |input| {
                let EdgeCounts { rows_in, rows_late } =
                    edges.get(&Edge { step: *step, input }).copied().unwrap_or_default();
                InputProgress { rows_in, rows_late, ..InputProgress::default() }
            };
            let inputs = inputs(&Marks { before_us, after_us }, counts);
            let (rows_out, held) = steps.remove(step).unwrap_or_default();
            progress(&self.graph, &self.horizons, *step, inputs, rows_out, held)
        };
        keyed.steps = self.graph.keyed_steps().iter().map(progress).collect();
        Ok(keyed)
    }

    /// The horizons of the epoch that was closed last.
    #[must_use]
    pub fn horizons_us(&self) -> &[Option<i64>] {
        self.horizons.us()
    }

    /// Per step of the plan: when the last entry leaves, of those that the step holds or has taken in and that leave by
    /// `limit_us`. No row that comes from it is newer than the newest that any worker names.
    async fn leaving(&mut self, limit_us: i64) -> Result<Vec<Option<Leaving>>> {
        let epoch = self.epoch;
        self.tell_all(|| Message::Leaves { epoch, limit_us });
        let mut leaving: Vec<Option<Leaving>> = vec![None; self.graph.plan.steps.len()];
        for answer in self.answers().await? {
            let Answer::Leaves(of_worker) = answer else {
                return Err(Failure::bug("a worker was asked what leaves, and answered something else"));
            };
            for (all, of_worker) in leaving.iter_mut().zip(of_worker) {
                *all = match (*all, of_worker) {
                    (Some(a), Some(b)) => {
                        Some(Leaving { at_us: a.at_us.max(b.at_us), newest_us: a.newest_us.max(b.newest_us) })
                    }
                    (all, of_worker) => all.or(of_worker),
                };
            }
        }
        Ok(leaving)
    }

    /// One answer per worker, in the workers' order.
    async fn answers(&mut self) -> Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = self.inboxes.iter().map(|_| None).collect();
        while answers.iter().any(Option::is_none) {
            let (worker, answer) =
                self.answers.recv().await.ok_or_else(|| Failure::bug("all workers ended without an answer"))?;
            answers[worker] = Some(answer?);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn tell_all(&self, message: impl Fn() -> Message) {
        (0..self.inboxes.len()).for_each(|worker| self.tell(worker, message()));
    }

    fn tell(&self, worker: usize, message: Message) {
        // A worker that is gone has left its reason with the answers.
        let _ = self.inboxes[worker].send(message);
    }
}

/// Workers end at the next message, or when they have finished what they compute. Nobody waits for them: an unreachable
/// sink may hold one up, and nothing that a worker has not answered counts.
impl Drop for Workers {
    fn drop(&mut self) {
        self.tell_all(|| Message::Stop);
    }
}
