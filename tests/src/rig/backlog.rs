//! Records for tests that kill runs again and again.

use super::Rig;
use crate::engine::Exit;
use crate::topic::Record;

/// Records that are always there to be read, however many runs that are killed read of them: as they are read, more are
/// produced.
pub struct Backlog<F> {
    ahead: usize,
    from: F,
    produced: usize,
    read: usize,
}

impl<F: Fn(usize) -> Vec<Record>> Backlog<F> {
    /// So many are ahead of each run. `from` makes as many from the nth on.
    #[must_use]
    pub fn new(ahead: usize, from: F) -> Self {
        Self { ahead, from, produced: 0, read: 0 }
    }

    /// Before each run.
    pub fn fill(&mut self, rig: &Rig) {
        while self.produced < self.read + self.ahead {
            rig.produce(&(self.from)(self.produced));
            self.produced += self.ahead;
        }
    }

    /// After each run. Its last epoch may not have been told.
    pub fn was_read(&mut self, exit: &Exit, rig: &Rig) {
        let told = exit.progress.iter().map(|progress| progress["numInputRows"].as_u64().unwrap()).sum::<u64>();
        self.read += usize::try_from(told + rig.site.records_per_epoch).unwrap();
    }
}
