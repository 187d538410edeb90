//! Records for tests that kill runs again and again.

use super::Rig;
use crate::engine::Exit;
use crate::topic::Record;

/// A supply of records that never runs out, however many of them killed runs read: as records are read, more are
/// produced.
pub struct Backlog<F> {
    ahead: usize,
    from: F,
    produced: usize,
    read: usize,
}

impl<F: Fn(usize) -> Vec<Record>> Backlog<F> {
    /// `ahead` is the number of records that each run finds. `from` makes this many records, from the nth on.
    #[must_use]
    pub fn new(ahead: usize, from: F) -> Self {
        Self { ahead, from, produced: 0, read: 0 }
    }

    /// Called before each run: produces the records that are missing.
    pub fn fill(&mut self, rig: &Rig) {
        while self.produced < self.read + self.ahead {
            rig.produce(&(self.from)(self.produced));
            self.produced += self.ahead;
        }
    }

    /// Called after each run: counts what it has read, with an epoch more, since the run may not have reported its last
    /// one.
    pub fn was_read(&mut self, exit: &Exit, rig: &Rig) {
        let told = exit.progress.iter().map(|progress| progress["numInputRows"].as_u64().unwrap()).sum::<u64>();
        self.read += usize::try_from(told + rig.site.records_per_epoch).unwrap();
    }
}
