//! Random numbers and ids. The generator is passed in, so that a test repeats what was drawn; a process seeds it once.

use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngCore as _, SeedableRng as _};

/// A generator that parts of a process share.
#[derive(Debug, Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeded by the operating system: no two processes draw the same.
    #[must_use]
    pub fn of_system() -> Self {
        Self::from_seed(entropy())
    }

    /// Draws the same for the same seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Arc::new(Mutex::new(StdRng::from_seed(seed))))
    }

    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    /// A UUID of version 4, in its usual text.
    #[must_use]
    pub fn id(&self) -> String {
        let mut bytes = [0; 16];
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system for randomness")]
fn entropy() -> [u8; 32] {
    rand::random()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn draws(random: &Random) -> Vec<(u64, String)> {
        (0..8).map(|_| (random.number(), random.id())).collect()
    }

    #[test]
    fn a_seed_gives_the_same_draws_and_two_processes_have_different_ones() {
        let seeded = draws(&Random::from_seed([7; 32]));
        assert_eq!(draws(&Random::from_seed([7; 32])), seeded);
        let ours = [draws(&Random::of_system()), draws(&Random::of_system()), seeded].concat();
        assert_eq!(ours.iter().map(|(number, _)| number).collect::<BTreeSet<_>>().len(), 24);
        assert_eq!(ours.iter().map(|(_, id)| id).collect::<BTreeSet<_>>().len(), 24);
    }

    #[test]
    fn an_id_is_a_uuid_of_version_4() {
        let id = uuid::Uuid::parse_str(&Random::of_system().id());
        assert_eq!(id.map(|id| (id.get_version_num(), id.get_variant())), Ok((4, uuid::Variant::RFC4122)));
    }
}
