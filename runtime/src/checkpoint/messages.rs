//! The words of the protocol: what the machine asks, what it is told, where it rests and why it stops.

use std::sync::Arc;

use weir_plan::ids::{Epoch, Generation};

use super::manifest::Kind;

/// What the protocol needs to know of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Head {
    pub epoch: Epoch,
    pub kind: Kind,
    pub generation: Generation,
    pub nonce: Arc<str>,
    /// Of a claim: the newest data epoch before it.
    pub in_doubt: Option<Epoch>,
}

impl Head {
    /// The data epoch that may not be in every sink while this manifest is the newest.
    #[must_use]
    pub fn unacknowledged(&self) -> Option<Epoch> {
        match self.kind {
            Kind::Data => Some(self.epoch),
            Kind::Claim => self.in_doubt,
        }
    }
}

/// What is to be done. The same request may be asked again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// Create the probe object of this attempt, for the first time.
    ProbeFirst(u32),
    /// Create it again.
    ProbeSecond(u32),
    ProbeDelete(u32),
    ReadIdentity,
    /// Create `identity`.
    CreateIdentity,
    /// The greatest epoch above this one, or of all.
    List {
        above: Option<Epoch>,
    },
    Read(Epoch),
    /// Create the manifest with this head, if its number is free.
    Create(Head),
    /// Have every sink commit what the manifest of this epoch says.
    Commit(Epoch),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    Created,
    /// Something is there; or, from some stores, somebody else is just writing. Never taken at its word.
    AlreadyExists,
    /// No answer, or an error: it may have been done, or may yet be.
    Unknown,
    /// The identity is there and is ours.
    IdentityFound,
    Found(Head),
    NotFound,
    Deleted,
    /// The greatest one.
    Listed(Option<Epoch>),
    /// By every sink.
    Acknowledged,
    /// A sink holds a later epoch.
    SinkFenced,
}

/// Where the machine waits for its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rest {
    /// The store is good, the checkpoint ours, the newest manifest known.
    Opened,
    /// Ours; an epoch may be in doubt.
    Claimed,
    /// Every sink has everything that was decided.
    Ready,
}

/// Why the machine has stopped, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The store let an object be created twice.
    NoConditionalPut,
    /// Something above `ours` was found.
    Fenced {
        ours: Epoch,
        found: Epoch,
    },
    FencedBySink(Epoch),
    /// The manifest of an epoch in doubt is gone although nobody has taken over.
    Lost(Epoch),
    /// A manifest of a generation that can't have written it is in our place.
    Unexplained {
        epoch: Epoch,
        generation: Generation,
        ours: Generation,
    },
    /// Too many others claim.
    Crowded,
    /// An answer that doesn't fit the request, or a command in the wrong state: our own mistake.
    Misused,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Ask(Request),
    Rest(Rest),
    Stopped(Stop),
}

/// The rules that keep every record exactly once. The simulation breaks each of them, and must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    FenceAfterCreate,
    ReadWhatExists,
    UnknownIsNotSuccess,
    CommitWhatIsInDoubt,
    CarryWhatIsInDoubt,
    AcknowledgeBeforeNext,
    CollectNothingRunning,
    CollectNothingInDoubt,
}

#[cfg(test)]
impl Rule {
    pub const ALL: [Self; 8] = [
        Self::FenceAfterCreate,
        Self::ReadWhatExists,
        Self::UnknownIsNotSuccess,
        Self::CommitWhatIsInDoubt,
        Self::CarryWhatIsInDoubt,
        Self::AcknowledgeBeforeNext,
        Self::CollectNothingRunning,
        Self::CollectNothingInDoubt,
    ];
}
