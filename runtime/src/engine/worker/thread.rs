//! A worker: one thread with the operators of all keyed steps, for a range of key groups. Messages bring it what comes
//! to these steps. It closes an epoch step by step: a step is closed when no worker has anything more for it, and its
//! rows go through the steps behind it before the next one is closed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use weir_plan::ids::Epoch;
use weir_plan::key_group::KeyRanges;
use weir_plan::stages::Edge;

use super::keyed_stage::KeyedStage;
use super::messages::{Answer, Closed, Message};
use super::step_rows::StepRows;
use crate::build::Graph;
use crate::clock::{since, steady};
use crate::engine::sinks::task::SinkInput;
use crate::failure::{Failure, Result};
use crate::keyed::edge::EdgeSender;

/// Answers, each with the worker's number.
pub type Answers = UnboundedSender<(usize, Result<Answer>)>;

pub struct Worker {
    number: usize,
    stage: KeyedStage,
    /// All sinks that rows of keyed steps go to, by their index in the plan.
    sinks: BTreeMap<usize, SinkInput>,
    /// The sending ends of edges that come from keyed steps.
    behind: BTreeMap<Edge, EdgeSender>,
    inbox: Receiver<Message>,
    /// The inboxes of all workers, including this one. What is sent is in memory already, so no inbox is bounded: a
    /// worker that waits for a sink does not hold up another one that has something for it.
    inboxes: Vec<Sender<Message>>,
    open: OpenEpoch,
}

/// The epoch that messages are about.
struct OpenEpoch {
    epoch: Epoch,
    before_us: Vec<Option<i64>>,
    /// How many workers have nothing more for an edge.
    ended: BTreeMap<Edge, usize>,
}

impl Worker {
    pub fn new(
        number: usize,
        stage: KeyedStage,
        sinks: BTreeMap<usize, SinkInput>,
        inbox: Receiver<Message>,
        inboxes: Vec<Sender<Message>>,
    ) -> Result<Self> {
        let graph = Arc::clone(stage.graph());
        let ranges = KeyRanges::of(inboxes.len());
        let edges = graph.keyed_steps().iter().flat_map(|step| graph.edges_from_keyed_steps(*step));
        let behind = edges.map(|edge| Ok((edge, graph.sender(edge, ranges)?))).collect::<Result<_>>()?;
        let open = OpenEpoch { epoch: Epoch(0), before_us: Vec::new(), ended: BTreeMap::new() };
        Ok(Self { number, stage, sinks, behind, inbox, inboxes, open })
    }

    /// Works until it is told to stop, or until nobody is left who could tell it.
    pub fn run(mut self, answers: &Answers) -> Result<()> {
        while let Ok(message) = self.inbox.recv() {
            let answer = match message {
                Message::Open { epoch, before_us } => {
                    self.open = OpenEpoch { epoch, before_us, ended: BTreeMap::new() };
                    continue;
                }
                Message::Leaves { epoch, limit_us } => {
                    self.check(epoch)?;
                    Answer::Leaves(self.stage.leaves_by(&self.open.before_us, limit_us)?)
                }
                Message::Close { epoch, after_us, horizons_us } => {
                    self.check(epoch)?;
                    let Some(closed) = self.close(&after_us, &horizons_us)? else { return Ok(()) };
                    Answer::Closed(Box::new(closed))
                }
                Message::Stop => return Ok(()),
                of_edge @ (Message::Edge { .. } | Message::Ended { .. }) => {
                    self.take_in(of_edge)?;
                    continue;
                }
            };
            if answers.send((self.number, Ok(answer))).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Checks that a message is about the open epoch.
    ///
    /// # Errors
    /// A bug, if it is not, since it would be counted in the wrong epoch.
    fn check(&self, epoch: Epoch) -> Result<()> {
        if epoch == self.open.epoch {
            return Ok(());
        }
        Err(Failure::bug(format!("worker {} was told of epoch {epoch} in epoch {}", self.number, self.open.epoch)))
    }

    fn take_in(&mut self, of_edge: Message) -> Result<()> {
        match of_edge {
            Message::Edge { epoch, edge, entries } => {
                self.check(epoch)?;
                self.stage.bring(edge, entries)
            }
            Message::Ended { epoch, edge, from } => {
                self.check(epoch)?;
                tracing::trace!(worker = self.number, from, ?edge, "an edge has ended");
                *self.open.ended.entry(edge).or_default() += 1;
                Ok(())
            }
            other => Err(Failure::bug(format!(
                "worker {} was told {other:?} before it had closed epoch {}",
                self.number, self.open.epoch
            ))),
        }
    }

    /// Closes one keyed step after the other. `None` means that the worker was told to stop.
    fn close(&mut self, after_us: &[Option<i64>], horizons_us: &[Option<i64>]) -> Result<Option<Closed>> {
        let (began, mut waited) = (steady(), Duration::ZERO);
        let graph = Arc::clone(self.stage.graph());
        let mut closed = Closed::default();
        for &step in graph.keyed_steps() {
            self.end_edges_to(&graph, step, &mut closed)?;
            let waits = steady();
            if !self.wait_for_edges_to(&graph, step)? {
                return Ok(None);
            }
            waited += since(waits);
            let Self { stage, sinks, behind, open, .. } = self;
            let rows = StepRows::new(stage, sinks, behind, [&open.before_us, after_us], &mut closed.bad);
            let given = rows.give(step)?;
            waited += given.waited;
            closed.changes.extend(stage.take_changes(step, horizons_us)?);
            closed.steps.insert(step, (given.rows, stage.held(step)?));
        }
        for sink in self.sinks.values() {
            sink.end_epoch()?;
        }
        closed.bytes = self.stage.bytes();
        closed.computed = since(began).saturating_sub(waited);
        Ok(Some(closed))
    }

    /// Sends the workers what keyed steps of this worker have for the step, which is complete now.
    fn end_edges_to(&mut self, graph: &Graph, step: usize, closed: &mut Closed) -> Result<()> {
        for edge in graph.edges_from_keyed_steps(step) {
            let Some(sender) = self.behind.get_mut(&edge) else {
                return Err(Failure::bug(format!("{edge:?} has no near end")));
            };
            let report = sender.end_epoch()?;
            closed.edges.insert(edge, report.counts);
            let epoch = self.open.epoch;
            for (worker, entries) in report.entries.into_iter().enumerate() {
                if !entries.is_empty() {
                    self.tell(worker, Message::Edge { epoch, edge, entries });
                }
                self.tell(worker, Message::Ended { epoch, edge, from: self.number });
            }
        }
        Ok(())
    }

    /// A worker that is gone has left its reason with the coordinator, which then ends the others.
    fn tell(&self, worker: usize, message: Message) {
        let _ = self.inboxes[worker].send(message);
    }

    /// Takes in messages until no worker has anything more for the step. Returns false if the worker was told to stop
    /// before.
    fn wait_for_edges_to(&mut self, graph: &Graph, step: usize) -> Result<bool> {
        for edge in graph.edges_from_keyed_steps(step) {
            while self.open.ended.get(&edge).is_none_or(|ended| *ended < self.inboxes.len()) {
                match self.inbox.recv() {
                    Ok(Message::Stop) | Err(_) => return Ok(false),
                    Ok(message) => self.take_in(message)?,
                }
            }
        }
        Ok(true)
    }
}
