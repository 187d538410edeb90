//! A process: opens the sinks, claims, takes them over, commits what is in doubt, and then decides one epoch after the other. It knows no kind of sink.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::sink::*;
use crate::world::{Manifest, World};

/// What a person says at a start.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Park(&'static str),
    Unpark(&'static str),
}

/// Rows of the input, in order: the same for whoever reads them.
pub fn input(offset: u64) -> Row {
    let key = (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u32;
    Row { key, value: (offset % 5 != 4).then_some(offset as i64) }
}

pub struct Process {
    pub world: Arc<World>,
    pub nonce: u32,
    pub sinks: BTreeMap<String, Box<dyn Sink>>,
}

impl Process {
    /// Runs so many epochs of so many rows; gives what ended it, if it was not that.
    pub fn run(mut self, action: Option<Action>, epochs: &[u64]) -> Result<()> {
        let mut newest = self.claim(action)?;
        // A claim pins a sink before it is taken over; a data epoch is decided after that.
        let data = self.world.manifests().into_iter().rfind(|m| m.payloads.is_some());
        // What is broken in a parked sink is why it was parked, but what its older writer left open must not hide the others' markers.
        for (name, sink) in &mut self.sinks {
            match newest.parked.contains(name) {
                true => drop(sink.fence()),
                false => persist(&self.world, newest.epoch, || sink.fence())?,
            }
        }
        for (name, sink) in self.sinks.iter_mut().filter(|(name, _)| !newest.parked.contains(*name)) {
            let was_taken_over = data.as_ref().is_some_and(|m| m.pins.contains_key(name) && !m.parked.contains(name));
            persist(&self.world, newest.epoch, || sink.take_over(&TakeOver { was_taken_over }))?;
        }
        if let Some(epoch) = newest.in_doubt {
            let decided = self.world.manifest(epoch);
            self.commit(&decided, &mut newest)?;
        }
        for rows in epochs {
            newest = self.epoch(newest, *rows)?;
        }
        Ok(())
    }

    fn claim(&mut self, action: Option<Action>) -> Result<Manifest> {
        loop {
            let before = self.world.newest();
            let mut parked = before.as_ref().map(|m| m.parked.clone()).unwrap_or_default();
            let mut acknowledged = before.as_ref().map(|m| m.acknowledged.clone()).unwrap_or_default();
            for (name, sink) in &self.sinks {
                if parked.contains(name) {
                    continue;
                }
                let held = sink.held()?;
                let last = acknowledged.get(name).copied();
                let is_old = match (held, last) {
                    (Some(held), Some((epoch, mark))) => held.epoch < epoch || (held.epoch == epoch && held.mark != mark),
                    (None, last) => last.is_some(),
                    _ => false,
                };
                assert!(!is_old, "{name} is accused of having been put back: it holds {held:?}, and had {last:?}");
            }
            match &action {
                Some(Action::Park(sink)) => drop(parked.insert((*sink).to_owned())),
                Some(Action::Unpark(sink)) if parked.remove(*sink) => {
                    // Whatever it holds is what it goes on from: nobody knows how much of the epoch in doubt it got.
                    acknowledged.remove(*sink);
                }
                _ => {}
            }
            let in_doubt = before.as_ref().and_then(|m| if m.payloads.is_some() { Some(m.epoch) } else { m.in_doubt });
            // What was parked when the epoch was decided does not get it after it is unparked.
            let claim = Manifest {
                epoch: before.as_ref().map_or(1, |m| m.epoch + 1),
                generation: before.as_ref().map_or(1, |m| m.generation + 1),
                nonce: self.nonce,
                payloads: None,
                in_doubt,
                pins: self.sinks.iter().map(|(name, sink)| (name.clone(), sink.pin())).collect(),
                offset: before.as_ref().map_or(0, |m| m.offset),
                parked,
                acknowledged,
            };
            self.world.step()?;
            if self.world.create(claim.clone()) {
                self.world.step()?;
                return Ok(claim);
            }
        }
    }

    fn epoch(&mut self, before: Manifest, rows: u64) -> Result<Manifest> {
        let epoch = before.epoch + 1;
        let slot = Slot { epoch, generation: before.generation };
        let batch: Vec<Row> = (before.offset..before.offset + rows).map(input).collect();
        let mut payloads = BTreeMap::new();
        for (name, sink) in &mut self.sinks {
            let mut writer = sink.begin(&slot);
            writer.write(&batch)?;
            let part = writer.finish()?;
            payloads.extend(sink.seal(vec![part])?.map(|payload| (name.clone(), payload)));
        }
        let mut decided = Manifest { epoch, payloads: Some(payloads), in_doubt: None, offset: before.offset + rows, ..before };
        decided.nonce = self.nonce;
        let of = Decided { epoch, mark: decided.mark() };
        for (name, payload) in decided.payloads.iter().flatten().filter(|(name, _)| !decided.parked.contains(*name)) {
            let sink = self.sinks.get_mut(name).unwrap();
            persist(&self.world, before.epoch, || sink.ready(&of, payload))?;
        }
        self.world.step()?;
        if !self.world.create(decided.clone()) {
            return Err(Failure::Fenced { by: epoch });
        }
        self.world.step()?;
        let manifest = decided.clone();
        self.commit(&manifest, &mut decided)?;
        Ok(decided)
    }

    /// Commits what a manifest decided, and notes in `carries` that the sinks have it.
    fn commit(&mut self, decided: &Manifest, carries: &mut Manifest) -> Result<()> {
        let of = Decided { epoch: decided.epoch, mark: decided.mark() };
        // Neither whoever is parked now nor whoever was when it was decided.
        let parked: BTreeSet<_> = decided.parked.union(&carries.parked).cloned().collect();
        for (name, payload) in decided.payloads.iter().flatten().filter(|(name, _)| !parked.contains(*name)) {
            let sink = self.sinks.get_mut(name).unwrap();
            persist(&self.world, carries.epoch, || sink.commit(&of, payload))?;
            carries.acknowledged.insert(name.clone(), (of.epoch, of.mark));
        }
        Ok(())
    }
}

/// Again and again, as long as the checkpoint is ours.
fn persist<T>(world: &World, ours: Epoch, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        if let Some(newest) = world.newest().filter(|newest| newest.epoch > ours) {
            return Err(Failure::Fenced { by: newest.epoch });
        }
        match attempt() {
            Err(Failure::Retry(_)) => {}
            other => return other,
        }
    }
}
